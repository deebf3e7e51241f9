"""An explanation as plain text: a table that fits the terminal."""

from __future__ import annotations

import math
import shutil
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .expression import Product

if TYPE_CHECKING:
    from .explanation import Explanation
    from .steps import Step

HEADINGS = ("#", "step", "rule", "formula", "line", "shape", "‖grad‖", "gain", "check")
_RIGHT = frozenset({"#"})
GAP = "  "
MIN_WIDTH = 20


def columns(text: str) -> int:
    """Count the terminal columns that a text takes."""
    return sum(_width(c) for c in text)


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def number(value: float, digits: int = 3) -> str:
    """Write a size: three digits."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf"
    return f"{value:.{digits}g}"


def check_text(step: Step) -> str:
    """Write what the check of a step found: ``7e-13 ✓``."""
    if math.isnan(step.error):
        return "NaN ✗" if "NaN" in step.note or "inf" in step.note else "— ✗"
    mark = "✓" if step.verified else "✗"
    if not step.smooth:
        mark = "~"
    if step.error == 0:
        return f"0 {mark}"
    return f"{step.error:.0e} {mark}".replace("e-0", "e-").replace("e+0", "e+")


def gain_text(step: Step) -> str:
    """Write a step's gain."""
    if step.leaf:
        return "leaf"
    return "—" if step.gain is None else f"×{number(step.gain)}"


def row(step: Step) -> tuple[str, ...]:
    """Return the cells of a step's row."""
    return (
        str(step.index),
        step.symbol,
        step.rule,
        step.formula,
        "" if step.line is None else f":{step.line}",
        step.shapes,
        number(step.norm),
        gain_text(step),
        check_text(step),
    )


def header(explanation: Explanation) -> str:
    """Return the line above the table."""
    good, all_ = explanation.edges
    value = f"{explanation.output} = {float(explanation.value):.6g}"
    parts = (f"chainrule.explain({explanation.function})", explanation.place, value)
    return "   ".join(p for p in (*parts, f"{good}/{all_} edges verified") if p)


def to_text(explanation: Explanation, width: int | None = None, turns: int | None = 6) -> str:
    """Return the explanation as plain text of at most ``width`` columns."""
    width = max(width or shutil.get_terminal_size((100, 24)).columns, MIN_WIDTH)
    lines = wrap(header(explanation), width)
    lines.extend(_table(table_rows(explanation, turns), width))
    for line in footer(explanation):
        lines.extend(wrap(line, width))
    return "\n".join(lines)


def footer(explanation: Explanation) -> list[str]:
    """Return the lines below the table: what its symbols mean, and what to know of some steps."""
    lines = [f"{name} = {meaning}" for name, meaning in explanation.legend.items()]
    products = (s for s in explanation.steps[1:] if isinstance(s.expr, Product))
    example = next(products, None)
    if example is not None:
        lines.append(f"Step {example.index} in numbers: {example.numbers()}")
    leaves = [s for s in explanation.steps if s.leaf]
    matrices = [s for s in leaves if "@" in s.shapes]
    if leaves and len(explanation.steps) > len(leaves):
        last = (matrices or leaves)[-1]
        lines.append(f"Path to {last.name}: {explanation.path(last.name)}")
    for step in explanation.steps:
        if step.masked:
            lines.append(f"step {step.index}: {step.masked:.0%} masked: zero by structure")
        if step.note:
            lines.append(f"step {step.index}: {step.note}")
    lines.extend(
        f"{name} has no part in the result: its gradient is 0" for name in explanation.unused
    )
    return lines


def table_rows(explanation: Explanation, turns: int | None = 6) -> list[tuple[str, ...]]:
    """Return the cells of the whole table, the headings first; a gap has just two cells filled."""
    rows: list[tuple[str, ...]] = [HEADINGS]
    for item in abridged(explanation.steps, turns):
        rows.append(_gap_row(*item) if isinstance(item, tuple) else row(item))
    return rows


