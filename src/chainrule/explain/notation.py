"""Formulas as a reader writes them: ``∂L/∂a2 ⊙ a2(1−a2)``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..maps import Hole
from ..program.primitive import PRIMITIVES
from .expression import Apply, Expr, Factor, Number, Product, Symbol, Total, has_gradient

# How tightly the outermost operation of a text binds.
COMPARE, ADD, TIMES, PREFIX, JUXTAPOSED, POWER, ATOM = range(7)

_POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NAMED_NUMBERS = {math.pi: "π", math.log(2.0): "ln2", math.log(10.0): "ln10", math.e: "e"}

Text = tuple[str, int]


def number_text(value: Any, digits: int = 4) -> str:
    """Write a number with a true minus sign.

    Examples
    --------
    >>> number_text(-0.5), number_text(2.0), number_text(1 / 3)
    ('−0.5', '2', '0.3333')
    """
    if isinstance(value, bool | np.bool_):
        return "1" if value else "0"
    if isinstance(value, complex):
        return f"({value.real:.{digits}g}{value.imag:+.{digits}g}i)".replace("-", "−")
    named = _NAMED_NUMBERS.get(abs(value))
    if named is not None:
        return f"−{named}" if value < 0 else named
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value)).replace("-", "−")
    return f"{value:.{digits}g}".replace("-", "−")


def formula_text(expr: Expr) -> str:
    """Write a formula in Unicode.

    Examples
    --------
    >>> a = Symbol("a", 0.5)
    >>> formula_text(Total(((1.0, Number(1)), (-1.0, Product(1.0, ((a, 2),))))))
    '1 − a²'
    """
    return Writer().write(expr)[0]


def chain_text(expr: Expr) -> str:
    """Write a long formula the way that books do: products of matrices side by side."""
    return Writer(matmul=" ", brackets=True).write(expr)[0]


class Writer:
    """Writes formulas.

    Parameters
    ----------
    atom : callable, optional
        Writes a named value; by default as its name.
    matmul : str
        What stands between two matrices.
    brackets : bool
        Whether groups around groups are written with square brackets.
    times : str
        What stands between a cotangent and its factor, if not ``⊙`` or ``·`` by their shapes.
    juxtapose : bool
        Whether a factor may stand beside another one without a sign: ``2x``.
    """

    def __init__(
        self,
        atom: Callable[[Symbol], Text] | None = None,
        matmul: str = " @ ",
        brackets: bool = False,
        times: str | None = None,
        juxtapose: bool = True,
    ) -> None:
        self.atom = atom or (lambda s: (s.name, ATOM if s.atomic else ADD))
        self.matmul = matmul
        self.brackets = brackets
        self.times = times
        self.juxtapose = juxtapose

    def write(self, expr: Expr) -> Text:
        """Return the text of a formula, and how tightly it binds."""
        if isinstance(expr, Symbol):
            return self.atom(expr)
        if isinstance(expr, Number):
            negative = isinstance(expr.value, int | float) and expr.value < 0
            return number_text(expr.value), PREFIX if negative else ATOM
        if isinstance(expr, Product):
            return self._product(expr)
        if isinstance(expr, Total):
            return self._total(expr)
        assert isinstance(expr, Apply)
        writer = _WRITERS.get(expr.op)
        return self._template(expr) if writer is None else writer(self, expr)

    def at(self, expr: Expr, binding: int) -> str:
        """Write a formula so that it binds at least so tightly, in parentheses if need be."""
        text, own = self.write(expr)
        if own >= binding:
            return text
        if isinstance(expr, Total) and _is_tight(expr):
            text = text.replace(" + ", "+").replace(" − ", "−")
        return self.group(text)

    def group(self, text: str) -> str:
        """Put a text in parentheses, or in brackets around several levels of them."""
        if self.brackets and text.count("((") + text.count("[ ") > 0:
            return f"[ {text} ]"
        return f"({text})"

    # -- sums and products -----------------------------------------------------------------------

    def _total(self, expr: Total) -> Text:
        terms = list(expr.terms)
        if terms[0][0] < 0:
            positive = next((t for t in terms if t[0] > 0), None)
            if positive is not None:
                terms.remove(positive)
                terms.insert(0, positive)
        parts = []
        for i, (coefficient, term) in enumerate(terms):
            sign = "−" if coefficient < 0 else "+"
            text = self._term(abs(coefficient), term)
            if i and text.startswith("−"):
                sign, text = ("+" if sign == "−" else "−"), text[1:]
            if i:
                parts.append(f" {sign} {text}")
            else:
                parts.append(f"−{text}" if coefficient < 0 else text)
        return "".join(parts), ADD

    def _term(self, coefficient: float, term: Expr) -> str:
        if isinstance(term, Number):
            return number_text(coefficient * term.value)
        if coefficient == 1:
            return self.at(term, ADD + 1)
        if isinstance(term, Product):
            factors = term.factors
            return self.write(Product(coefficient * term.coefficient, factors))[0]
        return self.write(Product(coefficient, ((term, 1),)))[0]

    def _product(self, expr: Product) -> Text:
        number, factors = _flat(expr)
        moving = [f for f in factors if has_gradient(f[0])]
        fixed = [f for f in factors if not has_gradient(f[0])]
        if not moving:
            return self._coefficient(number, fixed)
        sign, number = ("−", -number) if number < 0 else ("", number)
        times = self.times or (" ⊙ " if _are_arrays(moving, fixed) else " · ")
        alone = not fixed and number == 1
        binding = JUXTAPOSED if fixed or len(moving) > 1 else TIMES if alone else PREFIX
        text = times.join(self._power(f, binding) for f in moving)
        if alone:
            return sign + text, PREFIX if sign else TIMES
        above = [f for f in fixed if f[1] > 0]
        if not above:
            front = "" if number == 1 else f"{number_text(number)}·"
            below = self._below(fixed)
            return f"{sign}{front}{text}" + (f" / {below}" if fixed else ""), TIMES
        return f"{sign}{text}{times}{self._coefficient(number, fixed)[0]}", TIMES

    def _coefficient(self, number: float, factors: list[Factor]) -> Text:
        sign, number = ("−", -number) if number < 0 else ("", number)
        above = [self._power(f, POWER) for f in factors if f[1] > 0]
        below = [f for f in factors if f[1] < 0]
        if number != 1 or not above:
            above.insert(0, number_text(number))
        text = above[0]
        for part in above[1:]:
            joint = "" if self.juxtapose and _juxtaposes(text, part) else "·"
            text += joint + part
        if below:
            text += "/" + self._below(below)
        single = len(above) == 1 and not below
        return sign + text, PREFIX if sign else (POWER if single else JUXTAPOSED)

    def _below(self, factors: list[Factor]) -> str:
        parts = [self._power((f, -e), POWER) for f, e in factors]
        return parts[0] if len(parts) == 1 else self.group("·".join(parts))

    def _power(self, factor: Factor, binding: int) -> str:
        base, exponent = factor
        if exponent == 1:
            return self.at(base, binding)
        if exponent == 0.5:
            return f"√{self.at(base, ATOM)}"
        text = self.at(base, ATOM)
        if float(exponent).is_integer():
            return text + str(int(exponent)).translate(_POWERS)
        return f"{text}^{number_text(exponent)}"

    # -- operations ------------------------------------------------------------------------------

    def _template(self, expr: Apply) -> Text:
        primitive = PRIMITIVES[expr.op]
        template = primitive.text or expr.op + "({all})"
        fenced = "({" in template or "|{" in template or "‖{" in template or "⌊{" in template
        binding = COMPARE if fenced or "{all}" in template else POWER
        texts = [self.at(a, binding) for a in expr.args]
        params = {**expr.params, "all": ", ".join(texts)}
        if "axis" in params:
            params["axis"] = self._axes(expr.args[0], params["axis"])
        text = template.format(*texts, **params)
        fenced = fenced or template.startswith("[")
        return text, ATOM if fenced else (COMPARE if " " in text else POWER)

    def _matmul(self, expr: Apply) -> Text:
        left, right = (self._factor_matrix(a) for a in expr.args)
        if isinstance(expr.args[1], Apply) and expr.args[1].op == "matmul":
            right = self.group(right)
        joint = "" if self.matmul == " " and right.startswith("[") else self.matmul
        return f"{left}{joint}{right}", TIMES

    def _solve(self, expr: Apply) -> Text:
        a, b = expr.args
        power = "⁻¹"
        if isinstance(a, Apply) and a.op == "transpose" and _is_matrix_transpose(a):
            a, power = a.args[0], "⁻ᵀ"
        return f"{self.at(a, ATOM)}{power} {self.at(_unshaped(b), PREFIX)}", TIMES

    def _outer(self, expr: Apply) -> Text:
        a, b = expr.args
        return f"{self.at(a, PREFIX)}{self.matmul}{self.at(b, ATOM)}ᵀ", TIMES

    def _factor_matrix(self, expr: Expr) -> str:
        if isinstance(expr, Apply):
            if expr.op == "transpose" and _is_matrix_transpose(expr):
                return self.at(_unshaped(expr.args[0]), ATOM) + "ᵀ"
            if expr.op == "matmul":
                return self.write(expr)[0]
        return self.at(_unshaped(expr), PREFIX)

    def _transpose(self, expr: Apply) -> Text:
        (x,) = expr.args
        if _is_vector(x):
            return self.write(x)
        if _is_matrix_transpose(expr):
            return self.at(x, ATOM) + "ᵀ", ATOM
        return f"permute({self.write(x)[0]}, {expr.params['axes']})", ATOM

    def _sum(self, expr: Apply) -> Text:
        (x,) = expr.args
        axes = self._axes(x, expr.params["axis"])
        if axes is None:
            return self.write(x)
        text, own = self.write(x)
        if own >= JUXTAPOSED:
            return f"Σ{axes} {text}", PREFIX
        return f"Σ{axes}({text})", PREFIX

    def _mean(self, expr: Apply) -> Text:
        (x,) = expr.args
        axes = self._axes(x, expr.params["axis"])
        return f"mean{axes or ''}({self.write(x)[0]})", ATOM

    def _axes(self, x: Expr, axes: Any) -> str | None:
        """Write the axes of a reduction; None if it does nothing but drop axes of length 1."""
        axes = (axes,) if isinstance(axes, int) else tuple(axes)
        if max(axes, default=-1) >= len(x.shape):  # a stretched operand, shown unstretched
            return ""
        real = [a for a in axes if x.shape[a] != 1]
        if not real:
            return None
        if len(axes) == len(x.shape):
            return ""
        if len(x.shape) == 2:
            return "_rows" if real == [0] else "_cols"
        return "_axis" + ",".join(map(str, real))

    def _reshape(self, expr: Apply) -> Text:
        (x,) = expr.args
        if _without_ones(x.shape) == _without_ones(expr.shape):
            return self.write(x)
        return f"reshape({self.write(x)[0]}, {expr.shape})", ATOM

    def _select(self, expr: Apply) -> Text:
        x, mask = expr.args
        if isinstance(mask, Symbol) and mask.name.startswith("outside "):
            return f"{self.at(x, PREFIX)} {mask.name}", TIMES
        times = self.times or (" ⊙ " if x.shape else " · ")
        inner = _unshaped(x)
        is_chain = isinstance(inner, Product) or getattr(inner, "op", "") == "select"
        return f"{self.at(x, TIMES if is_chain else PREFIX)}{times}[{self.write(mask)[0]}]", TIMES

    def _index(self, expr: Apply) -> str:
        """Write what stands between the brackets; its arrays are operands."""
        arrays = expr.args[1:]
        index = expr.params["spec"] if "spec" in expr.params else expr.params["index"]
        parts = index if isinstance(index, tuple) else (index,)
        return ", ".join(
            self.write(arrays[int(p)])[0] if type(p) is Hole else _index_part(p) for p in parts
        )

    def _getitem(self, expr: Apply) -> Text:
        return f"{self.at(expr.args[0], ATOM)}[{self._index(expr)}]", ATOM

    def _placed(self, expr: Apply) -> Text:
        word = "added at" if expr.op == "scatter_add" else "at"
        return f"{self.at(expr.args[0], JUXTAPOSED)} {word} [{self._index(expr)}]", TIMES

    def _function(self, expr: Apply) -> Text:
        inner = ", ".join(self.write(a)[0] for a in expr.args)
        return f"{_FUNCTION_NAMES[expr.op]}({inner})", ATOM

    def _hidden(self, expr: Apply) -> Text:
        return self.write(expr.args[0])


_FUNCTION_NAMES = {"sigmoid": "σ", "relu": "relu", "softplus": "softplus", "softmax": "softmax"}
_WRITERS: dict[str, Callable[[Writer, Apply], Text]] = {
    "matmul": Writer._matmul,
    "mean": Writer._mean,
    "solve": Writer._solve,
    "outer": Writer._outer,
    "softmax": Writer._function,
    "transpose": Writer._transpose,
    "sum": Writer._sum,
    "reshape": Writer._reshape,
    "broadcast_to": Writer._hidden,
    "alias": Writer._hidden,
    "cast": Writer._hidden,
    "select": Writer._select,
    "getitem": Writer._getitem,
    "embed": Writer._placed,
    "scatter_add": Writer._placed,
    "sigmoid": Writer._function,
    "relu": Writer._function,
    "softplus": Writer._function,
}


def _index_part(part: Any) -> str:
    if isinstance(part, slice):
        ends = ["" if e is None else str(e) for e in (part.start, part.stop)]
        return ":".join(ends if part.step is None else [*ends, str(part.step)])
    if part is Ellipsis:
        return "..."
    return str(part) if isinstance(part, int | None) else "index"


def _flat(expr: Product) -> tuple[float, list[Factor]]:
    """Return number and factors, also of the products below mere changes of shape."""
    number = expr.coefficient
    factors: list[Factor] = []
    for factor, exponent in expr.factors:
        inner = _unshaped(factor)
        if isinstance(inner, Product) and exponent in (1, -1):
            more, below = _flat(inner)
            number *= more**exponent
            factors.extend((f, e * exponent) for f, e in below)
        else:
            factors.append((factor, exponent))
    return number, factors


def _is_tight(expr: Total) -> bool:
    return isinstance(expr.terms[0][1], Number) and not has_gradient(expr)


def _are_arrays(moving: list[Factor], fixed: list[Factor]) -> bool:
    return all(any(f.shape for f, _ in side) for side in (moving, fixed) if side) and bool(fixed)


def _juxtaposes(left: str, right: str) -> bool:
    """Whether two factors can stand side by side without a sign between them."""
    if right[0] in "([":
        return True
    return left[-1].isdigit() and left.replace(".", "").isdigit() and right[0].isalpha()


def _is_matrix_transpose(expr: Apply) -> bool:
    axes = expr.params["axes"]
    n = len(axes)
    return n >= 2 and tuple(axes) == (*range(n - 2), n - 1, n - 2)


def _is_vector(expr: Expr) -> bool:
    return sum(n != 1 for n in expr.shape) <= 1


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _unshaped(expr: Expr) -> Expr:
    while isinstance(expr, Apply) and (
        expr.op == "broadcast_to"
        or (expr.op == "reshape" and _without_ones(expr.shape) == _without_ones(expr.args[0].shape))
    ):
        expr = expr.args[0]
    return expr
