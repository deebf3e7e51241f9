"""Random programs: all modes agree with each other and with derivatives found without rules."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import check_gradients, grad, hessian, hvp, jacobian, jvp, vjp

# Smooth everywhere, tame, and analytic in the complex plane near the real line, so that the
# complex step  f(x + ih).imag / h  is exact to rounding.
UNARY = {
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "exp(-x²)": lambda a: np.exp(-a * a),
    "1/(2 + x²)": lambda a: 1.0 / (2.0 + a * a),
    "log(2 + x²)": lambda a: np.log(2.0 + a * a),
    "sqrt(1 + x²)": lambda a: np.sqrt(1.0 + a * a),
    "arctan": np.arctan,
    "cumsum": lambda a: np.cumsum(a, axis=0),
    "cumprod": lambda a: np.cumprod(a, axis=-1),
    "flip": lambda a: np.flip(a, 0),
    "roll": lambda a: np.roll(a, 1, axis=1),
    "gather": lambda a: a[np.array([1, 0, 1])][:2],
    "assign": lambda a: assigned(a),
    "transpose": lambda a: np.reshape(a.T, a.shape),
    "softmax": lambda a: np.exp(a) / np.sum(np.exp(a), axis=-1, keepdims=True),
    "centre": lambda a: a - np.mean(a, axis=0),
    "pad": lambda a: np.pad(a, ((0, 0), (1, 0)))[:, :-1],
}
BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / (2.0 + b * b),
    "matmul": lambda a, b: a @ b.T @ b / 4.0,
    "einsum": lambda a, b: np.einsum("ij,kj,kl->il", a, b, a) / 4.0,
    "row": lambda a, b: a * b[0],
    "column": lambda a, b: a + b[:, :1],
    "concatenate": lambda a, b: np.concatenate([a[:1], b[1:]]),
    "sum": lambda a, b: a * np.sum(b),
    "where": lambda a, b: np.where(np.array([[True, False, True]]), a, b),
}


def assigned(a):
    out = np.zeros((2, 3), a.dtype)
    out[0] = a[1]
    out[1:, ::2] += 2.0 * a[:1, ::2]
    return out


@st.composite
def programs(draw, max_size=6, unary=UNARY, binary=BINARY):
    """A program is a list of steps; each takes results of earlier ones."""
    steps = []
    for number in range(2, 2 + draw(st.integers(1, max_size))):
        operand = st.integers(0, number - 1)
        names, operands = draw(st.sampled_from([(unary, 1), (binary, 2)]))
        name = draw(st.sampled_from(sorted(names)))
        steps.append((name, tuple(draw(operand) for _ in range(operands))))
    return steps


def results(steps, x, y, unary=UNARY, binary=BINARY):
    """The operands, and what each step gives."""
    values = [x, y]
    for name, operands in steps:
        f = unary[name] if len(operands) == 1 else binary[name]
        values.append(f(*(values[i] for i in operands)))
    return values


def run(steps, x, y, unary=UNARY, binary=BINARY):
    return results(steps, x, y, unary, binary)[-1]


points = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).uniform(-1, 1, (2, 2, 3))
)
quick = settings(max_examples=60)


@given(programs(), points)
@quick
def test_both_modes_agree_with_the_complex_step(steps, point):
    x, y = point
    rng = np.random.default_rng(0)
    v, w = rng.standard_normal((2, 2, 2, 3))
    f = lambda x, y: run(steps, x, y)
    moved = jvp(f, (x, y), (v[0], v[1]))[1]
    step = 1e-30
    expected = np.imag(f(x + 1j * step * v[0], y + 1j * step * v[1])) / step
    scale = 1e-12 * (1 + np.max(abs(expected)))
    np.testing.assert_allclose(moved, expected, atol=scale)
    pulled = vjp(f, x, y)[1](w[0])
    left, right = np.sum(moved * w[0]), np.sum(v[0] * pulled[0]) + np.sum(v[1] * pulled[1])
    assert abs(left - right) <= 1e-11 * (1 + abs(v).sum() * max(abs(p).max() for p in pulled))


@given(programs(max_size=5), points)
@quick
def test_hessians(steps, point):
    x, y = point
    v = np.cos(np.arange(6.0)).reshape(2, 3)
    f = lambda x: np.sum(np.sin(run(steps, x, y)))
    H = hessian(f)(x)
    scale = 1e-11 * (1 + np.max(abs(H)))
    np.testing.assert_allclose(H, H.transpose(2, 3, 0, 1), atol=scale)
    along = np.tensordot(H, v)
    for product in (
        hvp(f, (x,), (v,)),
        grad(lambda x: jvp(f, (x,), (v,))[1])(x),
        grad(lambda x: np.sum(grad(f)(x) * v))(x),
        vjp(grad(f), x)[1](v)[0],
        np.tensordot(jacobian(grad(f), mode="reverse")(x), v),
    ):
        np.testing.assert_allclose(product, along, atol=10 * scale)
    step = 1e-30
    expected = np.imag(complex_gradient(f, x + 1j * step * v)) / step
    np.testing.assert_allclose(along, expected, atol=10 * scale)


def complex_gradient(f, z):
    """The gradient at a complex point of a function that is real on the real line.

    Cotangents are conjugated on their way back, so it is that of the real part, conjugated.
    """
    return np.conj(grad(lambda z: np.real(f(z)))(z))


@given(programs(max_size=3), points)
@settings(max_examples=15)
def test_finite_differences(steps, point):
    x, y = point
    check_gradients(lambda x, y: run(steps, x, y), x, y, order=2, max_elements=3)


@given(programs(max_size=4), points)
@settings(max_examples=20)
def test_third_order(steps, point):
    x, y = point
    f = lambda s: np.sum(np.tanh(run(steps, s * x, y)))
    slope = lambda g: lambda s: jvp(g, (s,), (1.0,))[1]
    ways = [
        grad(grad(grad(f)))(0.5),
        slope(grad(grad(f)))(0.5),
        grad(slope(grad(f)))(0.5),
        slope(slope(slope(f)))(0.5),
        grad(hessian(f))(0.5),
        jacobian(jacobian(jacobian(f, mode="reverse"), mode="forward"), mode="reverse")(0.5),
    ]
    np.testing.assert_allclose(ways, ways[0], rtol=1e-9, atol=1e-9 * (1 + abs(ways[0])))
