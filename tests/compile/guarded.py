"""Run compiled functions on memory that ends at a page which nobody may touch.

Every argument, and the memory of each call, ends right before such a page, or, with ``front``,
begins right behind one. Reading or writing a single byte beyond ends the process.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np

from chainrule import grad, jit, scan, value_and_grad
from chainrule.compile.contraction import paneled, panels
from chainrule.compile.native import Native
from tests.compile import pages

FRONT = "front" in sys.argv


def guarded(array: Any) -> Any:
    """Return a copy of an array in such memory."""
    if type(array) is not np.ndarray or array.size == 0:
        return array
    return pages.copied(array, FRONT)


def grow(self: Native) -> None:
    """Let the memory of a call be such memory."""
    self._give(pages.region(self.workspace, 64, FRONT))


def functions() -> dict[str, Any]:
    """Return functions of a matrix, of which the derivative is taken too."""
    i = np.array([0, -1, 0])
    kernel = np.array([0.5, -1.0, 0.25])

    def windows(x: Any) -> Any:
        return np.sum(np.lib.stride_tricks.sliding_window_view(x, 1, axis=1) * 2.0) + np.sum(
            np.convolve(x[0], kernel)
        )

    def assigned(x: Any) -> Any:
        y = np.zeros(x.shape, x.dtype)
        y[0] = x[-1]
        y[:, 0] += x[:, -1]
        return y * x

    def systems(x: Any) -> Any:
        n = min(x.shape[1], 40)
        a = x[:, :n].T @ x[:, :n] + n * np.eye(n, dtype=x.dtype)
        c = np.linalg.cholesky(a)
        solved = (
            np.linalg.solve(a, x[:, :n].T)
            + np.linalg.solve(c.T, np.linalg.solve(c, x[0, :n]))[:, None]
        )
        return solved * np.linalg.slogdet(a)[1] + np.linalg.svdvals(x[:, :n])[0]

    return {
        "systems": systems,
        "sorted": lambda x: np.sort(x, 1) * np.cumprod(np.tanh(x), 0) + np.median(x),
        "element-wise": lambda x: np.tanh(x) * np.exp(-(x**2)) + np.log1p(x**2),
        "circular": lambda x: np.sin(x) * np.cos(x),
        "reductions": lambda x: np.sum(x, 0) + np.max(x) + np.mean(np.exp(x)),
        "rows": lambda x: (
            np.exp(x - np.max(x, 1, keepdims=True)) / np.sum(np.exp(x), axis=1)[:, None]
        ),
        "product": lambda x: np.tanh(x @ x.T) @ x,
        "einsum": lambda x: np.einsum("ij,ik->jk", x, np.exp(x)),
        "gather": lambda x: x[i] * 2.0,
        "slices": lambda x: x[:, 1:] * x[:, :-1] if x.shape[1] > 1 else x,
        "reversed": lambda x: x[::-1, ::-1] * x,
        "transposed": lambda x: np.exp(x.T).reshape(-1) * x.reshape(-1),
        "cumsum": lambda x: np.cumsum(x, 1) * np.cumsum(x, 0),
        "joined": lambda x: np.concatenate([x, x * 2.0]).sum(0) + np.stack([x, x])[1, 0],
        "assigned": assigned,
        "windows": windows,
        "scan": lambda x: scan(lambda c, r: (np.tanh(c) + r, c * r), x[0], x),
    }


def main() -> None:
    """Run everything for sizes at which vectors end in different places."""
    warnings.simplefilter("ignore")
    Native._grow = grow  # type: ignore[method-assign]
    rng = np.random.default_rng(0)
    shapes = [(7, 17)]
    if "all" in sys.argv:
        shapes += [(3, 5), (2, 1025), (1, 1), (8, 8), (13, 64), (33, 31)]
    for name, f in functions().items():
        for shape in shapes:
            for dtype in (np.float64, np.float32) if "all" in sys.argv else (np.float64,):
                x = guarded(rng.standard_normal(shape).astype(dtype))
                total = lambda x, f=f: sum(np.sum(part) for part in _parts(f(x)))
                for g in (f, grad(total)) if name != "scan" else (f, value_and_grad(total)):
                    jit(g)(x)
        generic(f, rng)
        print(name, flush=True)
    large = guarded(rng.standard_normal(200_003))
    jit(value_and_grad(lambda x: np.sum(np.tanh(x) * np.exp(-x * x) * np.sin(x))))(large)
    complex_numbers(rng)
    products(rng)
    print("done")


def complex_numbers(rng: Any) -> None:
    """Read and write complex arrays, in both precisions."""

    def f(z: Any) -> Any:
        return np.exp(z * 0.1) / (z + 2.0) @ np.conj(z.T), z[::-1] * 1j, np.sum(z, 0), np.prod(z, 1)

    loss = lambda z: sum(np.sum(np.abs(part)) for part in f(z))
    for shape in ((7, 17), (1, 1), (3, 5)):
        for dtype in (np.complex128, np.complex64):
            z = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
            for g in (f, grad(loss)):
                jit(g)(guarded(z.astype(dtype)))


def products(rng: Any) -> None:
    """Multiply over panels, with what comes next fetched, also for several heads at once."""

    def loss(x: Any, w: Any) -> Any:
        heads = np.transpose(np.reshape(x @ w, (len(x), 4, 17)), (1, 0, 2))
        return np.sum(heads @ np.transpose(heads, (0, 2, 1))) + np.sum((x.T @ x) ** 2)

    paneled.FAR = panels.LEAST = 0
    panels._otherwise = lambda *_: float("inf")
    panels._panels_of.cache_clear()
    for n, k in ((101, 70), (64, 128)):
        x, w = rng.standard_normal((n, k)), rng.standard_normal((k, 68))
        given = [guarded(a.astype(np.float32)) for a in (x, w)]
        _, slopes = jit(value_and_grad(loss, (0, 1)))(*given)
        _, expected = value_and_grad(loss, (0, 1))(x, w)
        for a, b in zip(slopes, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.max(np.abs(b)))


def generic(f: Any, rng: Any) -> None:
    """Run one machine code on many shapes."""
    for g in (jit(f), jit(grad(lambda x: sum(np.sum(part) for part in _parts(f(x)))))):
        for shape in [(3, 5), (7, 17), (2, 1025), (4, 2), (5, 33), (23, 9), (64, 48)]:
            g(guarded(rng.standard_normal(shape)))


def _parts(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


if __name__ == "__main__":
    main()
