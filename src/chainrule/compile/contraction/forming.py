"""Products and sums of products, recognised as contractions over strides.

A product of matrices whose operands are changes of layout reads the arrays behind them in place,
and writes its result where the changes of layout behind it would put it. So the product of an
image's windows with a weight, which NumPy computes as a product of two large matrices that are
first copied together, reads the image itself.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from ...program.equation import Equation, Var
from ...program.program import Program
from . import operations  # noqa: F401  they register themselves
from .captured import NOTHING, Fixed, form_within
from .chains import Chain, Overlap, chain_of
from .paths import expand
from .phases import by_phases
from .planning import alternating, pack
from .selects import Rewriting, move_selects
from .spec import Spec, resolve_overlaps, spec_of


def form_contractions(program: Program, fixed: Fixed = NOTHING) -> Program:
    """Return the program with products written as contractions, where that is possible.

    Of what is ``fixed``, a copy is made just once for several runs of the program.
    """
    program = expand(move_selects(program))
    producer = {out: e for e in program.equations for out in e.outs}
    uses = Counter(o for e in program.equations for o in e.inputs)
    uses.update(o for o in program.outputs if type(o) is Var)
    users = {o: e for e in program.equations for o in e.inputs}
    formed: dict[Var, tuple[Chain, Spec, tuple[Overlap, ...], Equation]] = {}
    for equation in program.equations:
        if equation.primitive.name in ("matmul", "einsum") and _is_formable(equation):
            chain = chain_of(equation.out, uses, users)
            found = spec_of(equation, producer, chain)
            if found is not None:
                formed[found[0].end] = (*found, equation)
                producer.pop(found[0].end)  # written by itself: nothing sees through it
    to = Rewriting(program)
    for equation in program.equations:
        if len(equation.outs) == 1 and equation.out in formed:
            write(to, *formed[equation.out], fixed)
        elif equation.primitive.name == "scan" and equation.params["steps"]:
            form_within(to, equation, form_contractions)
        else:
            to.emit(equation)
    return to.finish()


def _is_formable(equation: Equation) -> bool:
    dtype = equation.out.type.dtype
    if dtype not in (np.float32, np.float64) or len(equation.operands) != 2:
        return False
    return all(
        o.type.dtype == dtype if type(o) is Var else getattr(o, "dtype", None) == dtype
        for o in equation.operands
    ) and not any(0 in _shape(o) for o in (*equation.operands, equation.out))


def _shape(o: Any) -> tuple[int, ...]:
    return o.type.shape if type(o) is Var else o.shape


def write(
    to: Rewriting,
    chain: Chain,
    spec: Spec,
    overlaps: tuple[Overlap, ...],
    equation: Equation,
    fixed: Fixed,
) -> None:
    """Write a contraction down, with the copies that it reads."""
    shape = chain.end.type.shape
    phased = by_phases(to, spec, overlaps, shape)
    if phased is not None:
        spec, shape = phased
    else:
        spec = resolve_overlaps(to, spec, overlaps)
    spec = spec.merged()
    spec = pack(to, spec, chain.end.type.dtype, fixed).merged()
    spec = alternating(to, spec, fixed)
    is_longer = shape != chain.end.type.shape
    end = to.add(
        "contraction",
        spec.left.base,
        spec.right.base,
        origin=equation.origin,
        out=None if is_longer else chain.end,
        **spec.params(shape),
    )
    if is_longer:
        part = tuple(slice(0, n) for n in chain.end.type.shape)
        to.add("getitem", end, origin=equation.origin, out=chain.end, spec=part)
