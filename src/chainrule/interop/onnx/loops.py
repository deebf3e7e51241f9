"""Emitters of loops and choices: scan, while_loop and cond, as graphs inside of the graph.

A graph inside sees the values around it, so what a body captures needs not to be handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnx import helper

from ...program.arraytype import ArrayType
from .block import Block, Step
from .graph import BOOL, INT64, Graph, Value
from .registry import emits_step


def _bound(g: Graph, block: Block, names: Sequence[str], captured: Sequence[Value]) -> Graph:
    """Return a graph for a body, with the tensors of its inputs and of what it captures."""
    inside = g.inside()
    for var, name in zip(block.inputs, names, strict=True):
        inside.values[var] = Value(name, var.type)
    for var, value in zip(block.captured, captured, strict=True):
        inside.values[var] = Value(g.cast(value, var.type.dtype), var.type)
    return inside


def _inputs(g: Graph, block: Block) -> list[str]:
    return [g.main.fresh("state") for _ in block.inputs]


def _described(g: Graph, names: Sequence[str], types: Sequence[ArrayType]) -> list[Any]:
    return [g.described(name, type_) for name, type_ in zip(names, types, strict=True)]


def _settled(g: Graph, values: Sequence[Value], types: Sequence[ArrayType]) -> list[str]:
    """Return the results of a body in the types that they must have, under names of their own."""
    cast = [Value(g.cast(v, t.dtype), t) for v, t in zip(values, types, strict=True)]
    return g.renamed(cast, "result")


@emits_step("scan")
def _scan(g: Graph, step: Step, values: list[Value]) -> list[str]:
    params = step.params
    n, m, body = params["carries"], params["scanned"], params["body"]
    names = _inputs(g, body)
    inside = _bound(g, body, names, values[n + m :])
    rows = [v.name for v in values[n : n + m]]
    inputs = _described(g, names, [var.type for var in body.inputs])
    if not rows:  # a Scan reads at least one sequence: its length is the number of steps
        rows = [g.arange(params["steps"])]
        inputs.append(g.described(g.main.fresh("count"), ArrayType((), INT64)))
    types = [var.type for var in step.outs[:n]]
    types += [ArrayType(var.type.shape[1:], var.type.dtype) for var in step.outs[n:]]
    found = _settled(inside, inside.run(body), types)
    graph = inside.proto("body", inputs, _described(g, found, types))
    direction = int(params["reverse"])
    starts = [g.cast(v, t.dtype) for v, t in zip(values[:n], types, strict=False)]
    outs = g.node(
        "Scan",
        *starts,
        *rows,
        outputs=len(step.outs),
        body=graph,
        num_scan_inputs=len(rows),
        scan_input_directions=[direction] * len(rows),
        scan_output_directions=[direction] * (len(step.outs) - n),
    )
    return [outs] if len(step.outs) == 1 else outs


@emits_step("cond")
def _cond(g: Graph, step: Step, values: list[Value]) -> list[str]:
    yes, no, shared = (step.params[key] for key in ("yes", "no", "shared"))
    given, rest = values[1 : 1 + shared], values[1 + shared :]
    captured = rest[: len(yes.captured)], rest[len(yes.captured) :]
    types = [var.type for var in step.outs]
    graphs = []
    for name, block, outer in zip(("then", "else"), (yes, no), captured, strict=True):
        inside = _bound(g, block, [v.name for v in given], outer)
        found = _settled(inside, inside.run(block), types)
        graphs.append(inside.proto(name, [], _described(g, found, types)))
    decision = g.node("Reshape", g.cast(values[0], BOOL), g.integers())
    outs = g.node("If", decision, outputs=len(types), then_branch=graphs[0], else_branch=graphs[1])
    return [outs] if len(types) == 1 else outs


@emits_step("while")
def _while(g: Graph, step: Step, values: list[Value]) -> list[str]:
    test, body = step.params["test"], step.params["body"]
    n, k = len(body.inputs), len(test.captured)
    of_test, of_body = values[n : n + k], values[n + k :]
    types = [var.type for var in body.inputs]
    starts = [g.cast(v, t.dtype) for v, t in zip(values[:n], types, strict=True)]

    def goes_on(graph: Graph, names: Sequence[str]) -> str:
        """Add the nodes of the test of a state."""
        for var, name in zip((*test.inputs, *test.captured), names, strict=True):
            graph.values[var] = Value(name, var.type)
        (found,) = graph.run(test)
        return str(graph.node("Reshape", graph.cast(found, BOOL), graph.integers()))

    outer = [v.name for v in of_test]
    first = goes_on(g, [*starts, *outer])
    names = _inputs(g, body)
    inside = _bound(g, body, names, of_body)
    after = _settled(inside, inside.run(body), types)
    (more,) = inside.renamed(
        [Value(goes_on(inside, [*after, *outer]), ArrayType((), BOOL))], "more"
    )
    counter, going = g.main.fresh("count"), g.main.fresh("going")
    inputs = [
        helper.make_tensor_value_info(counter, 7, []),
        helper.make_tensor_value_info(going, 9, []),
        *_described(g, names, types),
    ]
    results = [helper.make_tensor_value_info(more, 9, []), *_described(g, after, types)]
    graph = inside.proto("body", inputs, results)
    outs = g.node("Loop", "", first, *starts, outputs=n, body=graph)
    return [outs] if n == 1 else outs
