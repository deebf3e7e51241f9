"""All first or second derivatives at once: Jacobians, Hessians and their products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from ..maps import Cast, Compose, Conjugate, LinearMap, Masked
from ..program.arraytype import ArrayType
from ..program.equation import Var
from ..program.errors import GradientError
from ..trace import Session, Tracer
from .arguments import Arguments, Function, Selection, name_of, record, type_of, wrapping
from .call import TracedCall
from .gradient import grad
from .linear import jvp

Mode = Literal["forward", "reverse"]


def jacobian(
    f: Function, argnums: Selection = 0, mode: Mode | None = None, has_aux: bool = False
) -> Function:
    """Return a function that gives all derivatives of the results of ``f`` by its arguments.

    ``f`` is traced once; then each element of its arguments is pushed forward, or each element
    of its results is pulled back.

    Parameters
    ----------
    f : callable
        A function of arrays, scalars or pytrees of them that returns any of these.
    argnums : int, str or sequence of them
        The arguments to differentiate by, by position or by name.
    mode : {"forward", "reverse"}, optional
        Forward mode takes one pass per input element, reverse mode one per output element; by
        default the one with fewer passes.
    has_aux : bool
        Whether ``f`` returns ``(value, aux)``; the result is then ``(jacobian, aux)``.

    Returns
    -------
    callable
        With the arguments of ``f``. Gives the structure of the result of ``f``, in the place of
        each leaf the structure of the arguments with arrays of shape ``result shape + argument
        shape``.

    Raises
    ------
    GradientError
        If an argument is not of floating point, or if a complex result does not vary
        holomorphically with a complex argument, so that no complex derivative exists.

    Notes
    -----
    Of a real result by a complex argument the rows are gradients, along steepest ascent, as
    :func:`grad` gives them.

    Examples
    --------
    >>> import numpy as np
    >>> jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    >>> jacobian(lambda p: p["a"] * p["b"])({"a": 2.0, "b": np.array([3.0, 5.0])})
    {'a': array([3., 5.]), 'b': array([[2., 0.],
           [0., 2.]])}
    """
    if mode not in (None, "forward", "reverse"):
        raise ValueError(f"mode has to be 'forward', 'reverse' or None, not {mode!r}")

    @wrapping(f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        with Session(f) as (recorder, nested):
            arguments = Arguments(f, argnums, args, kwargs)
            call = record(arguments, recorder, nested, has_aux)
            _check_holomorphic(f, call)
            chosen = mode or _shorter(call)
            blocks = _by_columns(call) if chosen == "forward" else _by_rows(call)
            tree = call.out_tree.unflatten(arguments.arrange(row) for row in blocks)
        return call.settle((tree, call.aux) if has_aux else tree)

    return differentiated


def hessian(f: Function, argnums: Selection = 0, has_aux: bool = False) -> Function:
    """Return a function that gives all second derivatives of ``f``.

    It is the Jacobian of the gradient, by forward mode: the gradient is traced once, and each
    element of the arguments is pushed through it.

    Parameters
    ----------
    f : callable
        A function that returns one real scalar, or with ``has_aux`` a pair of it and anything.
    argnums : int, str or sequence of them
        The arguments to differentiate by, by position or by name.
    has_aux : bool
        Whether ``f`` returns ``(value, aux)``; the result is then ``(hessian, aux)``.

    Returns
    -------
    callable
        With the arguments of ``f``. Gives the structure of the arguments, in the place of each
        leaf that structure again with arrays of shape ``leaf shape + leaf shape``.

    Examples
    --------
    >>> import numpy as np
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums, has_aux), argnums, "forward", has_aux)


def hvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """Return the product of the Hessian of ``f`` with a vector, without making the Hessian.

    Forward mode over reverse mode: it costs a small multiple of one gradient.

    Parameters
    ----------
    f : callable
        A function that returns one real scalar, or with ``has_aux`` a pair of it and anything.
    primals, tangents : sequence of pytrees
        The arguments of ``f``, all of them, and the vector with the same structures and shapes.
    has_aux : bool
        Whether ``f`` returns ``(value, aux)``; the result is then ``(product, aux)``.

    Returns
    -------
    pytree
        With the structure of the primal if there is one, else a tuple with one part per primal.

    Examples
    --------
    >>> import numpy as np
    >>> hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 0.5]),))
    array([6., 6.])
    """
    argnums: Selection = 0 if len(primals) == 1 else tuple(range(len(primals)))
    moved = jvp(grad(f, argnums, has_aux), primals, tangents, has_aux)
    return moved[1:] if has_aux else moved[1]


# -- passes --------------------------------------------------------------------------------------


def _shorter(call: TracedCall) -> Mode:
    inputs = sum(var.type.size for var in call.inputs)
    outputs = sum(type_of(out).size for out in call.outputs)
    return "forward" if inputs <= outputs else "reverse"


