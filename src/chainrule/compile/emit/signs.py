"""Which values are known to have a sign, by what they are made of.

Of such arguments, kernels are shorter. A value that is never negative is 0.0 (not -0.0), or above
it, or NaN; one that is never positive may be either zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...program.equation import Equation, Var

DEEPEST = 6  # equations that are looked through; sums of many terms would take long otherwise
_NEVER_NEGATIVE = frozenset({"square", "abs", "exp", "exp2", "expit", "softplus", "cosh"})
_OF_ELEMENTS = frozenset(  # these pass the sign of their elements on, if all of them have it
    [
        *("alias", "stop_gradient", "cast", "real", "broadcast_to", "reshape", "transpose"),
        *("getitem", "windows", "sum", "mean", "max", "min"),
    ]
)


def sign_of(
    o: Any,
    producer: Mapping[Var, Equation],
    uniform: Callable[[Any], Any],
    depth: int = DEEPEST,
) -> int:
    """Return 1 for a value that is never negative, -1 for one never positive, 0 for others.

    ``uniform`` gives the number that all elements of a constant are, or None.
    """
    if type(o) is not Var:
        return _sign_of_number(uniform(o))
    equation = producer.get(o)
    if equation is None or depth == 0 or o.type.dtype.kind != "f":
        return 0
    name, operands = equation.primitive.name, equation.operands
    if name in _NEVER_NEGATIVE or _is_square(equation, uniform):
        return 1
    if name in _OF_ELEMENTS:
        operands = operands[:1]
    elif name not in ("neg", "add", "mul", "div", "where", "sqrt"):
        return 0
    considered = operands[1:] if name == "where" else operands
    signs = [sign_of(part, producer, uniform, depth - 1) for part in considered]
    if 0 in signs:
        return 0
    return _combined(name, signs)


def _combined(name: str, signs: list[int]) -> int:
    # where something that is never positive is turned round, -0.0 is not excluded
    if name == "neg":
        return -1 if signs[0] == 1 else 0
    if name in ("mul", "div"):
        return -1 if signs[0] != signs[1] else max(signs[0], 0)
    if name == "sqrt":
        return max(signs[0], 0)
    return signs[0] if len(set(signs)) == 1 else 0


def _is_square(equation: Equation, uniform: Callable[[Any], Any]) -> bool:
    name, operands = equation.primitive.name, equation.operands
    if name == "mul":
        return operands[0] is operands[1] and type(operands[0]) is Var
    if name != "pow" or type(operands[1]) is Var:
        return False
    exponent = uniform(operands[1])
    return exponent is not None and float(exponent) in (2.0, 4.0)


def _sign_of_number(x: Any) -> int:
    if type(x) not in (int, float) and not isinstance(x, np.floating | np.integer):
        return 0
    if np.signbit(x):
        return -1
    return 1 if x >= 0 else 0
