"""What is done to a program before it is cut into loop nests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..program.equation import Equation, Var
from ..program.program import Program
from ..trace.body import Body
from ..transform.columns import split_rows
from ..transform.directions import along_directions
from ..transform.joining import join_last
from ..transform.merging import merge_leading_axes
from ..transform.one_hot import compare_with_indices
from ..transform.overlapping import join_overlapping
from ..transform.quotients import without_second_divisions
from ..transform.reciprocals import multiply_by_reciprocals
from ..transform.shifted_slices import slices_as_windows
from ..transform.simplification import simplify
from ..transform.summing import sum_before_products
from ..transform.taping import tape_loops
from .complexes.splitting import split_complex
from .linalg.forming import form_factors
from .plan.writing import changes_in_place, masks_as_assignments

# A short program is faster without loops, as what is computed element by element stays in
# registers; the time to compile a long one grows with its length.
UNROLLED = 200
REPEATS = 8


def lowered(program: Program) -> Program:
    """Return a program that computes the same with less work."""
    program = split_complex(tape_loops(program))
    program = slices_as_windows(along_directions(program))
    columns = split_rows(program)
    if columns is not program:
        program = columns  # which has no loops left that could be found
    elif len(program) > UNROLLED:
        from ..transform.rerolling import reroll  # most programs need none of it

        given = tuple(masks_as_assignments(program.equations))
        program = reroll(program.replace(equations=given), minimum=REPEATS)
    program = without_second_divisions(simplify(program))
    program = form_factors(sum_before_products(program))
    if any(e.primitive.name == "embed" or _has_bodies(e) for e in program.equations):
        from ..transform.looping import improve_loops

        program = simplify(improve_loops(program))
    program = multiply_by_reciprocals(compare_with_indices(program))
    program = join_last(merge_leading_axes(join_overlapping(program)))
    equations, outputs = _opened(program.equations, program.outputs)
    equations = changes_in_place(equations, outputs)
    return Program(program.inputs, tuple(equations), outputs, program.name)


def _has_bodies(equation: Equation) -> bool:
    return any(type(value) is Body for value in equation.params.values())


def _opened(
    equations: Sequence[Equation], outputs: Sequence[Any]
) -> tuple[list[Equation], tuple[Any, ...]]:
    """Put the equations of checkpointed parts in the place of the parts.

    This comes last: what a part computes again must not be taken for what was computed before.
    """
    new: dict[Var, Any] = {}
    kept: list[Equation] = []

    def operand(o: Any) -> Any:
        return new.get(o, o) if type(o) is Var else o

    for equation in equations:
        operands = tuple(map(operand, equation.operands))
        params = {
            name: _opened_body(value) if type(value) is Body else value
            for name, value in equation.params.items()
        }
        if equation.primitive.name != "checkpoint":
            kept.append(equation._replace(operands=operands, params=params))
            continue
        body: Body = params["body"]
        new.update(zip((*body.inputs, *body.captured), operands, strict=True))
        for inner in body.equations:
            outs = tuple(Var(o.id, None, o.type, o.name) for o in inner.outs)
            kept.append(inner._replace(operands=tuple(map(operand, inner.operands)), outs=outs))
            new.update(zip(inner.outs, outs, strict=True))
        new.update(zip(equation.outs, map(operand, body.outputs), strict=True))
    return kept, tuple(map(operand, outputs))


def _opened_body(body: Body) -> Body:
    equations, outputs = _opened(body.equations, body.outputs)
    captures: list[Any] = [(None, var) for var in body.captured]
    return Body(body.inputs, captures, equations, outputs, body.out_tree)
