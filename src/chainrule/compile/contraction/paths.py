"""Sums of products of any number of operands, as contractions of two at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...program.equation import Equation, Var
from ...program.program import Program
from ..sizes import known
from .chains import contiguous_strides
from .selects import Rewriting


def expand(program: Program) -> Program:
    """Return the program with every einsum of one, three or more operands written as pairs.

    Labels that one operand repeats become its diagonal, and those that one operand has alone are
    summed beforehand; operands are brought to the result's dtype.
    """
    to = Rewriting(program)
    for equation in program.equations:
        if equation.primitive.name in ("einsum", "matmul") and _is_floating(equation):
            _expanded(to, equation)
        else:
            to.emit(equation)
    return to.finish()


def _is_floating(equation: Equation) -> bool:
    dtype = equation.out.type.dtype
    sizes = [n for o in equation.operands for n in _shape(o)]
    return dtype in (np.float32, np.float64) and 0 not in sizes


def _shape(o: Any) -> tuple[int, ...]:
    return o.type.shape if type(o) is Var else np.shape(o)


def _expanded(to: Rewriting, equation: Equation) -> None:
    dtype = equation.out.type.dtype
    operands = [_of_dtype(to, o, dtype, equation) for o in equation.operands]
    if equation.primitive.name == "matmul":
        to.emit(equation._replace(operands=tuple(operands)))
        return
    left, out = equation.params["subscripts"].split("->")
    terms = left.split(",")
    for pair in _path(terms, operands, out)[:-1]:
        rest = [k for k in range(len(terms)) if k not in pair]
        later = {*out, *"".join(terms[k] for k in rest)}
        kept = "".join(dict.fromkeys(c for k in pair for c in terms[k] if c in later))
        made = _pair(to, [(terms[k], operands[k]) for k in pair], kept, equation, None)
        terms = [*(terms[k] for k in rest), kept]
        operands = [*(operands[k] for k in rest), made]
    _pair(to, list(zip(terms, operands, strict=True)), out, equation, equation.out)


def _of_dtype(to: Rewriting, o: Any, dtype: np.dtype[Any], equation: Equation) -> Any:
    if type(o) is not Var:
        return np.asarray(o, dtype)
    if o.type.dtype == dtype:
        return o
    return to.add("cast", o, origin=equation.origin, dtype=dtype)


def _path(terms: list[str], operands: list[Any], out: str) -> list[tuple[int, ...]]:
    if len(terms) < 3:
        return [tuple(range(len(terms)))]
    shapes = (np.broadcast_to(np.float32(0), tuple(map(known, _shape(o)))) for o in operands)
    subscripts = ",".join(terms) + "->" + out
    method = "optimal" if len(terms) < 6 else "greedy"
    path, _ = np.einsum_path(subscripts, *shapes, optimize=(method, 2**62))
    return [tuple(step) for step in path[1:]]


def _pair(
    to: Rewriting, terms: Sequence[tuple[str, Any]], out: str, equation: Equation, target: Any
) -> Any:
    """Write the contraction of one or more operands; the more are multiplied one by one."""
    (term, x), *others = terms
    while len(others) > 1:
        later = {*out, *"".join(t for t, _ in others[1:])}
        both = "".join(dict.fromkeys(c for c in term + others[0][0] if c in later))
        x = _pair(to, [(term, x), others.pop(0)], both, equation, None)
        term = both
    if not others:
        return _single(to, term, x, out, equation, target)
    pair = [(term, x), others[0]]
    reduced = []
    for k, (own, o) in enumerate(pair):
        wanted = {*out, *pair[1 - k][0]}
        kept = "".join(c for c in dict.fromkeys(own) if c in wanted)
        reduced.append((kept, o if kept == own else _single(to, own, o, kept, equation, None)))
    subscripts = ",".join(t for t, _ in reduced) + "->" + out
    arrays = (o for _, o in reduced)
    return to.add("einsum", *arrays, origin=equation.origin, out=target, subscripts=subscripts)


def _single(to: Rewriting, term: str, x: Any, out: str, equation: Equation, target: Any) -> Any:
    """Write an einsum of one operand: a diagonal, a sum, and a change of the axes' order."""
    steps: list[tuple[str, dict[str, Any]]] = []
    unique = "".join(dict.fromkeys(term))
    shape = _shape(x)
    if unique != term:
        sizes: dict[str, int] = {}
        for c, n in zip(term, shape, strict=True):
            sizes[c] = n if sizes.get(c, 1) == 1 else sizes[c]
        strides = dict.fromkeys(unique, 0)
        for c, n, stride in zip(term, shape, contiguous_strides(shape), strict=True):
            strides[c] += stride if n > 1 else 0
        own = tuple(sizes[c] for c in unique)
        none, one = (0,) * len(unique), (1,) * len(unique)
        moved = {"shape": own, "sizes": own, "strides": tuple(strides.values())}
        steps.append(("repack", {**moved, "offset": 0, "starts": none, "steps": one}))
    summed = tuple(k for k, c in enumerate(unique) if c not in out)
    if summed:
        steps.append(("sum", {"axis": summed, "keepdims": False}))
    kept = [c for c in unique if c in out]
    if not steps or "".join(kept) != out:
        axes = tuple(kept.index(c) for c in out)
        steps.append(("transpose", {"axes": axes}))
    for k, (name, params) in enumerate(steps):
        last = target if k == len(steps) - 1 else None
        x = to.add(name, x, origin=equation.origin, out=last, **params)
    return x
