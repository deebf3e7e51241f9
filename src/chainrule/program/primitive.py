"""Primitives: the operations that a program is made of, and the tables that find them.

A :class:`Primitive` is the one place where everything about an operation is said. The most
important thing it says is ``d``: per operand, the linear map that carries a small change of that
operand to the change of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .arraytype import ArrayType

# Per operand: (y, *operands, **params) -> LinearMap; None for an operand without a derivative.
Rule = Callable[..., Any]

PRIMITIVES: dict[str, Primitive] = {}
"""Every primitive by name."""

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""What answers a NumPy or SciPy function that is called with a traced value."""

BY_NAME: dict[str, Callable[..., Any]] = {}
"""What answers a ufunc of SciPy or a function of ``numpy.fft``: only their users import them."""

METHODS: dict[str, Callable[..., Any]] = {}
"""What answers a method of ndarray on a traced value."""


class Traced:
    """Base of the objects that stand for a traced value (see ``trace.tracer``).

    It exists so that the lower rooms can tell a traced value without knowing the tracer.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # it has everything that an ndarray has

        def __getattr__(self, name: str) -> Any: ...

    def _bind(self, primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        raise NotImplementedError


class Primitive:
    """One operation: its meaning, its shape rule, its local derivative and how it is written.

    Parameters
    ----------
    name : str
        Name in a printed program.
    impl : callable
        The meaning: ``impl(*operands, **params)`` on NumPy arrays.
    type_rule : callable
        ``type_rule(*types, **params) -> ArrayType``, the result's type from the operands' types.
    d : tuple of callable or None
        Per operand the rule ``(y, *operands, **params) -> LinearMap``. None says that the result
        does not vary smoothly with that operand (it is an index, say, or a condition).
        The last one serves all further operands of a primitive with any number of them, and is
        then called with the keyword ``position``.
    elementwise : bool
        Operands broadcast against each other. The rules may then ignore broadcasting: the maps
        that they return act on the result's shape, and the broadcast is composed in one place.
    differentiable : bool
        False for operations whose result is piecewise constant or not a number with a derivative
        (comparisons, argsort). Their results on known values are plain arrays.
    text : str
        How a person writes it: a format string with the operands' texts, e.g. ``"{0} + {1}"``.
    symbol : str
        The name that an explanation gives the rule, e.g. ``"product"``.
    makes_view : bool
        NumPy's result shares memory with the first operand, so that an assignment to one of them
        is seen in the other.
    variadic : bool
        Any number of operands; ``d`` has one rule with a ``position`` keyword.
    joint : callable, optional
        For an operation with several results: ``joint(ys, xs, **params)`` gives the one linear map
        from changes of all operands to changes of all results, on lists, None being no change.
        ``impl`` and ``type_rule`` then return tuples.
    trim : callable, optional
        ``trim(equation, used)`` gives an equation that computes only the results in ``used``.
    batch : callable, optional
        How the operation is done on a whole batch (see ``primitives.batching``). Element-wise
        operations need none; others without one are done example by example.
    """

    __slots__ = (
        "batch",
        "d",
        "differentiable",
        "elementwise",
        "impl",
        "joint",
        "makes_view",
        "name",
        "symbol",
        "text",
        "trim",
        "type_rule",
        "variadic",
    )

    def __init__(
        self,
        name: str,
        impl: Callable[..., Any],
        *,
        type_rule: Callable[..., ArrayType],
        d: tuple[Rule | None, ...] = (),
        elementwise: bool = False,
        differentiable: bool = True,
        text: str = "",
        symbol: str = "",
        makes_view: bool = False,
        variadic: bool = False,
        batch: Callable[..., Any] | None = None,
        joint: Callable[..., Any] | None = None,
        trim: Callable[..., Any] | None = None,
    ) -> None:
        if name in PRIMITIVES:
            raise ValueError(f"a primitive named {name!r} exists already")
        self.name = name
        self.impl = impl
        self.type_rule = type_rule
        self.d = d
        self.elementwise = elementwise
        self.differentiable = differentiable
        self.text = text
        self.symbol = symbol or name.replace("_", " ")
        self.makes_view = makes_view
        self.variadic = variadic
        self.batch = batch
        self.joint = joint
        self.trim = trim
        PRIMITIVES[name] = self

    def __call__(self, *operands: Any, **params: Any) -> Any:
        """Apply to arrays, or record an equation when an operand is traced."""
        for operand in operands:
            if isinstance(operand, Traced):
                return operand._bind(self, operands, params)
        return self.impl(*operands, **params)

    def rule(self, position: int) -> Rule | None:
        """Return the rule of the operand at ``position``; None if it has no derivative."""
        if self.variadic:
            rule = self.d[0] if self.d else None
            if rule is None:
                return None
            return lambda y, *xs, **params: rule(y, *xs, position=position, **params)
        return self.d[position] if position < len(self.d) else None

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return PRIMITIVES.__getitem__, (self.name,)


def call(name: str, *operands: Any, **params: Any) -> Any:
    """Apply the primitive called ``name``; for rooms below the one that defines it."""
    return PRIMITIVES[name](*operands, **params)


def implements(*functions: Any, method: str | None = None) -> Callable[[Any], Any]:
    """Say that the decorated function answers these NumPy functions for traced values.

    Parameters
    ----------
    *functions : callable
        NumPy or SciPy functions, as their caller knows them.
    method : str, optional
        The method of ndarray that it answers as well.
    """

    def register(answer: Any) -> Any:
        for function in functions:
            FUNCTIONS[function] = answer
        if method is not None:
            METHODS[method] = answer
        return answer

    return register
