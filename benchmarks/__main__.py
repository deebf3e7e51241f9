"""Run the benchmarks, print the table and write it to ``docs/performance.md``."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from . import extras, limits, page, quick, results, runner
from .peers import JIT, PEERS
from .results import time_text
from .workloads import cases


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help="default: all, and the page")
    parser.add_argument("--quick", action="store_true", help="tiny cases, only results compared")
    parser.add_argument("--page", action="store_true", help="write the page from the last results")
    parser.add_argument("--rounds", type=int, default=runner.Settings.rounds)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--start", type=float, default=runner.Settings.start, help="s to start")
    parser.add_argument("--slow-start", type=float, default=runner.Settings.slow_start)
    options = parser.parse_args()
    unknown = sorted(set(options.cases) - set(cases()) - set(extras.EXTRAS))
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; there are: {', '.join(cases())}")
    if options.quick:
        return int(quick.main() > 0)
    settings = runner.Settings(
        rounds=options.rounds, start=options.start, slow_start=options.slow_start
    )
    if not options.page:
        _run(options, settings)
    if options.page or not options.cases:
        from . import pictures

        pictures.draw()
        page.write(settings, extras.sections())
        print(f"written to {page.PAGE}")
    return 0


def _run(options: argparse.Namespace, settings: runner.Settings) -> None:
    console = Console(width=max(120, Console().width))
    bounds = limits.measure()
    chosen = options.cases or [*cases(), *extras.EXTRAS]
    for name in chosen:
        if name in extras.EXTRAS:
            console.print(f"measuring: {name}")
            results.store(name, extras.EXTRAS[name]())
            continue
        case = cases()[name]
        stored = {
            "limits": bounds,
            "stamp": runner.stamp(),
            "commit": results.commit(),
            "results": runner.run(case, options.peers, settings),
            "load": os.getloadavg()[1] if hasattr(os, "getloadavg") else 0.0,
        }
        if set(options.peers) == set(PEERS):
            results.store(name, stored)
        console.print(_table(results.line(case, stored), stored["results"]))


def _table(line: results.Line, found: dict[str, Any]) -> Table:
    title = line.case.title
    if line.ratio is not None:
        verdict = "reached" if line.reached else "NOT REACHED"
        title += f": {line.ratio:.2f} of {line.rival}, target {line.case.target:g}, {verdict}"
    table = Table(title=title, title_justify="left")
    for column in ("system", "CPU", "wall", "of ours", "first call", "memory", "remarks"):
        table.add_column(column, justify="left" if column in ("system", "remarks") else "right")
    for peer, r in found.items():
        if "cpu" not in r:
            table.add_row(peer, *["–"] * 5, r["error"])
            continue
        if peer not in PEERS:
            table.add_row(peer, *["–"] * 5, f"{r['speedup']:.2f} times faster")
            continue
        cells = [time_text(r["cpu"]), time_text(r["wall"])]
        cells += [f"{r['cpu'] / line.ours:.2f}" if line.ours else "–", time_text(r["first_wall"])]
        remarks = "; ".join(r["left"]) if peer == JIT else ""
        table.add_row(peer, *cells, f"{r['memory'] / 2**20:.0f} MiB", remarks[:200])
    return table


if __name__ == "__main__":
    sys.exit(main())
