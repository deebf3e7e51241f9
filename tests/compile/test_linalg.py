"""Compiled linear algebra: the same results as NumPy's, derivatives and errors included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import cond, grad, jit, jvp, scan, value_and_grad, vmap, while_loop
from chainrule.compile import JitWarning
from chainrule.compile.linalg import lapack, operations
from chainrule.compile.linalg.forming import form_factors
from chainrule.program.pytree import flatten
from chainrule.trace.program import trace_program

RNG = np.random.default_rng(0)
SIZES = (1, 2, 3, 5, 17, 40)

pytestmark = pytest.mark.filterwarnings("error::chainrule.compile.JitWarning")


def turned(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def positive(a: Any) -> Any:
    return a @ turned(a) / a.shape[-1] + np.eye(a.shape[-1], dtype=a.dtype)


def factor(a: Any) -> Any:
    return np.linalg.cholesky(positive(a))


def matrix(n: int, batch: tuple[int, ...] = (), dtype: Any = np.float64) -> Any:
    """Return well-conditioned matrices whose pivots are not in their diagonal."""
    a = RNG.standard_normal((*batch, n, n)) / np.sqrt(n) + 2 * np.roll(np.eye(n), 1, axis=0)
    return a.astype(dtype)


def same(f: Any, *args: Any, ulps: float = 200.0) -> None:
    """Require that a function computes the same compiled, to some units in the last place."""
    compiled = jit(f)
    expected = flatten(f(*args))[0]
    for _ in range(2):
        got = flatten(compiled(*args))[0]
        for a, b in zip(got, expected, strict=True):
            assert np.shape(a) == np.shape(b)
            assert np.asarray(a).dtype == np.asarray(b).dtype
            close = ulps * np.finfo(np.asarray(b).dtype).eps
            largest = float(np.max(np.abs(b), initial=0.0))
            np.testing.assert_allclose(a, b, rtol=0, atol=close * max(largest, 1e-30))


def everything(a: Any, b: Any) -> Any:
    """Return systems of every kind, solved."""
    c = factor(a)
    return (
        np.linalg.solve(a, b),
        np.linalg.solve(turned(a), b),
        np.linalg.inv(a),
        np.linalg.det(a),
        *np.linalg.slogdet(a),
        c,
        np.linalg.solve(c, b),
        np.linalg.solve(turned(c), b),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", SIZES)
def test_matrices_of_each_size(n: int, dtype: Any) -> None:
    same(everything, matrix(n, (), dtype), RNG.standard_normal((n, 1)).astype(dtype))


@pytest.mark.parametrize("columns", [2, 5, 13, 70])
@pytest.mark.parametrize("n", [3, 40])
def test_right_hand_sides(n: int, columns: int) -> None:
    same(everything, matrix(n), RNG.standard_normal((n, columns)))


@pytest.mark.parametrize("batch", [(0,), (1,), (3,), (2, 3)])
def test_stacks_of_matrices(batch: tuple[int, ...]) -> None:
    same(everything, matrix(3, batch), RNG.standard_normal((*batch, 3, 2)))
    # the matrices, or the right-hand sides, are the same for all
    same(lambda a, b: np.linalg.solve(a, b), matrix(3), RNG.standard_normal((*batch, 3, 2)))
    same(lambda a, b: np.linalg.solve(a, b), matrix(3, batch), RNG.standard_normal((3, 2)))


def test_vectors() -> None:
    for n in (1, 4, 35):
        b = RNG.standard_normal(n)
        same(lambda a, b: np.linalg.solve(a, b), matrix(n), b)
        same(lambda a, b: np.linalg.solve(a.T, b), matrix(n), b)
        same(lambda a, b: np.linalg.solve(factor(a), b), matrix(n), b)
        same(lambda a, b: np.linalg.solve(factor(a).T, b), matrix(n), b)


def test_no_rows_at_all() -> None:
    same(lambda a, b: np.linalg.solve(a @ a, b), np.zeros((2, 2)) + np.eye(2), np.zeros((2, 0)))
    same(lambda a: np.linalg.cholesky(a + 1.0), np.zeros((0, 0)))
    same(lambda a: np.linalg.cholesky(a + 1.0), np.zeros((3, 0, 0)))


def test_other_dtypes_and_constants() -> None:
    a, b = matrix(4), RNG.standard_normal(4)
    same(
        lambda i: np.linalg.solve(i, b),
        np.array([[2, 1], [1, 3]] * 2).repeat(2, 1) + 5 * np.eye(4, dtype=int),
    )
    same(lambda b: np.linalg.solve(a, b), b)
    same(lambda b: np.linalg.solve(a.T, b), b)
    same(lambda a: np.linalg.solve(a, np.ones(4)), a)
    same(lambda a, b: np.linalg.solve(a, b), a.astype(np.float32), b)
    same(lambda a, b: np.linalg.solve(factor(a), b), a.astype(np.float32), b.astype(np.float32))


def test_masked_triangles() -> None:
    a, b = matrix(6), RNG.standard_normal((6, 2))
    for part in (np.tril, np.triu):
        same(lambda a, b, part=part: np.linalg.solve(part(a) + 0.0, b), a + 4 * np.eye(6), b)
        same(lambda a, b, part=part: np.linalg.solve(part(a), b), a + 4 * np.eye(6), b)


def likelihood(scale: Any, x: Any, y: Any) -> Any:
    d = (x[:, None] - x[None, :]) / scale
    c = np.linalg.cholesky(np.exp(-0.5 * d**2) + 0.1 * np.eye(len(x)))
    alpha = np.linalg.solve(c.T, np.linalg.solve(c, y))
    return 0.5 * y @ alpha + np.sum(np.log(np.diag(c)))


def filtered(a: Any, q: Any, ys: Any) -> Any:
    n = len(a)

    def step(state: Any, y: Any) -> Any:
        mean, cov = state
        mean, cov = a @ mean, a @ cov @ a.T + q
        s = cov + np.eye(n)
        gain = np.linalg.solve(s, cov).T
        r = y - mean
        loss = r @ np.linalg.solve(s, r) + np.linalg.slogdet(s)[1]
        return (mean + gain @ r, cov - gain @ cov), loss

    return np.sum(scan(step, (np.zeros(n), np.eye(n)), ys)[1])


@pytest.mark.parametrize("n", [5, 40])
def test_a_gaussian_process(n: int) -> None:
    x = np.linspace(0.0, 1.0, n)
    same(value_and_grad(likelihood, (0, 1, 2)), 0.3, x, np.sin(9 * x), ulps=1e5)


@pytest.mark.parametrize("n", [1, 4, 34])
def test_a_kalman_filter(n: int) -> None:
    a = 0.9 * np.eye(n) + 0.02 * RNG.standard_normal((n, n))
    same(
        value_and_grad(filtered, (0, 1)),
        a,
        0.1 * np.eye(n),
        RNG.standard_normal((7, n)),
        ulps=1e4,
    )


def test_derivatives() -> None:
    a, b = matrix(4), RNG.standard_normal((4, 2))

    def f(a: Any, b: Any) -> Any:
        x = np.linalg.solve(a, b)
        return np.sum(x * x) + np.linalg.slogdet(positive(a))[1] + np.linalg.det(a)

    same(value_and_grad(f, (0, 1)), a, b, ulps=1e4)
    same(lambda a, b: jvp(f, (a, b), (b @ b.T, b)), a, b, ulps=1e4)
    same(grad(lambda a: np.sum(grad(f)(a, b) ** 2)), a, ulps=1e5)
    same(vmap(grad(f, (0, 1))), matrix(4, (3,)), RNG.standard_normal((3, 4, 2)), ulps=1e4)
    same(vmap(lambda a: np.sum(factor(a))), matrix(4, (3,)))


def test_inside_of_loops_and_branches() -> None:
    a, bs = matrix(3), RNG.standard_normal((5, 3))
    same(
        grad(lambda a: np.sum(scan(lambda c, b: (np.linalg.solve(a, c + b), None), bs[0], bs)[0])),
        a,
    )
    c = factor(a)
    same(lambda c: scan(lambda s, b: (np.linalg.solve(np.linalg.inv(c), s + b), s), bs[0], bs), c)
    same(
        lambda a: while_loop(
            lambda x: np.sum(x * x) > 1e-3,
            lambda x: np.linalg.solve(a @ a + 2 * np.eye(3), x),
            bs[0],
        ),
        a,
    )
    same(lambda t, a: cond(t > 0, lambda a: np.linalg.inv(a), lambda a: a.T + 0.0, a), 1.0, a)


def test_factors_are_shared() -> None:
    def f(a: Any, b: Any) -> Any:
        return np.sum(np.linalg.solve(a, b) ** 2) + np.linalg.slogdet(a)[1]

    program, _ = trace_program(value_and_grad(f, (0, 1)), matrix(3), np.ones(3), abstract=True)
    formed = form_factors(program)
    names = [e.primitive.name for e in formed.equations]
    assert names.count("lu") == 1
    assert not {"solve", "inv", "log_abs_det"} & set(names)
    a, b = matrix(3), RNG.standard_normal(3)
    for x, y in zip(formed.evaluate(a, b), program.evaluate(a, b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)


def test_what_the_operations_mean() -> None:
    a, b = matrix(4, (2,)), RNG.standard_normal((2, 4, 3))
    factors = operations.LU(a, dtype=a.dtype)
    assert factors.shape == (2, 6, 4)
    np.testing.assert_allclose(np.prod(factors[..., -1, :], -1), np.linalg.det(a))
    np.testing.assert_allclose(
        operations.LU_SOLVE(factors, b, transposed=False), np.linalg.solve(a, b)
    )
    np.testing.assert_allclose(
        operations.LU_SOLVE(factors, b, transposed=True), np.linalg.solve(turned(a), b)
    )


def alike(f: Any, *args: Any) -> None:
    """Require the same results but for the signs of vectors, which nothing determines."""
    for a, b in zip(flatten(jit(f)(*args))[0], flatten(f(*args))[0], strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        tolerance = 2e3 * np.finfo(b.dtype).eps
        np.testing.assert_allclose(np.abs(a), np.abs(b), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1, 1), float),
        ((3, 5), float),
        ((4, 2, 2), float),
        ((2, 7, 3), np.float32),
        ((40, 40), float),
    ],
)
def test_decompositions(shape: tuple[int, ...], dtype: Any) -> None:
    a = RNG.standard_normal(shape).astype(dtype)

    def f(a: Any) -> Any:
        s = a @ turned(a) if shape[-2] <= shape[-1] else turned(a) @ a
        parts = [*np.linalg.eigh(s), np.linalg.eigvalsh(s * 2)]
        parts += [*np.linalg.svd(a, full_matrices=False), np.linalg.svdvals(a * 2)]
        return [*parts, *np.linalg.qr(a)] if shape[-2] >= shape[-1] else parts

    alike(f, a)
    alike(lambda a: np.linalg.qr(turned(a) @ a)[1], a)


def test_derivatives_of_decompositions() -> None:
    a = matrix(4)

    def f(a: Any) -> Any:
        values, vectors = np.linalg.eigh(a + a.T)
        q, r = np.linalg.qr(a)
        u, s, vh = np.linalg.svd(a)
        squares = vectors[0] ** 2 @ values, np.sum(q**2 @ r**2), u[0] ** 2 @ s + vh[0] ** 2 @ s
        return sum(squares) + np.linalg.norm(a, "nuc")

    same(value_and_grad(f), a, ulps=1e5)
    loop = lambda a: scan(lambda c, _: (c + np.linalg.svdvals(a) * c[::-1], None), a[0], None, 4)[0]
    same(grad(lambda a: np.sum(loop(a))), a, ulps=1e5)
    names = [e.primitive.name for e in jit(value_and_grad(f)).lower(a).native.program.equations]
    assert [names.count(n) for n in ("symmetric_eigen", "singular", "orthogonal")] == [1, 1, 1]


@pytest.mark.filterwarnings("default::chainrule.compile.JitWarning")
def test_without_lapack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lapack, "is_there", lambda: False)
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", "off")
    a = matrix(40)
    for f in (np.linalg.inv, lambda a: np.linalg.svdvals(a) + 1.0):
        with pytest.warns(JitWarning, match="LAPACK"):
            got = jit(f)(a)
        np.testing.assert_allclose(got, f(a))
    same(np.linalg.inv, matrix(8))


ZERO = np.zeros((3, 3))
SINGULAR = np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (np.linalg.inv, "Singular matrix"),
        (lambda a: np.linalg.solve(a, np.ones(3)), "Singular matrix"),
        (lambda a: np.linalg.solve(a.T, np.eye(3)), "Singular matrix"),
        (lambda a: np.linalg.solve(np.tril(a), np.ones(3)), "Singular matrix"),
        (lambda a: np.linalg.cholesky(a - np.eye(3)), "not positive definite"),
        (lambda a: scan(lambda c, x: (np.linalg.solve(a * x, c), None), a[0], a[0] + 1)[0], "Sing"),
        (lambda a: np.linalg.inv(a * np.ones((40, 1, 1))), "Singular matrix"),
        (lambda a: np.linalg.svdvals(a * np.nan), "SVD did not converge"),
        (lambda a: np.linalg.eigh(a * np.nan)[1], "Eigenvalues did not converge"),
    ],
)
def test_matrices_that_cannot_be_worked_with(f: Any, message: str) -> None:
    for a in (ZERO, np.diag([0.0, 1.0, 1.0])):
        with pytest.raises(np.linalg.LinAlgError, match=message):
            f(a)
        with pytest.raises(np.linalg.LinAlgError, match=f"(?s){message}.*test_linalg"):
            jit(f)(a)
    np.linalg.inv(jit(lambda a: a + np.eye(3))(ZERO))  # and the next call is none the worse


def test_large_matrices_that_cannot_be_worked_with() -> None:
    a = np.eye(50)
    a[20, 20] = 0.0
    for f in (np.linalg.inv, lambda a: np.linalg.cholesky(a)):
        with pytest.raises(np.linalg.LinAlgError):
            jit(f)(a)


def test_determinants_of_singular_matrices() -> None:
    for a in (ZERO, SINGULAR):
        assert jit(np.linalg.det)(a) == 0.0
        sign, logarithm = jit(lambda a: tuple(np.linalg.slogdet(a)))(a)
        assert (sign, logarithm) == (0.0, -np.inf)


def test_a_loop_ends_with_an_error() -> None:
    def f(a: Any) -> Any:
        return while_loop(
            lambda x: ~(np.sum(x) > 1e3), lambda x: np.linalg.solve(a, x) + 1.0, np.ones(3)
        )

    with pytest.raises(np.linalg.LinAlgError):
        jit(f)(SINGULAR)
