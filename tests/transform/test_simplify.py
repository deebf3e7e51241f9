"""Simplified programs: shorter, and the same to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import cond, grad, scan
from chainrule.program.equation import Equation, Var
from chainrule.program.primitive import PRIMITIVES
from chainrule.program.program import Program
from chainrule.trace.program import trace_program
from chainrule.transform import simplify
from tests.transform.test_random_programs import BINARY, UNARY, programs, results

NEUTRAL = {
    "* 1": lambda a: a * 1.0,
    "1 *": lambda a: 1 * a,
    "* -1": lambda a: a * -1.0,
    "/ 1": lambda a: a / 1,
    "/ 8": lambda a: a / 8.0,
    "/ -0.5": lambda a: a / -0.5,
    "+ -0.0": lambda a: a + -0.0,
    "+ 0.0": lambda a: a + 0.0,
    "0.0 +": lambda a: 0.0 + a,
    "0.0 -": lambda a: 0.0 - a,
    "- 0.0": lambda a: a - 0.0,
    "- -0.0": lambda a: a - -0.0,
    "** 1": lambda a: a**1,
    "* 0": lambda a: a * 0.0,
    "- -": lambda a: np.negative(-a),
    "abs abs": lambda a: abs(abs(-a)),
    "square": lambda a: np.square(-a),
    "floor": lambda a: np.floor(np.floor(a)),
    "reshape": lambda a: a.reshape(6).reshape(3, 2).reshape(2, 3),
    "units": lambda a: a[:, None].reshape(2, 3, 1)[:, :, 0],
    "transposed": lambda a: np.transpose(a.T),
    "transposed twice": lambda a: np.reshape(a.T, (1, 3, 2)).transpose(2, 0, 1)[:, 0],
    "layout": lambda a: a.T.reshape(6).reshape(3, 2).T,
    "broadcast": lambda a: np.broadcast_to(np.broadcast_to(a[0], (1, 3)), (2, 3)),
    "[...]": lambda a: a[..., :],
    "wider": lambda a: a.astype(np.complex128).real,
    "cast": lambda a: a.astype(np.longdouble).astype(a.dtype),
    "where": lambda a: np.where(True, a, 0.0),
    "stack": lambda a: np.stack([np.stack([a[0], a[1]])[1], a[0]]),
    "maximum": lambda a: np.maximum(a, a),
    "sum": lambda a: a * np.sum(a * 1.0),
    "choice": lambda a: a * np.where(a > 0, 0.5, 1).astype(a.dtype),
    "choice of one": lambda a: np.where(a > 0, 0.1, a).astype(np.float32) + a,
    "truth": lambda a: np.where((a > 0).astype(float) != 0, a, 1.0),
    "truth moved": lambda a: np.where((a > 0).astype(float).reshape(3, 2) != 0, 2.0, 1.0),
    "truth of a view": lambda a: np.where((a.T > 0).astype(float) != 0, a.T, 1.0).T,
    "rows": lambda a: a * np.sum(a[:, :2] * 1.0, axis=1, keepdims=True),
}
PAIRS = {
    "+ -": lambda a, b: a + -b,
    "- +": lambda a, b: -a + b,
    "- - b": lambda a, b: a - -b,
    "-a -b": lambda a, b: -a * -b,
    "-a / -b": lambda a, b: -a / -b,
    "a - a": lambda a, b: a - a + b,
    "a / a": lambda a, b: a / a + b,
    "where": lambda a, b: np.where(np.isnan(a), b, b) + a,
}
ONE = UNARY | NEUTRAL
TWO = BINARY | PAIRS
NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.3, -7.5, 1e-310, 1e300, np.inf, -np.inf, np.nan]


def run(steps, x, y):
    *_, before, last = results(steps, x, y, ONE, TWO)
    return last, before


arrays = st.lists(st.sampled_from(NUMBERS) | st.floats(-3, 3), min_size=12, max_size=12).map(
    lambda numbers: np.array(numbers).reshape(2, 2, 3)
)


def bits(value):
    """The bits of a result, of which all NaNs have the same."""
    array = np.array(value)
    if array.dtype.kind in "fc":
        array = array.view(array.real.dtype) if array.ndim else np.array([array.real, array.imag])
        array[np.isnan(array)] = np.nan
    return type(value), np.shape(value), np.asarray(value).dtype, array.tobytes()


def assert_same(program, other, *values):
    for a, b in zip(program.evaluate(*values), other.evaluate(*values), strict=True):
        assert bits(a) == bits(b)


@given(programs(7, ONE, TWO), arrays, st.sampled_from([np.float64, np.float32]))
@settings(max_examples=200)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_programs_stay_the_same_to_the_last_bit(steps, point, dtype):
    x, y = point.astype(dtype)
    program, _ = trace_program(lambda x, y: run(steps, x, y), x, y, abstract=True)
    simple = simplify(program)
    assert len(simple) <= len(program)
    assert_same(program, simple, x, y)
    assert str(simplify(simple)) == str(simple)


@given(programs(7, ONE, TWO), arrays)
@settings(max_examples=60)
def test_gradients_of_random_programs(steps, point):
    x, y = np.nan_to_num(point, posinf=2.0, neginf=-1.0).clip(-3, 3)
    f = grad(lambda x, y: np.sum(run(steps, x, y)[0]))
    with np.errstate(all="ignore"):
        program, _ = trace_program(f, x, y, abstract=True)
    simple = simplify(program)
    assert len(simple) <= len(program)
    assert_same(program, simple, x, y)


@given(programs(7, ONE, TWO), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_fast_rules_are_right_for_numbers(steps, seed):
    x, y = np.random.default_rng(seed).uniform(0.1, 1, (2, 2, 3))
    program, _ = trace_program(lambda x, y: run(steps, x, y), x, y, abstract=True)
    simple = simplify(program, fast=True)
    assert len(simple) <= len(simplify(program))
    for a, b in zip(program.evaluate(x, y), simple.evaluate(x, y), strict=True):
        if np.all(np.isfinite(a)):
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-9 * (1 + np.max(abs(a))))


INTEGERS = st.sampled_from([np.int8, np.int64, np.uint8])


@given(INTEGERS, INTEGERS, st.integers(0, 2**32 - 1))
@settings(max_examples=60)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_integers_overflow_as_before(one, other, seed):
    rng = np.random.default_rng(seed)
    x, y = (
        rng.integers(np.iinfo(d).min, np.iinfo(d).max, 4, d, endpoint=True) for d in (one, other)
    )
    f = lambda x, y: [
        x + -y,
        x - -y,
        -x + y,
        np.negative(-x),
        (x * 1 + 0) * (-1 if one != np.uint8 else 1),
        -x * -y,
        abs(-x),
        x / 1,
    ]
    program, _ = trace_program(f, x, y, abstract=True)
    assert_same(program, simplify(program), x, y)


def traced(f, *args, **kwargs):
    return trace_program(f, *args, abstract=True, **kwargs)[0]


def names(program):
    return [e.primitive.name for e in program.equations]


VECTOR = np.ones(3)


class TestRules:
    @pytest.mark.parametrize(
        ("f", "left"),
        [
            (lambda x: np.sin(x) * 1.0, ["sin"]),
            (lambda x: 1 * (np.sin(x) / 1 - 0.0), ["sin"]),
            (lambda x: np.sin(x) ** 1 + -0.0, ["sin"]),
            (lambda x: np.sin(x) * np.ones(3), ["sin"]),
            (lambda x: np.sin(x) * np.ones((2, 3)), ["sin", "mul"]),  # it broadcasts
            (lambda x: np.sin(x) + 0.0, ["sin", "add"]),  # -0.0 + 0.0 is 0.0
            (lambda x: np.sin(x) * 0, ["sin", "mul"]),  # NaN * 0 is NaN
            (lambda x: x * np.float64(1.0) * 1.0, []),
            (lambda x: x / 4.0, ["mul"]),
            (lambda x: x / 3.0, ["div"]),
            (lambda x: np.negative(-np.negative(x)), ["neg"]),
            (lambda x: np.cos(x) - -np.sin(x), ["cos", "sin", "add"]),
            (lambda x: x[None].reshape(3, 1).reshape(1, 3), ["getitem"]),
            (lambda x: np.transpose(np.sin(x)[:, None].T), ["sin", "getitem"]),
            (lambda x: np.stack([x, 2 * x])[1], ["mul"]),
            (lambda x: x.astype(np.float32).astype(np.float64), ["cast", "cast"]),
            (lambda x: x.astype(np.longdouble).astype(np.float64), []),
            (lambda x: (x[::2] * 1.0) @ np.ones(2), ["getitem", "mul", "matmul"]),
        ],
    )
    def test_what_is_left(self, f, left):
        assert names(simplify(traced(f, VECTOR))) == left

    def test_types_are_kept(self):
        x = np.ones(3, np.float32)
        assert names(simplify(traced(lambda x: x * np.float64(1.0), x))) == ["mul"]
        assert names(simplify(traced(lambda x: x * 1.0, x))) == []
        assert names(simplify(traced(lambda x: x * 1.0 + np.zeros(1, np.float32), 2.0))) == ["add"]
        assert simplify(traced(lambda x: x * np.float64(1.0), 2.0)).evaluate(3.0) == (3.0,)

    def test_complex_numbers_know_no_one(self):
        z = np.array([complex(1, np.inf), complex(-0.0, 1)])
        program = traced(
            lambda z: [z * 1.0, z / 1, np.negative(-z), z - 0.0, np.conj(np.conj(z))], z
        )
        simple = simplify(program)
        assert names(simple) == ["mul", "div", "sub"]
        assert_same(program, simple, z)

    def test_common_subexpressions(self):
        def f(x, y):
            a = np.sum(np.exp(x), axis=0)
            b = np.sum(np.exp(x), axis=0)
            c = np.sum(np.exp(x), axis=1)
            return x * y + y * x, a + b, c, x - y, y - x

        program = traced(f, np.ones((3, 3)), np.ones((3, 3)))
        found = names(simplify(program))
        assert sorted(found) == ["add", "add", "exp", "mul", "sub", "sub", "sum", "sum"]

    def test_constants_are_told_apart_to_the_last_bit(self):
        f = lambda x: [x * 0.0, x * -0.0, x + 1, x + 1.0, x * np.nan, x * np.nan]
        assert len(simplify(traced(f, VECTOR))) == 5

    def test_dead_code(self):
        x = Var(0, None, traced(np.sin, VECTOR).inputs[0].type)
        out, unused = Var(1, None, x.type), Var(2, None, x.type)
        sin, cos = PRIMITIVES["sin"], PRIMITIVES["cos"]
        equations = (
            Equation(cos, (x,), {}, (unused,), ()),
            Equation(sin, (x,), {}, (out,), ()),
        )
        assert names(simplify(Program((x,), equations, (out,)))) == ["sin"]

    def test_constants_are_folded(self):
        number = traced(np.sin, 1.0).inputs[0].type
        strong = number._replace(weak=False)
        a, b, big = (Var(i, None, strong) for i in range(3))
        big = Var(2, None, strong._replace(shape=(100_000,)))
        equations = (
            Equation(PRIMITIVES["sin"], (np.float64(2.0),), {}, (a,), ()),
            Equation(PRIMITIVES["div"], (a, np.float64(0.0)), {}, (b,), ()),
            Equation(PRIMITIVES["broadcast_to"], (a,), {"shape": (100_000,)}, (big,), ()),
        )
        program = Program((), equations, (b, a, big))
        simple = simplify(program)
        assert names(simple) == ["broadcast_to"]
        assert simple.outputs[:2] == (np.inf, np.sin(2.0))
        assert_same(program, simple)

    def test_what_fails_is_not_folded(self):
        place = Var(0, None, traced(np.sin, 1.0).inputs[0].type._replace(weak=False))
        wrong = Equation(PRIMITIVES["getitem"], (np.ones(2),), {"spec": (5,)}, (place,), ())
        simple = simplify(Program((), (wrong,), (place,)))
        with pytest.raises(IndexError):
            simple.evaluate()

    def test_names_and_places_stay(self):
        def f(x):
            y = np.sin(x) * 1.0
            result = np.exp(y)
            return result * 1

        simple = simplify(traced(f, VECTOR))
        text = str(simple)
        assert "result" in text
        assert text.count("test_simplify.py") == 2
        assert simple.inputs[0].name == "x"

    def test_bodies_of_loops_and_branches(self):
        def loop(x):
            return scan(lambda c, x: (c * 1.0 + np.sin(x) + np.sin(x), np.negative(-c)), 0.0, x)

        def branch(x):
            return cond(x > 0, lambda x: x * 1.0, lambda x: np.sin(x) + np.sin(x) * 1, x)

        for f, x in ((loop, VECTOR), (branch, np.float64(-1.0))):
            program = traced(f, x)
            simple = simplify(program)
            assert_same(program, simple, x)
            assert sum(map(len, str(simple).splitlines())) < sum(
                map(len, str(program).splitlines())
            )

    def test_gradients_stay_where_a_loop_is_simplified(self):
        program = traced(grad(lambda x: scan(lambda c, x: (c * x * 1.0, c), 1.0, x)[0]), VECTOR)
        assert_same(program, simplify(program), np.array([2.0, 3.0, 4.0]))


class TestFast:
    def test_zero(self):
        f = lambda x: (x * 0, x - x, x / x, x + 0.0, 0 - x)
        simple = simplify(traced(f, VECTOR), fast=True)
        assert names(simple) == ["neg"]
        zero, none, one, x, _ = simple.evaluate(np.array([2.0, 3.0, 4.0]))
        np.testing.assert_array_equal([zero, none, one, x], [[0] * 3, [0] * 3, [1] * 3, [2, 3, 4]])

    @pytest.mark.parametrize(
        "f",
        [
            lambda z: 1 / (1 + np.exp(-z)),
            lambda z: 1.0 / (np.exp(-z) + 1.0),
            lambda z: np.reciprocal(1 + np.exp(z * -1.0)),
        ],
    )
    def test_sigmoid_is_recognised(self, f):
        program = traced(f, VECTOR)
        assert "expit" not in names(simplify(program))
        simple = simplify(program, fast=True)
        assert names(simple) == ["expit"]
        z = np.linspace(-30, 30, 7)
        for piece in np.split(np.append(z, [-2.0, 2.0]), 3):
            np.testing.assert_array_max_ulp(
                simple.evaluate(piece)[0], program.evaluate(piece)[0], 8
            )

    def test_logarithms(self):
        assert names(simplify(traced(lambda x: np.log(np.exp(x)), VECTOR), fast=True)) == []
        assert len(simplify(traced(lambda x: np.log(np.exp(x)), VECTOR))) == 2
