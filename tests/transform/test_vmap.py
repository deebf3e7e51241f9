"""vmap equals the stacked loop, for every primitive's rule and around every transformation."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import grad, hessian, jacobian, jvp, linearize, value_and_grad, vjp, vmap
from chainrule.program.errors import ShapeError, TraceError

RNG = np.random.default_rng(0)
B = 4


def arrays(*shapes):
    return tuple(RNG.standard_normal(s) for s in shapes)


def spd(*shape):
    a = RNG.standard_normal(shape)
    return a @ np.swapaxes(a, -1, -2) + 3 * np.eye(shape[-1])


# (name, function of one example, shapes of the examples)
PROGRAMS = [
    ("arithmetic", lambda a, b: (a + b) * a / (2 + b**2), [(3,), ()]),
    ("broadcast ranks", lambda a, b: a * b, [(2, 3), (3,)]),
    ("where", lambda a, b: np.where(a > 0, a * b, b), [(3,), (3,)]),
    ("maximum, clip", lambda a, b: np.clip(np.maximum(a, b), -1, 1), [(3,), (3,)]),
    ("sum axis", lambda a: np.sum(a, axis=1, keepdims=True), [(2, 3)]),
    ("mean", lambda a: np.mean(a), [(2, 3)]),
    ("var, std", lambda a: np.var(a, 0) + np.std(a, 0), [(4, 3)]),
    ("max, min", lambda a: np.max(a, 0) - np.min(a), [(4, 3)]),
    ("prod", lambda a: np.prod(a, 1), [(2, 3)]),
    ("norm", lambda a: np.linalg.norm(a, axis=0), [(2, 3)]),
    ("cumsum, cumprod", lambda a: np.cumsum(a, 1) + np.cumprod(a, 0), [(2, 3)]),
    ("reshape", lambda a: np.reshape(a, (3, 2)), [(2, 3)]),
    ("transpose", lambda a: np.transpose(a, (2, 0, 1)), [(2, 3, 4)]),
    ("broadcast_to", lambda a: np.broadcast_to(a, (2, 3)), [(3,)]),
    ("concatenate", lambda a, b: np.concatenate([a, b], 1), [(2, 3), (2, 1)]),
    ("stack", lambda a, b: np.stack([a, b], 1), [(3,), (3,)]),
    ("index", lambda a: a[1, ::2], [(2, 3)]),
    ("index array", lambda a: a[np.array([0, 1, 0]), :, np.array([1, 0, 2])], [(2, 3, 4)]),
    ("index apart", lambda a: a[0, :, np.array([1, 0, 2])], [(2, 3, 4)]),
    ("mask", lambda a: a[np.array([True, False])], [(2, 3)]),
    ("assign", lambda a, b: _assigned(a, b), [(4,), (2,)]),
    ("assign scalar", lambda a, b: _assigned(a, b), [(4,), ()]),
    ("flip, roll", lambda a: np.roll(np.flip(a, 0), 1, 1), [(2, 3)]),
    ("pad, tile, repeat", lambda a: np.tile(np.repeat(np.pad(a, 1), 2), 2), [(3,)]),
    ("sort", lambda a: np.sort(a, axis=0), [(4, 2)]),
    ("matmul mm", lambda a, b: a @ b, [(2, 3), (3, 4)]),
    ("matmul mv", lambda a, b: a @ b, [(2, 3), (3,)]),
    ("matmul vm", lambda a, b: a @ b, [(3,), (3, 4)]),
    ("matmul vv", lambda a, b: a @ b, [(3,), (3,)]),
    ("matmul stack", lambda a, b: a @ b, [(5, 2, 3), (3, 4)]),
    ("matmul stacks", lambda a, b: a @ b, [(5, 2, 3), (5, 3, 4)]),
    ("matmul m stack", lambda a, b: a @ b, [(2, 3), (5, 3, 4)]),
    ("matmul stack v", lambda a, b: a @ b, [(5, 2, 3), (3,)]),
    ("matmul v stack", lambda a, b: a @ b, [(3,), (5, 3, 4)]),
    ("einsum", lambda a, b: np.einsum("ij,jk,k->i", a, b, b[0]), [(2, 3), (3, 3)]),
    ("einsum diagonal", lambda a: np.einsum("ii->i", a), [(3, 3)]),
    ("tensordot, outer", lambda a, b: np.tensordot(a, np.outer(b, b), 1), [(2, 3), (3,)]),
    ("solve v", lambda a, b: np.linalg.solve(a @ a.T + np.eye(3), b), [(3, 3), (3,)]),
    ("solve m", lambda a, b: np.linalg.solve(a @ a.T + np.eye(3), b), [(3, 3), (3, 2)]),
    ("inv, det", lambda a: np.linalg.inv(a) * np.linalg.det(a), [(3, 3)]),
    ("slogdet", lambda a: np.linalg.slogdet(a)[1], [(3, 3)]),
    ("cholesky", lambda a: np.linalg.cholesky(a @ a.T + np.eye(3)), [(3, 3)]),
    ("eigh", lambda a: np.linalg.eigvalsh(a @ a.T), [(3, 3)]),
    ("svd", lambda a: np.linalg.svd(a, compute_uv=False), [(2, 3)]),
    (
        "windows",
        lambda a: np.lib.stride_tricks.sliding_window_view(a, (2, 2)) * 2.0,
        [(3, 4)],
    ),
    ("argmax gather", lambda a, b: a[np.argmax(b)], [(3,), (3,)]),
    ("take_along_axis", lambda a: np.take_along_axis(a, np.argsort(a, 0), 0), [(3, 2)]),
    ("fft", lambda a: np.abs(np.fft.fft(a)), [(4,)]),
    ("diag, trace, tril", lambda a: np.diag(a) + np.trace(a) + np.tril(a)[2], [(3, 3)]),
    ("cross", lambda a, b: np.cross(a, b), [(3,), (3,)]),
    ("interp", lambda a: np.interp(a, [-1.0, 0.0, 1.0], [3.0, 1.0, 2.0]), [(5,)]),
]


def _assigned(a, b):
    r = np.zeros(4)
    r[1:3] = b
    r[np.array([0, 3])] = a[np.array([0, 3])] * np.sum(b)
    return r + a


def loop(f, mapped, args):
    rows = [f(*(a[i] if m else a for a, m in zip(args, mapped, strict=True))) for i in range(B)]
    return np.stack(rows)


@pytest.mark.parametrize(("name", "f", "shapes"), PROGRAMS, ids=[p[0] for p in PROGRAMS])
def test_vmap_equals_the_stacked_loop(name, f, shapes):
    patterns = [(True,) * len(shapes)]
    if len(shapes) == 2:
        patterns += [(True, False), (False, True)]
    for mapped in patterns:
        args = tuple(
            RNG.standard_normal((B, *s) if m else s) for s, m in zip(shapes, mapped, strict=True)
        )
        axes = tuple(0 if m else None for m in mapped)
        np.testing.assert_allclose(
            vmap(f, axes)(*args), loop(f, mapped, args), rtol=1e-10, atol=1e-12
        )

        def total(*xs, g=f):
            return np.sum(np.sin(g(*xs)))

        g = grad(total, tuple(range(len(shapes))))
        for k in range(len(shapes)):
            np.testing.assert_allclose(
                vmap(lambda *xs, k=k, g=g: g(*xs)[k], axes)(*args),
                loop(lambda *xs, k=k, g=g: g(*xs)[k], mapped, args),
                rtol=1e-8,
                atol=1e-10,
            )
        # around vmap: the gradient by everything of the sum over the batch
        outer = grad(
            lambda *xs, axes=axes: np.sum(np.sin(vmap(f, axes)(*xs))), tuple(range(len(shapes)))
        )(*args)
        by_loop = grad(
            lambda *xs, mapped=mapped: np.sum(np.sin(loop(f, mapped, xs))),
            tuple(range(len(shapes))),
        )(*args)
        for mine, theirs in zip(outer, by_loop, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-10)


def test_nested_vmap_is_an_outer_product():
    a, b = arrays((3,), (5,))
    table = vmap(vmap(lambda x, y: x * np.sin(y), (None, 0)), (0, None))(a, b)
    np.testing.assert_allclose(table, np.outer(a, np.sin(b)))


def test_vmap_of_every_transformation():
    W, X = arrays((3, 3), (B, 3))

    def f(x):
        return np.sum(np.tanh(W @ x) ** 2)

    for transformed in (
        grad(f),
        hessian(f),
        jacobian(lambda x: np.tanh(W @ x)),
        lambda x: value_and_grad(f)(x)[0],
        lambda x: jvp(f, (x,), (np.ones(3),))[1],
        lambda x: vjp(lambda x: np.tanh(W @ x), x)[1](np.ones(3))[0],
        lambda x: linearize(f, x)[1](np.ones(3)),
    ):
        np.testing.assert_allclose(
            vmap(transformed)(X), np.stack([transformed(x) for x in X]), rtol=1e-10, atol=1e-12
        )


def test_every_transformation_of_vmap():
    W, X = arrays((3, 3), (B, 3))

    def batch(W):
        return np.sum(vmap(lambda x: np.sum(np.tanh(W @ x)))(X) ** 2)

    def by_loop(W):
        return sum(np.sum(np.tanh(W @ x)) ** 2 for x in X)

    for transform in (grad, hessian, jacobian):
        np.testing.assert_allclose(transform(batch)(W), transform(by_loop)(W), rtol=1e-9)
    T = RNG.standard_normal((3, 3))
    np.testing.assert_allclose(jvp(batch, (W,), (T,)), jvp(by_loop, (W,), (T,)))


def test_axes_pytrees_and_keywords():
    X, b = arrays((3, B), (2,))

    def f(params, *, scale):
        return {"y": params["x"] * scale, "b": params["b"]}

    out = vmap(f, in_axes=({"x": 1, "b": None},), out_axes={"y": -1, "b": None})(
        {"x": X, "b": b}, scale=np.arange(float(B))
    )
    np.testing.assert_allclose(out["y"], X * np.arange(B))
    np.testing.assert_allclose(out["b"], b)
    assert vmap(lambda: 1.0, axis_size=3)().shape == (3,)


def test_empty_batch_and_single_example():
    assert vmap(lambda x: x @ x)(np.zeros((0, 3))).shape == (0,)
    np.testing.assert_allclose(vmap(lambda x: x @ x)(np.ones((1, 3))), [3.0])


def test_results_are_arrays_of_their_own():
    X = np.ones((3, 2))
    out = vmap(lambda x: x)(X)
    out[0] = 5.0
    assert X[0, 0] == 1.0
    same = vmap(lambda x: 2.0)(X)
    same[0] = 1.0


def test_bad_use_is_explained():
    with pytest.raises(ShapeError, match="different lengths"):
        vmap(np.add)(np.ones(3), np.ones(4))
    with pytest.raises(ShapeError, match="axis 0"):
        vmap(np.sin)(1.0)
    with pytest.raises(ShapeError, match="no argument"):
        vmap(np.sin, None)(1.0)
    with pytest.raises(TraceError, match=r"np\.where"):
        vmap(lambda x: x if x > 0 else -x)(np.ones(3))
    with pytest.raises(ValueError, match="in_axes"):
        vmap(np.add, (0,))(np.ones(3), np.ones(3))


def test_float32_stays():
    out = vmap(grad(lambda x: np.sum(x**2)))(np.ones((3, 2), np.float32))
    assert out.dtype == np.float32


def test_a_refusal_of_an_unknown_value_does_not_speak_of_derivatives():
    table = np.arange(6.0).reshape(2, 3)
    with pytest.raises(TraceError, match=r"float\(\) needs the value of `x`, but only its shape"):
        vmap(lambda x: float(x))(np.ones(2))
    with pytest.raises(TraceError, match=r"(?s)plain array `table`.*np.array\(table\)\[...\]"):
        vmap(lambda i: table[:, i])(np.array([0, 2]))
    with pytest.raises(TraceError, match="how many elements this mask selects"):
        vmap(lambda x: x[x > 0])(table)
    remedy = vmap(lambda i: np.array(table)[:, i])(np.array([0, 2]))
    np.testing.assert_array_equal(remedy, table[:, [0, 2]].T)


def test_axes_of_different_lengths_are_told_by_the_names_of_the_arguments():
    def f(p, *rest, z):
        return p["W"]

    with pytest.raises(ShapeError, match=r"3 in p\['W'\], 2 in argument 1, 4 in z\n"):
        vmap(f)({"W": np.ones(3)}, np.ones(2), z=np.ones(4))
    with pytest.raises(ShapeError, match="5 in axis_size, 3 in p\n"):
        vmap(lambda p: p, axis_size=5)(np.ones(3))
