"""The pass that writes operations on complex numbers as operations on their parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ...primitives.families import real_dtype
from ...program.arraytype import ArrayType
from ...program.equation import Equation, Var
from ...program.program import Program
from ...program.pytree import flatten
from ...trace.body import Body
from ...transform.looping.parts import type_of
from . import arrays, operations  # noqa: F401 - they register themselves
from .functions import FUNCTIONS
from .parts import Pair, Real, Writer

# beside element-wise operations, these promote their operands to the type of the result
_PROMOTING = frozenset({"matmul", "einsum", "linear_recurrence"})


def split_complex(program: Program) -> Program:
    """Return a program that computes with the parts of complex numbers.

    Complex values remain what it takes and returns, and what operations take and give that have
    no code here.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.trace.program import trace_program
    >>> program, _ = trace_program(lambda z: np.conj(z) * 2.0, np.ones(3) * 1j, abstract=True)
    >>> print(*(e.primitive.name for e in split_complex(program).equations))
    part part neg mul mul sub mul mul add joined
    """
    if not any(map(_concerns, program.equations)):
        return program
    splitter = _Splitter()
    splitter.run(program.equations)
    outputs = tuple(splitter.whole(o) for o in program.outputs)
    equations = splitter.writer.equations
    return Program.from_trace(program.inputs, equations, outputs, program.name)


def _concerns(equation: Equation) -> bool:
    if any(map(_is_complex, (*equation.operands, *equation.outs))):
        return True
    bodies = (v for v in equation.params.values() if type(v) is Body)
    return any(_concerns(e) for body in bodies for e in body.equations)


def _is_complex(o: Any) -> bool:
    return type_of(o).dtype.kind == "c"


def _part_type(type_: ArrayType) -> ArrayType:
    return ArrayType(type_.shape, real_dtype(type_.dtype))


class _Splitter:
    """The rewriting of one program or body.

    Attributes
    ----------
    pairs : dict
        By variable that is complex: its parts, as far as they are written.
    made : set of Var
        Those of them that are not in memory.
    same : dict
        By variable: what stands for it in memory.
    """

    def __init__(self) -> None:
        self.writer = Writer()
        self.pairs: dict[Var, Pair] = {}
        self.made: set[Var] = set()
        self.same: dict[Var, Any] = {}

    def run(self, equations: Iterable[Equation]) -> None:
        """Write the equations for these."""
        for equation in equations:
            self.writer.origin = equation.origin
            name = equation.primitive.name
            if not _concerns(equation):
                self._keep(equation)
            elif name in _CONTROL:
                self._split_control(equation)
            elif name in FUNCTIONS:
                self._split(equation)
            else:
                self._keep(equation)

    def _keep(self, equation: Equation) -> None:
        operands = tuple(map(self.whole, equation.operands))
        self.writer.equations.append(equation._replace(operands=operands))

    def _split(self, equation: Equation) -> None:
        pairs = [self.pair(o) for o in equation.operands]
        out, name = equation.out, equation.primitive.name
        if out.type.dtype.kind == "c" and (equation.primitive.elementwise or name in _PROMOTING):
            dtype, first = real_dtype(out.type.dtype), int(name == "where")
            pairs[first:] = (p.each(lambda part: part.cast(dtype)) for p in pairs[first:])
        result = FUNCTIONS[name](*pairs, **equation.params)
        if out.type.dtype.kind == "c":
            self._bind(out, result)
        else:
            self.same[out] = _fitted(result, out.type).operand

    def _bind(self, out: Var, result: Pair) -> None:
        """Let a variable have these parts."""
        re, im = result
        if im is not None and _is_nothing(im.operand):
            im = None
        self.pairs[out] = Pair(re, im).each(lambda part: _fitted(part, _part_type(out.type)))
        self.made.add(out)

    # -- operands --------------------------------------------------------------------------------

    def pair(self, o: Any) -> Pair:
        """Return an operand by its parts."""
        if not _is_complex(o):
            return Pair(Real(self.writer, self.whole(o)), None)
        if type(o) is complex:
            return Pair(Real(self.writer, o.real), Real(self.writer, o.imag))
        if type(o) is not Var:
            known = (np.ascontiguousarray(part).reshape(np.shape(o)) for part in (o.real, o.imag))
            return Pair(*(Real(self.writer, part) for part in known))
        if o not in self.pairs:
            parts = (self.writer.apply("part", o, imaginary=side) for side in (False, True))
            self.pairs[o] = Pair(*parts)
        return self.pairs[o]

    def whole(self, o: Any) -> Any:
        """Return an operand as it is in memory."""
        if type(o) is Var and o in self.made and o not in self.same:
            pair = self.pairs[o]
            self.same[o] = self.writer.apply("joined", *self.parts(pair, o.type)).operand
        return self.same.get(o, o) if type(o) is Var else o

    def parts(self, pair: Pair, type_: ArrayType) -> list[Any]:
        """Return both parts as operands of the very type of an array's parts."""
        kind = _part_type(type_)
        return [_in_memory(_fitted(part, kind), kind) for part in (pair.re, pair.dense)]

    # -- loops and branches ----------------------------------------------------------------------

    def _split_control(self, equation: Equation) -> None:
        params, operands = dict(equation.params), list(equation.operands)
        kinds, given = _CONTROL[equation.primitive.name](params), []
        first = len(operands) - len(kinds)  # what decides between branches comes before
        for o, var in zip(operands[first:], kinds, strict=True):
            kind = ArrayType(type_of(o).shape, var.type.dtype)  # rows of it go into a loop
            given += self.parts(self.pair(o), kind) if _is_complex(var) else [self.whole(o)]
        if "carries" in params:
            n, m = params["carries"], params["scanned"]
            params["carries"], params["scanned"] = _count(kinds[:n]), _count(kinds[n : n + m])
        if "shared" in params:
            params["shared"] = _count(kinds[: params["shared"]])
        params = {k: _split_body(v) if type(v) is Body else v for k, v in params.items()}
        outs: list[Var] = []
        for out in equation.outs:
            outs += self._doubled(out)
        before = tuple(map(self.whole, operands[:first]))
        found = equation._replace(operands=(*before, *given), params=params, outs=tuple(outs))
        self.writer.equations.append(found)

    def _doubled(self, var: Var) -> list[Var]:
        """Return the variables that stand for one that is made elsewhere."""
        if not _is_complex(var):
            return [var]
        parts = [Var(-1, None, _part_type(var.type)) for _ in range(2)]
        self.pairs[var] = Pair(*(Real(self.writer, part) for part in parts))
        self.made.add(var)
        return parts


