"""The pictures of ``docs/performance.md``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from . import results
from .peers import INTERPRETED, JIT
from .results import Line, time_text

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"
REACHED, MISSED, TARGET = "#2a7f62", "#c44e52", "#222222"
STYLES = {
    JIT: ("D", REACHED),
    INTERPRETED: ("d", "#8fc1ad"),
    "JAX": ("o", "#4c72b0"),
    "PyTorch": ("s", "#dd8452"),
    "autograd": ("^", "#937860"),
    "C by hand": ("|", "#222222"),
    "NumPy by hand": ("x", "#777777"),
}


def draw() -> None:
    """Draw all pictures from what was measured."""
    found = results.lines()
    FOLDER.mkdir(exist_ok=True)
    _ratios([line for line, _ in found]).savefig(FOLDER / "performance_ratios.png", dpi=110)
    _times(found).savefig(FOLDER / "performance_times.png", dpi=110)


def _canvas(rows: int) -> tuple[Figure, Any]:
    figure = Figure(figsize=(9.5, 1.4 + 0.3 * rows), layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.grid(axis="x", alpha=0.3)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _ratios(lines: list[Line]) -> Figure:
    figure, axes = _canvas(len(lines))
    axes.axvline(1.0, color="#999999", linewidth=1)
    for row, line in enumerate(lines):
        axes.plot([line.case.target] * 2, [row - 0.4, row + 0.4], color=TARGET, linewidth=2)
        if line.ratio is None:
            axes.text(1.05, row, "no time", va="center", color=MISSED, fontsize=9)
            continue
        colour = REACHED if line.reached else MISSED
        # bars start at 1, the best peer: to the left is faster
        axes.barh(row, line.ratio - 1.0, left=1.0, color=colour, height=0.6)
        # where the mark of the target is not
        side = -1 if line.reached else 1
        axes.annotate(
            f"{line.ratio:.2f}",
            (line.ratio if line.reached else max(line.ratio, 1.0), row),
            xytext=(4 * side, 0),
            textcoords="offset points",
            ha="right" if side < 0 else "left",
            va="center",
            fontsize=9,
        )
    ratios = [line.ratio for line in lines if line.ratio is not None]
    targets = [line.case.target for line in lines]
    axes.set_xlim(min([*ratios, *targets]) / 1.8, max([*ratios, 1.0]) * 1.8)
    axes.set_yticks(range(len(lines)), [line.case.title for line in lines], fontsize=9)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.set_xlabel("CPU time of chainrule jit, as a fraction of the best peer's")
    axes.plot([], [], "|", color=TARGET, markersize=12, markeredgewidth=2, label="target")
    axes.barh([0], [0], color=REACHED, label="reached")
    axes.barh([0], [0], color=MISSED, label="not reached")
    figure.legend(loc="outside upper right", ncols=3, frameon=False)
    return figure


def _times(found: list[tuple[Line, dict[str, Any]]]) -> Figure:
    figure, axes = _canvas(len(found))
    for name, (marker, colour) in STYLES.items():
        xs, ys = [], []
        for row, (_, stored) in enumerate(found):
            times = [
                r["cpu"]
                for peer, r in stored["results"].items()
                if "cpu" in r and (peer == name or (name in ("JAX", "PyTorch") and name in peer))
            ]
            if times:
                xs.append(min(times))
                ys.append(row)
        size = 90 if marker == "|" else 45
        front = 4 if name == JIT else 3
        axes.scatter(xs, ys, size, colour, marker, label=name, zorder=front, linewidths=1.6)
    axes.set_yticks(range(len(found)), [line.case.title for line, _ in found], fontsize=9)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: time_text(x)))
    axes.set_xlabel("CPU time per call on one core (JAX and PyTorch: their best way)")
    figure.legend(loc="outside upper center", ncols=len(STYLES), frameon=False, fontsize=8)
    return figure