def abridged(steps: list[Step], turns: int | None) -> Iterator[Step | tuple[int, int]]:
    """Yield steps, and instead of the middle turns of long loops the first and last left out."""
    i = 0
    while i < len(steps):
        period, count = _repeats(steps, i) if turns is not None else (1, 1)
        if turns is None or count <= max(turns, 3):
            yield steps[i]
            i += 1
            continue
        first, last = i + 2 * period, i + (count - 1) * period
        yield from steps[i:first]
        yield steps[first].index, steps[last - 1].index
        yield from steps[last : last + period]
        i = last + period


MAX_PERIOD = 16


def _repeats(steps: list[Step], start: int) -> tuple[int, int]:
    """Return how long a pattern of steps is, and how often it follows upon itself."""
    best = (1, 1)
    for period in range(1, MAX_PERIOD + 1):
        pattern = [s.kind for s in steps[start : start + period]]
        count = 1
        while [s.kind for s in steps[start + count * period :][:period]] == pattern:
            count += 1
        if count > best[1]:
            best = period, count
            break
    return best


def _gap_row(first: int, last: int) -> tuple[str, ...]:
    filled = {"#": "⋮", "step": "⋮", "formula": f"⋮ steps {first}–{last}"}
    return tuple(filled.get(h, "") for h in HEADINGS)


def fit(rows: list[tuple[str, ...]], width: int) -> dict[str, int]:
    """Choose the columns that a table of some width shows, and how wide each one is.

    A formula is the last thing to go. Where space is short, rules and formulas are wrapped, and
    columns that follow from others are left out.
    """
    natural = {h: max(columns(r[i]) for r in rows) for i, h in enumerate(HEADINGS)}
    shown: dict[str, int] = natural
    for dropped in _DROPPED:
        shown = {h: w for h, w in natural.items() if h not in dropped}
        spare = width - sum(shown.values()) - len(GAP) * (len(shown) - 1)
        for wrapped, least in _WRAPPED:
            if spare < 0 and wrapped in shown:
                kept = max(shown[wrapped] + spare, min(least, shown[wrapped]))
                spare += shown[wrapped] - kept
                shown[wrapped] = kept
        if spare >= 0:
            return shown
    spare = width - len(GAP)
    return {"step": spare // 2, "formula": spare - spare // 2}


_DROPPED = (
    (),
    ("shape",),
    ("shape", "gain"),
    ("shape", "gain", "line"),
    ("shape", "gain", "line", "rule"),
    ("shape", "gain", "line", "rule", "‖grad‖"),
    ("#", "shape", "gain", "line", "rule", "‖grad‖", "check"),
)
_WRAPPED = (("rule", 10), ("formula", 24), ("step", 16))


def wrap(text: str, width: int) -> list[str]:
    """Break a text into lines of at most ``width`` columns, at spaces where there are some."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if line and columns(longer) > width:
            lines.append(line.rstrip())
            line = word
        else:
            line = longer
        while columns(line) > width:
            head = _head(line, width)
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line.rstrip()] if line or not lines else lines


def _head(text: str, width: int) -> str:
    end, taken = 0, 0
    while end < len(text) and (taken := taken + _width(text[end])) <= width:
        end += 1
    return text[: max(end, 1)]


def _table(rows: list[tuple[str, ...]], width: int) -> list[str]:
    shown = fit(rows, width)
    lines = []
    for cells in rows:
        parts = {h: wrap(c, shown[h]) for h, c in zip(HEADINGS, cells, strict=True) if h in shown}
        for i in range(max(map(len, parts.values()))):
            lines.append(_line([(p[i : i + 1] or [""])[0] for p in parts.values()], shown))
    return lines


def _line(cells: list[str], shown: dict[str, int]) -> str:
    padded = []
    for cell, (heading, w) in zip(cells, shown.items(), strict=True):
        space = " " * (w - columns(cell))
        padded.append(space + cell if heading in _RIGHT else cell + space)
    return GAP.join(padded).rstrip()
