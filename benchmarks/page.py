"""The page ``docs/performance.md``."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from . import process, results
from .peers import FUNCTION, INTERPRETED, JIT, JIT_PLAIN, PEERS
from .results import Line, time_text
from .runner import THREADED

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
NOTES = Path(__file__).parent / "notes.md"

INTRODUCTION = """\
# Performance

Written by `make bench`, which makes an environment with JAX, PyTorch and HIPS autograd and runs
every case; on a machine with other work that took 20 to 43 minutes. `make bench-quick` runs tiny
forms of all cases and only compares results. The cases are in `benchmarks/workloads/`,
one file each.

How it is measured: each system runs in a process of its own, kept on one core and told to use one
thread. Before anything is timed, its results are compared with those of chainrule's interpreter
(to {double:.0e} in float64, {single:.0e} in float32, beside the largest number of each array); a
system whose results differ is not timed. Then all systems take turns, and medians of {rounds}
rounds are shown. Times are CPU times unless called otherwise: they count what other threads do too.
A system that needs more than {start:.0f} s for its first call ({slow:.0f} s if it starts a C++
compiler), or {call:.0f} s for a call, is left out and named.

{machine}
"""


TARGETS_TEXT = """\
*Ratio* is the time of `chainrule jit` divided by the best time of JAX, PyTorch and autograd, each
used in every way listed further down. *Of the limit* says how close it comes to what the machine
can do: C written by hand where there is some, else the time for the products or the traffic of
memory that no implementation of the algorithm can do without. (Products that are small, or chained,
cannot come near the first; above 100 % it is faster than the C.)"""

DERIVATIVE = 2.5  # times the function
FORM = 1.1  # times the form with a loop of our own
SHARED = 1.7  # times faster
FIRST = {"cnn": 0.6}  # seconds; those of small cases are below
FIRST_OF_SMALL = 0.15
SMALL = (
    *("worked_example", "elementwise_1e3", "elementwise_1e5", "softmax_cross_entropy"),
    *("logistic_regression", "rosenbrock_gradient", "rosenbrock_hvp", "dense_hessian"),
)
AGAIN = 0.03  # seconds, beside what a call takes

DETAILS_TEXT = """\
*Spread*: the quartiles of the CPU time. *First*: the first call, without imports. *Memory*: what
the process needed beyond what it had after imports and making the arguments. *Off by*: the largest
difference from the interpreter's results."""


def write(settings: Any, extra: dict[str, Any]) -> None:
    """Write the page from what was measured."""
    found = results.lines()
    parts = [
        _introduction(found, settings),
        _targets(found),
        _missed(found),
        _forms(found),
        _gradient_cost(found),
        _first_calls(found),
        _threads(found),
        _interpreter(found),
        *extra.values(),
        _details(found),
    ]
    PAGE.write_text("\n\n".join(p.strip() for p in parts if p) + "\n", encoding="utf-8")


def table(head: Iterable[str], rows: Iterable[Iterable[str]], left: int = 1) -> str:
    """Return a table of Markdown; the first columns are aligned to the left."""
    head = list(head)
    rule = "|" + "---|" * left + "--:|" * (len(head) - left)
    lines = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], rule, *lines[1:]])


