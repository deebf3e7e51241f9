"""What a step's rule is called, read off the formula of the forward computation."""

from __future__ import annotations

from collections.abc import Iterator

from ..program.equation import Var
from ..program.primitive import PRIMITIVES
from .expression import FUNCTIONS, Apply, Expr, Product, Symbol, Total, evaluate, has_gradient
from .formulas import Formulas
from .notation import formula_text

MAX_LABELS = 3
Trail = list[tuple[Expr, int]]

# By itself, and as a part of a composition.
_NAMES = {
    "sum": ("sum → broadcast", "sum"),
    "mean": ("mean → broadcast", "mean"),
    "getitem": ("index → scatter", "index"),
    "setitem": ("assignment", "assignment"),
    "select": ("mask", "mask"),
    "where": ("mask", "mask"),
    "broadcast_to": ("broadcast → sum", "broadcast"),
}
_SHORT = dict(_NAMES.values())
_SILENT = frozenset({"reshape", "transpose", "cast", "alias"})
_SLOPES = {"sigmoid": "σ′", "relu": "relu′", "tanh": "tanh′", "softplus": "softplus′"}


def rule_of(operand: Var, results: list[Var], formulas: Formulas) -> str:
    """Return the name of the rule that leads from a block's results to one of its operands."""
    trails: list[Trail] = []
    for result in results:
        definition = formulas.definition(result)
        if definition is None:
            return formulas.operation(result) or "composition"
        trails.extend(_trails(definition, formulas.names.ensure(operand)))
    if not trails:
        return "composition"
    texts = list(dict.fromkeys(_trail_text(trail) for trail in trails))
    if len(trails) == 1:
        return texts[0]
    if len(texts) == 1:
        return f"{texts[0]}, {len(trails)} paths"
    return f"sum of {len(trails)} paths"


def _trails(expr: Expr, name: str) -> Iterator[Trail]:
    """Yield the ways from the root of a formula to a symbol."""
    if isinstance(expr, Symbol):
        if expr.name == name:
            yield [(expr, 0)]
        return
    for i, child in enumerate(expr.children):
        for trail in _trails(child, name):
            yield [(expr, i), *trail]


def _trail_text(trail: Trail) -> str:
    nodes = trail[:-1]
    labels: list[str] = []
    for k, (node, i) in enumerate(nodes):
        label = _label(node, i, trail[k + 1][0])
        if label:
            labels.append(label)
    labels = _merged(labels)
    if not labels:
        return _plain_name(nodes)
    if len(labels) > MAX_LABELS:
        return f"chain of {len(labels)} rules"
    if len(labels) > 1:
        labels = [_SHORT.get(label, label.removeprefix("chain × ")) for label in labels]
    return " ∘ ".join(labels)


def _plain_name(nodes: Trail) -> str:
    for node, _ in nodes:
        if isinstance(node, Total):
            return "difference" if any(c < 0 for c, _ in node.terms) else "addition"
        if isinstance(node, Product):
            return "negation"
        if isinstance(node, Apply) and node.op in _SILENT:
            return PRIMITIVES[node.op].symbol
    return "identity"


def _label(node: Expr, i: int, child: Expr) -> str:
    if isinstance(node, Total):
        return "broadcast → sum" if child.shape != node.shape else ""
    if isinstance(node, Product):
        return _product_label(node, i)
    assert isinstance(node, Apply)
    if node.op in _SILENT:
        return ""
    if node.op == "matmul":
        return "matmul, right" if i else "matmul, left"
    if node.op in _NAMES:
        return _NAMES[node.op][0]
    if _is_unary(node):
        return f"chain × {node.op}"
    return PRIMITIVES[node.op].symbol if node.op in PRIMITIVES else node.op


def _product_label(node: Product, i: int) -> str:
    _, exponent = node.factors[i]
    if exponent == 2:
        return "square"
    if exponent == 0.5:
        return "chain × sqrt"
    if exponent == -1:
        return "quotient, below"
    if exponent != 1:
        return "power"
    if len(node.factors) == 1:
        return "" if node.coefficient == -1 else "scaling"
    return "quotient, above" if any(e < 0 for _, e in node.factors) else "product"


def _merged(labels: list[str]) -> list[str]:
    """Join rules that together have a name of their own."""
    text = labels
    if text[:2] == ["mean → broadcast", "square"]:
        return ["mean of squares", *text[2:]]
    if text[:2] == ["sum → broadcast", "square"]:
        return ["sum of squares", *text[2:]]
    return text


def _is_unary(node: Apply) -> bool:
    if len(node.args) != 1:
        return False
    primitive = PRIMITIVES.get(node.op)
    return node.op in FUNCTIONS or (primitive is not None and primitive.elementwise)


def slope_of(results: list[Var], expr: Expr | None, formulas: Formulas) -> Expr | None:
    """Return a step's formula with its factor written as a slope: ``∂L/∂a ⊙ σ′(z)``."""
    if len(results) != 1:
        return None
    definition = formulas.definition(results[0])
    if not isinstance(definition, Apply) or definition.op not in _SLOPES:
        return None
    name = f"{_SLOPES[definition.op]}({formula_text(definition.args[0])})"
    if isinstance(expr, Apply) and expr.op == "select" and isinstance(expr.args[0], Symbol):
        slope = Symbol(name, evaluate(expr.args[1]))
        return Product(1.0, ((expr.args[0], 1), (slope, 1)))
    if not isinstance(expr, Product):
        return None
    moving = [f for f in expr.factors if has_gradient(f[0])]
    fixed = [f for f in expr.factors if not has_gradient(f[0])]
    if len(moving) != 1 or not isinstance(moving[0][0], Symbol) or not fixed:
        return None
    value = evaluate(Product(expr.coefficient, tuple(fixed)))
    return Product(1.0, (*moving, (Symbol(name, value), 1)))
