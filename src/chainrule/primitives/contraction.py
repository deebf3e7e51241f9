"""Products of arrays: matmul, einsum and what NumPy builds on them.

Every product with just one varying operand is a linear map in that operand: the other operands
are its coefficients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..maps import Contract, Gather, Left, LinearMap, Reshape, Right, broadcast, compose, reduce
from ..maps.product import contract
from ..program.arraytype import ArrayType, ndim_of, shape_of
from ..program.primitive import FUNCTIONS, Primitive, implements
from . import batching
from .families import unsupported

# -- matmul --------------------------------------------------------------------------------------


def _matmul_type(a: ArrayType, b: ArrayType) -> ArrayType:
    if not a.shape or not b.shape:
        raise ValueError("matmul: an operand is a scalar; use * for that")
    left = a.shape if a.ndim > 1 else (1, *a.shape)
    right = b.shape if b.ndim > 1 else (*b.shape, 1)
    if left[-1] != right[-2]:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit")
    batch = np.broadcast_shapes(left[:-2], right[:-2])
    rows = left[-2:-1] if a.ndim > 1 else ()
    columns = right[-1:] if b.ndim > 1 else ()
    return ArrayType(batch + rows + columns, np.result_type(a.dtype, b.dtype))


def _matmul_left(y: Any, a: Any, b: Any) -> LinearMap:
    if b.ndim <= 2:
        return Right(b)
    return _stacked(y.shape, a.shape, b, Right)


def _matmul_right(y: Any, a: Any, b: Any) -> LinearMap:
    if a.ndim <= 2:
        return Left(a)
    if b.ndim == 2:  # one matrix for the whole stack: a single product does it
        rows = np.reshape(a, (-1, a.shape[-1]))
        flat = (rows.shape[0], b.shape[1])
        return compose(Reshape(flat, y.shape), Left(rows))
    return _stacked(y.shape, b.shape, a, Left)


def _stacked(out: tuple[int, ...], given: tuple[int, ...], fixed: Any, product: Any) -> LinearMap:
    """Return the map for stacks of matrices: broadcast to the same leading axes, then multiply."""
    is_left = product is Left
    shaped = given if len(given) > 1 else ((*given, 1) if is_left else (1, *given))
    batch = np.broadcast_shapes(shaped[:-2], fixed.shape[:-2])
    full = batch + shaped[-2:]
    rows, columns = (fixed.shape[-2], shaped[-1]) if is_left else (shaped[-2], fixed.shape[-1])
    maps: list[LinearMap] = [product(fixed)]
    if (*batch, rows, columns) != out:
        maps.insert(0, Reshape((*batch, rows, columns), out))
    if shaped != full:
        maps.append(broadcast(shaped, full))
    if given != shaped:
        maps.append(Reshape(given, shaped))
    return compose(*maps)


MATMUL = Primitive(
    "matmul",
    np.matmul,
    type_rule=_matmul_type,
    d=(_matmul_left, _matmul_right),
    batch=batching.matmul,
    text="{0} @ {1}",
    symbol="matmul",
)


@implements(np.matmul)
def _matmul(a: Any, b: Any) -> Any:
    if ndim_of(a) == 0 or ndim_of(b) == 0:
        raise ValueError("matmul: an operand is a scalar; use * for that")
    return MATMUL(a, b)


@implements(np.dot, method="dot")
def _dot(a: Any, b: Any) -> Any:
    na, nb = ndim_of(a), ndim_of(b)
    if na == 0 or nb == 0:
        return np.multiply(a, b)
    if nb <= 2:
        return MATMUL(a, b)
    return np.tensordot(a, b, (na - 1, nb - 2))


# -- einsum --------------------------------------------------------------------------------------


def _sizes(labels: list[str], shapes: Any) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for label, shape in zip(labels, shapes, strict=True):
        for letter, n in zip(label, shape, strict=True):
            if sizes.get(letter, 1) == 1:
                sizes[letter] = n
            elif n not in (1, sizes[letter]):
                raise ValueError(f"einsum: axis {letter!r} has sizes {sizes[letter]} and {n}")
    return sizes


def _einsum_type(*types: ArrayType, subscripts: str) -> ArrayType:
    labels, out = _split(subscripts)
    sizes = _sizes(labels, [t.shape for t in types])
    return ArrayType(
        tuple(sizes[letter] for letter in out), np.result_type(*(t.dtype for t in types))
    )


def _split(subscripts: str) -> tuple[list[str], str]:
    left, out = subscripts.split("->")
    return left.split(","), out


def _einsum(*operands: Any, subscripts: str) -> Any:
    return contract(subscripts, *operands)


def _einsum_rule(y: Any, *operands: Any, position: int, subscripts: str) -> LinearMap:
    labels, out = _split(subscripts)
    mine = labels[position]
    shape = shape_of(operands[position])
    others = [
        (lab, o) for i, (lab, o) in enumerate(zip(labels, operands, strict=True)) if i != position
    ]
    before: list[LinearMap] = []
    if len(set(mine)) < len(mine):
        mine, shape, diagonal = _diagonal(mine, shape)
        before.append(diagonal)
    sizes = _sizes(labels, [shape_of(o) for o in operands])
    stretched = tuple(sizes[letter] for letter in mine)
    if shape != stretched:
        before.insert(0, broadcast(shape, stretched))
    others = [_without_ones(lab, o, sizes) for lab, o in others]
    covered = set(out).union(*(lab for lab, _ in others))
    summed = [i for i, letter in enumerate(mine) if letter not in covered]
    if summed:  # a label of this operand alone is summed beforehand
        before.insert(0, reduce(stretched, tuple(summed)))
        mine = "".join(letter for i, letter in enumerate(mine) if i not in summed)
    fixed = tuple(lab for lab, _ in others)
    arrays = tuple(np.asarray(o) if isinstance(o, int | float) else o for _, o in others)
    return compose(Contract(mine, fixed, out, arrays, position), *before)


def _diagonal(labels: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...], LinearMap]:
    """Return the map that takes the diagonal along repeated labels."""
    unique = "".join(dict.fromkeys(labels))
    sizes = dict(zip(labels, shape, strict=True))
    grids = dict(zip(unique, np.ix_(*(np.arange(sizes[u]) for u in unique)), strict=True))
    index = tuple(grids[letter] for letter in labels)
    return unique, tuple(sizes[u] for u in unique), Gather(shape, index)


def _without_ones(labels: str, operand: Any, sizes: dict[str, int]) -> tuple[str, Any]:
    """Broadcast an operand whose axis of length 1 meets a longer one of the same label."""
    shape = tuple(sizes[letter] for letter in labels)
    if shape_of(operand) != shape:
        operand = np.broadcast_to(operand, shape)
    return labels, operand


EINSUM = Primitive(
    "einsum",
    _einsum,
    type_rule=_einsum_type,
    d=(_einsum_rule,),
    batch=batching.einsum,
    text="einsum({subscripts}; {all})",
    symbol="contraction",
    variadic=True,
)


@implements(np.einsum)
def _einsum_call(*args: Any, optimize: Any = False, **kwargs: Any) -> Any:
    if kwargs:
        unsupported(
            f"np.einsum with {', '.join(kwargs)}=",
            why="only the product itself has a rule",
            help="convert the operands, or the result, with .astype(...)",
        )
    subscripts, operands = _parse_einsum(args)
    operands = [o if hasattr(o, "dtype") else np.asarray(o) for o in operands]
    return EINSUM(*operands, subscripts=subscripts)


def _parse_einsum(args: Any) -> tuple[str, list[Any]]:
    """Return explicit subscripts, the dots replaced by letters, and the operands."""
    if not isinstance(args[0], str):
        args = _from_lists(args)
    subscripts, operands = args[0].replace(" ", ""), list(args[1:])
    left, arrow, out = subscripts.partition("->")
    labels = left.split(",")
    if len(labels) != len(operands):
        raise ValueError(f"einsum: {len(labels)} terms for {len(operands)} operands")
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in left]
    dots = [
        ndim_of(o) - len(lab.replace("...", "")) for lab, o in zip(labels, operands, strict=True)
    ]
    width = max([d for d, lab in zip(dots, labels, strict=True) if "..." in lab], default=0)
    ellipsis = "".join(free[:width])
    labels = [
        lab.replace("...", ellipsis[width - d :]) if "..." in lab else lab
        for d, lab in zip(dots, labels, strict=True)
    ]
    if arrow:
        out = out.replace("...", ellipsis)
    else:
        flat = "".join(lab.replace("...", "") for lab in left.split(","))
        out = ellipsis + "".join(sorted(c for c in set(flat) if flat.count(c) == 1))
    for lab, o in zip(labels, operands, strict=True):
        if len(lab) != ndim_of(o):
            raise ValueError(f"einsum: term {lab!r} for an operand with {ndim_of(o)} axes")
    return ",".join(labels) + "->" + out, operands


def _from_lists(args: Any) -> tuple[Any, ...]:
    """Translate ``einsum(a, [0, 1], b, [1, 2], [0, 2])`` into letters."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

    def term(sublist: Any) -> str:
        return "".join("..." if s is Ellipsis else letters[s] for s in sublist)

    pairs = len(args) // 2
    subscripts = ",".join(term(args[2 * i + 1]) for i in range(pairs))
    if len(args) % 2:
        subscripts += "->" + term(args[-1])
    return (subscripts, *args[0 : 2 * pairs : 2])