def _introduction(found: list[tuple[Line, Any]], settings: Any) -> str:
    limits = found[0][1]["limits"]
    commits = sorted({s["commit"] for _, s in found})
    days = sorted({s["stamp"] for _, s in found})
    machine = (
        f"Measured between {days[0]} and {days[-1]} on {_processor()}, Python "
        f"{platform.python_version()}, NumPy {np.__version__}, chainrule at {', '.join(commits)}. "
        f"One core does {limits['float32'] / 1e9:.0f} billion operations per second in products of "
        f"matrices in float32, {limits['float64'] / 1e9:.0f} in float64, and copies "
        f"{limits['bandwidth'] / 1e9:.1f} GB/s, reading and writing counted."
    )
    loads = [s.get("load", 0.0) for _, s in found]
    if max(loads) > 1.5:
        machine += (
            f" Other programs shared its {len(process.cores())} cores: {min(loads):.1f} to "
            f"{max(loads):.1f} programs wanted to run at a time, one of them the benchmark. "
            "CPU times bear that; wall times (first calls, two threads) do not, and compilers that "
            "are fast enough on an idle machine were not always done in time."
        )
    return INTRODUCTION.format(
        double=1e-6,
        single=1e-4,
        rounds=settings.rounds,
        start=settings.start,
        slow=settings.slow_start,
        call=settings.call,
        machine=machine,
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists() and (match := re.search(r"model name\s*: (.*)", info.read_text())):
        return f"{match[1]}"
    return platform.machine()


def _beside(ratio: float, target: float) -> str:
    """Return a ratio with as many digits as tell it from the target."""
    return f"{ratio:.3f}" if round(ratio, 2) == target else f"{ratio:.2f}"


def _targets(found: list[tuple[Line, Any]]) -> str:
    rows = []
    for line, _ in found:
        ratio = "–" if line.ratio is None else _beside(line.ratio, line.case.target)
        verdict = "yes" if line.reached else "**no**"
        limit = (
            f"{line.limit / line.ours:.0%}, {line.limit_name}" if line.limit and line.ours else "–"
        )
        best = f"{time_text(line.best)}, {line.rival}" if line.best else "–"
        ours = time_text(line.ours) if line.ours else line.why
        rows.append([line.case.title, ours, best, ratio, f"{line.case.target:g}", verdict, limit])
    ratios = [line.ratio for line, _ in found if line.ratio]
    reached = sum(line.reached for line, _ in found)
    summary = (
        f"{reached} of {len(found)} targets are reached. The geometric mean of the "
        f"{len(ratios)} ratios is {results.geometric_mean(ratios):.2f}; aimed at: 0.4."
    )
    return "\n\n".join(
        [
            "## One core, beside the best of the others",
            TARGETS_TEXT,
            table(
                [
                    "case",
                    "chainrule jit",
                    "best peer",
                    "ratio",
                    "target",
                    "reached",
                    "of the limit",
                ],
                rows,
            ),
            summary,
            "![Ratios and targets](images/performance_ratios.png)",
            "![Times of all systems](images/performance_times.png)",
        ]
    )


def _notes() -> dict[str, str]:
    if not NOTES.exists():
        return {}
    sections = re.split(r"^## (\S+)\n", NOTES.read_text(encoding="utf-8"), flags=re.MULTILINE)
    pairs = zip(sections[1::2], sections[2::2], strict=True)
    return {name: " ".join(text.split()) for name, text in pairs}


def _missed(found: list[tuple[Line, Any]]) -> str:
    notes = _notes()
    lines = ["## What is not reached, and why"]
    for line, stored in found:
        if line.reached:
            continue
        left = stored["results"].get(JIT, {}).get("left", [])
        target = line.case.target
        what = f"{_beside(line.ratio, target)} instead of {target:g}" if line.ratio else line.why
        reasons = [notes.get(line.case.name, ""), *(f"Left to NumPy: {_left(t)}." for t in left)]
        lines.append(f"- **{line.case.title}**: {what}. {' '.join(filter(None, reasons))}".rstrip())
    return "\n".join([lines[0], "", *lines[1:]]) if len(lines) > 1 else ""


def _left(text: str) -> str:
    """Return what a warning says is left to NumPy, without files and repetitions."""
    text = re.sub(r" \([^()]*\.py:\d+\)", "", text.partition("native code: ")[2] or text)
    return "; ".join(dict.fromkeys(part.strip() for part in text.split(";")))


def _forms(found: list[tuple[Line, Any]]) -> str:
    rows, missed = [], []
    for line, stored in found:
        case, got = line.case, stored["results"]
        if JIT_PLAIN not in got:
            continue
        one, two = (got.get(p, {}) for p in (JIT, JIT_PLAIN))
        ratio = f"{two['cpu'] / one['cpu']:.2f}" if "cpu" in one and "cpu" in two else "–"
        if "cpu" not in two or two["cpu"] > FORM * one["cpu"]:
            missed.append(f"{case.title} ({ratio})")
        rows.append(
            [case.title, case.main, _outcome(one), case.plain, _outcome(two), ratio]
            + [time_text(d["first_wall"]) if "first_wall" in d else "–" for d in (one, two)]
        )
    head = ["case", "form", "time", "other form", "time", "other / form"]
    return _section(
        "Two ways to write the same",
        "A loop can be written with `scan` or as Python's own; a convolution with sliding windows "
        f"or with shifted slices. The second way should need at most {FORM:g} times as long.",
        [*head, "first call", "other's first call"],
        rows,
        _verdict(missed, "forms"),
    )


def _outcome(result: dict[str, Any]) -> str:
    return time_text(result["cpu"]) if "cpu" in result else result.get("error", "–")


def _gradient_cost(found: list[tuple[Line, Any]]) -> str:
    rows, missed = [], []
    for line, stored in found:
        one, two = stored["results"].get(FUNCTION, {}), stored["results"].get(JIT, {})
        if "cpu" in one and "cpu" in two:
            ratio = f"{two['cpu'] / one['cpu']:.2f}"
            rows.append([line.case.title, time_text(one["cpu"]), time_text(two["cpu"]), ratio])
            if two["cpu"] > DERIVATIVE * one["cpu"]:
                missed.append(f"{line.case.title} ({ratio})")
    return _section(
        "What a derivative costs",
        f"Beside the function alone, compiled too. Theory allows 4 to 5; aimed at: {DERIVATIVE:g}.",
        ["case", "function", "with derivative", "ratio"],
        rows,
        _verdict(missed, "derivatives"),
    )


def _first_calls(found: list[tuple[Line, Any]]) -> str:
    rows, cold, warm = [], [], []
    for line, stored in found:
        case, ours = line.case, stored["results"].get(JIT, {})
        if "first_wall" not in ours:
            continue
        first, again = ours["first_wall"], ours.get("warm_wall")
        jax = stored["results"].get("JAX", {}).get("first_wall")
        aim = FIRST.get(case.name, FIRST_OF_SMALL if case.name in SMALL else None)
        aimed = "–" if aim is None else time_text(aim)
        rows.append([case.title, time_text(first), aimed, time_text(again), time_text(jax)])
        if aim is not None and first > aim:
            cold.append(f"{case.title} ({time_text(first)})")
        if again is not None and again - ours.get("wall", 0.0) > AGAIN:
            warm.append(f"{case.title} ({time_text(again)})")
    return _section(
        "First calls",
        "Wall time from the call to its result, without imports of the package: recording, "
        "differentiating, compiling, running. *Again*: in another process, after the first one has "
        f"left its code on disk; aimed at: {time_text(AGAIN)}, beside what a call takes.",
        ["case", "chainrule jit", "aim", "again", "JAX"],
        rows,
        "\n\n".join(filter(None, [_verdict(cold, "first"), _verdict(warm, "again", "Again")])),
    )


def _threads(found: list[tuple[Line, Any]]) -> str:
    rows, missed = [], []
    for line, stored in found:
        got = stored["results"].get(THREADED)
        if got is None:
            continue
        speedup = f"{got['speedup']:.2f}" if "wall" in got else "–"
        wall = time_text(got.get("wall"))
        single = stored["results"].get(JIT, {}).get("wall")
        rows.append([line.case.title, time_text(single), wall, speedup])
        if got.get("speedup", 0.0) < SHARED:
            missed.append(f"{line.case.title} ({speedup})")
    return _section(
        "Two threads",
        f"Wall time of cases that take over 5 ms. Aimed at: {SHARED:g} times faster on an idle "
        "machine.",
        ["case", "one thread", "two threads", "times faster"],
        rows,
        _verdict(missed, "threads"),
    )


def _interpreter(found: list[tuple[Line, Any]]) -> str:
    rows = []
    for line, stored in found:
        one, two = (stored["results"].get(p, {}) for p in (INTERPRETED, "autograd"))
        if "cpu" in one:
            ratio = f"{one['cpu'] / two['cpu']:.2f}" if "cpu" in two else "–"
            rows.append([line.case.title, time_text(one["cpu"]), _outcome(two), ratio])
    return _section(
        "Without compiling",
        "The derivative interpreted, beside HIPS autograd, which differentiates plain NumPy code "
        "too. Both run the form without `scan`.",
        ["case", "chainrule", "autograd", "ratio"],
        rows,
    )


def _verdict(missed: list[str], note: str, what: str = "") -> str:
    """Return which cases miss an aim, and why."""
    if not missed:
        return ""
    said = f"{what}: not reached by" if what else "Not reached by"
    return f"{said} {'; '.join(missed)}. {_notes().get(note, '')}".rstrip()


def _section(
    title: str, text: str, head: list[str], rows: list[list[str]], verdict: str = ""
) -> str:
    parts = [f"## {title}", text, table(head, rows), verdict]
    return "\n\n".join(filter(None, parts)) if rows else ""


def _details(found: list[tuple[Line, Any]]) -> str:
    parts = [
        "## All measurements",
        DETAILS_TEXT,
    ]
    head = [
        "system",
        "CPU",
        "spread",
        "wall",
        "of ours",
        "first, CPU",
        "first, wall",
        "memory",
        "off by",
    ]
    for line, stored in found:
        got = {p: r for p, r in stored["results"].items() if p in PEERS}
        rows = [_detail(p, r, line.ours) for p, r in got.items() if "cpu" in r]
        failed = [f"- {p}: {r['error']}" for p, r in got.items() if "error" in r]
        parts += [f"### {line.case.title}", table(head, rows)]
        if failed:
            parts.append("Not timed:\n\n" + "\n".join(failed))
    return "\n\n".join(parts)


def _detail(peer: str, r: dict[str, Any], ours: float | None) -> list[str]:
    low, high = r["spread"]
    return [
        peer,
        time_text(r["cpu"]),
        f"{time_text(low)} – {time_text(high)}",
        time_text(r["wall"]),
        f"{r['cpu'] / ours:.2f}" if ours else "–",
        time_text(r["first_cpu"]),
        time_text(r["first_wall"]),
        f"{r['memory'] / 2**20:.0f} MiB",
        f"{r['deviation']:.0e}" if r["deviation"] else "–",
    ]
