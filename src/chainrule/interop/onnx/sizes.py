"""Sizes that stay open: several traces with different sizes, merged into one program.

A function is traced for a few values of each open size. A number that is the same in all traces
is that number; one that changes is a polynomial in the sizes, fitted to all traces but one and
checked on that one. What changes in any other way would have become a part of the model, which
would then be wrong for other sizes: it is refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ...program.arraytype import ArrayType, array_type
from ...program.equation import Origin, Var
from ...program.index import Hole
from .block import Block, Step, refuse

Monomial = tuple[str, ...]
Point = Mapping[str, int]


class Dim:
    """A size that is known when the model runs: a polynomial in the names of the open sizes.

    Examples
    --------
    >>> n = Dim({("batch",): 1})
    >>> print(2 * n + 3)
    2*batch + 3
    >>> n - n
    0
    """

    __slots__ = ("terms",)

    def __init__(self, terms: Mapping[Monomial, int]) -> None:
        self.terms = {m: c for m, c in sorted(terms.items(), reverse=True) if c}

    def __add__(self, other: Any) -> Any:
        terms = dict(self.terms)
        for m, c in _terms(other).items():
            terms[m] = terms.get(m, 0) + c
        return _simplest(terms)

    def __mul__(self, other: Any) -> Any:
        terms: dict[Monomial, int] = {}
        for (m, c), (n, d) in itertools.product(self.terms.items(), _terms(other).items()):
            product = tuple(sorted(m + n))
            terms[product] = terms.get(product, 0) + c * d
        return _simplest(terms)

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        return self + other * -1

    def __rsub__(self, other: Any) -> Any:
        return self * -1 + other

    __radd__, __rmul__ = __add__, __mul__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(tuple(self.terms.items()))

    def __index__(self) -> int:
        raise OpenSizeError(f"{self} is not known before the model runs")

    __int__ = __float__ = __index__

    def __lt__(self, other: Any) -> bool:
        self.__index__()
        return False

    __gt__ = __le__ = __ge__ = __lt__
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __lt__

    def __str__(self) -> str:
        parts = []
        for m, c in self.terms.items():
            factors = [*([] if c == 1 and m else [str(c)]), *m]
            parts.append("*".join(factors))
        return " + ".join(parts)

    __repr__ = __str__

    def at(self, point: Point) -> int:
        """Return its value for given sizes."""
        return sum(c * _product(m, point) for m, c in self.terms.items())


class OpenSizeError(TypeError):
    """A number is needed for a size that is only known when the model runs."""


def _terms(value: Any) -> Mapping[Monomial, int]:
    return value.terms if isinstance(value, Dim) else {(): value}


def _simplest(terms: Mapping[Monomial, int]) -> Any:
    dim = Dim(terms)
    return dim.terms.get((), 0) if set(dim.terms) <= {()} else dim


def _product(monomial: Monomial, point: Point) -> int:
    value = 1
    for name in monomial:
        value *= point[name]
    return value


class Spread(NamedTuple):
    """A constant that is the same along its open axes: ``base`` has length 1 there."""

    base: Any
    type: ArrayType


class Counted(NamedTuple):
    """A constant that counts along one open axis: ``base + step * arange`` there."""

    base: Any
    step: int
    axis: int
    type: ArrayType


class Banded(NamedTuple):
    """A matrix that is constant below a diagonal, on it, and above it: ``bands`` in that order."""

    bands: tuple[Any, Any, Any]
    diagonal: int
    type: ArrayType


class Power(NamedTuple):
    """A constant that is ``factor * dim ** exponent``."""

    factor: Any
    dim: Any
    exponent: float
    type: ArrayType


class Size(NamedTuple):
    """A size as a scalar."""

    dim: Dim
    type: ArrayType


# -- which sizes to trace with -------------------------------------------------------------------


def points(
    symbols: Mapping[str, int], taken: set[int]
) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """Return the sizes to trace with, and those to check on.

    The first are all pairs of two primes per symbol that occur nowhere else, so that no size is
    equal to another one by chance. The check is on small ones: what is limited by a size, such as
    a slice of seven elements, is then found to be another program. Only a function that fails for
    all small sizes, say since it has windows, is checked on other large ones, which come last.
    """
    chosen: dict[str, list[int]] = {}
    used = set(taken)
    for name, example in symbols.items():
        candidates = (n for n in itertools.count(max(11, min(example, 61))) if _is_prime(n))
        found = [n for n in itertools.islice(candidates, 40 + len(used)) if n not in used][:3]
        used.update(found)
        chosen[name] = found
    grid = itertools.product(*(c[:2] for c in chosen.values()))
    checks = [{name: n + i for i, name in enumerate(chosen)} for n in range(2, 11)]
    checks.append({name: c[2] for name, c in chosen.items()})
    return [dict(zip(chosen, values, strict=True)) for values in grid], checks


def _is_prime(n: int) -> bool:
    return all(n % d for d in range(2, int(n**0.5) + 1))


# -- merging -------------------------------------------------------------------------------------


def merged(blocks: Sequence[Block], at: Sequence[Point]) -> Block:
    """Return the one program of which the given ones are instances."""
    return _Merge(at).block(blocks)


class _Merge:
    def __init__(self, at: Sequence[Point]) -> None:
        self.at = at
        names = list(at[0])
        self.monomials: list[Monomial] = [
            m for n in range(len(names) + 1) for m in itertools.combinations(names, n)
        ]
        self.table = np.array([[_product(m, p) for m in self.monomials] for p in at], float)
        self.known: dict[Var, Var] = {}
        self.origin: Origin = ()

    def baked(self, detail: str) -> NoReturn:
        names = " and ".join(f"`{name}`" for name in self.at[0])
        refuse(
            f"the model would hold for one size of {names} only",
            self.origin,
            why=f"{detail}, which no formula here gives for every size",
            help="export it without this open axis, or keep the size out of the values",
        )

    def block(self, blocks: Sequence[Block]) -> Block:
        if len({len(b.steps) for b in blocks}) > 1:
            self.baked("the function does something else for another size")
        inputs = tuple(map(self.variable, zip(*(b.inputs for b in blocks), strict=True)))
        captured = tuple(map(self.variable, zip(*(b.captured for b in blocks), strict=True)))
        steps = tuple(map(self.step, zip(*(b.steps for b in blocks), strict=True)))
        self.origin = steps[-1].origin if steps else ()
        outputs = tuple(map(self.operand, zip(*(b.outputs for b in blocks), strict=True)))
        return Block(inputs, captured, steps, outputs)

    def step(self, steps: Sequence[Step]) -> Step:
        first = steps[0]
        self.origin = first.origin
        shapes = {(s.name, len(s.operands), len(s.outs), tuple(s.params)) for s in steps}
        if len(shapes) > 1:
            self.baked("the function does something else for another size")
        operands = tuple(map(self.operand, zip(*(s.operands for s in steps), strict=True)))
        params = {key: self.param([s.params[key] for s in steps]) for key in first.params}
        outs = tuple(map(self.variable, zip(*(s.outs for s in steps), strict=True)))
        return Step(first.name, operands, params, outs, first.origin)

    def variable(self, vars: Sequence[Var]) -> Var:
        first = vars[0]
        var = Var(first.id, None, self.type([v.type for v in vars]), first.name)
        self.known.update(dict.fromkeys(vars, var))
        return var

    def type(self, types: Sequence[ArrayType]) -> ArrayType:
        if len({(t.dtype, t.weak, len(t.shape)) for t in types}) > 1:
            self.baked("the type of a value depends on it")
        shapes = zip(*(t.shape for t in types), strict=True)
        return ArrayType(tuple(map(self.size, shapes)), types[0].dtype, types[0].weak)

    def size(self, values: Sequence[int]) -> Any:
        """Return the size that has these values at the points that were traced."""
        if len(set(values)) == 1:
            return values[0]
        found = np.rint(np.linalg.solve(self.table[:-1], np.array(values[:-1], float)))
        dim = Dim({m: int(c) for m, c in zip(self.monomials, found, strict=True)})
        if [dim.at(p) for p in self.at] != list(values):
            self.baked(f"a size is {', '.join(map(str, values))} in turn")
        return dim

    def param(self, values: Sequence[Any]) -> Any:
        """Merge a static parameter."""
        first = values[0]
        kind = type(first)
        if any(type(v) is not kind for v in values):
            self.baked("a parameter depends on it")
        if kind is Block:
            return self.block(values)
        if kind is int:
            return self.size(values)
        if kind is tuple and len({len(v) for v in values}) == 1:
            return tuple(self.param(column) for column in zip(*values, strict=True))
        if kind is slice:
            parts = [[getattr(v, name) for v in values] for name in ("start", "stop", "step")]
            return slice(*map(self.param, parts))
        if kind is np.ndarray:
            return self.array(values)
        if kind is not Hole and any(v is not first and v != first for v in values):
            self.baked("a parameter depends on it")
        return first

    # -- constants -------------------------------------------------------------------------------

    def operand(self, values: Sequence[Any]) -> Any:
        if type(values[0]) is Var:
            if len({id(self.known.get(v)) for v in values}) > 1:
                self.baked("the function does something else for another size")
            return self.known[values[0]]
        if any(type(v) is not type(values[0]) for v in values):
            self.baked("a constant depends on it")
        return self.array(values)

    def array(self, values: Sequence[Any]) -> Any:
        first = values[0]
        arrays = [np.asarray(v) for v in values]
        type_ = self.type([array_type(v) for v in values])
        if all(isinstance(n, int) for n in type_.shape):
            if all(np.array_equal(a, arrays[0], equal_nan=a.dtype.kind in "fc") for a in arrays):
                return first
            return self.number(arrays, type_)
        for form in (self.spread, self.counted, self.banded):
            found = form(arrays, type_)
            if found is not None:
                return found
        shapes = ", ".join(str(a.shape) for a in arrays)
        self.baked(f"a constant has the shapes {shapes} in turn")

    def number(self, arrays: Sequence[Any], type_: ArrayType) -> Any:
        """Return a constant of one shape whose value changes."""
        if type_.dtype.kind in "iu" and not type_.shape:
            return Size(self.size([int(a) for a in arrays]), type_)
        if type_.dtype.kind == "f":
            for m, less, exponent in itertools.product(self.monomials[1:], (0, 1), _EXPONENTS):
                dim = Dim({m: 1, (): -less})
                factor = _factor(arrays, [float(dim.at(p)) ** exponent for p in self.at])
                if factor is not None:
                    return Power(factor.astype(type_.dtype), dim, exponent, type_)
            if not type_.shape and all(float(a).is_integer() for a in arrays):
                return Size(self.size([int(a) for a in arrays]), type_)
        return self.baked("the value of a constant depends on it")

    def spread(self, arrays: Sequence[Any], type_: ArrayType) -> Spread | None:
        """Return a constant that is the same along its open axes."""
        start = tuple(slice(0, 1) if isinstance(n, Dim) else slice(None) for n in type_.shape)
        bases = [np.array(a[start]) for a in arrays]
        pairs = zip(arrays, bases, strict=True)
        if all(np.array_equal(a, np.broadcast_to(b, a.shape)) for a, b in pairs):
            return Spread(self.array(bases), type_)
        return None

    def counted(self, arrays: Sequence[Any], type_: ArrayType) -> Counted | None:
        """Return a constant that counts along its one open axis."""
        open_axes = [i for i, n in enumerate(type_.shape) if isinstance(n, Dim)]
        if len(open_axes) != 1 or type_.dtype.kind != "i" or 0 in arrays[0].shape:
            return None
        (axis,) = open_axes
        lines = [np.moveaxis(a, axis, -1) for a in arrays]
        step = int((lines[0][..., 1] - lines[0][..., 0]).flat[0])
        for line in lines:
            counted = line[..., :1] + step * np.arange(line.shape[-1])
            if not np.array_equal(line, counted):
                return None
        bases = [np.moveaxis(line[..., :1], -1, axis).copy() for line in lines]
        return Counted(self.array(bases), step, axis, type_)

    def banded(self, arrays: Sequence[Any], type_: ArrayType) -> Banded | None:
        """Return a matrix that only depends on the side of a diagonal, such as a triangle."""
        if type_.ndim != 2 or min(arrays[0].shape) < 3:
            return None
        for diagonal in (0, -1, 1):
            rows, columns = np.indices(arrays[0].shape)
            offset = columns - rows - diagonal
            bands = tuple(arrays[0][np.sign(offset) == side][0] for side in (-1, 0, 1))
            if all(np.array_equal(a, _bands(a.shape, bands, diagonal)) for a in arrays):
                return Banded(bands, diagonal, type_)
        return None


_EXPONENTS = (-1.0, -0.5, 0.5, 1.0)


def _factor(arrays: Sequence[Any], powers: Sequence[float]) -> Any:
    """Return what the arrays are multiples of, if it is the same for all."""
    tolerance = 8 * float(np.finfo(arrays[0].dtype).eps)
    found = [np.asarray(a / p) for a, p in zip(arrays, powers, strict=True)]
    return found[0] if all(np.allclose(f, found[0], tolerance, 0.0) for f in found) else None


def _bands(shape: tuple[int, ...], bands: Sequence[Any], diagonal: int) -> Any:
    rows, columns = np.indices(shape)
    return np.array(bands)[np.sign(columns - rows - diagonal) + 1]
