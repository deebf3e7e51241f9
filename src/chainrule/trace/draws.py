"""Refusing draws from a hidden random state while a part of a program is recorded.

The function given to ``vmap`` or the body of a loop is recorded once and run many times. A number
that ``np.random.normal()`` or ``rng.normal()`` gives during the recording would be a constant of
what was recorded: the same for all examples and steps. So for the length of such a recording the
functions of ``np.random`` and the methods of its generators are replaced by ones that refuse.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from ..program.errors import TraceError
from .refusals import here
from .stand_ins import type_dict

# What np.random has beside draws; a generator that is made during the recording from a seed of its
# own gives the same numbers in every run, so nothing is lost by keeping them.
_NO_DRAWS = frozenset(
    {"bit_generator", "default_rng", "get_bit_generator", "get_state", "seed"}
    | {"set_bit_generator", "set_state", "spawn", "test"}
)
_OURS = {
    "integers": "randint",
    "rand": "uniform",
    "randn": "normal",
    "random": "uniform",
    "random_integers": "randint",
    "random_sample": "uniform",
    "ranf": "uniform",
    "sample": "uniform",
    "permuted": "permutation",
    "shuffle": "permutation",
    "standard_cauchy": "cauchy",
    "standard_exponential": "exponential",
    "standard_gamma": "gamma",
    "standard_normal": "normal",
    "standard_t": "student_t",
    "bytes": "bits",
}
_SAME = frozenset(
    {"beta", "chisquare", "choice", "dirichlet", "exponential", "gamma", "gumbel", "laplace"}
    | {"logistic", "multivariate_normal", "normal", "permutation", "poisson", "randint", "uniform"}
)

_LONGEST = 40  # characters of source that still read as a name


class _Here(threading.local):
    """What this thread records: how deep, and which generators were made meanwhile."""

    depth = 0
    made: tuple[Any, ...] = ()


_HERE = _Here()


def _refuse(name: str, method: bool) -> NoReturn:
    ours = _OURS.get(name, name if name in _SAME else None)
    call = f"chainrule.random.{ours or 'normal'}(key, ...)"
    span = here()
    written = "" if span is None or name not in span.text else span.text
    if not 0 < len(written) <= _LONGEST:
        written = f"{'.' if method else 'np.random.'}{name}(...)"
    raise TraceError(
        f"`{written}` would draw just once here",
        span=span,
        label="drawn while the function is recorded",
        why="the function is recorded once and then run for every example or step, all of which "
        "would get the same numbers",
        help=f"`{call}` with a key for each of them, from chainrule.random.split; "
        "or draw all numbers before, and pass them in",
    )


def _function(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Stand in for a function of ``np.random``, which draws from the global state."""

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if _HERE.depth:
            _refuse(name, method=False)
        return original(*args, **kwargs)

    stand_in.__name__ = name
    return stand_in


def _method(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Stand in for a method of a generator."""

    def stand_in(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _HERE.depth and not any(self is generator for generator in _HERE.made):
            _refuse(name, method=True)
        return original(self, *args, **kwargs)

    stand_in.__name__ = name
    return stand_in


def _default_rng(original: Callable[..., Any]) -> Callable[..., Any]:
    """Stand in for ``np.random.default_rng``; note what it makes from a seed of its own."""

    @functools.wraps(original)
    def stand_in(seed: Any = None) -> Any:
        made = original(seed)
        if _HERE.depth and isinstance(seed, int | list | tuple):
            _HERE.made = (*_HERE.made, made)
        return made

    return stand_in


class _Swaps:
    """The replacements, and how many recordings need them at the moment."""

    def __init__(self) -> None:
        import numpy.random as module

        draws = [n for n in module.__all__ if _draws(n, getattr(module, n))]
        functions = {n: _function(n, getattr(module, n)) for n in draws}
        functions["default_rng"] = _default_rng(module.default_rng)
        originals = {n: getattr(module, n) for n in functions}
        self.functions = [(originals[n], functions[n]) for n in functions]
        self.tables = [(vars(module), functions, originals)]
        self.types = (module.Generator, module.RandomState)
        for cls in self.types:
            table = type_dict(cls)
            if table is not None:
                own = {n: f for n, f in table.items() if _draws(n, f)}
                self.tables.append((table, {n: _method(n, f) for n, f in own.items()}, own))
        self.users = 0

    def put(self, which: int) -> None:
        """Put the replacements (1) or the originals (2) in place."""
        for tables in self.tables:
            tables[0].update(tables[which])
        for cls in self.types:
            ctypes.pythonapi.PyType_Modified(ctypes.py_object(cls))


def _draws(name: str, value: Any) -> bool:
    public = not name.startswith("_") and name not in _NO_DRAWS
    return public and callable(value) and not isinstance(value, type)


@functools.cache
def _swaps() -> _Swaps:
    return _Swaps()


_lock = threading.RLock()


def functions() -> list[tuple[Any, Any]]:
    """Return the functions of ``np.random`` that draw, each with the one that stands in for it.

    Those stand-ins do nothing but pass the call on, except within :func:`refusing_draws`.
    """
    with _lock:
        return _swaps().functions


@contextmanager
def refusing_draws() -> Iterator[None]:
    """Return a context in which this thread may not draw from a hidden random state."""
    if _HERE.depth:
        yield  # the recording around this one looks after it
        return
    with _lock:
        swaps = _swaps()
        swaps.users += 1
        if swaps.users == 1:
            swaps.put(1)
    _HERE.depth = 1
    try:
        yield
    finally:
        _HERE.depth, _HERE.made = 0, ()
        with _lock:
            swaps.users -= 1
            if not swaps.users:
                swaps.put(2)
