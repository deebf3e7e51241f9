"""Every case once, in a tiny form: results are compared, times are not judged."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .case import Case
from .peers import FUNCTION, INTERPRETED, JIT, JIT_PLAIN, PEERS
from .process import PeerError
from .runner import compare
from .worker import leaves
from .workloads import cases

OURS = (INTERPRETED, JIT, JIT_PLAIN, FUNCTION, "NumPy by hand")


def check(case: Case, peers: tuple[str, ...] = OURS) -> dict[str, str]:
    """Run a case with some peers in this process.

    Returns
    -------
    dict
        For each peer how its results compare with the interpreter's.
    """
    expected: list[Any] = []
    outcome: dict[str, str] = {}
    for peer in peers:
        if not PEERS[peer].applies(case):
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = [np.asarray(a) for a in leaves(PEERS[peer].prepare(case, inputs(case))())]
            except Exception as error:
                outcome[peer] = f"FAILED: {type(error).__name__}: {str(error).strip()[:200]}"
                continue
        if not expected:
            expected = found
        partly = any(w.category.__name__ == "JitWarning" for w in caught)
        outcome[peer] = _verdict(case, peer, expected, found) + (", partly NumPy" * partly)
    return outcome


def distinct() -> dict[str, Case]:
    """Return the cases that still differ when they are tiny."""
    found: dict[Any, tuple[str, Case]] = {}
    for name, case in cases().items():
        types = tuple((np.shape(a), np.asarray(a).dtype) for a in inputs(case))
        key = case.forms[case.main].__code__ if hasattr(case.forms[case.main], "__code__") else name
        found.setdefault((key, case.derivative, types), (name, case))
    return dict(found.values())


def inputs(case: Case) -> tuple[Any, ...]:
    """Return the tiny arguments."""
    return case.inputs(True)


def _verdict(case: Case, peer: str, expected: list[Any], found: list[Any]) -> str:
    if peer == FUNCTION:
        if case.derivative == "grad":
            return "ran"
        expected = expected[:1]
    try:
        compare(expected, found, case.tolerance)
    except PeerError as error:
        return f"FAILED: {error}"
    return "same"


def main() -> int:
    """Print how all cases compare; return how many results are wrong."""
    failed = 0
    for name, case in distinct().items():
        outcome = check(case)
        failed += sum(text.startswith("FAILED") for text in outcome.values())
        print(name + ": " + "; ".join(f"{peer}: {text}" for peer, text in outcome.items()))
    print(f"{len(distinct())} cases, {failed} failed")
    return failed