# -- what NumPy builds on products ---------------------------------------------------------------


@implements(np.tensordot)
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    na, nb = ndim_of(a), ndim_of(b)
    if isinstance(axes, int | np.integer):
        axes_a, axes_b = tuple(range(na - axes, na)), tuple(range(axes))
    else:
        pair = [(x,) if isinstance(x, int | np.integer) else tuple(x) for x in axes]
        axes_a, axes_b = pair
    axes_a = tuple(int(i) % na for i in axes_a) if na else ()
    axes_b = tuple(int(i) % nb for i in axes_b) if nb else ()
    shape_a, shape_b = shape_of(a), shape_of(b)
    if [shape_a[i] for i in axes_a] != [shape_b[i] for i in axes_b]:
        raise ValueError("shape-mismatch for sum")
    rest_a = tuple(i for i in range(na) if i not in axes_a)
    rest_b = tuple(i for i in range(nb) if i not in axes_b)
    inner = int(np.prod([shape_a[i] for i in axes_a]))
    out = tuple(shape_a[i] for i in rest_a) + tuple(shape_b[i] for i in rest_b)
    left = np.reshape(
        np.transpose(a, rest_a + axes_a), (int(np.prod([shape_a[i] for i in rest_a])), inner)
    )
    right = np.reshape(
        np.transpose(b, axes_b + rest_b), (inner, int(np.prod([shape_b[i] for i in rest_b])))
    )
    return np.reshape(MATMUL(left, right), out)


