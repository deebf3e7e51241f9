"""Every row of the table through every mode, against truths that share no code with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import grad, jvp, vjp
from chainrule.program.arraytype import array_type
from chainrule.program.equation import Var
from chainrule.program.primitive import PRIMITIVES
from chainrule.trace import Recorder, Tracer, current
from chainrule.trace.session import Session
from tests.primitives.table import ROWS, Row
from tests.primitives.test_plain import has_own_tests

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

ids = [row.name for row in ROWS]
every_row = pytest.mark.parametrize("row", ROWS, ids=ids)


# -- truths --------------------------------------------------------------------------------------


def arrays(args: Any) -> list[Any]:
    return [np.asarray(a) for a in args]


def moved(args: Any, directions: Any, t: Any) -> list[Any]:
    """Return the point at ``t`` on a line; Python numbers stay numbers."""
    points = [a + t * v for a, v in zip(args, directions, strict=True)]
    return [
        float(p) if type(a) is float and np.isrealobj(p) else p
        for a, p in zip(args, points, strict=True)
    ]


def differences(f: Any, args: Any, directions: Any, h: float = 2e-3) -> Any:
    """Return the derivative along a line by central differences of sixth order."""

    def pair(t: float) -> Any:
        return np.asarray(f(*moved(args, directions, t))) - f(*moved(args, directions, -t))

    with np.errstate(all="ignore"):
        return (45.0 * pair(h) - 9.0 * pair(2 * h) + pair(3 * h)) / (60.0 * h)


def complex_step(f: Any, args: Any, directions: Any, h: float = 1e-30) -> Any:
    """Return Im f(x + ihv) / h: no difference is taken, so nothing cancels."""
    return np.imag(f(*moved(args, directions, 1j * h))) / h


def truth(row: Row, args: Any, directions: Any) -> Any:
    return (complex_step if row.analytic else differences)(row.f, args, directions)


# -- helpers -------------------------------------------------------------------------------------


def like(x: Any, seed: int) -> Any:
    """Return a random direction in the space of ``x``."""
    rng = np.random.default_rng(seed)
    v = rng.uniform(-1, 1, np.shape(x))
    if np.iscomplexobj(x):
        v = v + 1j * rng.uniform(-1, 1, np.shape(x))
    return v.astype(np.asarray(x).dtype)[()] if np.ndim(x) == 0 else v.astype(x.dtype)


def inner(a: Any, b: Any) -> float:
    return float(np.real(np.sum(np.conj(a) * b)))


def assert_close(got: Any, expected: Any, tolerance: float, what: str) -> None:
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale, err_msg=what)


def directions_of(row: Row) -> tuple[Any, ...]:
    return tuple(like(a, i) for i, a in enumerate(row.args))


def scalar(row: Row, cotangent: Any) -> Any:
    """Return the row as a real scalar function."""

    def g(*args: Any) -> Any:
        y = row.f(*args) * np.conj(cotangent)
        return np.sum(np.real(y))

    return g


def fits(got: Any, x: Any) -> bool:
    return np.shape(got) == np.shape(x) and np.asarray(got).dtype == np.asarray(x).dtype


# -- first and second order ----------------------------------------------------------------------


@every_row
def test_first_order(row: Row) -> None:
    directions = directions_of(row)
    expected_value = row.f(*row.args)
    expected = truth(row, row.args, directions)
    tolerance = 1e-12 if row.analytic else 2e-9
    value, tangent = jvp(row.f, row.args, directions)
    assert_close(value, expected_value, 1e-14, "value")
    assert np.shape(value) == np.shape(expected_value)
    assert np.asarray(value).dtype == np.asarray(expected_value).dtype
    assert_close(tangent, expected, tolerance, "forward")
    assert fits(tangent, expected_value)

    cotangent = like(expected_value, 100)
    _, pull = vjp(row.f, *row.args)
    gradients = pull(cotangent)
    pulled = sum(inner(g, v) for g, v in zip(gradients, directions, strict=True))
    assert_close(pulled, inner(cotangent, tangent), 1e-11, "reverse against forward")
    for got, x in zip(gradients, row.args, strict=True):
        assert fits(got, x), (np.shape(got), np.asarray(got).dtype)


@pytest.mark.parametrize(
    "row", [r for r in ROWS if r.second], ids=[r.name for r in ROWS if r.second]
)
def test_second_order(row: Row) -> None:
    directions = directions_of(row)
    g = scalar(row, like(row.f(*row.args), 100))
    gradient = grad(g, tuple(range(len(row.args))))
    _, forward_over_reverse = jvp(gradient, row.args, directions)

    def slope(*args: Any) -> Any:
        return jvp(g, args, directions)[1]

    reverse_over_forward = grad(slope, tuple(range(len(row.args))))(*row.args)
    for i, x in enumerate(row.args):
        expected = differences(lambda *a, i=i: gradient(*a)[i], row.args, directions)
        assert_close(forward_over_reverse[i], expected, 2e-8, f"forward over reverse, {i}")
        assert_close(reverse_over_forward[i], expected, 2e-8, f"reverse over forward, {i}")
        assert fits(forward_over_reverse[i], x)
        assert fits(reverse_over_forward[i], x)


# -- float32 -------------------------------------------------------------------------------------

DOUBLE = (np.dtype(np.float64), np.dtype(np.complex128))
SINGLE = [r for r in ROWS if r.single]


def in_single(x: Any) -> Any:
    x = np.asarray(x)
    return x.astype(np.complex64 if x.dtype.kind == "c" else np.float32)[()]


@pytest.mark.parametrize("row", SINGLE, ids=[r.name for r in SINGLE])
def test_float32_is_never_promoted(row: Row) -> None:
    args = tuple(in_single(a) for a in row.args)
    expected_value = row.f(*args)
    value, tangent = jvp(row.f, args, tuple(in_single(v) for v in directions_of(row)))
    assert np.asarray(value).dtype == np.asarray(expected_value).dtype
    assert fits(tangent, expected_value)
    cotangent = like(expected_value, 100)
    if np.asarray(expected_value).dtype not in DOUBLE:  # NumPy itself promotes in a few
        equations = recorded(row, args, cotangent)
        assert not [e.primitive.name for e in equations if e.out.type.dtype in DOUBLE]

    single = vjp(row.f, *args)[1](cotangent)
    double = vjp(row.f, *row.args)[1](like(row.f(*row.args), 100))
    for got, expected, x in zip(single, double, args, strict=True):
        assert fits(got, x)
        assert_close(got, expected, 2e-3, "float32 against float64")


# -- types without values ------------------------------------------------------------------------


def recorded(row: Row, args: Any, cotangent: Any) -> list[Any]:
    """Return the equations that a row leaves behind, with those of its derivative."""
    f = scalar(row, cotangent)
    if row.second:
        f = grad(f, tuple(range(len(args))))
    recorders: list[Recorder] = []

    def watched(*xs: Any) -> Any:
        recorder = current()
        assert recorder is not None
        recorders.append(recorder)
        return f(*xs)

    jvp(watched, args, tuple(like(a, i) for i, a in enumerate(args)))
    return list(recorders[0].equations)


def type_of(operand: Any) -> Any:
    return array_type(operand.value if type(operand) is Var else operand)


@every_row
def test_type_rules_say_what_the_values_are(row: Row) -> None:
    for equation in recorded(row, row.args, like(row.f(*row.args), 100)):
        types = [type_of(o) for o in equation.operands]
        if any(t.dtype.kind == "b" for t in types) and equation.primitive.name in MASKED:
            continue
        said = equation.primitive.type_rule(*types, **equation.params)
        concrete = type_of(equation.out)
        what = f"{equation.primitive.name} of {types} with {equation.params}"
        assert said.shape == concrete.shape, what
        assert said.dtype == concrete.dtype, what


MASKED = {"getitem"}  # how many elements a mask selects is not known without its values

ABSTRACT = [r for r in ROWS if r.abstract and r.second]


@pytest.mark.parametrize("row", ABSTRACT, ids=[r.name for r in ABSTRACT])
def test_derivatives_recorded_without_values(row: Row) -> None:
    """Trace a gradient with shapes only, then run what was recorded on the values."""
    g = scalar(row, like(row.f(*row.args), 100))
    argnums = tuple(range(len(row.args)))
    expected = grad(g, argnums)(*row.args)
    with Session(g, keep=True) as (recorder, _):
        inputs = [recorder.variable(None, array_type(a)) for a in row.args]
        outs = grad(g, argnums)(*(Tracer(recorder, v) for v in inputs))
        found = [o._operand() if isinstance(o, Tracer) else o for o in outs]
        equations = list(recorder.equations)
    values = dict(zip(inputs, row.args, strict=True))
    with np.errstate(all="ignore"):
        for equation in equations:
            operands = [values[o] if type(o) is Var else o for o in equation.operands]
            values[equation.out] = equation.primitive.impl(*operands, **equation.params)
    for out, reference in zip(found, expected, strict=True):
        got = values[out] if type(out) is Var else out
        assert_close(got, reference, 1e-12, "abstract against concrete")


# -- completeness --------------------------------------------------------------------------------


def test_every_primitive_is_in_the_table() -> None:
    seen: set[str] = set()
    for row in ROWS:
        equations = recorded(row, row.args, like(row.f(*row.args), 100))
        seen.update(e.primitive.name for e in equations)
    # loops and branches have tests of their own: tests/transform/test_control_flow.py
    own = {n: p for n, p in PRIMITIVES.items() if not has_own_tests(p) and p.joint is None}
    smooth = {n for n, p in own.items() if p.differentiable}
    assert smooth - seen == set()
