"""Run the benchmarks, print the table and write it to ``docs/performance.md``."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from . import memory, runner
from .workloads import NAMES

PEERS = ["chainrule", "chainrule jit", "autograd", "jax", "numpy"]
PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", choices=[*NAMES, []], help="default: all")
    parser.add_argument("--quick", action="store_true", help="few rounds; the page isn't written")
    parser.add_argument("--rounds", type=int, default=15, help="rounds per peer (default 15)")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS)
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    peers = runner.available(options.peers)
    missing = sorted(set(options.peers) - set(peers))
    console = Console(width=max(100, Console().width))
    if missing:
        console.print(f"not installed, left out: {', '.join(missing)}")
    sections = []
    for name in options.workloads or NAMES:
        results = runner.run(name, peers, rounds)
        sections.append((runner.title(name), results))
        console.print(_table(runner.title(name), results))
    peaks = [p for n in ((64,) if options.quick else (64, 512, 4096)) for p in memory.measure(n)]
    console.print(_peak_table(peaks))
    imports = runner.import_times(3 if options.quick else 15)
    ratio = imports["chainrule"] / imports["numpy"]
    line = (
        f"import numpy {imports['numpy'] * 1e3:.0f} ms, "
        f"import chainrule {imports['chainrule'] * 1e3:.0f} ms: {ratio:.2f} times"
    )
    console.print(line)
    if not options.quick:
        PAGE.write_text(_page(sections, peaks, line, rounds), encoding="utf-8")
        console.print(f"written to {PAGE}")


HEAD = ("peer", "CPU per call", "wall per call", "of autograd", "first call", "peak memory")


def _rows(results: list[runner.Result]) -> list[tuple[str, ...]]:
    reference = next((r.cpu for r in results if r.peer == "autograd"), None)
    return [
        (
            r.peer + (" (value only)" if r.peer == "numpy" else ""),
            _time(r.cpu),
            _time(r.wall),
            f"{r.cpu / reference:.2f}" if reference else "–",
            _time(r.first_call),
            f"{r.peak_bytes / 2**20:.0f} MiB",
        )
        for r in results
    ]


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _table(title: str, results: list[runner.Result]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in HEAD:
        table.add_column(column, justify="left" if column == "peer" else "right")
    for row in _rows(results):
        table.add_row(*row)
    return table


PEAK_HEAD = ("way", "steps", "peak memory", "in states", "time")


def _peak_rows(peaks: list[memory.Peak]) -> list[tuple[str, ...]]:
    return [
        (
            p.way,
            str(p.steps),
            f"{p.peak_bytes / 2**20:.1f} MiB",
            f"{memory.in_states(p):.0f}",
            _time(p.seconds),
        )
        for p in peaks
    ]


def _peak_table(peaks: list[memory.Peak]) -> Table:
    table = Table(title="gradient through a loop: memory", title_justify="left")
    for column in PEAK_HEAD:
        table.add_column(column, justify="left" if column == "way" else "right")
    for row in _peak_rows(peaks):
        table.add_row(*row)
    return table


def _page(
    sections: list[tuple[str, list[runner.Result]]],
    peaks: list[memory.Peak],
    imports: str,
    rounds: int,
) -> str:
    lines = [
        "# Performance",
        "",
        "Written by `make bench`. Each peer runs in a process of its own on one thread; values and",
        "gradients are compared (1e-6) before anything is timed; the rounds of all peers are",
        f"interleaved; shown are medians of {rounds} rounds. *first call* includes the import of",
        "the peer. *chainrule* interprets, *chainrule jit* compiles the gradient to one native",
        "function; a loop in Python is unrolled by it, as by JAX.",
        "",
        f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}.",
    ]
    for title, results in sections:
        lines += ["", f"## {title}", "", "| " + " | ".join(HEAD) + " |", "|---" + "|--:" * 5 + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in _rows(results)]
    lines += [
        "",
        "## Memory of a gradient through a loop",
        "",
        "The state has 20,000 elements of float64. A *state* is one copy of it. With a budget",
        "`scan` computes states again instead of keeping them; what the table shows includes the",
        "working memory of the steps themselves.",
        "",
        "| " + " | ".join(PEAK_HEAD) + " |",
        "|---" + "|--:" * 4 + "|",
    ]
    lines += ["| " + " | ".join(row) + " |" for row in _peak_rows(peaks)]
    return "\n".join([*lines, "", "## Import", "", imports + ".", ""])


if __name__ == "__main__":
    sys.exit(main())
