"""What was measured: kept in files, compared with the targets."""

from __future__ import annotations

import json
import math
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .case import Case
from .peers import JIT, PEERS
from .workloads import cases

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Line:
    """A case beside its target.

    Attributes
    ----------
    ours, best : float or None
        CPU seconds of the compiled derivative and of the best rival.
    rival : str
        Who the best rival is.
    limit : float or None
        Seconds that the machine needs at least.
    why : str
        Why there is no time of ours.
    """

    case: Case
    ours: float | None
    best: float | None
    rival: str
    limit: float | None
    limit_name: str
    why: str

    @property
    def ratio(self) -> float | None:
        """Our time as a fraction of the best rival's."""
        return self.ours / self.best if self.ours and self.best else None

    @property
    def reached(self) -> bool:
        """Whether the target is reached."""
        return self.ratio is not None and self.ratio <= self.case.target


def line(case: Case, stored: dict[str, Any]) -> Line:
    """Return how a case stands."""
    results = stored["results"]
    times = {p: r["cpu"] for p, r in results.items() if p in PEERS and "cpu" in r}
    rivals = {p: t for p, t in times.items() if PEERS[p].rival}
    rival = min(rivals, key=rivals.__getitem__, default="")
    limit, name = _limit(case, times, stored["limits"])
    why = "" if JIT in times else results.get(JIT, {}).get("error", "not measured")
    return Line(case, times.get(JIT), rivals.get(rival), rival, limit, name, why)


def _limit(
    case: Case, times: dict[str, float], limits: dict[str, float]
) -> tuple[float | None, str]:
    """Return the least time of a case, and what sets it."""
    precision = "float32" if case.tolerance > 1e-5 else "float64"
    bounds = {
        "products": case.flops / limits[precision],
        "memory": case.traffic / limits["bandwidth"],
    }
    name = max(bounds, key=bounds.__getitem__)
    if "C by hand" in times:
        return times["C by hand"], "C by hand"
    return (bounds[name], name) if bounds[name] else (None, "")


def geometric_mean(ratios: list[float]) -> float:
    """Return the geometric mean.

    Examples
    --------
    >>> geometric_mean([0.5, 2.0])
    1.0
    """
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else math.nan


def store(name: str, content: dict[str, Any]) -> None:
    """Keep what was measured."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def load(name: str) -> dict[str, Any] | None:
    """Return what was last measured under a name."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def lines() -> list[tuple[Line, dict[str, Any]]]:
    """Return all cases that were measured, in the order of the table."""
    loaded = ((case, load(name)) for name, case in cases().items())
    found = [(case, stored) for case, stored in loaded if stored is not None]
    again = load("limits")
    measured = [stored["limits"] for _, stored in found] + ([again] if again else [])
    # the machine can do what it did at its best moment
    best = {name: max(m[name] for m in measured) for name in (measured[0] if measured else ())}
    return [
        (line(case, {**stored, "limits": best}), {**stored, "limits": best})
        for case, stored in found
    ]


def commit() -> str:
    """Return the commit that is measured, marked where the code differs from it."""

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        root = Path(__file__).resolve().parent.parent
        return subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
        )

    name = git("rev-parse", "--short", "HEAD").stdout.strip() or "unknown"
    return name + " and changes" * bool(git("diff", "--quiet", "HEAD", "--", "src").returncode)


def time_text(seconds: float | None) -> str:
    """Return a time with a fitting unit.

    Examples
    --------
    >>> time_text(0.00123)
    '1.23 ms'
    """
    if seconds is None:
        return "–"
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 0.9995:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
