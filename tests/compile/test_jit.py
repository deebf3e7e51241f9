"""Compiled functions: the same results as interpreted ones, in every way to call them."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from chainrule import grad, hessian, jit, jvp, value_and_grad, vmap
from chainrule.compile import JitWarning
from chainrule.compile.native import Native
from chainrule.program.errors import TraceError, UnsupportedError
from tests.primitives.table import ROWS, Row
from tests.primitives.test_table import like, scalar
from tests.transform.test_random_programs import points, programs, run

RNG = np.random.default_rng(0)


def close(got: Any, expected: Any, tolerance: float = 1e-12) -> None:
    expected = np.asarray(expected)
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale)
    assert np.shape(got) == expected.shape
    assert np.asarray(got).dtype == expected.dtype


def native(f: Any, *args: Any) -> Any:
    """Return a compiled function that leaves nothing to NumPy."""
    compiled = jit(f)
    assert type(compiled.lower(*args).native) is Native
    return compiled


# -- the worked example --------------------------------------------------------------------------

X = np.array([0.5, 0.3])
PARAMS = (np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([0.5, 0.6]), np.array([0.7, 0.8]), 0.9)


def net(W1, b1, W2, b2):
    a1 = 1 / (1 + np.exp(-(W1 @ X + b1)))
    return 1 / (1 + np.exp(-(W2 @ a1 + b2)))


def test_the_worked_example_is_one_native_function():
    compiled = native(value_and_grad(net, (0, 1, 2, 3)), *PARAMS)
    value, gradients = compiled(*PARAMS)
    assert np.isclose(value, 0.871843204787514, rtol=1e-15)
    for got, expected in zip(gradients, grad(net, (0, 1, 2, 3))(*PARAMS), strict=True):
        close(got, expected, 1e-15)
    other = tuple(p * 1.5 for p in PARAMS)
    close(compiled(*other)[0], net(*other), 1e-15)


# -- every operation -----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::chainrule.compile.JitWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("row", [r for r in ROWS if r.abstract], ids=lambda r: r.name)
def test_every_operation_compiled_against_interpreted(row: Row):
    g = grad(scalar(row, like(row.f(*row.args), 100)), tuple(range(len(row.args))))

    def both(*args: Any) -> Any:
        return row.f(*args), g(*args)

    if row.name == "complex svdvals":
        with pytest.raises(UnsupportedError, match="svdvals"):
            jit(both)(*row.args)
        return
    value, gradients = jit(both)(*row.args)
    close(value, row.f(*row.args), 1e-11)
    for got, expected in zip(gradients, g(*row.args), strict=True):
        close(got, expected, 1e-10)


@given(programs(), points)
@settings(max_examples=25)
def test_random_programs(steps: Any, point: Any):
    f = value_and_grad(lambda x, y: np.sum(np.sin(run(steps, x, y))), (0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JitWarning)
        value, gradients = jit(f)(*point)
    expected = f(*point)
    close(value, expected[0], 1e-11)
    for got, theirs in zip(gradients, expected[1], strict=True):
        close(got, theirs, 1e-10)


# -- sizes and layouts -----------------------------------------------------------------------------


def mixture(x, w):
    y = np.exp(x) * w + x[:, :1]
    return np.sum(y, 0), np.max(y, axis=1), y.T @ np.ones(y.shape[0], y.dtype), np.mean(y)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 13), (129, 65), (1, 5000)])
def test_sizes(shape, dtype):
    x, w = RNG.standard_normal((2, *shape)).astype(dtype)
    for got, expected in zip(native(mixture, x, w)(x, w), mixture(x, w), strict=True):
        close(got, expected, 1e-12 if dtype is np.float64 else 1e-4)


def test_empty_arrays():
    f = lambda x: (np.sum(x * x), x + 1.0)
    total, moved = native(f, np.zeros((0, 3)))(np.zeros((0, 3)))
    assert total == 0
    assert moved.shape == (0, 3)


def test_a_long_sum_is_as_accurate_as_numpys():
    x = RNG.standard_normal(1_000_003) + 1e3
    exact = float(np.sum(x.astype(np.longdouble)))
    assert abs(native(np.sum, x)(x) - exact) <= 4e-15 * abs(exact)


def layouts(x):
    yield np.asfortranarray(x)
    yield np.repeat(x, 2, axis=1)[:, ::2]
    yield x[::-1][::-1][:, ::-1][:, ::-1]
    yield x.astype(x.dtype.newbyteorder())
    raw = bytearray(x.nbytes + 1)
    odd = np.frombuffer(raw, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    odd[...] = x
    yield odd
    frozen = x.copy()
    frozen.flags.writeable = False
    yield frozen


def test_arrays_however_they_lie_in_memory():
    x = RNG.standard_normal((4, 6))
    f = jit(lambda x: np.sin(x) * np.arange(6.0))
    expected = np.sin(x) * np.arange(6.0)
    close(f(x), expected)
    for same in layouts(x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", JitWarning)
            np.testing.assert_allclose(f(same), expected, rtol=1e-13)


def test_scalars_of_all_kinds():
    f = jit(lambda x, s: x * s)
    x = np.arange(3, dtype=np.float32)
    assert f(x, 2.0).dtype == np.float32  # Python's number gives way
    assert f(x, np.float64(2.0)).dtype == np.float64
    assert f(x, 2).dtype == np.float32
    assert f(x, np.array(2.0)).dtype == np.float64
    close(f(x, True), x)
    assert isinstance(jit(lambda s: s * 2.0)(3.0), float)


def test_results_belong_to_the_caller():
    f = jit(lambda x: (x, x + 1.0, np.ones(3)))
    x = np.arange(3.0)
    first, second = f(x), f(x)
    for a, b in zip(first, second, strict=True):
        a += 100
        assert not np.shares_memory(a, b)
    np.testing.assert_array_equal(x, np.arange(3.0))
    for got, expected in zip(f(x), (x, x + 1, np.ones(3)), strict=True):
        np.testing.assert_array_equal(got, expected)


# -- indices -------------------------------------------------------------------------------------


def test_gather_and_scatter():
    table, i = RNG.standard_normal((5, 3)), np.array([4, 0, -1, 4])

    def f(table, i):
        return np.sum(table[i] ** 2)

    close(native(f, table, i)(table, i), f(table, i))
    close(native(grad(f), table, i)(table, i), grad(f)(table, i))


@pytest.mark.parametrize("bad", [5, -6, 2**40])
def test_an_index_out_of_bounds_is_an_index_error_at_the_users_line(bad):
    f = native(lambda x, i: x[i] * 2.0, np.ones(5), np.array([0, 1]))
    with pytest.raises(IndexError, match=rf"index {bad} .* size 5\n.*test_jit\.py:\d+"):
        f(np.ones(5), np.array([0, bad]))
    np.testing.assert_array_equal(f(np.ones(5), np.array([4, -5])), [2.0, 2.0])


def picked(x, i):
    y = np.exp(x)
    chosen = y[i]
    return np.sum(np.log(chosen - 1.0))


@pytest.mark.parametrize("derived", [grad(picked), grad(lambda x, i: np.sum(grad(picked)(x, i)))])
def test_an_error_in_a_derivative_is_at_the_line_that_is_differentiated(derived):
    step = native(derived, np.ones(5), np.array([0, 1]))
    with pytest.raises(IndexError, match=r"in picked\n.*chosen = y\[i\]"):
        step(np.ones(5), np.array([0, 7]))
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError) as caught:
        jit(derived)(np.zeros(5), np.array([0, 1]))
    assert "in picked" in str(caught.value)
    assert "np.log(chosen - 1.0)" in str(caught.value)


# -- ways to call --------------------------------------------------------------------------------


@dataclass
class Model:
    W: Any
    b: Any

    def __call__(self, x: Any) -> Any:
        return np.tanh(self.W @ x + self.b)


def test_pytrees_keywords_methods_and_static_arguments():
    model = Model(RNG.standard_normal((2, 3)), np.zeros(2))
    x = RNG.standard_normal(3)
    got = jit(grad(lambda m, x: np.sum(m(x))))(model, x)
    expected = grad(lambda m, x: np.sum(m(x)))(model, x)
    close(got.W, expected.W)
    close(got.b, expected.b)

    f = jit(lambda p, *, scale: {"y": p["a"] * scale, "z": [p["b"], None]})
    out = f({"a": x, "b": 1.0}, scale=3.0)
    close(out["y"], x * 3.0)
    assert out["z"] == [1.0, None]

    class Layer:
        def __init__(self, w):
            self.w = w

        @jit
        def apply(self, x):
            return x * 2.0

    close(Layer(1.0).apply(x), x * 2.0)

    power = jit(lambda x, n, kind: x**n if kind == "power" else x * n, static=(1, "kind"))
    close(power(x, 3, kind="power"), x**3)
    close(power(x, 3, kind="times"), x * 3)
    assert len(power.versions) == 2


def test_each_type_of_arguments_has_its_own_version():
    f = jit(lambda x: x + x)
    for x in (np.ones(2), np.ones(3), np.ones(2, np.float32), np.ones((2, 1)), 1.5, np.ones(2)):
        close(f(x), x + x)
    assert len(f.versions) == 5
    assert jit.__doc__ is not None
    assert f.lower(np.ones(2)).native.code.optimised.count("define") >= 1


def test_inside_and_around_other_transformations():
    f = lambda x: np.sum(np.exp(np.sin(x)) * x)
    x = RNG.standard_normal(4)
    close(grad(jit(f))(x), grad(f)(x))
    close(jit(hessian(f))(x), hessian(f)(x), 1e-11)
    close(jit(lambda x: jvp(grad(f), (x,), (x,))[1])(x), jvp(grad(f), (x,), (x,))[1], 1e-11)
    batch = RNG.standard_normal((3, 4))
    close(vmap(jit(f))(batch), vmap(f)(batch))
    close(jit(vmap(grad(f)))(batch), vmap(grad(f))(batch))
    close(jit(lambda x: jit(f)(x) * 2.0)(x), f(x) * 2.0)


def test_a_branch_on_a_value_is_refused_with_the_rewrite():
    with pytest.raises(TraceError, match=r"np\.where"):
        jit(lambda x: x if x > 0 else -x)(1.5)


def test_what_is_left_to_numpy_is_named():
    f = lambda x: np.sin(np.linalg.pinv(x[None])[:, 0] * 2.0) + 1.0
    x = np.array([3.0, 1.0, 2.0])
    with pytest.warns(JitWarning, match=r"pinv.*test_jit\.py:\d+"):
        close(jit(f)(x), f(x))


def test_huge_arguments_of_trigonometric_functions():
    x = np.array([1e5, 1e10, 1e22, -1e300])
    close(native(lambda x: np.sin(x) + np.cos(x), x)(x), np.sin(x) + np.cos(x))


# -- running it for long -------------------------------------------------------------------------


def test_four_threads_get_their_own_results():
    f = jit(value_and_grad(lambda x: np.sum(np.tanh(x @ x.T))))
    inputs = [RNG.standard_normal((k % 3 + 2, 3)) for k in range(12)]
    expected = [value_and_grad(lambda x: np.sum(np.tanh(x @ x.T)))(x) for x in inputs]
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(50):
            for x, (value, gradient) in zip(inputs, expected, strict=True):
                v, g = f(x)
                if not (np.allclose(v, value) and np.allclose(g, gradient)):
                    wrong.append(x)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_no_memory_is_lost_over_many_calls():
    f = jit(value_and_grad(net, (0, 1, 2, 3)))
    f(*PARAMS)
    gc.collect()
    tracemalloc.start()
    for _ in range(20_000):
        f(*PARAMS)
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 50_000


def test_compiled_functions_come_and_go():
    for _ in range(3):
        made = [jit(lambda x, k=k: x * float(k)) for k in range(30)]
        for k, f in enumerate(made):
            close(f(np.arange(3.0)), np.arange(3.0) * k)
        del made, f
        gc.collect()
        # reuse the memory that was freed, with every bit set
        filler = [bytes([255]) * size for size in (32, 48, 64, 96) for _ in range(500)]
        assert len(filler) == 2000


def test_an_array_made_in_pieces_beside_loops_over_the_same_rows():
    place = np.zeros((10, 10), int)
    columns, rows = np.triu_indices(10, 1)
    place[rows, columns] = 1 + np.arange(len(rows))
    weights = np.random.default_rng(4).standard_normal((25, 10, 10))

    def f(x):
        logs, below = x[:, :10], x[:, 10:]
        lower = np.concatenate([np.zeros((25, 1)), below], axis=1)[:, place]
        return np.sum(np.exp(logs)) + np.sum(lower * weights) + np.sum(below**2)

    x = np.random.default_rng(5).standard_normal((25, 55))
    np.testing.assert_allclose(jit(grad(f))(x), grad(f)(x), rtol=1e-13)


@pytest.mark.parametrize(
    ("f", "remedy"),
    [
        (lambda a, b: a @ b, "transpose"),
        (lambda a, b: a + b[:2], "np.newaxis"),
        (lambda a, b: np.max(a[:0]), "initial="),
    ],
)
def test_shapes_that_do_not_fit_are_refused_at_the_users_line(f, remedy):
    with pytest.raises(ValueError, match=remedy) as caught:
        jit(grad(lambda a, b: np.sum(f(a, b))))(np.ones((3, 4)), np.ones((3, 4)))
    assert "test_jit.py" in str(caught.value)


def test_a_column_is_read_in_another_shape():
    x = np.random.default_rng(0).standard_normal((4, 6, 8))

    def f(x):
        rows = np.reshape(x, (24, 8))
        return rows - np.reshape(np.mean(x, axis=-1, keepdims=True), (24, 1))

    np.testing.assert_allclose(jit(f)(x), f(x), rtol=1e-13, atol=1e-14)
    g = lambda x: np.reshape(np.sum(x, axis=(1, 2), keepdims=True), (2, 2, 1)) * np.ones((2, 2, 3))
    np.testing.assert_allclose(jit(g)(x), g(x), rtol=1e-13)


def test_updates_of_arrays_of_any_size_have_code_in_common() -> None:
    sizes = (6, 40, 64, 5000, 4096, 7, 101, 101)

    def step(parameters: Any, gradients: Any) -> Any:
        return [p - 0.1 * g for p, g in zip(parameters, gradients, strict=True)]

    rng = np.random.default_rng(0)
    given = [[rng.standard_normal(n) for n in sizes] for _ in range(2)]
    compiled = jit(step, donate=(0,))
    expected = step(*given)
    parts = compiled.lower(*given).native.build.parts
    assert sum(text.count("define hidden void @nest") for text in parts.values()) == 4
    for got, want in zip(compiled(*given), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-15)
