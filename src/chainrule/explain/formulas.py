"""From recorded equations to formulas in the user's names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..maps import bare
from ..program.arraytype import shape_of
from ..program.equation import Equation, Var
from ..program.primitive import PRIMITIVES
from .collect import Collected, Flow
from .expression import Apply, Expr, Number, Product, Symbol, Total, evaluate, replace, size, walk
from .naming import Names, operand_text
from .notation import formula_text
from .patterns import Proposal, known_derivatives
from .simplify import product, simplify, total
from .statements import Block

MAX_NODES = 60
MAX_DEPTH = 60
MAX_LEGEND = 20


class Formulas:
    """Writes down what was computed, from the recorded equations.

    Parameters
    ----------
    found : Collected
        The gradient and its equations.
    names : Names
        What the user calls the values.
    """

    def __init__(self, found: Collected, names: Names, blocks: list[Block]) -> None:
        self.names = names
        self.legend: dict[str, str] = {}
        self._found = found
        self._producers: dict[Var, Equation] = {}
        self._uses: dict[Var, tuple[Equation, int]] = {}
        self._repetition = {out: b.repetition for b in blocks for out in b.made}
        for equation in (*found.equations, *found.backward):
            for out in equation.outs:
                self._producers[out] = equation
        self._register_constants()
        self._keeps_masks = True
        self._counts: dict[int, Symbol] = {}
        self._definitions: dict[str, Symbol] = {}
        self._forward: dict[Var, Expr | None] = {}

    # -- the forward computation -----------------------------------------------------------------

    def definition(self, var: Var) -> Expr | None:
        """Return what a variable is computed as, from the named values before it."""
        if var not in self._forward:
            expr: Expr | None = None
            equation = self._producers.get(var)
            if equation is not None:
                expr = self._guarded(lambda: self._applied(equation, {}, 0))
                if expr is not None:
                    expr = simplify(expr)
                name = self.names.of(var)
                if name is not None and expr is not None and _is_worth_a_name(expr):
                    self._definitions.setdefault(expr.key, self.symbol(var))
            self._forward[var] = expr
        return self._forward[var]

    def operation(self, var: Var) -> str | None:
        """Name of the operation that computed a variable as one of several results."""
        equation = self._producers.get(var)
        return equation.primitive.symbol if equation and len(equation.outs) > 1 else None

    def write_legend(self, shown: list[Expr]) -> None:
        """Note what the symbols mean that are not the program's own."""
        used = {e.name for expr in shown for e in walk(expr) if isinstance(e, Symbol)}
        for n, symbol in self._counts.items():
            if symbol.name in used:
                self.legend[symbol.name] = f"{n} (the number of elements averaged over)"
        for var in self.names.given:
            definition = self.definition(var)
            if definition is not None and size(definition, MAX_LEGEND) < MAX_LEGEND:
                self.legend.setdefault(self.names.ensure(var), formula_text(definition))

    def symbol(self, var: Var) -> Symbol:
        """Return the symbol of a variable of the program."""
        return Symbol(self.names.ensure(var), var.value)

    def cotangent(self, var: Var) -> Expr:
        """Return the symbol of the gradient by a variable; 1 for the result itself."""
        if var is self._found.output:
            return Number(1.0)
        value = bare(self._found.cotangents[var])
        return Symbol(self.cotangent_name(var), value, gradient=True)

    def cotangent_name(self, var: Var) -> str:
        """Return ``∂L/∂x``."""
        return f"∂{self.names.output}/∂{self.names.ensure(var)}"

    # -- the backward computation ----------------------------------------------------------------

    def contribution(
        self, flows: list[Flow], results: list[Var], within: list[Flow]
    ) -> tuple[Expr | None, str | None]:
        """Return what some flows into one variable add up to, from the gradients by ``results``.

        Parameters
        ----------
        flows : list of Flow
            The edges that end at the variable.
        results : list of Var
            The results of the block.
        within : list of Flow
            All edges of the block.

        Returns
        -------
        expr : Expr or None
            None if it cannot be written down, or no formula reproduces the numbers.
        rule : str or None
            The name of the rule, if it has one of its own.
        """
        self._reached = {id(f): _reached(f, set(results), within) for f in flows}
        stops = {
            self._found.traced[u]: self.cotangent(u)
            for u in results
            if self._found.traced.get(u) is not None
        }
        wanted = sum_of_values(flows)
        for expr, rule in self._candidates(flows, results, stops):
            if size(expr, MAX_NODES) < MAX_NODES and reproduces(expr, wanted):
                return expr, rule
        return None, None

    def _candidates(
        self, flows: list[Flow], results: list[Var], stops: dict[Any, Expr]
    ) -> Iterator[Proposal]:
        if len(results) == 1:
            (result,) = results
            operand, symbol = self.symbol(flows[0].operand), self.symbol(result)
            definition = self.definition(result)
            if definition is not None:
                ct = self.cotangent(result)
                known = known_derivatives(definition, operand, symbol, ct, self._count)
                yield from ((self._named(expr), rule) for expr, rule in known)
        # Masks that came with the cotangent are in its value already, unless 0 · inf needs them.
        for self._keeps_masks in (False, True):
            raw = self._guarded(lambda: self._sum_of(flows, stops))
            if raw is not None:
                yield from ((expr, None) for expr in self._readings(raw))

    def _readings(self, raw: Expr) -> Iterator[Expr]:
        short = simplify(raw)
        named = self._named(short)
        if named is not short:
            yield self._again(named)
        yield short
        yield raw

    def _sum_of(self, flows: list[Flow], stops: dict[Any, Expr]) -> Expr:
        parts = []
        for flow in flows:
            # Two results may have one and the same cotangent, but just one of them is meant.
            mine = {self._found.traced.get(u): self.cotangent(u) for u in self._reached[id(flow)]}
            parts.append(self._expand(_operand(flow.traced), {**stops, **mine}, None, 0))
        expr = parts[0]
        for part in parts[1:]:
            shape = np.broadcast_shapes(expr.shape, part.shape)
            expr = Apply("add", (expr, part), shape=shape)
        return expr

    def _guarded(self, make: Any) -> Expr | None:
        try:
            expr: Expr = make()
        except _TooDeepError:
            return None
        return expr if size(expr, 40 * MAX_NODES) < 40 * MAX_NODES else None

    def _named(self, expr: Expr) -> Expr:
        """Put the names of the user's values in the place of what they are computed as."""
        return replace(expr, lambda e: self._definitions.get(e.key))

    def _again(self, expr: Expr) -> Expr:
        """Merge what became equal by naming."""
        if isinstance(expr, Product):
            factors = [(self._again(f), e) for f, e in expr.factors]
            return product(*factors, coefficient=expr.coefficient)
        if isinstance(expr, Total):
            return total(*((c, self._again(t)) for c, t in expr.terms))
        if isinstance(expr, Apply):
            args = tuple(self._again(a) for a in expr.args)
            return simplify(Apply(expr.op, args, expr.params, expr.shape))
        return expr

    # -- expansion -------------------------------------------------------------------------------

    def _expand(self, operand: Any, stops: dict[Any, Expr], at: Any, depth: int) -> Expr:
        if type(operand) is not Var:
            return self._constant(operand, at)
        if operand in stops:
            return stops[operand]
        if operand in self._found.lifted:
            return self._lifted(operand)
        equation = self._producers.get(operand)
        if equation is None or self.names.of(operand) is not None:
            return self.symbol(operand)
        return self._applied(equation, stops, depth)

    def _applied(self, equation: Equation, stops: dict[Any, Expr], depth: int) -> Expr:
        if depth > MAX_DEPTH or len(equation.outs) > 1:
            raise _TooDeepError
        args = tuple(
            self._expand(operand, stops, (equation, i), depth + 1)
            for i, operand in enumerate(equation.operands)
        )
        shape = shape_of(equation.outs[0].value)
        return Apply(equation.primitive.name, args, equation.params, shape)

    # -- constants -------------------------------------------------------------------------------

    def _register_constants(self) -> None:
        """Name the constants where the program takes them in."""
        self.names.register(
            (operand, equation, i, self._repetition[equation.outs[0]])
            for equation in self._found.equations
            for i, operand in enumerate(equation.operands)
            if isinstance(operand, np.ndarray) and operand.ndim
        )

    def _lifted(self, var: Var) -> Expr:
        value = self._found.lifted[var]
        return self.names.constant(value) or self._unnamed(value)

    def _unnamed(self, value: Any) -> Expr:
        """Return a symbol for an array that the program has no name for, or its one number."""
        first: Any = value.flat[0].item() if value.size else None
        if value.dtype.kind in "fiu" and value.ndim and value.size and np.all(value == first):
            return Apply("broadcast_to", (Number(first),), {"shape": value.shape}, value.shape)
        return self.names.unnamed(value)

    def _constant(self, value: Any, at: tuple[Equation, int] | None) -> Expr:
        if isinstance(value, np.ndarray) and value.ndim:
            return self._array(value, at)
        if at is not None and at[0].origin:  # a number in the user's own code
            return self._number(value, operand_text(*at))
        flow = None if at is None else self._found.sources.get(at[0].outs[0])
        if isinstance(value, np.bool_ | bool):
            return Number(1) if value else self._array(np.asarray(value), at)
        return self._factor(value, flow)

    def _number(self, value: Any, text: str | None) -> Expr:
        value = value.item() if isinstance(value, np.generic | np.ndarray) else value
        if text is not None and text.isidentifier() and text not in ("True", "False"):
            return Symbol(text, value)
        return Number(value)

    def _factor(self, value: Any, flow: Flow | None) -> Expr:
        """Return a number of the backward computation as what it was made of, where known."""
        value = value.item() if isinstance(value, np.generic | np.ndarray) else value
        if flow is not None and isinstance(value, int | float) and value != 0:
            equation = flow.equation
            if equation.primitive.name == "mean" and value != 1:
                return product((self._count(round(1 / value)), -1))
            for i, operand in enumerate(equation.operands):
                if type(operand) is Var or not isinstance(operand, int | float) or not operand:
                    continue
                named = self._number(operand, operand_text(equation, i))
                if operand == value and isinstance(named, Symbol):
                    return named
                if equation.primitive.name == "div" and i == 1 and value == 1.0 / operand:
                    return product((named, -1)) if isinstance(named, Symbol) else _inverse(operand)
        return Number(value)

    def _count(self, n: int) -> Expr:
        """Return the symbol of a number of elements that is divided by."""
        if n not in self._counts:
            taken = {symbol.name for symbol in self._counts.values()}
            free = [c for c in ("m", "n", "k") if self.names.free(c) and c not in taken]
            if not free:
                return Number(n)
            self._counts[n] = Symbol(free[0], n)
        return self._counts[n]

    def _array(self, value: Any, at: tuple[Equation, int] | None) -> Expr:
        known = self.names.constant(value)
        if known is not None:
            return known
        if value.base is not None:
            base = self.names.constant(value.base)
            if base is not None and value.shape == base.shape[::-1] and _is_transposed(value):
                axes = tuple(reversed(range(value.ndim)))
                return Apply("transpose", (base,), {"axes": axes}, value.shape)
        flow = None if at is None else self._found.sources.get(at[0].outs[0])
        if flow is not None:
            guess = self._guess(value, flow)
            if guess is not None:
                return guess
        if value.dtype.kind == "b" and not self._keeps_masks:
            return Number(1)
        return self._unnamed(value)

    def _guess(self, value: Any, flow: Flow) -> Expr | None:
        """Find what a rule computed from an equation's operands without leaving a record."""
        equation = flow.equation
        if equation.primitive.name == "setitem" and value.dtype.kind == "b":
            return self._outside(equation, value)
        args = [self._expand(o, {}, (equation, i), 0) for i, o in enumerate(equation.operands)]
        mine = args[flow.position]
        result = self._expand(equation.outs[0], {}, None, 0)
        if isinstance(result, Symbol) and not isinstance(mine, Symbol):
            args.append(mine)
            mine = result  # max(0, t) > 0 says the same as t > 0, in a name of the program
        others = [a for i, a in enumerate(args) if i != flow.position]
        if value.dtype.kind != "b":
            return _first(value, [("sign", (mine,))]) or _tie_share(value, mine, others)
        pairs = [
            (op, (mine, other))
            for other in others
            for op in ("greater", "less", "greater_equal", "less_equal")
        ]
        opposites = [("logical_not", (other,)) for other in others]
        return _first(value, [*pairs, *opposites, ("equal", (mine, result))])

    def _outside(self, equation: Equation, value: Any) -> Expr:
        """Return the mask of the elements that an assignment leaves alone."""
        parts = tuple(
            self._constant(o, (equation, i)) for i, o in enumerate(equation.operands) if i > 1
        )
        nothing = Symbol("", value)
        place = Apply("getitem", (nothing, *parts), equation.params, value.shape)
        return Symbol(f"outside {formula_text(place)}", value)