@implements(np.inner)
def _inner(a: Any, b: Any) -> Any:
    if ndim_of(a) == 0 or ndim_of(b) == 0:
        return np.multiply(a, b)
    return np.tensordot(a, b, (-1, -1))


@implements(np.outer)
def _outer(a: Any, b: Any) -> Any:
    return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))


@implements(np.vdot)
def _vdot(a: Any, b: Any) -> Any:
    return MATMUL(np.conj(np.ravel(a)), np.ravel(b))


@implements(np.kron)
def _kron(a: Any, b: Any) -> Any:
    n = max(ndim_of(a), ndim_of(b))
    shape_a = (1,) * (n - ndim_of(a)) + shape_of(a)
    shape_b = (1,) * (n - ndim_of(b)) + shape_of(b)
    left = np.reshape(a, tuple(k for s in shape_a for k in (s, 1)))
    right = np.reshape(b, tuple(k for s in shape_b for k in (1, s)))
    return np.reshape(left * right, tuple(x * y for x, y in zip(shape_a, shape_b, strict=True)))


@implements(np.trace, method="trace")
def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1)


@implements(np.linalg.multi_dot)
def _multi_dot(arrays: Any) -> Any:
    product = arrays[0]
    for a in arrays[1:]:
        product = np.dot(product, a)
    return product


def _convolve(a: Any, v: Any, mode: str = "full") -> Any:
    if shape_of(v)[0] > shape_of(a)[0]:
        a, v = v, a
    m = shape_of(v)[0]
    half = (m - 1) // 2
    pad = {"full": (m - 1, m - 1), "same": (m - 1 - half, half), "valid": (0, 0)}
    if mode not in pad:
        raise ValueError(f"mode must be 'full', 'same' or 'valid', not {mode!r}")
    padded = np.pad(a, pad[mode])
    windows = np.lib.stride_tricks.sliding_window_view(padded, m)
    return windows @ np.flip(v)


FUNCTIONS[np.convolve] = _convolve
FUNCTIONS[np.correlate] = lambda a, v, mode="valid": _convolve(a, np.conj(np.flip(v)), mode)
