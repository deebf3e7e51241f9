"""Products as contractions over strides: formed rightly, tiled rightly, within their memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from chainrule import grad, jit, value_and_grad
from chainrule.compile import num_threads, set_num_threads
from chainrule.compile.contraction import tiling
from chainrule.compile.contraction.blas import matrices_of
from chainrule.compile.contraction.forming import form_contractions
from chainrule.compile.contraction.kernel import spec_from
from chainrule.compile.native import Native
from chainrule.nn.convolution import convolve, convolve_transposed
from chainrule.trace.program import trace_program
from chainrule.transform.simplification import simplify

RNG = np.random.default_rng(1)
SIZES = (1, 2, 3, 5, 8, 17)


def arrays(*shapes: tuple[int, ...], dtype: Any = np.float64) -> list[Any]:
    return [RNG.standard_normal(shape).astype(dtype) for shape in shapes]


def formed(f: Any, *args: Any) -> Any:
    """Return the program of a function as it is compiled, and its text without the types."""
    program, _ = trace_program(f, *args, abstract=True)
    return form_contractions(simplify(program))


def close(got: Any, expected: Any, dtype: Any = np.float64) -> None:
    expected = np.asarray(expected)
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale)
    assert np.shape(got) == expected.shape


def names(program: Any) -> list[str]:
    return [e.primitive.name for e in program.equations]


# -- random sums of products -----------------------------------------------------------------------


@st.composite
def einsums(draw: Any) -> tuple[str, list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Draw subscripts, the shapes of the operands, and the order in which each lies in memory."""
    letters = "abcdef"
    sizes = {c: draw(st.sampled_from(SIZES)) for c in letters}
    terms = draw(
        st.lists(st.text(letters, min_size=0, max_size=3), min_size=1, max_size=3).filter(any)
    )
    used = sorted(set("".join(terms)))
    out = "".join(draw(st.permutations(draw(st.lists(st.sampled_from(used), unique=True)))))
    shapes = [tuple(sizes[c] for c in term) for term in terms]
    orders = [tuple(draw(st.permutations(range(len(term))))) for term in terms]
    return ",".join(terms) + "->" + out, shapes, orders


def einsum_of(subscripts: str, orders: Any) -> Any:
    """Return a function of operands that are transposed before they are contracted."""

    def f(*operands: Any) -> Any:
        moved = [np.transpose(o, order) for o, order in zip(operands, orders, strict=True)]
        return np.einsum(subscripts, *moved)

    return f


def operands_of(shapes: Any, orders: Any, dtype: Any) -> list[Any]:
    stored = [tuple(s[order.index(k)] for k in range(len(s))) for s, order in zip(shapes, orders)]  # noqa: B905
    return arrays(*stored, dtype=dtype)


@given(einsums())
@settings(max_examples=150)
def test_what_is_formed_computes_the_same(drawn: Any):
    subscripts, shapes, orders = drawn
    operands = operands_of(shapes, orders, np.float64)
    f = einsum_of(subscripts, orders)
    close(formed(f, *operands).evaluate(*operands)[0], f(*operands))


@given(einsums(), st.sampled_from([np.float32, np.float64]))
@settings(max_examples=12)
def test_compiled_sums_of_products_and_their_gradients(drawn: Any, dtype: Any):
    subscripts, shapes, orders = drawn
    operands = operands_of(shapes, orders, dtype)
    f = einsum_of(subscripts, orders)
    g = value_and_grad(lambda *o: np.sum(np.sin(f(*o))), tuple(range(len(operands))))
    compiled = jit(lambda *o: (f(*o), g(*o)))
    assert type(compiled.lower(*operands).native) is Native
    value, (_, gradients) = compiled(*operands)
    expected = f(*(o.astype(np.float64) for o in operands))
    close(value, expected, dtype)
    assert np.asarray(value).dtype == dtype
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    for got, theirs in zip(gradients, g(*operands)[1], strict=True):
        # the sine's slope turns an error of its argument into one of the gradient
        size = max(1.0, float(np.max(np.abs(theirs), initial=0.0)))
        eps = (1e-11 if dtype == np.float64 else 1e-4) * scale
        np.testing.assert_allclose(got, theirs, rtol=0, atol=eps * size * np.size(value))


