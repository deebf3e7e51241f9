"""Complex arrays in memory: a real part and the imaginary one behind it, for each element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...program.equation import Equation
from .scalar import I64, convert, register_type

if TYPE_CHECKING:
    from .codegen import Nest

Index = tuple[Any, ...]


def load_part(nest: Nest, equation: Equation, index: Index) -> Any:
    """Return a part of an element."""
    (z,) = equation.operands
    kind = register_type(equation.out.type.dtype)
    whole = nest.address(z, z.type.dtype, nest.place(z, index))
    place = nest.b.gep(whole, [I64(equation.params["imaginary"])], inbounds=True, source_etype=kind)
    return nest.b.load(place, typ=kind)


def store_joined(nest: Nest, root: Equation, index: Index, place: Any) -> None:
    """Store both parts of an element."""
    whole = nest.address(root.out, root.out.type.dtype, place)
    values = [nest.value(o, nest._broadcast(o, index)) for o in root.operands]
    real = root.out.type.dtype.type(0).real.dtype
    for k, (value, o) in enumerate(zip(values, root.operands, strict=True)):
        value = convert(nest.b, value, nest.buffers.dtype_of(o), real)
        to = nest.b.gep(whole, [I64(k)], inbounds=True, source_etype=value.type)
        nest.b.store(value, to)
