"""Operations without a derivative: their results are plain, and count as constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import grad, jvp
from chainrule.program.arraytype import array_type
from chainrule.program.equation import Var
from chainrule.program.primitive import PRIMITIVES, Primitive, Traced
from chainrule.trace import Tracer
from chainrule.trace.session import Session

X = np.array([[0.3, -1.2, 2.5], [1.7, 0.3, -0.4]])

# of a matrix of floats, by the name of the primitive
PLAIN: dict[str, Any] = {
    "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "rint": np.rint, "trunc": np.trunc,
    "floor_divide": lambda x: x // 0.7, "heaviside": lambda x: np.heaviside(x, 0.5),
    "greater": lambda x: x > 0.3, "greater_equal": lambda x: x >= 0.3, "less": lambda x: x < 0.3,
    "less_equal": lambda x: x <= x[0], "equal": lambda x: x == 0.3, "not_equal": lambda x: x != 0.3,
    "logical_and": lambda x: np.logical_and(x, 1), "logical_or": lambda x: np.logical_or(x, 0),
    "logical_xor": lambda x: np.logical_xor(x, True), "logical_not": np.logical_not,
    "bitwise_and": lambda x: x.astype(int) & 3, "bitwise_or": lambda x: x.astype(int) | 3,
    "bitwise_xor": lambda x: 3 ^ x.astype(int), "invert": lambda x: ~x.astype(int),
    "left_shift": lambda x: x.astype(int) << 2, "right_shift": lambda x: x.astype(int) >> 1,
    "isfinite": np.isfinite, "isnan": np.isnan, "isinf": np.isinf, "signbit": np.signbit,
    "all": lambda x: np.all(x, 0), "any": lambda x: x.any(axis=1, keepdims=True),
    "argmax": lambda x: np.argmax(x, 1), "argmin": lambda x: x.argmin(),
    "count_nonzero": lambda x: np.count_nonzero(x, axis=0),
    "argsort": lambda x: x.argsort(0), "argpartition": lambda x: np.argpartition(x, 1, axis=None),
    "searchsorted": lambda x: np.searchsorted([-1.0, 0.0, 1.0], x, "right"),
    "cast_to_integer": lambda x: x.astype(np.int32),
    "sign_of_det": lambda x: np.linalg.slogdet(x @ x.T)[0],
    "matrix_rank": np.linalg.matrix_rank,
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_results_are_plain(name: str) -> None:
    seen: list[Any] = []

    def f(x: Any) -> Any:
        result = PLAIN[name](x)
        seen.append(result)
        return np.sum(x * x) + np.sum(result)

    np.testing.assert_array_equal(grad(f)(X), 2 * X)
    np.testing.assert_array_equal(jvp(grad(f), (X,), (X,))[1], 2 * X)
    assert not any(isinstance(s, Traced) for s in seen[:1])
    np.testing.assert_array_equal(seen[0], PLAIN[name](X))
    assert np.asarray(seen[0]).dtype == np.asarray(PLAIN[name](X)).dtype


@pytest.mark.parametrize("name", PLAIN)
def test_types_are_known_without_values(name: str) -> None:
    with Session(PLAIN[name], keep=True) as (recorder, _):
        var = recorder.variable(None, array_type(X))
        result = PLAIN[name](Tracer(recorder, var))
        operand = result._operand()
        equations = list(recorder.equations)
    values: dict[Any, Any] = {var: X}
    for e in equations:
        operands = [values[o] if type(o) is Var else o for o in e.operands]
        values[e.out] = e.primitive.impl(*operands, **e.params)
    expected = PLAIN[name](X)
    np.testing.assert_array_equal(values[operand], expected)
    assert operand.type.shape == np.shape(expected)
    assert operand.type.dtype == np.asarray(expected).dtype
    assert name in {e.primitive.name for e in equations}


def room_of(p: Primitive) -> str:
    """Return the package that a primitive is made in, where its implementation tells."""
    # a ufunc of NumPy 2.0 doesn't tell its module
    return ".".join(str(getattr(p.impl, "__module__", "")).split(".")[:2])


def has_own_tests(p: Primitive) -> bool:
    """Tell whether a primitive is made in a room that tests its own: random numbers, passes."""
    return room_of(p) in ("chainrule.random", "chainrule.transform", "chainrule.compile")


def test_every_primitive_without_a_derivative_is_here() -> None:
    plain = {n for n, p in PRIMITIVES.items() if not p.differentiable and not has_own_tests(p)}
    assert plain - set(PLAIN) == {"stop_gradient"}  # which has tests of its own
