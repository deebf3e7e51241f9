"""Functions of SciPy that compiled code calls, one element at a time."""

from __future__ import annotations

import functools
import importlib
from typing import Any

# SciPy's functions of real numbers for which there is no kernel of our own.
LIBRARY = frozenset(
    (
        *("erfcx", "erfcinv", "dawsn", "erfi", "ndtri_exp"),
        *("gamma", "loggamma", "beta", "betaln", "poch", "binom", "rgamma"),
        *("gammainc", "gammaincc", "gammaincinv", "betainc", "betaincc", "betaincinv", "stdtr"),
        *("jv", "yv", "iv", "kv", "ive", "kve", "j0", "j1", "y0", "y1"),
        *("i0", "i1", "k0", "k1", "i0e", "i1e", "k0e", "k1e"),
        *("rel_entr", "kl_div", "exprel", "cosm1", "exp10", "exp1", "expi", "cbrt"),
        *("huber", "pseudo_huber", "hyp0f1", "hyp1f1", "hyp2f1"),
    )
)


@functools.cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = importlib.import_module("scipy.special.cython_special").__pyx_capi__
    return table


@functools.cache
def entry_of(name: str, arity: int) -> str | None:
    """Return where SciPy's table for Cython has a function of doubles; None if it has none.

    Functions that are defined for several types are there under the name of each variant.
    """
    if name not in LIBRARY:
        return None
    doubles = ", ".join(["double"] * arity)
    wanted = f'"double ({doubles}, int __pyx_skip_dispatch)"'
    variants = (name, *(f"__pyx_fuse_{k}{name}" for k in range(4)))
    table = _table()
    return next((v for v in variants if v in table and wanted in repr(table[v])), None)


def capsule_of(entry: str) -> Any:
    """Return what holds the address of a function."""
    return _table().get(entry)
