"""All first or second derivatives at once: Jacobians, Hessians and their products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ..maps import Cast, Compose, Conjugate, LinearMap, Masked
from ..program.arraytype import ArrayType
from ..program.basis import standard_basis
from ..program.equation import Var
from ..program.errors import GradientError
from ..trace import Session, Tracer
from .arguments import Arguments, Function, Selection, name_of, record, type_of, wrapping
from .call import TracedCall
from .gradient import grad
from .linear import jvp, vjp
from .vmap import vmap

Mode = Literal["forward", "reverse"]

FEW = 4
"""So many directions are moved one by one: their programs are simpler than that of all at once."""

BLOCK_BYTES = 2**26
"""What the largest intermediate result may need for all directions that are moved at once."""


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


def gauss_newton_product(
    residuals: Function,
    primals: Sequence[Any],
    tangents: Sequence[Any],
    loss: Function | None = None,
) -> Any:
    """Return the product of the Gauss-Newton matrix with a vector, without making the matrix.

    The matrix is ``JᵀHJ``, with J the Jacobian of ``residuals`` and H the Hessian of ``loss`` at
    their value. It is the Hessian of ``loss(residuals(...))`` without the curvature of
    ``residuals``, and never negative where ``loss`` is convex (Schraudolph, 2002, Neural
    Computation 14).

    Parameters
    ----------
    residuals : callable
        Any function of the primals: residuals, or the outputs of a network.
    primals, tangents : sequence of pytrees
        The arguments of ``residuals``, all of them, and the vector with the same structures.
    loss : callable, optional
        A function of what ``residuals`` returns that gives one real scalar. Without it half the
        sum of squares: H is the identity.

    Returns
    -------
    pytree
        With the structure of the primal if there is one, else a tuple with one part per primal.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 2.0])
    >>> gauss_newton_product(lambda w: x * w**2, (np.ones(2),), (np.array([1.0, 0.5]),))
    array([4., 8.])
    """
    value, moved = jvp(residuals, primals, tangents)
    if loss is not None:
        moved = hvp(loss, (value,), (moved,))
    product = vjp(residuals, *primals)[1](moved)
    return product[0] if len(primals) == 1 else product


# -- passes --------------------------------------------------------------------------------------


def _shorter(call: TracedCall) -> Mode:
    inputs = sum(var.type.size for var in call.inputs)
    outputs = sum(type_of(out).size for out in call.outputs)
    return "forward" if inputs <= outputs else "reverse"


def _by_columns(call: TracedCall) -> list[list[Any]]:
    """Return the blocks [output][input], pushing one input element after another."""
    rows: list[list[Any]] = [[] for _ in call.outputs]
    for i, var in enumerate(call.inputs):
        passes = _along_all(call, True, i)
        is_complex = var.type.dtype.kind == "c"
        turned = _along_all(call, True, i, 1j) if is_complex else passes
        for o, out in enumerate(call.outputs):
            if not passes:
                rows[o].append(_no_elements(type_of(out), var.type))
                continue
            columns = passes[o]
            if is_complex and type_of(out).dtype.kind != "c":
                columns = columns + 1j * turned[o]
            columns = np.moveaxis(columns, 0, -1)
            rows[o].append(_assembled(columns, type_of(out), var.type))
    return rows


def _by_rows(call: TracedCall) -> list[list[Any]]:
    """Return the blocks [output][input], pulling one output element after another."""
    rows: list[list[Any]] = []
    for o, out in enumerate(call.outputs):
        type_ = type_of(out)
        passes = _along_all(call, False, o)
        is_complex = type_.dtype.kind == "c"
        turned = _along_all(call, False, o, 1j) if is_complex else passes
        rows.append([])
        for i, var in enumerate(call.inputs):
            if not passes:
                rows[o].append(_no_elements(type_, var.type))
                continue
            lines = passes[i]
            if is_complex and var.type.dtype.kind == "c":
                lines = np.conj(lines)
            elif (
                is_complex
            ):  # the adjoint takes 1 to the real part's gradient, 1j to the imaginary's
                lines = lines + 1j * turned[i]
            rows[o].append(_assembled(lines, type_, var.type))
    return rows


def _along_all(call: TracedCall, forward: bool, position: int, unit: complex = 1.0) -> list[Any]:
    """Push the directions along all single elements of an input, or pull those of an output.

    The zeros of a direction are zeros by structure: they stay zero where a derivative is
    infinite. Masks say so, at a price; so without known values always, else at need.

    Returns
    -------
    list of array
        Each result, with one row per direction. Many directions are moved at once, so that the
        program does not grow with their number.
    """
    operands = call.inputs if forward else call.outputs
    type_ = type_of(operands[position])
    dtype = type_.dtype if type_.is_differentiable else np.dtype(float)
    basis = standard_basis(type_.shape, dtype, unit)

    def passes(masked: bool) -> list[Any]:
        def along(direction: Any) -> list[Any]:
            directions: list[Any] = [None] * len(operands)
            directions[position] = Masked(direction, direction != 0) if masked else direction
            return call.push(directions) if forward else call.pull(directions)

        return _stacked(along, basis) if len(basis) <= FEW else _batched(along, basis, call)

    if not type_.shape:
        return passes(masked=False)
    if _known(operands):
        moved = passes(masked=False)
        if not any(_has_nan(m) for m in moved):
            return moved
    return passes(masked=True)


def _stacked(along: Any, basis: Any) -> list[Any]:
    return [np.stack(rows) for rows in zip(*map(along, basis), strict=True)]


def _batched(along: Any, basis: Any, call: TracedCall) -> list[Any]:
    largest = max((out.type.size for e in call.equations for out in e.outs), default=1)
    block = max(FEW, BLOCK_BYTES // (8 * max(largest, 1)))
    if block >= len(basis):
        return list(vmap(along)(basis))  # not a part of it: it is known to be a basis
    parts = [vmap(along)(basis[i : i + block]) for i in range(0, len(basis), block)]
    return [np.concatenate(rows) for rows in zip(*parts, strict=True)]


def _known(operands: Sequence[Any]) -> bool:
    return all(o.value is not None for o in operands if type(o) is Var)


def _has_nan(moved: Any) -> bool:
    value = moved._value if isinstance(moved, Tracer) else moved
    return bool(np.any(np.isnan(value)))


def _assembled(whole: Any, out: ArrayType, var: ArrayType) -> Any:
    """Bring the derivatives of or by single elements into their shape and precision."""
    dtype = _precision(out, var)
    whole = np.reshape(whole, out.shape + var.shape)
    whole = whole if whole.dtype == dtype else whole.astype(dtype)
    return whole if isinstance(whole, Tracer) else whole[()]


def _no_elements(out: ArrayType, var: ArrayType) -> Any:
    return np.zeros(out.shape + var.shape, _precision(out, var))


def _precision(out: ArrayType, var: ArrayType) -> Any:
    return np.result_type(*(_sample(t) for t in (out, var) if t.is_differentiable))


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
