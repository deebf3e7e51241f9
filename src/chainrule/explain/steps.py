"""The steps of an explanation: one per gradient, from the result back to the inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..maps import Masked, bare
from ..program.equation import Var
from ..program.spans import Span, span_of
from .certificate import Certificate, certify
from .collect import Collected, Flow
from .expression import Apply, Expr, Product
from .formulas import Formulas, sum_of_values
from .notation import formula_text
from .numbers import element_text
from .rules import rule_of, slope_of
from .simplify import total
from .statements import Block


@dataclass(slots=True, eq=False)
class Edge:
    """The composed map of one block, from its results back to one variable.

    Attributes
    ----------
    block : Block
        The piece of the program.
    operand : Var
        The variable that the cotangents flow to.
    results : list of Var
        The block's results that they come from.
    flows : list of Flow
        The edges of the last operations of all paths.
    """

    block: Block
    operand: Var
    results: list[Var]
    flows: list[Flow]
    certificate: Certificate
    expr: Expr | None = None
    rule: str = ""


@dataclass(slots=True, eq=False)
class Step:
    """One gradient of the chain rule: how it is computed, its size, and whether it is right.

    Attributes
    ----------
    index : int
        Position in the explanation, from 1.
    symbol : str
        What is computed, such as ``∂L/∂W2``.
    name, base : str
        The variable that is differentiated by: ``h⁽³⁾``; and its name in the source: ``h``.
    rule : str
        The rule used: ``matmul, right``.
    formula : str
        The rule in the program's own names: ``a1ᵀ @ ∂L/∂z2``.
    span : Span or None
        Where in the program the step's operation stands.
    shape : tuple of int
        Shape of the gradient.
    shapes : str
        The shapes that the formula combines: ``(3,4)@(4,1)``.
    value : array
        The gradient.
    norm : float
        Its Frobenius norm.
    gain : float or None
        How much longer it is than the gradient that it was computed from; None for the first
        step and for the function's arguments.
    leaf : bool
        Whether the variable is an argument of the function.
    error : float
        Relative difference between the step's map and a difference quotient; the largest, where
        several edges end here.
    masked : float or None
        Share of elements that are zero by the structure of the program, if some are.
    note : str
        What is special about the step, or ''.
    """

    index: int
    symbol: str
    name: str
    base: str
    rule: str
    formula: str
    span: Span | None
    shape: tuple[int, ...]
    shapes: str
    value: Any
    norm: float
    gain: float | None
    leaf: bool
    masked: float | None
    note: str
    edges: list[Edge] = field(repr=False)
    expr: Expr | None = field(repr=False)
    operand: Var = field(repr=False)
    slope: Expr | None = field(default=None, repr=False)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What it shares with the same step of another turn of a loop."""
        return self.base, self.line, self.rule

    @property
    def line(self) -> int | None:
        """Line of the program, from 1."""
        return None if self.span is None else self.span.line

    @property
    def error(self) -> float:
        """Largest relative error of the step's edges; NaN if one could not be checked."""
        return float(np.max([e.certificate.error for e in self.edges]))

    @property
    def verified(self) -> bool:
        """Whether all edges of the step are certified."""
        return all(e.certificate.verified for e in self.edges)

    @property
    def smooth(self) -> bool:
        """Whether the function has a derivative here, rather than a convention at a kink."""
        return all(e.certificate.smooth for e in self.edges)

    def numbers(self, index: tuple[int, ...] | None = None) -> str:
        """Write the step out for one element: its formula, the numbers put in, the result.

        Parameters
        ----------
        index : tuple of int, optional
            The element; by default the first one.
        """
        where = (0,) * len(self.shape) if index is None else tuple(index)
        return element_text(self.symbol, self.expr, self.value, where)


def build_steps(found: Collected, blocks: list[Block], formulas: Formulas) -> list[Step]:
    """Return the steps in the order of the chain rule."""
    edges = _edges(found, blocks)
    for var in sorted({u for e in edges for u in (*e.results, e.operand)}, key=lambda v: v.id):
        formulas.names.ensure(var)
    for block in blocks:
        for var in block.made:
            if formulas.names.of(var) is not None:
                formulas.definition(var)
    steps: list[Step] = []
    for operand in _order(edges, set(found.inputs)):
        mine = [e for e in edges if e.operand is operand]
        for edge in mine:
            within = edge.block.flows
            edge.expr, rule = formulas.contribution(edge.flows, edge.results, within)
            edge.rule = rule or rule_of(edge.operand, edge.results, formulas)
        steps.append(_step(len(steps) + 1, operand, mine, found, formulas))
    return steps


def _edges(found: Collected, blocks: list[Block]) -> list[Edge]:
    """Return the edges between blocks, in the order of the pull."""
    home = {out: block for block in blocks for out in block.made}
    crossing = {
        flow.operand
        for flow in found.flows
        if home.get(flow.operand) is not home[flow.equation.outs[0]]
    }
    if found.output is not None:
        crossing.add(found.output)
    edges = []
    for block in reversed(blocks):
        results = [u for u in block.made if u in crossing and u in found.cotangents]
        inward: dict[Var, list[Flow]] = {}
        for flow in block.flows:
            if home.get(flow.operand) is not block or flow.operand in results:
                inward.setdefault(flow.operand, []).append(flow)
        for operand, flows in inward.items():
            others = [u for u in results if u is not operand]
            edges.append(_edge(found, block, operand, others, flows))
    return edges


def _edge(found: Any, block: Block, operand: Var, results: list[Var], flows: Any) -> Edge:
    pairs = [(u, _start(found, block, u)) for u in results]
    moved = sum_of_values(flows)
    certificate = certify(block.equations, block.flows, operand, pairs, moved)
    return Edge(block, operand, results, flows, certificate)


