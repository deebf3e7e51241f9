"""Reductions inside of loop nests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...program.equation import Equation
from .. import ir
from ..plan.schedule import reduced_axes, size_of
from .integers import bounds, extreme
from .scalar import I64, constant, convert, intrinsic, register_type

if TYPE_CHECKING:
    from .codegen import Nest

Index = tuple[Any, ...]


class Accumulator:
    """One reduction inside of a nest."""

    def __init__(self, nest: Nest, root: Equation) -> None:
        self.nest = nest
        self.root = root
        self.operand = root.operands[0]
        self.name = root.primitive.name
        self.dtype = root.out.type.dtype
        self.source = nest.buffers.dtype_of(self.operand)
        self.shape = nest.buffers.shape_of(self.operand)
        self.axes = reduced_axes(root, len(self.shape))
        self.kept_axes = len(self.shape) - len(self.axes)
        self.trailing = self.axes == tuple(range(self.kept_axes, len(self.shape)))
        b = nest.b
        kind = register_type(self.dtype)
        self.partial = b.alloca(kind)
        self.total = b.alloca(kind)
        b.store(self._neutral(), self.total)

    def _neutral(self) -> Any:
        low, high = (-np.inf, np.inf) if self.dtype.kind == "f" else bounds(self.dtype)
        # a sum starts at -0.0: adding it changes nothing, not even the sign of a zero
        zero = -0.0 if self.dtype.kind == "f" else 0
        start = {"prod": 1, "max": low, "min": high, "any": 0, "all": 1}.get(self.name, zero)
        return constant(start, self.dtype)

    def _combined(self, a: Any, x: Any, loose: bool) -> Any:
        b = self.nest.b
        if self.name in ("max", "min"):
            if self.dtype.kind != "f":
                return extreme(b, self.name == "max", x, a, self.dtype)
            # LLVM's own, as it only makes vectors of what it knows; they let NaN through
            name = f"llvm.{'maximum' if self.name == 'max' else 'minimum'}"
            kind = ir.FunctionType(a.type, [a.type, a.type])
            function = b.module.declare_intrinsic(name, [a.type], kind)
            return b.call(function, [a, x], fastmath=["nsz"])
        if self.name in ("any", "all"):
            return b.or_(a, x) if self.name == "any" else b.and_(a, x)
        flags = ["reassoc", "nsz", "contract"] if loose else []
        if self.dtype.kind == "f":
            multiply = self.name == "prod"
            return b.fmul(a, x, flags=flags) if multiply else b.fadd(a, x, flags=flags)
        return b.mul(a, x) if self.name == "prod" else b.add(a, x)

    def _element(self, x: Any) -> Any:
        target = np.dtype(bool) if self.name in ("any", "all") else self.dtype
        x = convert(self.nest.b, x, self.source, target)
        return self.nest.b.fmul(x, x) if self.name == "norm" else x

    def begin(self) -> None:
        """Start a run of elements that are added in any order."""
        self.nest.b.store(self._neutral(), self.partial)

    def add(self, x: Any) -> None:
        b = self.nest.b
        so_far = b.load(self.partial, typ=register_type(self.dtype))
        b.store(self._combined(so_far, self._element(x), loose=True), self.partial)

    def carry(self) -> None:
        """Add the run to the total."""
        b = self.nest.b
        kind = register_type(self.dtype)
        run, total = b.load(self.partial, typ=kind), b.load(self.total, typ=kind)
        b.store(self._combined(total, run, loose=False), self.total)

    def finish(self, place: Any) -> None:
        """Store the result, and be ready for the next one."""
        b = self.nest.b
        value = b.load(self.total, typ=register_type(self.dtype))
        self.nest.store(self.root.out, self.dtype, place, self._final(value))
        b.store(self._neutral(), self.total)

    def _final(self, value: Any) -> Any:
        b = self.nest.b
        if self.name == "mean":
            count = size_of(self.shape[a] for a in self.axes)
            return b.fdiv(value, constant(count, self.dtype))
        if self.name == "norm":
            return intrinsic(b, "llvm.sqrt", value)
        if self.name == "sum" and self.dtype.kind == "f":
            # NumPy's sums start at +0.0
            return b.fadd(value, constant(0.0, self.dtype))
        return value

    def place(self, index: Index) -> Any:
        """Return where the result for an index of the domain goes."""
        kept = [i for a, i in enumerate(index) if a not in self.axes]
        shape = [n for a, n in enumerate(self.shape) if a not in self.axes]
        return self.nest.linear(shape, tuple(kept))

    # -- results in memory, where the reduced axes aren't the last ones ------------------------

    def take(self, index: Index) -> None:
        x = self.nest.value(self.operand, index)
        if self.trailing:
            self.add(x)
            return
        place = self.place(index)
        so_far = self.nest.load(self.root.out, self.dtype, place)
        new = self._combined(so_far, self._element(x), loose=self._is_along_memory())
        self.nest.store(self.root.out, self.dtype, place, new)

    def _is_along_memory(self) -> bool:
        """Tell whether an inner loop adds to one result, which is quick in any order only."""
        return max((a for a, n in enumerate(self.shape) if n != 1), default=-1) in self.axes

    def _every(self, write: Callable[[Any], Any]) -> None:
        with self.nest.loop(I64(max(self.root.out.type.size, 0))) as i:
            self.nest.store(self.root.out, self.dtype, i, write(i))

    def clear(self) -> None:
        self._every(lambda i: self._neutral())

    def finish_all(self) -> None:
        if self.name in ("mean", "norm", "sum"):
            self._every(lambda i: self._final(self.nest.load(self.root.out, self.dtype, i)))
