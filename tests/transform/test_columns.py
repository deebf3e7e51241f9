"""Arrays of short rows, split into columns."""

import numpy as np
import pytest

from chainrule import grad, jacobian, jit, vmap
from chainrule.trace.program import trace_program
from chainrule.transform import columns
from chainrule.transform.simplification import simplify

N = 300
rng = np.random.default_rng(5)
ROWS = rng.standard_normal((N, 3))
OTHERS = rng.standard_normal((N, 3))
WEIGHTS = rng.random(N)


def cross(a, b):
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        axis=1,
    )


def assigned(a, b, w):
    r = np.zeros((N, 2, 3))
    r[:, 0] = a * w[:, None]
    r[:, 1, ::-1] = np.array([1.0, 2.0, 4.0]) * b
    return r.transpose(0, 2, 1).reshape(N, 6)[:, ::2]


FUNCTIONS = {
    "cross product": lambda a, b, w: cross(cross(a, b), a),
    "length": lambda a, b, w: cross(a, b) / np.sqrt(np.sum(a * a, axis=1))[:, None],
    "kept axis": lambda a, b, w: cross(a, b) * np.sum(b, axis=-1, keepdims=True),
    "total": lambda a, b, w: np.sum(cross(a, cross(a, b)) * w[:, None]),
    "joined": lambda a, b, w: np.concatenate([cross(a, b), w[:, None], a[:, :2]], axis=1),
    "shared row": lambda a, b, w: cross(a, b) * np.array([1.0, 0.0, -2.0]) + 3,
    "chosen": lambda a, b, w: np.where(cross(a, b) > 0, a, np.zeros(3)),
    "constant columns": lambda a, b, w: cross(a, b) + np.ones((N, 3)) * np.arange(N)[:, None],
    "gradient": grad(lambda a, b, w: np.sum(np.sin(cross(a, b)[:, 1:] * w[:, None])), (0, 1, 2)),
    "Jacobian": lambda a, b, w: vmap(
        jacobian(lambda x, y: np.tanh(np.cross(x, y)) * x[1], (0, 1)), in_axes=(0, 0)
    )(a, b),
}


def programs(f, *args):
    program = simplify(trace_program(f, *args, abstract=True)[0])
    return program, columns.split_rows(program)


@pytest.fixture(autouse=True)
def _small_programs_too(monkeypatch):
    monkeypatch.setattr(columns, "LEAST", 2)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_split_is_the_same(name):
    args = (ROWS, OTHERS, WEIGHTS)
    program, split = programs(FUNCTIONS[name], *args)
    assert split is not program
    pairs = zip(program.evaluate(*args), split.evaluate(*args), strict=True)
    for whole, columnwise in pairs:
        assert (whole.shape, whole.dtype) == (columnwise.shape, columnwise.dtype)
        np.testing.assert_allclose(columnwise, whole, rtol=1e-14, atol=1e-14)
    inner = [e for e in split.equations if e.primitive.name not in ("rows", "getitem")]
    assert {len(e.out.type.shape) for e in inner} <= {0, 1}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled_it_is_the_same(name):
    args = (ROWS.astype(np.float32), OTHERS.astype(np.float32), WEIGHTS.astype(np.float32))
    expected, found = FUNCTIONS[name](*args), jit(FUNCTIONS[name])(*args)
    for e, f in zip(
        *((x if isinstance(x, tuple) else (x,)) for x in (expected, found)), strict=True
    ):
        assert e.dtype == f.dtype
        np.testing.assert_allclose(f, e, rtol=1e-4, atol=1e-4)


def test_an_assignment_stays_whole():
    program, split = programs(assigned, ROWS, OTHERS, WEIGHTS)
    for whole, columnwise in zip(
        program.evaluate(ROWS, OTHERS, WEIGHTS), split.evaluate(ROWS, OTHERS, WEIGHTS), strict=True
    ):
        np.testing.assert_array_equal(columnwise, whole)


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b, w: cross(a, b) @ np.ones((3, 3)),
        lambda a, b, w: np.max(cross(a, b), axis=1),
        lambda a, b, w: np.sort(cross(a, b), axis=0),
        lambda a, b, w: cross(a, b)[::-1],
        lambda a, b, w: np.sum(cross(a, b), axis=0),
        lambda a, b, w: cross(a, b).T,
        lambda a, b, w: cross(a, b)[np.array([0, 5])],
    ],
)
def test_what_mixes_rows_stays_as_it_is(f):
    program, split = programs(f, ROWS, OTHERS, WEIGHTS)
    assert split is program


def test_a_zero_of_a_derivative_does_not_hide_what_is_not_a_number():
    def f(a):
        return np.sum(np.sqrt(np.stack([a[:, 1], a[:, 0], a[:, 1]], axis=1))[:, 1:])

    a = np.array([[0.0, 1.0, np.nan]] * N)
    program, split = programs(grad(f), a)
    assert split is not program
    np.testing.assert_array_equal(split.evaluate(a)[0], program.evaluate(a)[0])


def test_few_rows_stay_whole():
    program, split = programs(FUNCTIONS["cross product"], ROWS[:4], OTHERS[:4], WEIGHTS[:4])
    assert split is program