def _start(found: Collected, block: Block, result: Var) -> Any:
    """Return what enters a block at one of its results: its cotangent but for the block's own."""
    value = bare(found.cotangents[result])
    for flow in block.flows:
        if flow.operand is result:
            value = value - bare(flow.moved)
    return value


def _order(edges: list[Edge], inputs: set[Var]) -> Iterator[Var]:
    """Yield variables when their gradients are complete: arguments first, then the latest."""
    left: dict[Var, int] = {}
    for edge in edges:
        left[edge.operand] = left.get(edge.operand, 0) + 1
    start = 0
    while start < len(edges):
        block = edges[start].block
        stop = start
        complete = []
        while stop < len(edges) and edges[stop].block is block:
            operand = edges[stop].operand
            left[operand] -= 1
            if not left[operand]:
                complete.append(operand)
            stop += 1
        made = set(block.made)
        yield from sorted(
            complete, key=lambda v: (v not in made, v not in inputs, v.id * _turn(v in inputs))
        )
        start = stop


def _turn(forwards: bool) -> int:
    return 1 if forwards else -1


def _step(
    index: int, operand: Var, edges: list[Edge], found: Collected, formulas: Formulas
) -> Step:
    value = bare(found.cotangents[operand])
    leaf = operand in found.inputs
    exprs = [e.expr for e in edges]
    expr = total(*((1.0, e) for e in exprs if e is not None)) if all(exprs) else None
    norm = float(np.linalg.norm(np.ravel(value)))
    last = edges[-1]
    return Step(
        index=index,
        symbol=formulas.cotangent_name(operand),
        name=formulas.names.ensure(operand),
        base=formulas.names.base(operand) or "",
        rule=_rule(edges),
        formula=_formula(edges, expr, formulas),
        span=_span(last.block),
        shape=np.shape(value),
        shapes=_shapes(expr, np.shape(value)),
        value=value,
        norm=norm,
        gain=None if leaf else _gain(norm, edges, found),
        leaf=leaf,
        masked=_masked(edges),
        note=_note(edges),
        edges=edges,
        expr=expr,
        operand=operand,
        slope=slope_of(edges[0].results, expr, formulas) if len(edges) == 1 else None,
    )


MAX_TERMS = 4


def _formula(edges: list[Edge], expr: Expr | None, formulas: Formulas) -> str:
    texts = [_edge_formula(e, formulas) for e in edges]
    if len(edges) > MAX_TERMS:
        return f"{texts[0]} + … + {texts[-1]}  ({len(edges)} uses)"
    return formula_text(expr) if expr is not None else " + ".join(texts)


def _edge_formula(edge: Edge, formulas: Formulas) -> str:
    if edge.expr is not None:
        return formula_text(edge.expr)
    terms = []
    for u in edge.results:
        name, by = formulas.names.ensure(u), formulas.names.ensure(edge.operand)
        given = formula_text(formulas.cotangent(u))
        if all(e.primitive.elementwise for e in edge.block.equations):
            terms.append(f"{given} ⊙ ∂{name}/∂{by}")
        else:
            terms.append(f"(∂{name}/∂{by})ᵀ {given}")
    return " + ".join(terms)


def _rule(edges: list[Edge]) -> str:
    rules = list(dict.fromkeys(e.rule for e in edges))
    if len(edges) == 1:
        return rules[0]
    text = " + ".join(rules) if len(rules) <= 2 else "several rules"
    return f"{len(edges)} uses: {text}"


def _span(block: Block) -> Span | None:
    return None if block.frame is None else span_of(*block.frame)


def _gain(norm: float, edges: list[Edge], found: Collected) -> float | None:
    results = {u for e in edges for u in e.results}
    if found.output in results:
        return None
    given = np.sqrt(sum(np.linalg.norm(np.ravel(bare(found.cotangents[u]))) ** 2 for u in results))
    return float(norm / given) if given > 0 else float("nan")


def _shapes(expr: Expr | None, shape: tuple[int, ...]) -> str:
    while isinstance(expr, Apply) and expr.op in ("reshape", "broadcast_to"):
        expr = expr.args[0]
    if isinstance(expr, Product) and len(expr.factors) == 1:
        expr = expr.factors[0][0]
    if isinstance(expr, Apply) and expr.op == "outer":
        return "@".join((f"({expr.shape[0]},1)", f"(1,{expr.shape[1]})"))
    if isinstance(expr, Apply) and expr.op == "matmul":
        return "@".join(shape_text(a.shape) for a in expr.args)
    return shape_text(shape)


def shape_text(shape: tuple[int, ...]) -> str:
    """Write a shape: ``(3,4)``."""
    return "(" + ",".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _masked(edges: list[Edge]) -> float | None:
    """Return the share of elements that a step's own mask cuts off.

    Only where one way leads through the block: on several ways a mask of one says little.
    """
    shares = []
    for edge in edges:
        into: dict[Var, list[Flow]] = {}
        for flow in edge.block.flows:
            into.setdefault(flow.operand, []).append(flow)
        flows, mask = edge.flows, None
        while len(flows) == 1:
            (flow,) = flows
            if type(flow.moved) is Masked and type(flow.given) is not Masked:
                mask = flow.moved.mask
            flows = [f for out in flow.equation.outs for f in into.get(out, [])]
        if flows or mask is None or not np.ndim(mask):
            return None
        shares.append(1.0 - float(np.mean(mask)))
    return min(shares) or None


def _note(edges: list[Edge]) -> str:
    return "; ".join(dict.fromkeys(e.certificate.note for e in edges if e.certificate.note))