def _first(value: Any, candidates: list[tuple[str, tuple[Expr, ...]]]) -> Expr | None:
    """Return the first operation on formulas that gives just these values."""
    for op, args in candidates:
        if _equals(op, args, value):
            return Apply(op, args, shape=value.shape)
    return None


def _tie_share(value: Any, mine: Expr, others: list[Expr]) -> Expr | None:
    """Recognise the factor that splits a tie evenly."""
    for other in others:
        a, b = evaluate(mine), evaluate(other)
        fits = np.shape(a) == value.shape and np.shape(b) in ((), value.shape)
        if fits and np.array_equal(value, np.where(np.equal(a, b), 0.5, 1.0)):
            return Symbol("½ at ties", value, atomic=False)
    return None


_MOVES = frozenset(
    {"getitem", "reshape", "transpose", "broadcast_to", "cast", "alias", "embed", "scatter_add"}
)


def _is_worth_a_name(expr: Expr) -> bool:
    """Whether a value is recognised by what it is computed as: a function, not a mere move."""
    return isinstance(expr, Product | Total) or (isinstance(expr, Apply) and expr.op not in _MOVES)


def _reached(flow: Flow, results: set[Var], within: list[Flow]) -> list[Var]:
    """Return the results of a block that a flow comes from, without passing another one."""
    reached: list[Var] = []
    todo = list(flow.equation.outs)
    seen: set[Var] = set()
    while todo:
        var = todo.pop()
        if var in results:
            reached.append(var)
        elif var not in seen:
            seen.add(var)
            todo.extend(out for f in within if f.operand is var for out in f.equation.outs)
    return reached


