"""Programs as a person reads them: named, typed, and with the lines they come from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .bytecode import opname_at
from .codecs import CODECS
from .equation import DerivedOrigin, Equation, Origin, Var
from .index import Hole, index_text
from .spans import result_name, span_of

if TYPE_CHECKING:
    from .program import Program

_SMALL = 4  # constants with more elements are shown by their type alone
_ALIGNED = 88  # places stand below each other behind lines up to this long


def program_text(program: Program) -> str:
    """Write a program, one equation per line."""
    names = names_of(program)
    inputs = ", ".join(f"{names[var]}: {var.type}" for var in program.inputs)
    lines = [(f"{program.name}({inputs}):", "")]
    for equation in program.equations:
        lines.append((f"    {_equation_text(equation, names)}", _place(equation.origin)))
        for name, value in equation.params.items():
            inner = _program_in(value)
            if inner is not None:
                text = program_text(inner.replace(name=name))
                lines += [(f"        {line}", "") for line in text.splitlines()]
    outputs = ", ".join(_operand_text(o, names) for o in program.outputs)
    lines.append((f"    return {outputs}".rstrip(), ""))
    lengths = (len(text) for text, place in lines if place)
    width = max((n for n in lengths if n <= _ALIGNED), default=0)
    return "\n".join(f"{text:<{width}}  # {place}" if place else text for text, place in lines)


def _program_in(value: Any) -> Program | None:
    """Return the program that a parameter is, such as the body of a loop."""
    from .program import Program

    codec = CODECS.get(type(value))
    parts = (value,) if codec is None else codec.encode(value)
    found = [p for p in parts if isinstance(p, Program)] if isinstance(parts, tuple) else []
    return found[0] if found else None


def names_of(program: Program) -> dict[Var, str]:
    """Return a name for each variable: the user's own where it is known, else t0, t1, ...

    A name that is used again, in a loop for instance, gets a number.
    """
    names: dict[Var, str] = {}
    used: dict[str, int] = {}
    unnamed = 0
    wished = {var: var.name for var in program.inputs} | user_names(program.equations)
    for var in (*program.inputs, *(out for e in program.equations for out in e.outs)):
        name = wished.get(var)
        if name is None:
            name = f"t{unnamed}"
            unnamed += 1
        count = used.get(name, 0)
        used[name] = count + 1
        names[var] = f"{name}.{count}" if count else name
    return names


def user_names(equations: tuple[Equation, ...]) -> dict[Var, str | None]:
    """Return what the user's code calls the results, None for those without a name.

    A statement such as ``g = grad(f)(x)`` makes many equations; only the last one's is its result.
    """
    wished: dict[Var, str | None] = {}
    for number, equation in enumerate(equations):
        following = _asked_at(equations[number + 1]) if number + 1 < len(equations) else ()
        asked = _asked_at(equation)
        for out in equation.outs:
            wished[out] = out.name
        if not asked or len(equation.outs) > 1 or equation.outs[0].name:
            continue
        if following != asked or (asked is equation.origin and is_whole(equation)):
            wished[equation.outs[0]] = result_name(*asked[0])
    return wished


def _asked_at(equation: Equation) -> Origin:
    """Return the origin by which an equation is named: of a derivative, where it was asked for."""
    origin = equation.origin
    return origin[1:] if type(origin) is DerivedOrigin else origin


def is_whole(equation: Equation) -> bool:
    """Tell whether an equation alone is what its place in the source computes.

    Where a loop repeats a place, the same place follows; but so it does within one call.
    """
    code, lasti = equation.origin[0]
    if opname_at(code, lasti).startswith(("BINARY", "UNARY")):
        return True
    called = span_of(code, lasti).text.partition("(")[0]
    return called.rpartition(".")[2] == equation.primitive.name


def _equation_text(equation: Equation, names: dict[Var, str]) -> str:
    outs = ", ".join(f"{names[out]}: {out.type}" for out in equation.outs)
    parts = [equation.primitive.name]
    parts += [_operand_text(o, names) for o in equation.operands]
    parts += [f"{name}={_param_text(name, value)}" for name, value in equation.params.items()]
    return f"{outs} = {' '.join(parts)}"


def _operand_text(operand: Any, names: dict[Var, str]) -> str:
    if type(operand) is Var:
        return names[operand]
    if isinstance(operand, np.ndarray):
        if operand.size > _SMALL:
            shape = ",".join(map(str, operand.shape))
            return f"<{operand.dtype}[{shape}]>"
        return np.array2string(operand, separator=",").replace("\n", "").replace(" ", "")
    return str(operand.item()) if isinstance(operand, np.generic) else repr(operand)


def _param_text(name: str, value: Any) -> str:
    if name in ("spec", "index") and isinstance(value, tuple):
        return f"[{index_text(tuple(_Shown(v) if type(v) is Hole else v for v in value))}]"
    if isinstance(value, np.dtype):
        return value.name
    inner = _program_in(value)
    if inner is not None:
        return f"({len(inner)} equations)"
    if isinstance(value, np.ndarray):
        return _operand_text(value, {})
    shown = value if isinstance(value, str) else repr(value)
    return "".join(shown.split()) if isinstance(value, tuple | list) else shown


class _Shown(int):
    """A hole in an index, which prints as the operand that fills it."""

    def __str__(self) -> str:
        return f"#{int(self)}"


def _place(origin: Origin) -> str:
    if not origin:
        return ""
    span = span_of(*origin[0])
    return f"{os.path.basename(span.file)}:{span.line}"
