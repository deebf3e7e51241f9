"""What is measured beside the cases: memory of loops, the import, whole networks."""

from __future__ import annotations

from typing import Any

from . import imports, limits, memory, networks, results
from .page import table
from .results import time_text

STEPS = (64, 512, 4096)


def measure_memory() -> dict[str, Any]:
    """Measure the peak memory of derivatives through loops."""
    return {"peaks": [vars(p) for steps in STEPS for p in memory.measure(steps)]}


def measure_import() -> dict[str, Any]:
    """Measure how long the import takes."""
    return imports.measure(15)


EXTRAS = {
    "networks": networks.measure,
    "limits": limits.measure,
    "memory": measure_memory,
    "import": measure_import,
}


def sections() -> dict[str, str]:
    """Return the parts of the page, for what was measured."""
    writers = {"networks": _networks, "memory": _memory, "import": _import}
    found = {name: results.load(name) for name in writers}
    return {name: writers[name](stored) for name, stored in found.items() if stored is not None}


def _networks(stored: dict[str, Any]) -> str:
    rows = []
    for name, title in networks.TITLES.items():
        ours, theirs = (stored[name].get(s, {}) for s in networks.SYSTEMS)
        speed = theirs["cpu"] / ours["cpu"] if "cpu" in ours and "cpu" in theirs else None
        cells = [time_text(d["cpu"]) if "cpu" in d else d.get("error", "–") for d in (ours, theirs)]
        verdict = "yes" if speed is not None and speed >= networks.TARGET else "**no**"
        losses = [f"{d['loss']:.3f}" if "loss" in d else "–" for d in (ours, theirs)]
        rows.append([title, *cells, "–" if speed is None else f"{speed:.2f}", verdict, *losses])
    head = ["network", "fit", "PyTorch", "speed", "reached", "loss by fit", "by PyTorch"]
    text = (
        "CPU time of an epoch of 1,348 digits on one core: `train.fit`, with all that it does "
        "beside the steps, and a loop written in PyTorch (eager). *Speed* is PyTorch's time "
        f"divided by ours; aimed at: at least {networks.TARGET}. The losses are those of the last "
        "measured epoch; the first weights and the order of the examples differ."
    )
    return "\n\n".join(["## Training networks", text, table(head, rows)])


def _memory(stored: dict[str, Any]) -> str:
    peaks = [memory.Peak(**p) for p in stored["peaks"]]
    rows = [
        [
            p.way,
            str(p.steps),
            f"{p.peak_bytes / 2**20:.1f} MiB",
            f"{memory.in_states(p):.0f}",
            time_text(p.seconds),
        ]
        for p in peaks
    ]
    text = (
        "Interpreted. The state has 20,000 elements of float64. A *state* is one copy of it. With "
        "a budget `scan` computes states again instead of keeping them; what the table shows "
        "includes the working memory of the steps themselves."
    )
    head = ["way", "steps", "peak memory", "in states", "time"]
    return "\n\n".join(["## Memory of a gradient through a loop", text, table(head, rows)])


def _import(stored: dict[str, Any]) -> str:
    ratio = stored["chainrule"] / stored["numpy"]
    text = f"import numpy {stored['numpy'] * 1e3:.0f} ms, "
    text += f"import chainrule {stored['chainrule'] * 1e3:.0f} ms: {ratio:.2f} times."
    return f"## Import\n\n{text}"