class _TooDeepError(Exception):
    """A formula has too many levels to be read, or an operation in it none at all."""


def _equals(op: str, args: tuple[Expr, ...], value: Any) -> bool:
    """Whether an operation on formulas gives just these values."""
    try:
        found = PRIMITIVES[op].impl(*(evaluate(a) for a in args))
        return np.shape(found) == value.shape and bool(np.all(np.equal(found, value)))
    except (TypeError, ValueError):
        return False


def _is_transposed(value: Any) -> bool:
    base = value.base
    return bool(
        value.__array_interface__["data"] == base.__array_interface__["data"]
        and value.strides == base.strides[::-1]
    )


def _inverse(value: float) -> Expr:
    inverse = 1.0 / value
    short = len(f"{inverse:.6g}".rstrip("0")) <= len(f"{value:.6g}") + 2
    return Number(inverse) if short else product((Symbol(f"{value:g}", value), -1))


def _operand(traced: Any) -> Any:
    held = getattr(traced, "_operand", None)
    return traced if held is None else held()


def sum_of_values(flows: list[Flow]) -> Any:
    """Add up what flows carried to one variable."""
    result = bare(flows[0].moved)
    for flow in flows[1:]:
        result = result + bare(flow.moved)
    return result


def reproduces(expr: Expr, wanted: Any) -> bool:
    """Whether a formula gives the number that was computed."""
    try:
        return agrees(evaluate(expr), wanted)
    except (TypeError, ValueError, IndexError, ArithmeticError):  # a rewrite that lost a shape
        return False


def agrees(found: Any, wanted: Any) -> bool:
    """Whether a formula's value is the one that was computed, up to rounding."""
    wanted = np.asarray(wanted)
    try:
        found = np.broadcast_to(np.asarray(found), wanted.shape)
    except ValueError:
        return False
    single = wanted.dtype.itemsize <= 4 or wanted.dtype == np.complex64
    tolerance = 2e-4 if single else 1e-9
    finite = np.isfinite(wanted)  # where 0 · inf spoilt a number, nothing can agree
    scale = float(np.max(np.abs(wanted[finite]), initial=0.0))
    close = np.allclose(found[finite], wanted[finite], rtol=tolerance, atol=tolerance * scale)
    return bool(close)
