"""Linear systems and determinants, rewritten to factors that all of them share.

A solve and its derivative need the same matrix factored, and so do its inverse and its
determinant. What is triangular, such as a factor of Cholesky's, needs no factors at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...program.arraytype import array_type
from ...program.equation import Equation, Var
from ...program.primitive import PRIMITIVES
from ...program.program import Program
from ...trace.body import Body
from ...trace.program import trace_program
from . import operations

SYSTEMS = frozenset({"solve", "inv", "det", "log_abs_det", "sign_of_det"})
DECOMPOSED = {
    "eigenvalues": operations.SYMMETRIC_EIGEN,
    "eigenvectors": operations.SYMMETRIC_EIGEN,
    "singular_values": operations.SINGULAR,
    "left_singular_vectors": operations.SINGULAR,
    "right_singular_vectors": operations.SINGULAR,
    "qr_q": operations.ORTHOGONAL,
    "qr_r": operations.ORTHOGONAL,
}
FORMED = SYSTEMS | DECOMPOSED.keys()
_VALUES = frozenset({"eigenvalues", "singular_values"})
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def form_factors(program: Program) -> Program:
    """Return the program with its linear systems solved by shared factors.

    Examples
    --------
    >>> import numpy as np
    >>> f = lambda a, b: np.linalg.solve(a, b) @ np.linalg.solve(a.T, b) * np.linalg.det(a)
    >>> program, _ = trace_program(f, np.eye(2), np.ones(2), abstract=True)
    >>> names = [e.primitive.name for e in form_factors(program).equations]
    >>> names.count("lu"), names.count("lu_solve"), "det" in names
    (1, 2, False)
    """
    if not any(_concerns(e) for e in program.equations):
        return program
    found = _Forming({}).run(program.equations)
    return Program.from_trace(program.inputs, found, program.outputs, program.name)


def _concerns(equation: Equation) -> bool:
    if equation.primitive.name in FORMED:
        return True
    bodies = (v for v in equation.params.values() if type(v) is Body)
    return any(_concerns(e) for body in bodies for e in body.equations)


class _Forming:
    """The rewriting of one program or body.

    Attributes
    ----------
    triangle : dict
        By a matrix: whether its lower triangle is all there is (True), or its upper one (False).
    factors : dict
        By a matrix and a dtype: its factors.
    """

    def __init__(self, triangle: dict[Var, bool]) -> None:
        self.triangle = triangle
        self.factors: dict[Any, Any] = {}
        self.turned: dict[Var, Var] = {}
        self.equations: list[Equation] = []

    def run(self, equations: Sequence[Equation]) -> list[Equation]:
        self.with_vectors = {
            (e.operands[0], DECOMPOSED[e.primitive.name])
            for e in equations
            if e.primitive.name in DECOMPOSED.keys() - _VALUES and type(e.operands[0]) is Var
        }
        for equation in equations:
            bodies = {k: v for k, v in equation.params.items() if type(v) is Body}
            if bodies:
                equation = self._with_bodies(equation, bodies)
            self._note(equation)
            if equation.primitive.name not in FORMED or not self._form(equation):
                self.equations.append(equation)
        return self.equations

    def _with_bodies(self, equation: Equation, bodies: dict[str, Body]) -> Equation:
        formed: dict[str, Any] = {}
        for name, body in bodies.items():
            known = _captured_triangles(equation, body, self.triangle)
            equations = _Forming(known).run(body.equations)
            captures: list[Any] = [(None, var) for var in body.captured]
            formed[name] = Body(body.inputs, captures, equations, body.outputs, body.out_tree)
        return equation._replace(params={**equation.params, **formed})

    def _note(self, equation: Equation) -> None:
        """Keep in mind what is known of a matrix."""
        name, out = equation.primitive.name, equation.outs[0]
        source = equation.operands[0] if equation.operands else None
        if name == "cholesky":
            self.triangle[out] = True
        elif name == "qr_r":
            self.triangle[out] = False
        elif name == "where" and out.type.ndim >= 2:
            lower = _masked_triangle(equation)
            if lower is not None:
                self.triangle[out] = lower
        elif type(source) is not Var:
            return
        elif name == "transpose" and _exchanges_last(equation.params["axes"]):
            self.turned[out] = source
            if source in self.triangle:
                self.triangle[out] = not self.triangle[source]
        elif name in ("alias", "neg", "stop_gradient") and source in self.triangle:
            self.triangle[out] = self.triangle[source]

    # -- what is written instead -----------------------------------------------------------------

    def _form(self, equation: Equation) -> bool:
        """Write something instead of an equation, if that is possible."""
        a = equation.operands[0]
        if equation.primitive.name in DECOMPOSED:
            return self._decompose(equation, a)
        type_ = a.type if type(a) is Var else array_type(a)
        dtype = equation.out.type.dtype
        if dtype not in _FLOATS or type_.dtype.kind == "c" or not type_.shape[-1]:
            return False
        name = equation.primitive.name
        if name == "solve":
            self._solve(equation, a, equation.operands[1])
        elif name == "inv":
            self._solve(equation, a, np.eye(type_.shape[-1], dtype=dtype))
        else:
            factors, _ = self._factored(a, dtype, equation.origin)
            self._write(equation, _DETERMINANTS[name], factors)
        return True

    def _decompose(self, equation: Equation, a: Any) -> bool:
        """Write a result of a decomposition as a part of it; all parts of it are computed once."""
        name = equation.primitive.name
        if type(a) is not Var or a.type.dtype not in _FLOATS or not a.type.size:
            return False
        primitive = DECOMPOSED[name]
        key = a, primitive
        if key not in self.factors:
            params: dict[str, Any] = {}
            if primitive is not operations.ORTHOGONAL:
                params["vectors"] = key in self.with_vectors
            out = Var(a.id, None, primitive.type_rule(a.type, **params))
            self.factors[key] = out
            self.equations.append(Equation(primitive, (a,), params, (out,), equation.origin))
        m, n = a.type.shape[-2:]
        self._write(equation, lambda parts: _PARTS[name](parts, m, n), self.factors[key])
        return True

    def _solve(self, equation: Equation, a: Any, b: Any) -> None:
        dtype = equation.out.type.dtype
        source = self.turned.get(a, a) if type(a) is Var else a
        turned = source is not a
        if type(source) is Var and source in self.triangle:
            params = {"lower": self.triangle[source], "transposed": turned, "dtype": dtype}
            found = Equation(
                PRIMITIVES["triangular_solve"], (source, b), params, equation.outs, equation.origin
            )
        else:
            factors, turned = self._factored(a, dtype, equation.origin)
            found = Equation(
                PRIMITIVES["lu_solve"],
                (factors, b),
                {"transposed": turned},
                equation.outs,
                equation.origin,
            )
        self.equations.append(found)

    def _factored(self, a: Any, dtype: np.dtype[Any], origin: Any) -> tuple[Any, bool]:
        """Return the factors of a matrix or of its transpose, and whether it is the latter."""
        if type(a) is not Var:
            return operations.LU.impl(a, dtype=dtype), False
        source = self.turned.get(a, a)
        key = source, dtype
        if key not in self.factors:
            params = {"dtype": dtype}
            out = Var(a.id, None, operations.LU.type_rule(source.type, **params))
            self.factors[key] = out
            self.equations.append(Equation(operations.LU, (source,), params, (out,), origin))
        return self.factors[key], source is not a

    def _write(self, equation: Equation, meaning: Any, factors: Any) -> None:
        """Write what a function of the factors records."""
        type_ = factors.type if type(factors) is Var else array_type(factors)
        sample = np.empty(type_.shape, type_.dtype)
        written, _ = trace_program(meaning, sample, abstract=True)
        new = dict(zip(written.inputs, (factors,), strict=True))
        for inner in written.equations:
            operands = tuple(new.get(o, o) if type(o) is Var else o for o in inner.operands)
            last = inner.out is written.outputs[0]
            new[inner.out] = equation.out if last else Var(equation.out.id, None, inner.out.type)
            self.equations.append(
                Equation(
                    inner.primitive, operands, inner.params, (new[inner.out],), equation.origin
                )
            )


def _log_abs_det(factors: Any) -> Any:
    pivots = np.abs(factors[..., -1, :])
    zero = np.equal(pivots, 0.0)  # of which a logarithm would complain
    return np.where(np.any(zero, -1), -np.inf, np.sum(np.log(np.where(zero, 1.0, pivots)), -1))


def _sign_of_det(factors: Any) -> Any:
    return np.prod(np.sign(factors[..., -1, :]), -1)


def _det(factors: Any) -> Any:
    # as NumPy does it: a product may leave the range of numbers on its way
    return _sign_of_det(factors) * np.exp(_log_abs_det(factors))


def _columns(parts: Any, rows: int, columns: int) -> Any:
    """Return a matrix whose columns stand behind each other."""
    return np.swapaxes(np.reshape(parts, (*parts.shape[:-1], columns, rows)), -1, -2)


def _rows(parts: Any, rows: int, columns: int) -> Any:
    return np.reshape(parts, (*parts.shape[:-1], rows, columns))


_PARTS: dict[str, Callable[[Any, int, int], Any]] = {
    "eigenvalues": lambda p, m, n: p[..., n, :],
    "eigenvectors": lambda p, m, n: np.swapaxes(p[..., :n, :], -1, -2),
    "singular_values": lambda p, m, n: p[..., min(m, n) * m : min(m, n) * (m + 1)],
    "left_singular_vectors": lambda p, m, n: _columns(p[..., : min(m, n) * m], m, min(m, n)),
    "right_singular_vectors": lambda p, m, n: _columns(p[..., min(m, n) * (m + 1) :], min(m, n), n),
    "qr_q": lambda p, m, n: _columns(p[..., : n * m], m, n),
    "qr_r": lambda p, m, n: _rows(p[..., n * m :], n, n),
}
_DETERMINANTS = {"det": _det, "log_abs_det": _log_abs_det, "sign_of_det": _sign_of_det}


def _captured_triangles(
    equation: Equation, body: Body, triangle: dict[Var, bool]
) -> dict[Var, bool]:
    """Return what is known of the matrices that a body captures."""
    if equation.primitive.name not in ("scan", "checkpoint"):
        return {}
    given = equation.operands[len(equation.operands) - len(body.captured) :]
    pairs = zip(body.captured, given, strict=True)
    return {v: triangle[o] for v, o in pairs if type(o) is Var and o in triangle}


def _exchanges_last(axes: Sequence[int]) -> bool:
    n = len(axes)
    return n >= 2 and tuple(axes) == (*range(n - 2), n - 1, n - 2)


def _masked_triangle(equation: Equation) -> bool | None:
    """Return which triangle a mask keeps; None if it keeps none."""
    mask, x, other = equation.operands
    for kept, zero in ((x, other), (other, x)):
        whole = type(kept) is Var and kept.type == equation.out.type
        if not whole or type(zero) is Var or np.any(zero) or type(mask) is not np.ndarray:
            continue
        keeps = mask if kept is x else ~mask
        if keeps.ndim < 2 or keeps.dtype != bool or keeps.shape != kept.type.shape[-keeps.ndim :]:
            return None
        for lower, outside in ((True, np.triu(keeps, 1)), (False, np.tril(keeps, -1))):
            if not outside.any():
                return lower
    return None