def _by_columns(call: TracedCall) -> list[list[Any]]:
    """Return the blocks [output][input], pushing one input element after another."""
    rows: list[list[Any]] = [[] for _ in call.outputs]
    for i, var in enumerate(call.inputs):
        passes = [_along(call.push, call.inputs, i, e) for e in _basis(var)]
        turned: list[Any] = [None] * len(passes)
        if var.type.dtype.kind == "c":
            turned = [_along(call.push, call.inputs, i, e) for e in _basis(var, 1j)]
        for o, out in enumerate(call.outputs):
            real_by_complex = var.type.dtype.kind == "c" and type_of(out).dtype.kind != "c"
            columns = [
                p[o] + 1j * q[o] if real_by_complex else p[o]
                for p, q in zip(passes, turned, strict=True)
            ]
            rows[o].append(_assembled(columns, type_of(out), var.type, by_columns=True))
    return rows


def _by_rows(call: TracedCall) -> list[list[Any]]:
    """Return the blocks [output][input], pulling one output element after another."""
    rows: list[list[Any]] = []
    for o, out in enumerate(call.outputs):
        type_ = type_of(out)
        passes = [_along(call.pull, call.outputs, o, e) for e in _basis(out)]
        turned: list[Any] = [None] * len(passes)
        if type_.dtype.kind == "c":
            turned = [_along(call.pull, call.outputs, o, e) for e in _basis(out, 1j)]
        rows.append([])
        for i, var in enumerate(call.inputs):
            lines = [p[i] for p in passes]
            if type_.dtype.kind == "c":
                if var.type.dtype.kind == "c":
                    lines = [np.conj(line) for line in lines]
                else:  # the adjoint takes 1 to the real part's gradient, 1j to the imaginary's
                    lines = [p[i] + 1j * q[i] for p, q in zip(passes, turned, strict=True)]
            rows[o].append(_assembled(lines, type_, var.type, by_columns=False))
    return rows


def _basis(operand: Any, unit: complex = 1.0) -> Iterator[Any]:
    """Yield the directions along each single element of an input or output."""
    type_ = type_of(operand)
    dtype = type_.dtype if type_.is_differentiable else np.dtype(float)
    for k in range(type_.size):
        e = np.zeros(type_.size, dtype)
        e[k] = unit
        yield e.reshape(type_.shape) if type_.shape else e[0]


def _along(move: Any, operands: Sequence[Any], position: int, direction: Any) -> list[Any]:
    """Push or pull one direction.

    The zeros of a direction are zeros by structure: they stay zero where a derivative is
    infinite. Masks say so, at a price; so without known values always, else at need.
    """
    directions: list[Any] = [None] * len(operands)
    directions[position] = direction
    if _known(operands):
        moved: list[Any] = move(directions)
        if not np.ndim(direction) or not any(_has_nan(m) for m in moved):
            return moved
    if np.ndim(direction):
        directions[position] = Masked(direction, direction != 0)
    moved = move(directions)
    return moved


def _known(operands: Sequence[Any]) -> bool:
    return all(o.value is not None for o in operands if type(o) is Var)


def _has_nan(moved: Any) -> bool:
    value = moved._value if isinstance(moved, Tracer) else moved
    return bool(np.any(np.isnan(value)))


def _assembled(lines: list[Any], out: ArrayType, var: ArrayType, by_columns: bool) -> Any:
    """Join the derivatives of or by single elements to an array of all."""
    shape = out.shape + var.shape
    dtype = np.result_type(*(_sample(t) for t in (out, var) if t.is_differentiable))
    if not lines or 0 in shape:
        return np.zeros(shape, dtype)
    whole = np.reshape(np.stack(lines, axis=-1 if by_columns else 0), shape)
    whole = whole if whole.dtype == dtype else whole.astype(dtype)
    return whole if isinstance(whole, Tracer) else whole[()]


def _sample(type_: ArrayType) -> Any:
    return type_.dtype.type(0).item() if type_.weak else type_.dtype


# -- complex differentiability -------------------------------------------------------------------


def _check_holomorphic(f: Function, call: TracedCall) -> None:
    """Refuse a complex result of a complex argument unless every step is complex-linear.

    A conjugation or a real part on the way means that the derivative depends on the direction in
    the complex plane, and is no single complex number.
    """
    if not any(var.type.dtype.kind == "c" for var in call.inputs):
        return
    complex_outputs = [type_of(out).dtype.kind == "c" for out in call.outputs]
    if not any(complex_outputs):
        return
    found: list[LinearMap] = []

    def observe(equation: Any, position: int, map: LinearMap, ct: Any, moved: Any) -> None:
        if equation.operands[position].type.dtype.kind == "c" and not _is_complex_linear(map):
            found.append(map)

    call.pull(
        [
            np.ones(type_of(out).shape, type_of(out).dtype) if is_complex else None
            for out, is_complex in zip(call.outputs, complex_outputs, strict=True)
        ],
        observe,
    )
    if found:
        raise GradientError(
            f"{name_of(f)} is not holomorphic: its complex result has no complex derivative",
            why=f"a {found[0].kind} stands between the complex argument and the result",
            help="differentiate the real and the imaginary part one by one",
        )


def _is_complex_linear(map: LinearMap) -> bool:
    if isinstance(map, Compose):
        return _is_complex_linear(map.outer) and _is_complex_linear(map.inner)
    if isinstance(map, Cast):
        return map.target.kind == "c"
    return not isinstance(map, Conjugate)
