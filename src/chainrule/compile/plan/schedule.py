"""What is computed where: the equations of a program as loop nests over arrays.

Each value is either *stored* in a buffer or *inlined*, that is, computed again inside the loops
that use it. Results of reductions and products are stored, and so are the program's outputs;
element-wise values and changes of layout are inlined. Stored values with the same index space that
don't need each other share one loop nest, so that a loss and its gradient take one pass over
memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import Any

import numpy as np

from ...program.arraytype import ArrayType
from ...program.equation import Equation, Var
from ...program.program import Program
from ...program.records import record
from ..runtime.special import LIBRARY
from ..sizes import Parameter, Size, bounds

REDUCTIONS = frozenset({"sum", "mean", "prod", "max", "min", "norm", "any", "all"})
# Computed twice, these cost more than a trip through the cache.
HEAVY = frozenset(
    [
        "exp",
        "exp2",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "sin",
        "cos",
        "tan",
        "tanh",
        "sinh",
        "cosh",
        "sigmoid",
        "softplus",
        "pow",
        "sqrt",
        "arctan",
        "arcsin",
        "arccos",
        "erf",
        "logaddexp",
        "div",
        "entr",
        "erfinv",
        "gammaln",
        "log_ndtr",
        "logit",
        "ndtr",
        "ndtri",
        "polygamma",
        "psi",
        "xlog1py",
        "xlogy",
        *LIBRARY,
    ]
)
_RENAMING = frozenset({"alias", "stop_gradient", "cast", "cast_to_integer", "real"})
OPAQUE = frozenset(
    (
        *("matmul", "embed", "concatenate", "stack", "setitem", "add_at"),
        *("scatter_add", "overlap_add", "cumsum", "einsum", "contraction", "repack"),
        *("lu", "lu_solve", "triangular_solve", "cholesky"),
        *("cumprod", "cummax", "cummin", "linear_recurrence", "count_nonzero", "argmax", "argmin"),
        *("argsort", "argpartition", "searchsorted"),
        *("symmetric_eigen", "singular", "orthogonal"),
    )
)
# Where these have poles or no value, down from a bound, our kernels raise no flag.
EVENTFUL = {"log": 0.0, "log2": 0.0, "log10": 0.0, "log1p": -1.0, "pow": 0.0}
CIRCULAR = frozenset({"sin", "cos", "tan"})
CONTROL = frozenset({"scan", "while", "cond"})


class UnsupportedError(Exception):
    """A program has an equation that cannot be compiled; the reason is its message."""

    def __init__(self, equation: Equation, reason: str) -> None:
        super().__init__(reason)
        self.equation = equation


@record
class Group:
    """Stored values that are computed in one loop nest.

    Attributes
    ----------
    domain : tuple of int
        The index space; one axis for a flat one, whatever the shape of the arrays.
    flat : bool
        Whether every array in it is read and written element by element in memory order.
    roots : list of Equation
        The equations whose results it stores.
    inner : LoopPlan or BranchPlan or None
        What is in it, if it is a loop or a branch.
    reuse : dict
        By a result: the value that is not needed any more, over which it is written.
    """

    domain: tuple[int, ...]
    flat: bool
    roots: list[Equation] = field(default_factory=list)
    inner: Any = None
    reuse: dict[Var, Var] = field(default_factory=dict)

    def reads(self, plan: Schedule) -> set[Var]:
        """Return the buffers that are read."""
        return {v for r in self.roots for v in stored_inputs(r, plan)}


@record
class Schedule:
    """The groups of a program in order, and which variables have a buffer.

    ``placed`` tells of values that are stored as a part of another one: which one, along which
    axis, and from where on.
    """

    groups: list[Group]
    stored: set[Var]
    producer: dict[Var, Equation]
    placed: dict[Var, tuple[Var, int, int]] = field(default_factory=dict)


def reduced_axes(root: Equation, ndim: int) -> tuple[int, ...]:
    """Return the axes that a reduction sums over; some primitives also know None and integers."""
    axis = root.params["axis"]
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % ndim for a in ((axis,) if isinstance(axis, int) else axis))


def size_of(shape: Iterable[int]) -> int:
    """Return the number of elements of a shape."""
    size = 1
    for n in shape:
        size *= n
    return size


def schedule(program: Program, kept: Iterable[Var] = ()) -> Schedule:
    """Decide for a program what is stored, and in which loop nests; ``kept`` in any case."""
    from .grouping import grouped, in_pieces

    for equation in program.equations:
        _check_dtypes(equation)
    equations, placed = in_pieces(program.equations)
    producer = {e.out: e for e in equations if len(e.outs) == 1}
    stored = {*program.inputs, *kept, *placed, *(whole for whole, _, _ in placed.values())}
    stored.update(o for o in program.outputs if type(o) is Var)
    for equation in equations:
        name = equation.primitive.name
        if name in CONTROL:
            stored.update(_control_inputs(equation, producer), equation.outs)
            continue
        if len(equation.outs) != 1:
            raise UnsupportedError(equation, f"`{name}` is not compiled yet")
        if name in REDUCTIONS or name in OPAQUE or name == "rows":
            stored.add(equation.out)
        if name in OPAQUE:
            stored.update(equation.inputs)
        if name == "part":
            stored.update(equation.inputs)
        if name == "reshape" and not _only_units(equation):
            # without divisions, other shapes are read from memory only
            stored.update(equation.inputs)
    control = {e.outs: _control(e, producer) for e in equations if e.primitive.name in CONTROL}
    while True:
        plan = Schedule([], stored, producer, placed)
        plan.groups = grouped(equations, plan, control)
        repeated = _repeated(plan.groups, stored, producer)
        if not repeated:
            for group in plan.groups:
                if group.inner is not None:
                    stored.update(group.inner.workspaces)
            return plan
        stored |= repeated


def _check_dtypes(equation: Equation) -> None:
    for o in (*equation.operands, *equation.outs):
        symbolic = type(o) in (Size, Parameter)
        dtype = o.type.dtype if type(o) is Var else o.dtype if symbolic else np.result_type(o)
        if dtype.kind == "c" and equation.primitive.name in ("part", "joined"):
            dtype = np.empty(0, dtype).real.dtype
        known = dtype.kind in "fiub" and dtype.isnative and dtype.itemsize <= 8
        if not known or dtype == np.float16:
            what = f"`{equation.primitive.name}` of {dtype}" if dtype.kind == "c" else str(dtype)
            raise UnsupportedError(equation, f"{what} is not compiled yet")


def _only_units(equation: Equation) -> bool:
    (x,) = equation.inputs
    before = [n for n in x.type.shape if n != 1]
    return before == [n for n in equation.out.type.shape if n != 1]


def _control(equation: Equation, producer: dict[Var, Equation]) -> Group:
    from .control import plan_control

    return plan_control(equation, producer)


def _control_inputs(equation: Equation, producer: dict[Var, Equation]) -> Iterable[Var]:
    """Return what a loop or a branch reads; rows of a slice are read from the whole array."""
    first = equation.params.get("carries", 0)
    last = first + equation.params.get("scanned", 0)
    for place, o in enumerate(equation.operands):
        if type(o) is Var:
            yield rows_of(o, producer)[0] if first <= place < last else o


def rows_of(array: Any, producer: dict[Var, Equation]) -> tuple[Any, int, int]:
    """Return the array of which an array is a slice of rows, the first row, and the step."""
    first, step = 0, 1
    while type(array) is Var and array in producer:
        equation = producer[array]
        if equation.primitive.name != "getitem" or len(equation.operands) > 1:
            break
        cut, *rest = equation.params["spec"]
        whole = all(type(p) is slice and p == slice(None) for p in rest)
        (source,) = equation.operands
        if type(cut) is not slice or not whole or type(source) is not Var:
            break
        start, _, stride, _ = bounds(cut, source.type.shape[0])
        array, first, step = source, start + first * stride, step * stride
    return array, first, step


def reads_in_place(group: Group, out: Var, old: Var, plan: Schedule) -> bool:
    """Tell whether a group that makes ``out`` may write it over ``old``.

    It may if each element of ``old`` is read for the same element of what is computed, and for no
    other.
    """
    first = group.roots[0]
    if first.primitive.name in OPAQUE or group.inner is not None:
        operands = first.operands
        taken = first.primitive.name in ("setitem", "add_at") and operands[0] is old
        return taken and not any(o is old for o in operands[1:])
    if size_of(group.domain) != out.type.size:
        return False
    return all(reads_alike(o, group, r, old, plan) for r in group.roots for o in r.operands)


def reads_alike(o: Any, group: Group, user: Equation, old: Var, plan: Schedule) -> bool:
    """Tell whether an operand needs of ``old`` just the element that is being computed."""
    waiting, seen = [(o, user)], set()
    while waiting:
        o, user = waiting.pop()
        if type(o) is not Var or (o, id(user)) in seen:
            continue
        seen.add((o, id(user)))
        alike = _is_alike(o.type, group, user)
        if o in plan.stored:
            if o is old and not alike:
                return False
        elif alike:
            waiting += ((p, plan.producer[o]) for p in plan.producer[o].operands)
        elif old in set(stored_inputs(plan.producer[o], plan)):
            return False  # nothing behind it may be the old value
    return True


def _is_alike(type_: ArrayType, group: Group, user: Equation) -> bool:
    """Tell whether an equation needs an operand for the very element that it computes."""
    name = user.primitive.name
    alike = user.primitive.elementwise or name in REDUCTIONS or name in _RENAMING
    alike |= group.flat and name == "reshape"
    return alike and ((type_.size,) == group.domain if group.flat else type_.shape == group.domain)


def stored_inputs(root: Equation, plan: Schedule) -> Iterable[Var]:
    """Return the buffers that a root reads, itself or through inlined values."""
    waiting = list(root.inputs)
    seen: set[Var] = set()
    while waiting:
        var = waiting.pop()
        if var in seen:
            continue
        seen.add(var)
        if var in plan.stored:
            yield var
        else:
            waiting.extend(plan.producer[var].inputs)


def domain_of(
    root: Equation, stored: set[Var], producer: dict[Var, Equation]
) -> tuple[tuple[int, ...], bool]:
    """Return the index space of an equation by itself, and whether it is one flat axis."""
    if root.primitive.name in REDUCTIONS:
        (x,) = root.operands
        shape = x.type.shape if type(x) is Var else x.shape
        total = len(reduced_axes(root, len(shape))) == len(shape)
        if total and _is_flat(x, size_of(shape), stored, producer):
            return (size_of(shape),), True
        return shape, False
    shape = root.out.type.shape
    if root.primitive.name == "rows":
        return shape[:1], False
    size = size_of(shape)
    if root.primitive.name not in OPAQUE and _flat_equation(root, size, stored, producer):
        return (size,), True
    return shape, False


def _is_flat(x: Any, size: int, stored: set[Var], producer: dict[Var, Equation]) -> bool:
    """Whether element i of the domain needs just element i, or the only one, of ``x``."""
    return _are_flat([x], size, stored, producer)


def _flat_equation(
    equation: Equation, size: int, stored: set[Var], producer: dict[Var, Equation]
) -> bool:
    return _keeps_order(equation) and _are_flat(list(equation.operands), size, stored, producer)


def _are_flat(
    waiting: list[Any], size: int, stored: set[Var], producer: dict[Var, Equation]
) -> bool:
    seen: set[Var] = set()
    while waiting:
        x = waiting.pop()
        if type(x) is not Var:
            if getattr(x, "size", 1) not in (1, size):
                return False
            continue
        if x in seen:
            continue
        seen.add(x)
        if x.type.size not in (1, size):
            return False
        if x not in stored:
            if not _keeps_order(producer[x]):
                return False
            waiting += producer[x].operands
    return True


def _keeps_order(equation: Equation) -> bool:
    """Whether element i of a result, in memory order, is made of elements i of the operands."""
    name = equation.primitive.name
    out = equation.out.type
    if name in ("transpose", "windows", "rows") or (
        name == "getitem" and equation.inputs[0].type.size != out.size
    ):
        return False
    if name == "getitem" and len(equation.operands) > 1:
        return False
    if name == "getitem" and not all(
        part is None or part is Ellipsis or (type(part) is slice and part.step in (None, 1))
        for part in equation.params["spec"]
    ):
        return False
    if equation.primitive.elementwise:
        # the same number of elements in another shape would mean another order
        for o in equation.operands:
            shape = o.type.shape if type(o) is Var else getattr(o, "shape", ())
            if size_of(shape) != 1 and shape != out.shape:
                return False
    return True


def _repeated(groups: list[Group], stored: set[Var], producer: dict[Var, Equation]) -> set[Var]:
    """Return costly values that more than one loop nest would compute."""
    users: dict[Var, set[int]] = {}
    for number, group in enumerate(groups):
        waiting = [v for root in group.roots for v in root.inputs]
        seen: set[Var] = set()
        while waiting:
            var = waiting.pop()
            if var in seen or var in stored:
                continue
            seen.add(var)
            users.setdefault(var, set()).add(number)
            waiting.extend(producer[var].inputs)
    return {var for var, where in users.items() if len(where) > 1 and is_heavy(producer[var])}


def is_heavy(equation: Equation) -> bool:
    """Tell whether a value costs more to compute again than to store and load."""
    name, exponent = equation.primitive.name, equation.operands[-1]
    if name == "pow" and type(exponent) in (int, float):
        return float(exponent) not in (1.0, 2.0, 3.0, 4.0)  # a few products
    return name in HEAVY