def _split_body(body: Body) -> Body:
    splitter = _Splitter()
    inputs, captured = (
        [new for var in given for new in splitter._doubled(var)]
        for given in (body.inputs, body.captured)
    )
    splitter.run(body.equations)
    outputs: list[Any] = []
    for o in body.outputs:
        split = _is_complex(o)
        outputs += splitter.parts(splitter.pair(o), type_of(o)) if split else [splitter.whole(o)]
    captures: list[Any] = [(None, var) for var in captured]
    tree = flatten(list(outputs))[1]
    return Body(tuple(inputs), captures, splitter.writer.equations, tuple(outputs), tree)


def _count(kinds: Sequence[Var]) -> int:
    return sum(2 if _is_complex(var) else 1 for var in kinds)


# by the name of the primitive: the variables of its bodies for which it hands in operands
_CONTROL: dict[str, Callable[[dict[str, Any]], list[Var]]] = {
    "scan": lambda p: [*p["body"].inputs, *p["body"].captured],
    "checkpoint": lambda p: [*p["body"].inputs, *p["body"].captured],
    "cond": lambda p: [*p["yes"].inputs, *p["yes"].captured, *p["no"].captured],
    "while": lambda p: [*p["body"].inputs, *p["test"].captured, *p["body"].captured],
}


# -- parts as the type of a result wants them -----------------------------------------------------


def _is_nothing(o: Any) -> bool:
    """Tell whether a part is +0.0, whatever the shape."""
    return type(o) is float and o == 0.0 and not np.signbit(o)


def _fitted(part: Real | Pair, type_: ArrayType) -> Real:
    """Return a part in the shape and dtype of a result."""
    if isinstance(part, Pair):
        part = part.re
    if part.shape != type_.shape:
        o = part.operand
        if type(o) is not Var:
            return Real(part.writer, np.full(type_.shape, o, type_.dtype))
        part = part.apply("broadcast_to", shape=type_.shape)
    return part.cast(type_.dtype)


def _in_memory(part: Real, type_: ArrayType) -> Any:
    o = part.operand
    return o if type(o) is Var else np.asarray(o, type_.dtype)[()]
