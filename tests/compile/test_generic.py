"""One machine code for shapes that differ in lengths of axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from chainrule import grad, jit, scan, value_and_grad
from chainrule.compile import explain_compile
from chainrule.compile.generic.unify import unified
from chainrule.compile.lowering import lowered
from chainrule.compile.runtime import cache, engine, loader
from chainrule.program.pytree import flatten
from chainrule.trace.program import trace_program

pytestmark = pytest.mark.skipif(not loader.is_supported(), reason="needs a loader of our own")
RNG = np.random.default_rng(0)
normal = RNG.standard_normal


@pytest.fixture(autouse=True)
def without_files(monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", "off")


@pytest.fixture
def compilations(monkeypatch):
    """Return a list that grows with every module that LLVM compiles."""
    made: list[Any] = []
    compile_ = engine.object_code
    monkeypatch.setattr(engine, "object_code", lambda parts: made.append(parts) or compile_(parts))
    return made


def close(got: Any, expected: Any) -> None:
    pairs = zip(flatten(got)[0], flatten(expected)[0], strict=True)
    for x, y in ((np.asarray(a), np.asarray(b)) for a, b in pairs):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        tolerance = 2e-4 if y.dtype == np.float32 else 1e-11
        scale = max(1.0, np.abs(y).max(initial=0.0))
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * scale)


def is_generic(f: Any, *args: Any) -> bool:
    return f.lower(*args).native.template is not None


# -- the same results as NumPy, over lengths ----------------------------------------------------


def cross_entropy(z, y):
    top = z.max(1, keepdims=True)
    total = np.log(np.sum(np.exp(z - top), 1)) + top[:, 0]
    return np.mean(total - z[np.arange(len(z)), y])


def network(w, b, v, x, y):
    return cross_entropy(np.maximum(x @ w + b, 0.0) @ v, y)


def layer_norm(x, g, w):
    centred = x - x.mean(-1, keepdims=True)
    return np.sum(np.tanh(centred / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * g @ w))


def attention(q, k, v):
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return np.sum((e / e.sum(-1, keepdims=True) @ v) ** 2)


def convolution(x, k):
    windows = sliding_window_view(x, (3, 3), (2, 3))
    return np.sum(np.maximum(np.einsum("nchwij,ocij->nohw", windows, k), 0.0) ** 2)


def recurrent(w, xs, h):
    last, states = scan(lambda h, x: (np.tanh(h @ w + x), h), h, xs)
    return np.sum(last) + np.sum(states**2)


def shapes_and_sums(x):
    return (
        *(x.sum(0), x.max(1), x.T @ x, x.reshape(-1)[::-1], np.cumsum(x, 0)),
        *(np.concatenate([x, x * 2.0]), x[::2, 1:], x[-2:]),
    )


def assigned(x, i):
    r = np.zeros((x.shape[0], 4), x.dtype)
    r[:, 1] = x
    r[1:, 3] += x[:-1] ** 2
    return np.sum(r**3) + np.sum(x[i] ** 2)


def adam(p, g, m, v):
    m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
    return p - 1e-3 * m / (np.sqrt(v) + 1e-8), m, v


def single(*arrays):
    return tuple(a.astype(np.float32) if a.dtype == float else a for a in arrays)


CASES = {
    "network": (
        value_and_grad(network, (0, 1, 2)),
        lambda n: (normal((5, 9)), normal(9), normal((9, 3)), normal((n, 5)), np.arange(n) % 3),
    ),
    "float32": (
        value_and_grad(lambda w, x: np.mean(np.maximum(x @ w, 0.0) ** 2)),
        lambda n: single(normal((5, 33)), normal((n, 5))),
    ),
    "layer norm": (
        value_and_grad(layer_norm, (0, 1)),
        lambda n: (normal((n, 12)), np.ones(12), normal((12, 4))),
    ),
    "attention": (
        grad(attention),
        lambda n: tuple(normal((2, n, 6)) for _ in range(3)),
    ),
    "convolution": (
        grad(convolution, (0, 1)),
        lambda n: (normal((n, 2, 6, 9)), normal((3, 2, 3, 3))),
    ),
    "convolution of images of any size": (
        convolution,
        lambda n: (normal((2, 2, n + 3, n + 4)), normal((3, 2, 3, 3))),
    ),
    "recurrent, batch": (
        grad(recurrent),
        lambda n: (normal((6, 6)) / 3, normal((10, n, 6)), np.zeros((n, 6))),
    ),
    "recurrent, steps": (
        grad(recurrent),
        lambda n: (normal((6, 6)) / 3, normal((n, 5, 6)), np.zeros((5, 6))),
    ),
    "shapes and sums": (shapes_and_sums, lambda n: (normal((n, 5)),)),
    "assigned": (grad(assigned), lambda n: (normal(n), RNG.integers(-n, n, 4))),
    "vectors along the length": (
        value_and_grad(lambda w, x: np.sum(np.tanh(w @ x)), (0, 1)),
        lambda n: (normal((7, 5)), normal((5, n))),
    ),
    "dot": (lambda a, b: (a @ b, np.linalg.norm(a)), lambda n: (normal(n), normal(n))),
    "trigonometric": (lambda x: np.sum(np.sin(x) * np.cos(x)), lambda n: (5 * normal(n),)),
    "integers": (
        lambda x: (x * x.shape[0], x[::-1], (x > 1).any(), x @ x),
        lambda n: (RNG.integers(0, 9, n).astype(np.int32),),
    ),
    "adam": (adam, lambda n: tuple(np.abs(normal((n, 3))) for _ in range(4))),
}


QUICK = ("network", "recurrent, batch", "assigned", "trigonometric", "integers", "adam", "dot")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_results_are_those_of_numpy_for_all_lengths(name):
    f, arguments = CASES[name]
    compiled = jit(f)
    served = 0
    for n in (13, 11, 7, 2, 3, 17, 64, 131):
        args = arguments(n)
        close(compiled(*args), f(*args))
        served += is_generic(compiled, *args)
    assert served >= 5


def test_large_arrays_are_shared_among_threads():
    f = lambda x: (np.sum(np.tanh(x) * np.exp(x)), np.sin(x))
    compiled = jit(f)
    for n in (400_000, 400_001, 1_000_003):
        x = normal(n)
        close(compiled(x), f(x))
    assert is_generic(compiled, x)
    assert "chainrule.runtime.parallel" in compiled.lower(x).native.code.text


# -- what a program does with a length ----------------------------------------------------------


def steps(x):
    total = 0.0
    for i in range(x.shape[0] // 3):
        total = total + np.sin(x[i]) * i
    return total


def halves(x):
    n = x.shape[0]
    return x[n - 1] * np.sum(x[: n // 2] ** 2) + np.sum(np.exp(x[n // 2 :])) / float(n)


USES = {
    "range": steps,
    "if": lambda x: np.sum(x**3) if x.shape[0] > 10 else np.sum(x**2),
    "float and slices": halves,
    "square root": lambda x: np.sum(np.sin(x)) / np.sqrt(x.shape[0]),
    "arange": lambda x: np.sum(np.sin(x) * np.arange(len(x)) + np.linspace(0, 1, len(x)) * x**2),
    "arrays of ones": lambda x: np.sum(np.sin(x)[:, None] @ np.ones((1, len(x))) @ np.eye(len(x))),
    "reshape": lambda x: np.sum(np.tanh(x.reshape(len(x), -1)) @ x.reshape(1, x.shape[0])),
    "power": lambda x: np.sum(x ** (2 if len(x) % 2 else 3)) * 0.5 ** len(x),
    "only one length works": lambda x: np.sum(x * np.arange(7.0)),
}


@pytest.mark.parametrize("name", USES)
def test_lengths_in_the_users_code(name):
    slope = grad(USES[name])
    compiled = jit(slope)
    for n in (8, 7, 12, 9, 40, 2, 1, 7):
        x = normal(n)
        try:
            expected = slope(x)
        except ValueError as error:
            with pytest.raises(type(error)):
                compiled(x)
        else:
            close(compiled(x), expected)


def test_wrong_shapes_are_refused_whatever_was_compiled_before():
    compiled = jit(lambda x, y: x * y + x)
    for n in (5, 6, 7, 9):
        compiled(normal(n), normal(n))
    assert is_generic(compiled, normal(8), normal(8))
    with pytest.raises(ValueError, match="broadcast"):
        compiled(normal(5), normal(6))
    close(compiled(normal((4, 3)), np.ones(3)).shape, (4, 3))


def test_an_index_out_of_bounds_is_told():
    compiled = jit(lambda x, i: x[i] * 2.0)
    for n in (5, 6, 7):
        compiled(normal(n), np.array([0, -1, 2]))
    x = normal(8)
    assert is_generic(compiled, x, np.array([0, -1, 2]))
    with pytest.raises(IndexError, match="index 8 is out of bounds for an axis of size 8"):
        compiled(x, np.array([0, 8, 2]))


def test_equal_lengths_by_chance():
    f = lambda a, b: (a.sum(0) + b.sum(0), a @ np.ones(a.shape[1]), b * 2.0)
    compiled = jit(f)
    for n, m in ((6, 6), (8, 8), (7, 7), (7, 9), (9, 4), (5, 5), (3, 11)):
        args = normal((n, 4)), normal((m, 4))
        close(compiled(*args), f(*args))


def test_arguments_that_are_given_away():
    compiled = jit(lambda p, g: p - 0.1 * g, donate=(0,))
    for n in (5, 6, 7, 100):
        p, g = normal((n, 3)), normal((n, 3))
        expected = p - 0.1 * g
        result = compiled(p, g)
        assert result is p
        close(result, expected)


def test_an_argument_that_is_given_away_and_returned():
    compiled = jit(lambda p, g: (p, p * 2.0 + g), donate=(0,))
    for n in (5, 6, 7, 9):
        p, g = normal(n), normal(n)
        close(compiled(p.copy(), g), (p, p * 2.0 + g))


def test_results_in_another_structure_for_some_lengths():
    def f(x):
        y, z = np.sin(x), np.cos(x)
        return (y, z) if len(x) % 2 else ((y,), [z]) if len(x) < 8 else ((y, z),)

    compiled = jit(f)
    for n in (5, 7, 9, 4, 6, 10, 8, 11):
        x = normal(n)
        result, expected = compiled(x), f(x)
        assert flatten(result)[1] == flatten(expected)[1]
        close(result, expected)


# -- how often something is compiled -----------------------------------------------------------


def test_two_compilations_serve_every_batch(compilations):
    f, arguments = CASES["network"]
    step = jit(f)
    for n in (32, 21, 32, 17, 30, 100, 64, 50):
        step(*arguments(n))
    assert len(compilations) == 2


def test_a_function_that_is_another_for_each_length_is_soon_left_alone(compilations):
    def f(x):
        for _ in range(x.shape[0]):
            x = np.sin(x)
        return x

    compiled = jit(f)
    for n in (3, 4, 5, 6):
        compiled(normal(n))
    assert len(compilations) == 4


def test_code_is_found_on_disk(tmp_path, monkeypatch, compilations):
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path / "kept"))
    monkeypatch.setitem(cache._state, "written", 0)
    f, arguments = CASES["layer norm"]
    for lengths in ((13, 11, 7), (13, 10, 64)):
        compiled = jit(f)
        for n in lengths:
            args = arguments(n)
            close(compiled(*args), f(*args))
        assert is_generic(compiled, *args)
        assert len(compilations) == 2


def test_explain_compile_shows_what_is_free():
    step = jit(lambda w, x: np.mean(np.tanh(x @ w)))
    for n in (5, 6, 7):
        step(np.ones((3, 2)), np.ones((n, 3)))
    text = str(explain_compile(step, np.ones((3, 2)), np.ones((7, 3))))
    assert "Shapes, all with this machine code\n  x: float64[n,3]\n  here n = 7\n" in text
    assert "float64[n,2]" in text


def test_an_instance_has_the_same_equations_constants_and_numbers():
    def program(f, *args):
        return lowered(trace_program(f, *args, abstract=True)[0])

    f = lambda x, k=2.0: np.sum(x**2) * k / x.shape[0]
    generic = unified(program(f, np.ones(5)), program(f, np.ones(6)))
    assert generic is not None
    assert generic.numbers(program(f, np.ones(9))) == [9]
    assert generic.numbers(program(f, np.ones(1))) is None
    assert generic.numbers(program(f, np.ones((9, 1)))) is None
    assert generic.numbers(program(f, np.ones(9, np.float32))) is None
    assert generic.numbers(program(lambda x: f(x, 3.0), np.ones(9))) is None
    assert unified(program(f, np.ones(5)), program(lambda x: f(x) + 1.0, np.ones(6))) is None
