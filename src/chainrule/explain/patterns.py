"""Derivatives that textbooks write shorter than the chain rule finds them.

Each is only a proposal: it is shown if it gives the number that was computed.
"""

from __future__ import annotations

from collections.abc import Iterator

from .expression import Apply, Expr, Symbol
from .simplify import product, total


def known_derivatives(
    definition: Expr, operand: Symbol, result: Symbol, cotangent: Expr
) -> Iterator[Expr]:
    """Yield formulas for the gradient by ``operand`` of a result that is defined as given."""
    if not isinstance(definition, Apply) or definition.args[0] != operand:
        return
    if definition.op == "softmax":
        weighted = product((cotangent, 1), (result, 1))
        axis = definition.params["axis"]
        shape = tuple(1 if i in axis else n for i, n in enumerate(result.shape))
        mean = Apply("sum", (weighted,), {"axis": axis, "keepdims": True}, shape)
        yield product((total((1.0, cotangent), (-1.0, mean)), 1), (result, 1))