MATMULS = [
    ((3,), (3,)),
    ((3,), (3, 5)),
    ((4, 3), (3,)),
    ((64, 65), (65, 63)),
    ((2, 1, 5, 3), (4, 3, 7)),
    ((3, 50, 40), (3, 40, 70)),
    ((3,), (2, 3, 4)),
    ((2, 4, 3), (3,)),
    ((1, 1), (1, 1)),
    ((13, 1), (1, 17)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("a", "b"), MATMULS, ids=str)
def test_products_of_all_shapes(a: Any, b: Any, dtype: Any):
    x, y = arrays(a, b, dtype=dtype)
    f = lambda x, y: (x @ y, grad(lambda x, y: np.sum((x @ y) ** 2), (0, 1))(x, y))
    got, gradients = jit(f)(x, y)
    expected, theirs = f(x, y)
    close(got, expected, dtype)
    for mine, other in zip(gradients, theirs, strict=True):
        close(mine, other, dtype)


def test_one_array_on_both_sides():
    (x,) = arrays((70, 33))
    close(jit(lambda x: x.T @ x)(x), x.T @ x)
    close(jit(lambda x: np.einsum("ij,ij->i", x, x))(x), np.sum(x * x, 1))


def test_a_product_of_two_precisions():
    x, y = arrays((6, 7))[0], arrays((7, 8), dtype=np.float32)[0]
    close(jit(lambda x, y: x @ y)(x, y), x @ y, np.float32)


# -- convolutions ----------------------------------------------------------------------------------

CONVOLUTIONS = [
    ("1d", (2, 3, 11), (4, 3, 3), {}),
    ("2d", (2, 3, 9, 8), (5, 3, 3, 2), {"padding": 1}),
    ("stride", (2, 2, 9, 9), (3, 2, 3, 3), {"stride": 2, "padding": (1, 0)}),
    ("dilation", (2, 2, 9, 9), (3, 2, 2, 3), {"dilation": (3, 2)}),
    ("stride and dilation", (1, 2, 12), (3, 2, 3), {"stride": 3, "dilation": 2}),
    ("groups", (2, 4, 7, 7), (6, 2, 3, 3), {"groups": 2}),
    ("3d", (1, 2, 5, 6, 4), (3, 2, 2, 3, 2), {"stride": (1, 2, 1)}),
    ("one pixel", (3, 4, 5, 5), (2, 4, 1, 1), {}),
    ("one position", (3, 4, 5, 5), (2, 4, 5, 5), {}),
]


@pytest.mark.parametrize(
    ("shape", "kernel", "options"), [c[1:] for c in CONVOLUTIONS], ids=[c[0] for c in CONVOLUTIONS]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_convolutions(shape: Any, kernel: Any, options: Any, dtype: Any):
    x, w = arrays(shape, kernel, dtype=dtype)

    def f(x: Any, w: Any) -> Any:
        return grad(lambda x, w: np.sum(np.tanh(convolve(x, w, **options))), (0, 1))(x, w)

    program = formed(f, x, w)
    expected = f(x, w)
    for got, theirs in zip(program.evaluate(x, w), expected, strict=True):
        close(got, theirs, dtype)
    if dtype is np.float32 or options.get("groups"):
        compiled = jit(f)
        assert type(compiled.lower(x, w).native) is Native
        for got, theirs in zip(compiled(x, w), expected, strict=True):
            close(got, theirs, dtype)


def test_no_window_is_copied():
    x, w = arrays((2, 3, 9, 9), (4, 3, 3, 3))
    program = formed(grad(lambda x, w: np.sum(convolve(x, w) ** 2), (0, 1)), x, w)
    assert not {"matmul", "overlap_add", "windows"} & set(names(program))
    largest = max(e.out.type.size for e in program.equations)
    assert largest < 2 * 7 * 7 * 3 * 9  # that is the matrix of all windows


STRIDED = [
    ((2, 3, 11, 13), (4, 3, 3, 3), 2, 0),
    ((2, 3, 11, 13), (4, 3, 3, 3), 2, 1),
    ((2, 2, 12, 9), (3, 2, 4, 2), 2, 0),
    ((1, 2, 17, 16), (3, 2, 5, 5), 3, 0),
    ((2, 2, 9, 9), (2, 2, 2, 2), 3, 0),
    ((2, 2, 9, 9), (2, 2, 1, 3), 2, 0),
    ((2, 2, 19), (4, 2, 4), 3, 1),
]


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding"), STRIDED)
def test_no_zeros_between_steps_are_multiplied(shape: Any, kernel: Any, stride: int, padding: int):
    x, w = arrays(shape, kernel)
    loss = lambda x, w: np.sum(np.sin(convolve(x, w, stride=stride, padding=padding)))
    backward = grad(loss, (0, 1))
    program = formed(backward, x, w)
    for got, theirs in zip(program.evaluate(x, w), backward(x, w), strict=True):
        close(got, theirs)
    for got, theirs in zip(jit(backward)(x, w), backward(x, w), strict=True):
        close(got, theirs)
    work = [np.prod(e.params["sizes"]) for e in program.equations if "sizes" in e.params]
    taken = [n // stride + 1 for n in kernel[2:] if n > 1]
    room = [n + 2 * padding + stride for n in shape[2:]]
    most = np.prod([*shape[:1], *kernel[:2], *room, *taken]) * (1 if len(taken) == len(room) else 4)
    assert max(work) <= most


def test_a_transposed_convolution():
    x, w = arrays((2, 3, 5, 4), (3, 2, 3, 3))
    f = lambda x, w: np.sum(np.sin(convolve_transposed(x, w, stride=2, padding=1)))
    for got, theirs in zip(jit(grad(f, (0, 1)))(x, w), grad(f, (0, 1))(x, w), strict=True):
        close(got, theirs)


def test_convolutions_as_people_write_them():
    x, k = arrays((2, 8, 9, 3), (3, 3, 3, 5), dtype=np.float32)
    by_tensordot = lambda x, k: np.tensordot(sliding_window_view(x, (3, 3), (1, 2)), k, 3)
    by_einsum = lambda x, k: np.einsum(
        "nhwcij,cijo->nhwo", sliding_window_view(x, (3, 3), (1, 2)), k
    )

    def by_slices(x: Any, k: Any) -> Any:
        return sum(x[:, i : i + 6, j : j + 7] @ k[:, i, j] for i in range(3) for j in range(3))

    for f in (by_tensordot, by_einsum, by_slices):
        g = grad(lambda x, k, f=f: np.sum(f(x, k) ** 2), (0, 1))
        compiled = jit(g)
        assert type(compiled.lower(x, k).native) is Native
        for got, theirs in zip(compiled(x, k), g(x, k), strict=True):
            close(got, theirs, np.float32)


# -- tiles -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [16, 32, 64])
def test_every_width_of_vectors(width: int, monkeypatch: Any):
    monkeypatch.setattr(tiling, "host", lambda: tiling.Machine(width, 32 if width == 64 else 16))
    a, b, x, w = arrays((13, 29), (29, 37), (3, 2, 13), (5, 2, 4), dtype=np.float32)
    got = jit(lambda a, b, x, w: (a @ b, b.T @ a.T, a @ b[:, 0], convolve(x, w)))(a, b, x, w)
    for mine, theirs in zip(got, (a @ b, (a @ b).T, a @ b[:, 0], convolve(x, w)), strict=True):
        close(mine, theirs, np.float32)


def test_a_tile_fits_the_registers():
    for m, n, k in ((1, 1, 1), (7, 1000, 3), (150, 6400, 16), (31, 33, 35)):
        for kind in (np.float32, np.float64):
            x, y = arrays((m, k), (k, n), dtype=kind)
            equation = formed(np.matmul, x, y).equations[-1]
            tile = tiling.tile_of(spec_from(equation), np.dtype(kind))
            rows = np.prod([f for _, f in tile.rows])
            columns = np.prod([f for _, f in tile.columns]) * tile.vectors
            assert rows * columns <= tiling.host().sums


# -- memory ----------------------------------------------------------------------------------------

GUARDED = """
import ctypes, sys
import numpy as np
import chainrule.compile.native as native
from chainrule import jit
from chainrule.nn.convolution import convolve
from tests.compile import pages


def check(f, *shapes):
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        compiled = jit(f)
        for front in (False, True):
            native.empty = lambda shape, dtype: pages.empty(shape, dtype, front)
            draw = lambda shape: rng.standard_normal(shape).astype(dtype)
            args = [pages.copied(draw(s), front) for s in shapes]
            np.testing.assert_allclose(compiled(*args), f(*args), rtol=1e-3, atol=1e-3)


if sys.argv[1] == "fault":
    array = pages.empty((3,), np.float32)
    ctypes.memset(array.ctypes.data + 12, 0, 1)
check(np.matmul, (7, 13), (13, 37))
check(np.matmul, (3, 29), (29,))
check(lambda a, b: a @ b.T, (7, 13), (9, 13))
check(lambda a, b: a.T @ b, (7, 13), (7, 21))
check(lambda a, b: np.einsum("ijb,jkb->ikb", a, b), (2, 3, 19), (3, 5, 19))
check(convolve, (2, 3, 9, 11), (5, 3, 3, 3))
windows = np.lib.stride_tricks.sliding_window_view
check(lambda x, g: np.tensordot(windows(x, 4, 1), g, ((0, 1), (0, 1))), (3, 17), (3, 14))
print("within")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages the way Linux does")
@pytest.mark.parametrize("how", ["fault", "run"])
def test_nothing_outside_of_the_arrays_is_touched(how: str):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(GUARDED), how],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if how == "fault":
        assert done.returncode < 0, "the guard does not guard"
    else:
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "within"


def test_masks_do_not_keep_a_product_from_its_sum():
    x, w = arrays((2, 2, 8), (3, 2, 3))

    def loss(x: Any, w: Any) -> Any:
        return np.sum(np.where(x > 10, 0, 1) * np.maximum(x, 0)) + np.sum(
            np.maximum(convolve(np.maximum(convolve(x, w), 0), w[:2, :1].repeat(3, 1)), 0)
        )

    program = formed(grad(loss, (0, 1)), x, w)
    assert "overlap_add" not in names(program)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for got, theirs in zip(program.evaluate(x, w), grad(loss, (0, 1))(x, w), strict=True):
            close(got, theirs)


def test_the_program_is_left_as_it_was():
    x, y = arrays((3, 4), (4, 5))
    program, _ = trace_program(np.matmul, x, y, abstract=True)
    before = str(program)
    assert form_contractions(program) is not program
    assert str(program) == before


# -- large ones ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_long_sum_in_pieces_and_a_large_product_by_blas(dtype: Any):
    a, b, c = arrays((37, 784), (784, 70), (900, 1000), dtype=dtype)
    for x, y, by_blas in ((a, b, False), (c, c.T, True), (b, b, False)):
        f = np.matmul if x is not y else lambda x, y: x.T @ y
        equation = formed(f, x, y).equations[-1]
        assert (matrices_of(spec_from(equation), np.dtype(dtype)) is not None) == by_blas
        expected = f(x.astype(np.float64), y.astype(np.float64))
        close(jit(f)(x, y), expected, dtype)
    tile = tiling.tile_of(spec_from(formed(np.matmul, a, b).equations[-1]), np.dtype(dtype))
    assert tile.block is not None


def test_threads_share_a_contraction_and_change_nothing():
    x, w = arrays((4, 40, 30, 31), (32, 40, 3, 3), dtype=np.float32)
    f = jit(convolve)
    kinds = [type(n).__name__ for n in f.lower(x, w).native.build.nests]
    assert "SharedContraction" in kinds
    before = num_threads()
    try:
        set_num_threads(1)
        alone = f(x, w)
        set_num_threads(2)
        assert (f(x, w) == alone).all()
    finally:
        set_num_threads(before)
    close(alone, convolve(x.astype(np.float64), w.astype(np.float64)), np.float32)


def test_sums_of_products_without_elements():
    def convolution(x, k):
        windows = sliding_window_view(x, (3, 3), (2, 3))
        return np.einsum("nchwij,ocij->nohw", windows, k)

    x, k = np.ones((0, 2, 8, 9)), np.ones((3, 2, 3, 3))
    assert jit(convolution)(x, k).shape == (0, 3, 6, 7)
    slopes = jit(grad(lambda x, k: np.sum(convolution(x, k) ** 2), (0, 1)))(x, k)
    assert slopes[0].shape == x.shape
    np.testing.assert_array_equal(slopes[1], np.zeros(k.shape))
