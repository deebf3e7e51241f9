"""Derivatives that textbooks write shorter than the chain rule finds them.

Each is only a proposal: it is shown if it gives the number that was computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .expression import Apply, Expr, Product, Symbol, evaluate, walk
from .notation import formula_text
from .simplify import product, softmax, total

Proposal = tuple[Expr, str | None]
"""A formula, and the name of its rule if it has one of its own."""


def known_derivatives(
    definition: Expr,
    operand: Symbol,
    result: Symbol,
    cotangent: Expr,
    count: Callable[[int], Expr],
) -> Iterator[Proposal]:
    """Yield formulas for the gradient by an operand.

    Parameters
    ----------
    definition : Expr
        What the result is computed as.
    operand, result : Symbol
        The variable to differentiate by, and the result.
    cotangent : Expr
        The gradient by the result.
    count : callable
        Gives the symbol of a number of elements.
    """
    if isinstance(definition, Apply) and definition.args[0] == operand:
        yield from _softmax(definition, result, cotangent)
    yield from _cross_entropy(definition, operand, cotangent, count)


def _softmax(definition: Apply, result: Symbol, cotangent: Expr) -> Iterator[Proposal]:
    """Yield ``p ⊙ (∂L/∂p − Σ ∂L/∂p ⊙ p)``."""
    if definition.op == "softmax":
        weighted = product((cotangent, 1), (result, 1))
        axis = definition.params["axis"]
        shape = tuple(1 if i in axis else n for i, n in enumerate(result.shape))
        mean = Apply("sum", (weighted,), {"axis": axis, "keepdims": True}, shape)
        yield product((total((1.0, cotangent), (-1.0, mean)), 1), (result, 1)), None


def _cross_entropy(
    definition: Expr, operand: Symbol, cotangent: Expr, count: Callable[[int], Expr]
) -> Iterator[Proposal]:
    """Yield ``(softmax(z) − target)/m``, the gradient of the cross-entropy by its logits."""
    nodes = [e for e in walk(definition) if isinstance(e, Apply)]
    axes = [
        e.params["axis"] for e in nodes if e.op in ("softmax", "logsumexp") and e.args[0] == operand
    ]
    if not axes or len(operand.shape) != 2:
        return
    p = softmax(operand, tuple(axes[0]))
    means = [e for e in nodes if e.op == "mean"]
    for target in _targets(definition, operand):
        gap = total((1.0, p), (-1.0, target))
        averaged = [(count(int(np.prod(e.args[0].shape))), -1.0) for e in means]
        averaged += [(count(operand.shape[0]), -1.0)] if not means else []
        for over in ([], averaged[:1]):
            factors = [(cotangent, 1.0), (gap, 1.0), *over]
            yield product(*factors), "softmax cross-entropy"


def _targets(definition: Expr, operand: Symbol) -> Iterator[Expr]:
    """Yield the targets that a cross-entropy may compare with."""
    for node in walk(definition):
        if isinstance(node, Apply) and node.op == "getitem" and len(node.args) == 3:
            _, rows, labels = node.args
            value = np.zeros(operand.shape)
            value[np.asarray(evaluate(rows)), np.asarray(evaluate(labels))] = 1.0
            yield Symbol(f"onehot({formula_text(labels)})", value)
        elif isinstance(node, Product):
            for factor, _ in node.factors:
                same = factor.shape == operand.shape and factor != operand
                if isinstance(factor, Symbol) and same:
                    yield factor
