"""Python's `math` and `cmath` on traced scalars: their values, their errors, our derivatives."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from ..program.primitive import BY_NAME, FUNCTIONS, PRIMITIVES, Primitive
from .recorder import STATE
from .stand_ins import holds_traced
from .tracer import NO_PARAMS, Tracer, as_tracer, bind

Function = Callable[..., Any]

_SAME = (
    *("exp", "exp2", "expm1", "log2", "log10", "log1p", "sqrt", "cbrt", "sin", "cos", "tan"),
    *("sinh", "cosh", "tanh", "copysign", "degrees", "radians", "fmod", "fabs"),
    *("isnan", "isinf", "isfinite"),
)
_UFUNCS: dict[str, Any] = {name: getattr(np, name) for name in _SAME} | {
    "log": np.log,
    "pow": np.power,
    "hypot": np.hypot,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
}
_SPECIAL = {"erf": "erf", "erfc": "erfc", "gamma": "gamma", "lgamma": "gammaln"}
_COMPLEX = ("exp", "log", "log10", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh")


def _computed_by(original: Function) -> Function:
    """Return how a value is computed: as `math` does, so that its errors are raised as well."""

    def compute(*values: Any) -> Any:
        y = original(*values)
        if type(y) is float and not all(type(v) in (float, int) for v in values):
            return np.float64(y)  # an operand of NumPy's gives a result of NumPy's
        return y

    return compute


def _elementwise(answer: Any, original: Function) -> Function:
    if type(answer) is Primitive:
        compute = _computed_by(original)
        return lambda *args: bind(answer, args, NO_PARAMS, compute)
    return lambda *args: answer(*args)


def _special(name: str, original: Function) -> Function:
    return lambda x: _elementwise(BY_NAME[name], original)(x)


def _log(natural: Function) -> Function:
    def log(x: Any, base: Any = None) -> Any:
        if base is None:
            return natural(x)
        return natural(x) / (natural(base) if type(base) is Tracer else math.log(base))

    return log


def _hypot(two: Function) -> Function:
    def hypot(*coordinates: Any) -> Any:
        if len(coordinates) == 2:
            return two(*coordinates)
        return np.linalg.norm(as_tracer(list(coordinates)))

    return hypot


def _fsum(original: Function) -> Function:
    def fsum(seq: Any) -> Any:
        params = {"axis": (0,), "keepdims": False}
        return bind(
            PRIMITIVES["sum"], (as_tracer(seq),), params, lambda v, **_: np.float64(original(v))
        )

    return fsum


def _prod(seq: Any, *, start: Any = 1) -> Any:
    for x in seq:
        start = start * x
    return start


def _modf(x: Any) -> tuple[Any, float]:
    whole = float(math.trunc(x))
    return x - whole, whole


def _isclose(a: Any, b: Any, *, rel_tol: float = 1e-09, abs_tol: float = 0.0) -> bool:
    known = (t._known("math.isclose") if type(t) is Tracer else t for t in (a, b))
    return _IS_CLOSE(*known, rel_tol=rel_tol, abs_tol=abs_tol)


_IS_CLOSE = math.isclose


def _guard(original: Function, answer: Function) -> Function:
    """Answer calls with something traced in their arguments, and leave the others alone."""

    @wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        for a in args:
            if type(a) is Tracer or (type(a) in (list, tuple) and holds_traced(a)):
                return answer(*args, **kwargs)
        return original(*args, **kwargs)

    return stand_in


def _guard_iterable(original: Function, answer: Function) -> Function:
    """Answer for an iterable, which may be a generator that can be read only once."""

    @wraps(original)
    def stand_in(seq: Any, **kwargs: Any) -> Any:
        if STATE.recorder is None:
            return original(seq, **kwargs)
        items = list(seq)
        return (answer if holds_traced(items) else original)(items, **kwargs)

    return stand_in


def math_stand_ins() -> dict[str, Function]:
    """Return what stands in for the functions of `math`, by name."""
    table = {n: _elementwise(FUNCTIONS[u], getattr(math, n)) for n, u in _UFUNCS.items()}
    table |= {n: _special(s, getattr(math, n)) for n, s in _SPECIAL.items()}
    table["log"] = _log(table["log"])
    table["hypot"] = _hypot(table["hypot"])
    table |= {
        "modf": _modf,
        "isclose": _isclose,
        "ldexp": lambda x, i: x * math.ldexp(1.0, i),
        "dist": lambda p, q: np.linalg.norm(as_tracer(list(p)) - as_tracer(list(q))),
    }
    if hasattr(math, "sumprod"):
        table["sumprod"] = lambda p, q: sum(a * b for a, b in zip(p, q, strict=True))
    guarded = {name: _guard(getattr(math, name), answer) for name, answer in table.items()}
    guarded["fsum"] = _guard_iterable(math.fsum, _fsum(math.fsum))
    guarded["prod"] = _guard_iterable(math.prod, _prod)
    return guarded


def cmath_stand_ins() -> dict[str, Function]:
    """Return what stands in for the functions of `cmath`, by name."""
    table = {n: _on_complex(getattr(np, n), getattr(cmath, n)) for n in _COMPLEX}
    table["log"] = _log(table["log"])
    table["phase"] = np.angle
    return {name: _guard(getattr(cmath, name), answer) for name, answer in table.items()}


def _on_complex(ufunc: Any, original: Function) -> Function:
    primitive: Any = FUNCTIONS[ufunc]
    return lambda z: bind(
        primitive, (z * np.complex128(1),), NO_PARAMS, lambda v: np.complex128(original(v))
    )
