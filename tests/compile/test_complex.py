"""Complex numbers in compiled programs, beside the interpreter."""

import itertools
import warnings

import numpy as np
import pytest

from chainrule import (
    checkpoint,
    cond,
    fori_loop,
    grad,
    hessian,
    jit,
    jvp,
    scan,
    value_and_grad,
    vjp,
    vmap,
    while_loop,
)
from chainrule.compile import explain_compile

DTYPES = [np.complex128, np.complex64]
SIZES = [0, 1, 37]


def numbers(size, dtype=np.complex128, seed=0, stride=1):
    rng = np.random.default_rng(seed)
    shape = (size, stride) if isinstance(size, int) else (*size, stride)
    z = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    return z.astype(dtype)[..., 0]


def same(got, wanted, dtype=np.complex128, factor=64):
    """Equal but for last places of the number, or of its part if the other one is not finite."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.dtype == wanted.dtype
    assert got.shape == wanted.shape
    tolerance = factor * np.finfo(dtype).eps
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def compiled(f, *args):
    """The compiled function, after a look that nothing is left to NumPy."""
    function = jit(f)
    assert not explain_compile(function, *args).left
    return function


ELEMENTWISE = {
    "add": lambda z, w: z + w,
    "sub": lambda z, w: 2.0 - z - w * 1j,
    "mul": lambda z, w: z * w,
    "div": lambda z, w: z / w,
    "real over complex": lambda z, w: 2.0 / z + w.real / z,
    "complex over real": lambda z, w: z / w.real / 3.0,
    "neg": lambda z, w: -z,
    "conj": lambda z, w: np.conj(z) + w.conj(),
    "square": lambda z, w: np.square(z),
    "reciprocal": lambda z, w: np.reciprocal(z),
    "parts": lambda z, w: z.real * w.imag,
    "abs": lambda z, w: np.abs(z),
    "angle": lambda z, w: np.angle(z),
    "exp": lambda z, w: np.exp(z),
    "exp2": lambda z, w: np.exp2(z),
    "expm1": lambda z, w: np.expm1(z),
    "log": lambda z, w: np.log(z),
    "log2": lambda z, w: np.log2(z),
    "log10": lambda z, w: np.log10(z),
    "log1p": lambda z, w: np.log1p(z),
    "sqrt": lambda z, w: np.sqrt(z),
    "whole power": lambda z, w: z**3 + z**-2 + z**0 + z**7,
    "broken power": lambda z, w: z**2.5,
    "power": lambda z, w: z**w,
    "power of complex": lambda z, w: z ** (0.5 - 1.2j),
    "sin": lambda z, w: np.sin(z),
    "cos": lambda z, w: np.cos(z),
    "tan": lambda z, w: np.tan(z),
    "sinh": lambda z, w: np.sinh(z),
    "cosh": lambda z, w: np.cosh(z),
    "tanh": lambda z, w: np.tanh(z),
    "where": lambda z, w: np.where(z.real > 0, z, 0.0) + np.where(z.imag > 0, 1j, w),
    "where of reals": lambda z, w: z * np.where(z.real > 0, 1.0, 2.0),
    "equal": lambda z, w: (z == w) | (z == z) & (z != w),
    "finite": lambda z, w: np.isfinite(z) & ~np.isnan(z / w) | np.isinf(w),
    "of real": lambda z, w: z.real * 1j + w.imag,
    "order": lambda z, w: (z < w) ^ (z >= z.real) | (z > np.conj(z)) & (w.real + 1j * w.imag <= w),
    "rounded": lambda z, w: np.rint(z) + np.sign(w),
    "truth": lambda z, w: np.logical_and(z, w) ^ np.logical_not(z - z) | np.logical_or(w, 0),
    "precision": lambda z, w: z.astype(np.complex64) * w.astype(np.complex128),
    "integers": lambda z, w: z * np.arange(z.size) + 3,
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name, dtype):
    f = ELEMENTWISE[name]
    cases = ((0, 1), (1, 1), (37, 1)) if dtype == np.complex128 else ((7, 3),)
    for size, stride in cases:
        z, w = numbers(size, dtype, 1, stride), numbers(size, dtype, 2, stride)
        same(compiled(f, z, w)(z, w), f(z, w), dtype)


# with a derivative in both arguments
PIECEWISE = ("equal", "finite", "order", "truth", "rounded")
SMOOTH = [name for name in ELEMENTWISE if name not in PIECEWISE]


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_of_elementwise(name):
    def loss(z, w):
        y = ELEMENTWISE[name](z, w)
        return np.sum(np.abs(y) ** 2 + np.real(y))

    z, w = numbers(5, seed=1), numbers(5, seed=2)
    both = value_and_grad(loss, argnums=(0, 1))
    value, gradients = compiled(both, z, w)(z, w)
    expected, exact = both(z, w)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for got, wanted in zip(gradients, exact, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-10)


ARRAYS = {
    "sum": lambda z: np.sum(z) + np.sum(z, axis=0, keepdims=True),
    "mean": lambda z: np.mean(z, axis=1),
    "prod": lambda z: np.prod(z, axis=1) + np.prod(z),
    "prod of the first": lambda z: np.prod(z, axis=0, keepdims=True),
    "cumsum": lambda z: np.cumsum(z, axis=0),
    "cumprod": lambda z: np.cumprod(z, axis=1),
    "norm": lambda z: np.linalg.norm(z, axis=0),
    "var": lambda z: np.var(z) + np.std(z, axis=0),
    "transpose": lambda z: z.T,
    "adjoint": lambda z: np.conj(z.T) * 2j,
    "reshape": lambda z: z.reshape(-1)[::-1],
    "slice": lambda z: z[1:, ::2] - z[:-1, ::2],
    "take": lambda z: z[np.array([2, 0, 0])],
    "flip": lambda z: np.flip(z, 0) + np.roll(z, 1, axis=1),
    "join": lambda z: np.concatenate([z, z.real, np.ones((1, z.shape[1]))]),
    "stack": lambda z: np.stack([z, z.imag + 0j]),
    "broadcast": lambda z: np.broadcast_to(z[0], (3, *z[0].shape)) * z[0],
    "pad": lambda z: np.pad(z, 1),
    "outer": lambda z: np.outer(z[0], z[1]),
    "dot": lambda z: np.dot(z[0], z[1]) + np.vdot(z[0], z[1]) + z[0] @ z[1],
    "matmul": lambda z: z @ z.T + z.real @ z.conj().T,
    "einsum": lambda z: np.einsum("ij,kj,ik->j", z, z.conj(), (z @ z.T).real),
    "trace": lambda z: np.trace(z) + np.diagonal(z),
    "tensordot": lambda z: np.tensordot(z, np.conj(z), ([1], [1])),
    "kron": lambda z: np.kron(z[:2, :2], z[:2, :2]),
    "identity": lambda z: z,
    "counts": lambda z: (np.any(z), np.all(z, axis=0), np.count_nonzero(z - z[0])),
    "constant": lambda z: (z * 0 + np.array([[1j]]), np.full(2, 3j)),
    "assign": lambda z: _assigned(z),
}


def _assigned(z):
    out = np.zeros(z.shape, complex)
    out[1:] = z[:-1] * 1j
    out[0, 0] = 4.0
    out[:, 1] += z[:, 0]
    return out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name, dtype):
    f = ARRAYS[name]
    for shape in ((3, 5), (4, 4)) if dtype == np.complex128 else ((7, 3),):
        z = numbers(shape, dtype, stride=2)
        got, wanted = compiled(f, z)(z), f(z)
        if type(wanted) is not tuple:
            got, wanted = (got,), (wanted,)
        for a, b in zip(got, wanted, strict=True):
            same(a, b, dtype, 256)


@pytest.mark.parametrize("name", [name for name in ARRAYS if name not in ("constant", "counts")])
def test_derivatives_of_arrays(name):
    def loss(z):
        y = ARRAYS[name](z)
        return np.sum(np.abs(y) ** 2) + np.sum(np.real(y))

    z = numbers((4, 5))
    np.testing.assert_allclose(compiled(grad(loss), z)(z), grad(loss)(z), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_nothing(shape):
    f = lambda z: (np.sum(z, 0), np.prod(z, 0), z * 2j, z @ z.T)
    z = np.zeros(shape, complex)
    for got, wanted in zip(compiled(f, z)(z), f(z), strict=True):
        same(got, wanted)


def test_forward_and_backward_of_a_complex_result():
    f = lambda z: np.exp(z) * np.conj(z) / (z + 2.0)
    z, v = numbers(9, seed=1), numbers(9, seed=2)
    push = lambda z, v: jvp(f, (z,), (v,))
    pull = lambda z, v: vjp(f, z)[1](v)
    for transformed in (push, pull):
        got, wanted = compiled(transformed, z, v)(z, v), transformed(z, v)
        for a, b in zip(got, wanted, strict=True):
            same(a, b)


def test_gradients_of_real_functions_with_complex_numbers_inside():
    def fidelity(angles):
        state = np.array([1.0 + 0j, 0.0])
        for a in angles:
            turn = np.stack([np.cos(a), -1j * np.sin(a), -1j * np.sin(a), np.cos(a)])
            state = turn.reshape(2, 2) @ (state * np.exp(1j * a * np.array([1.0, -1.0])))
        return np.abs(state[1]) ** 2

    angles = np.linspace(0.1, 1.0, 6)
    both = value_and_grad(fidelity)
    value, gradient = compiled(both, angles)(angles)
    expected, exact = both(angles)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(gradient, exact, rtol=1e-12, atol=1e-14)


def test_the_conjugate_of_a_real_array_is_itself():
    f = lambda x: np.sum(np.conj(np.abs(np.exp(1j * x) + x)) ** 2)
    x = np.linspace(-1.0, 1.0, 3)
    np.testing.assert_allclose(compiled(hessian(f), x)(x), hessian(f)(x), rtol=1e-12, atol=1e-12)


def test_second_derivatives():
    f = lambda x: np.sum(np.abs(np.exp(1j * x) + x**2) ** 2)
    slope = grad(lambda x: np.sum(np.sin(grad(f)(x))))
    x = np.linspace(-1.0, 1.0, 7)
    np.testing.assert_allclose(compiled(slope, x)(x), slope(x), rtol=1e-12)


# -- special values --------------------------------------------------------------------------------

PARTS = [0.0, -0.0, 1.0, -2.5, 1e300, 1e-300, np.inf, -np.inf, np.nan]
PLAIN = {
    "mul": lambda z, w: z * w,
    "div": lambda z, w: z / w,
    "add": lambda z, w: z + w,
    "abs": lambda z, w: np.abs(z) + 0 * w.real,
    "conj": lambda z, w: np.conj(z),
    "square": lambda z, w: np.square(z),
    "equal": lambda z, w: z == w,
    "less": lambda z, w: z < w,
    "greater or equal": lambda z, w: z >= w,
}


@pytest.mark.parametrize("name", PLAIN)
def test_infinities_and_nan_are_those_of_numpy(name):
    f = PLAIN[name]
    with np.errstate(all="ignore"):
        parts = [x for x in PARTS if name not in ("mul", "square") or x != 1e300]
        values = np.array([complex(a, b) for a, b in itertools.product(parts, parts)])
        z, w = (np.ascontiguousarray(x.ravel()) for x in np.meshgrid(values, values))
        got, wanted = jit(f)(z, w), f(z, w)
    for side in ("real", "imag"):
        a, b = (np.asarray(getattr(x, side), float) for x in (got, wanted))
        with np.errstate(all="ignore"):
            # NumPy rounds only once per part of a product
            unit = np.abs(z) * np.abs(w) if name in ("mul", "square") else np.abs(b)
            close = np.abs(a - b) <= 8 * np.spacing(unit) + 5e-324
        right = (a == b) | close | (np.isnan(a) & np.isnan(b))
        assert right.all(), list(zip(z[~right], w[~right], a[~right], b[~right], strict=True))[:5]


@pytest.mark.parametrize("f", [np.sqrt, np.log, np.exp])
def test_branch_cuts_and_signed_zeros(f):
    sides = [0.0, -0.0, 1.0, -1.0, 3.0, -3.0]
    z = np.array([complex(a, b) for a, b in itertools.product(sides, sides)])
    with np.errstate(all="ignore"):
        got, wanted = jit(lambda z: f(z))(z), f(z)
    for side in ("real", "imag"):
        a, b = getattr(got, side), getattr(wanted, side)
        np.testing.assert_allclose(a, b, rtol=1e-15, atol=1e-16)
        np.testing.assert_array_equal(np.signbit(a), np.signbit(b))


def test_sizes_at_which_squares_overflow():
    z = np.array([3e200 + 4e200j, 3e-200 + 4e-200j, 5e307 + 5e307j, -1e308 + 1j])
    f = lambda z: (np.abs(z), z / z, 1.0 / z, np.sqrt(z), np.log(z), np.tanh(z), np.exp(z * 0))
    for got, wanted in zip(compiled(f, z)(z), f(z), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-14)
    great = np.array([709.9 + 0.8j, -709.9 + 0.8j])
    np.testing.assert_allclose(jit(np.exp)(great), np.exp(great), rtol=1e-13)


def test_errors_follow_errstate():
    f = jit(lambda z: 1.0 / z)
    with np.errstate(divide="raise", invalid="ignore"):
        same(f(np.array([1.0 + 1j])), 1.0 / np.array([1.0 + 1j]))
        with pytest.raises(FloatingPointError, match="divide"):
            f(np.zeros(3, complex))


# -- what goes in and out --------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1 + 2j, np.complex128(1 + 2j), np.complex64(1 + 2j)])
def test_single_numbers(value):
    f = lambda z: (z * 2j + 1.0, abs(z), z.real)
    for got, wanted in zip(compiled(f, value)(value), f(value), strict=True):
        assert type(got) is type(wanted) or np.ndim(got) == 0
        assert got == wanted


def test_numbers_beside_arrays_of_single_precision():
    f = lambda c, z: c * z
    z = numbers(5, np.complex64)
    same(compiled(f, 1 - 2j, z)(1 - 2j, z), f(1 - 2j, z), np.complex64)


def test_the_same_array_twice_and_results_that_are_arguments():
    f = lambda z, w: (z, z * w, w)
    z = numbers(6)
    got = jit(f)(z, z)
    for a, b in zip(got, f(z, z), strict=True):
        same(a, b)
    assert not np.shares_memory(got[0], z)
    assert got[1].flags.owndata


def test_given_away_arrays():
    z, w = numbers(40), numbers(40, seed=3)
    expected = z * w + 1j
    same(jit(lambda z, w: z * w + 1j, donate=(0,))(z, w), expected)


def test_other_layouts():
    f = lambda z: z * 2j + np.sum(z)
    z = numbers((6, 5))
    for x in (z.T, z[::-1], z[:, ::2], np.asfortranarray(z)):
        np.testing.assert_allclose(jit(f)(x), f(x), rtol=1e-13, atol=1e-13)


def test_any_number_of_rows():
    f = jit(lambda z: np.sum(np.abs(z) ** 2, axis=1) + np.prod(z[:, :2], axis=1).real)
    for n in (4, 9, 30, 1):
        z = numbers((n, 5), seed=n)
        np.testing.assert_allclose(f(z), f.f(z), rtol=1e-13)


def test_long_arrays_are_shared_among_threads():
    z = numbers(300_001)
    f = lambda z: (np.exp(z * 0.1j) * z, np.sum(z * np.conj(z)))
    for got, wanted in zip(compiled(f, z)(z), f(z), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_what_is_left_to_numpy_is_named():
    f = lambda z: np.abs(np.fft.fft(z * 2j)) * np.real(np.linalg.solve(np.eye(4) * 1j, z))
    z = numbers(4)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        got = jit(f)(z)
    same(got, f(z))
    assert "`fourier` of complex128" in str(caught[0].message)
    assert "`solve` of complex128" in str(caught[0].message)
    assert "`mul`" not in str(caught[0].message)


# -- loops and branches ----------------------------------------------------------------------------


def test_scans():
    def run(c, zs):
        def step(state, z):
            h, count = state
            h = h * h * 0.1 + c * z
            return (h, count + 1.0), (np.conj(h), h.real)

        return scan(step, (c * 0.0, 0.0), zs)

    c, zs = numbers(3), numbers((6, 3), seed=4)
    loss = lambda c, zs: np.sum(np.abs(run(c, zs)[1][0])) + run(c, zs)[0][0].real[0]
    got, wanted = compiled(run, c, zs)(c, zs), run(c, zs)
    same(got[0][0], wanted[0][0])
    for a, b in zip(got[1], wanted[1], strict=True):
        same(a, b)
    slopes = grad(loss, (0, 1))
    for a, b in zip(compiled(slopes, c, zs)(c, zs), slopes(c, zs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def test_other_loops_and_branches():
    def f(z, w):
        a = fori_loop(0, 5, lambda i, h: h * w + 1j, z)
        b = while_loop(lambda h: np.sum(np.abs(h)) < 50.0, lambda h: h * (1 + 1j) + w, z)
        c = cond(np.sum(z.real) > 0, lambda x: x * 1j, lambda x: x.conj() - w, z)
        return a, b, c, checkpoint(lambda x: np.exp(x * w))(z)

    z, w = numbers(4), numbers(4, seed=5)
    for got, wanted in zip(compiled(f, z, w)(z, w), f(z, w), strict=True):
        same(got, wanted, factor=1e3)
    loss = lambda z, w: sum(np.sum(np.abs(part)) for part in f(z, w))
    slopes = grad(loss, (0, 1))
    for a, b in zip(compiled(slopes, z, w)(z, w), slopes(z, w), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_long_loops_in_python():
    def last(c, n):
        z = c * 0
        for _ in range(n):
            z = z * z * 0.3 + c
        return np.sum(np.abs(z))

    c = numbers(5) * 0.3
    step = jit(grad(last), static=(1,))
    sizes = [len(step.lower(c, n).native.program) for n in (50, 100)]
    assert sizes[0] == sizes[1]
    np.testing.assert_allclose(step(c, 50), grad(last)(c, 50), rtol=1e-11)


def test_batches():
    f = vmap(lambda z, w: np.sum(z * w) * np.exp(z))
    z, w = numbers((4, 3)), numbers((4, 3), seed=6)
    same(compiled(f, z, w)(z, w), f(z, w))
