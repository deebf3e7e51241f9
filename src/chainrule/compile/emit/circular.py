"""Loop nests with sines and cosines: twice, for arguments within reach of our kernels and for all.

Our kernels, which vectorise, reduce arguments up to some 10^12 to a quarter turn. While they run,
the nest notes whether any argument was greater. Such a one is rare, and then the nest is run again
by the functions of the C library, which take any argument.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...program.equation import Equation
from .. import ir
from ..plan.schedule import CIRCULAR, OPAQUE, Group, Schedule
from .codegen import Buffers, Nest
from .scalar import I1, constant, convert, intrinsic


def is_circular(group: Group, plan: Schedule) -> bool:
    """Tell whether a group has circular functions in it and may be run twice.

    It may not if it writes over what it reads, or returns more than stored values.
    """
    if group.reuse or group.roots[0].primitive.name in OPAQUE:
        return False
    waiting: list[Equation] = list(group.roots)
    seen: set[int] = set()
    while waiting:
        equation = waiting.pop()
        if id(equation) in seen:
            continue
        seen.add(id(equation))
        if equation.primitive.name in CIRCULAR and equation.out.type.dtype.kind == "f":
            return True
        waiting.extend(plan.producer[v] for v in equation.inputs if v not in plan.stored)
    return False


class Reach:
    """Emits circular functions in a nest by our kernels, and notes if one can't do it."""

    def __init__(self, nest: Nest) -> None:
        self.nest = nest
        self.beyond = nest.b.alloca(I1)
        nest.b.store(I1(0), self.beyond)

    def emit(self, equation: Equation, x: Any, source: np.dtype[Any]) -> Any:
        """Return the function of one element."""
        from ..kernels import EMITTERS, REDUCIBLE

        b, name, dtype = self.nest.b, equation.primitive.name, equation.out.type.dtype
        x = convert(b, x, source, dtype)
        bound = constant(REDUCIBLE[name][8 * dtype.itemsize], dtype)
        great = b.fcmp_ordered(">", intrinsic(b, "llvm.fabs", x), bound)
        b.store(b.or_(b.load(self.beyond, typ=I1), great), self.beyond)
        return EMITTERS[name](b, x)


class CircularNest:
    """Writes a nest both ways, and what chooses between them."""

    def __init__(
        self,
        module: ir.Module,
        name: str,
        group: Group,
        plan: Schedule,
        buffers: Buffers,
        cls: type[Nest] = Nest,
    ) -> None:
        self.group = group
        # LLVM needs the flag in a register: it comes back as the result
        self.quick = cls(module, f"{name}.quick", group, plan, buffers, result=I1)
        self.full = cls(module, f"{name}.full", group, plan, buffers)
        self.full.function.attributes.add("cold")
        self.full.function.effort = "little"
        self.slots, self.is_small = self.quick.slots, False
        kind = ir.FunctionType(ir.VoidType(), [a.type for a in self.full.function.args])
        self.function = ir.Function(module, kind, name)
        self.function.linkage = "internal"
        self.function.attributes.add("noinline")
        self.function.effort = "little"

    def write(self) -> ir.Function:
        """Write all three functions."""
        reach = self.quick.reach = Reach(self.quick)
        self.quick.write_body()
        self.quick.b.ret(self.quick.b.load(reach.beyond, typ=I1))
        self.full.write()
        b = ir.IRBuilder(self.function.append_basic_block("entry"))
        beyond = b.call(self.quick.function, self.function.args)
        with b.if_then(beyond, likely=False):
            b.call(self.full.function, self.function.args)
        b.ret_void()
        return self.function
