"""The check of one step: its linear map against a difference quotient of that piece of program.

The map of the step is applied to a random direction and compared with a central difference of
just those operations. Then the adjoint that the gradient was really computed with is compared
with the map by ``⟨Jv, w⟩ = ⟨v, Jᵀw⟩``. So an error is named at its edge, and the cost grows with
the size of the program and not with the number of parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..maps import add, bare, push
from ..program.equation import Equation, Var
from .collect import Flow

TOLERANCE = {"double": 1e-6, "single": 1e-4}
_EPSILON = float(np.finfo(float).eps)
_STEP = _EPSILON ** (1 / 3)
_SYMMETRIC = frozenset({"cholesky", "eigenvalues", "eigenvectors"})
_KINKED = frozenset(
    {"abs", "maximum", "minimum", "max", "min", "norm", "hypot", "sort", "median", "prod"}
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the check of an edge found.

    Attributes
    ----------
    error : float
        Relative difference between the map and the difference quotient; NaN if there is none.
    tolerance : float
        The largest error that counts as agreement.
    smooth : bool
        False at a tie or kink, where the function has no derivative and a convention decides.
    note : str
        What is special about it, or ''.
    """

    error: float
    tolerance: float
    smooth: bool = True
    note: str = ""

    @property
    def verified(self) -> bool:
        """Whether the map is certified."""
        return self.error <= self.tolerance


def certify(
    equations: list[Equation],
    flows: list[Flow],
    operand: Var,
    results: list[tuple[Var, Any]],
    moved: Any,
) -> Certificate:
    """Check the edge from some results of a block back to one variable before it.

    Parameters
    ----------
    equations : list of Equation
        The block, in program order.
    flows : list of Flow
        The edges inside the block.
    operand : Var
        The variable that the cotangents flow to.
    results : list of (Var, array)
        The block's results with their cotangents.
    moved : array
        What arrived at the variable.
    """
    check = _Check(equations, flows, operand, results, moved)
    with np.errstate(all="ignore"):
        return check.run()


class _Check:
    def __init__(self, equations: Any, flows: Any, operand: Var, results: Any, moved: Any) -> None:
        self.equations = _dependent(equations, operand)
        self.maps = {(id(f.equation.outs[0]), f.position): f.map for f in flows}
        self.operand = operand
        self.results = [(u, ct) for u, ct in results if self._reaches(u)]
        self.moved = moved
        values = [np.asarray(u.value) for u, _ in self.results] + [np.asarray(operand.value)]
        single = any(v.dtype.kind in "fc" and np.finfo(v.dtype).bits < 64 for v in values)
        self.tolerance = TOLERANCE["single" if single else "double"]

    def _reaches(self, result: Var) -> bool:
        return result is self.operand or any(result in e.outs for e in self.equations)

    def run(self) -> Certificate:
        """Return the certificate of the best of a few difference quotients."""
        if not np.all(np.isfinite(self.moved)):
            bad = "NaN" if np.any(np.isnan(self.moved)) else "inf"
            return Certificate(float("nan"), self.tolerance, note=f"{bad} in this gradient")
        best: Certificate | None = None
        for direction, step in self._directions():
            found = self._compare(direction, step)
            if best is None or not best.error <= found.error:
                best = found
            if best.verified:
                break
        assert best is not None
        return best

    def _directions(self) -> Iterator[tuple[Any, float]]:
        value = np.asarray(self.operand.value)
        rng = np.random.default_rng(0)
        noise = rng.standard_normal(value.shape)
        if value.dtype.kind == "c":
            noise = noise + 1j * rng.standard_normal(value.shape)
        finite = np.isfinite(value)
        noise = np.where(finite, noise, 0)
        size = float(np.sqrt(np.mean(np.abs(value[finite]) ** 2))) if finite.any() else 1.0
        size = size if size > 0 else 1.0
        if self._is_symmetric(value):
            noise = noise + np.conj(np.swapaxes(noise, -1, -2))
        yield noise * max(size, 1e-2), _STEP
        yield noise * np.where(value == 0, size, np.abs(value)), _STEP  # stays within a domain
        yield noise * size, _STEP / 50  # for functions that bend sharply

    def _is_symmetric(self, value: Any) -> bool:
        """Whether an operation takes a matrix for symmetric, and looks at one triangle only."""
        if not any(e.primitive.name in _SYMMETRIC for e in self.equations) or value.ndim < 2:
            return False
        return bool(np.allclose(value, np.conj(np.swapaxes(value, -1, -2))))

    def _compare(self, direction: Any, step: float) -> Certificate:
        pushed = self._finite(self._push(direction))
        ahead, behind = self._replay(direction, step), self._replay(direction, -step)
        quotients = self._finite([(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)])
        gap = _norm(p - q for p, q in zip(pushed, quotients, strict=True))
        # Below the rounding of the difference quotient itself nothing can be told apart.
        rounding = 8 * _EPSILON * _norm(self._finite(ahead)) / step
        size = max(_norm(quotients), _norm(pushed), rounding / self.tolerance)
        error = gap / size if size > 0 else gap
        if not np.isfinite(error):
            return Certificate(
                float("nan"), self.tolerance, note="no difference quotient at this point"
            )
        error = max(error, self._adjoint_error(direction, pushed))
        kinked = error > self.tolerance or any(e.primitive.name in _KINKED for e in self.equations)
        if kinked and self._has_kink(direction, step, size):
            return Certificate(
                error, self.tolerance, smooth=False, note="not smooth here: a tie or a kink"
            )
        return Certificate(error, self.tolerance)

    def _finite(self, parts: list[Any]) -> list[Any]:
        """Leave out the elements at which a result is NaN or infinite: they have no slope."""
        return [
            np.where(np.isfinite(u.value), part, 0)
            for (u, _), part in zip(self.results, parts, strict=True)
        ]

    def _push(self, direction: Any) -> list[Any]:
        """Apply the composed map to a direction."""
        value = np.asarray(self.operand.value)
        tangents: dict[Var, Any] = {self.operand: direction.astype(value.dtype)[()]}
        for equation in self.equations:
            if equation.primitive.joint is not None:
                self._push_joint(equation, tangents)
                continue
            out = None
            for position, operand in enumerate(equation.operands):
                if type(operand) is not Var or operand not in tangents:
                    continue
                map = self.maps.get((id(equation.outs[0]), position))
                if map is not None:
                    moved = push(map, tangents[operand])
                    out = moved if out is None else add(out, moved)
            if out is not None:
                tangents[equation.outs[0]] = out
        return [
            np.asarray(bare(tangents.get(u, np.zeros(np.shape(u.value))))) for u, _ in self.results
        ]

    def _push_joint(self, equation: Equation, tangents: dict[Var, Any]) -> None:
        """Carry tangents through an operation with several results."""
        first = id(equation.outs[0])
        map = next((m for (out, _), m in self.maps.items() if out == first), None)
        given = [bare(tangents.get(o)) if type(o) is Var else None for o in equation.operands]
        if map is not None:
            moved = map.apply(given)
            pairs = zip(equation.outs, moved, strict=True)
            tangents.update({out: v for out, v in pairs if v is not None})

    def _replay(self, direction: Any, step: float) -> list[Any]:
        """Evaluate the block again at a shifted point, in double precision."""
        values = {self.operand: (_wide(self.operand.value) + step * direction)[()]}
        for equation in self.equations:
            operands = [
                values.get(o, _wide(o.value)) if type(o) is Var else _wide(o)
                for o in equation.operands
            ]
            if _narrows(equation):
                results = [operands[0]]
            else:
                result = equation.primitive.impl(*operands, **equation.params)
                results = [result] if equation.primitive.joint is None else list(result)
            values.update(zip(equation.outs, results, strict=True))
        return [np.asarray(values.get(u, _wide(u.value))) for u, _ in self.results]

    def _adjoint_error(self, direction: Any, pushed: list[Any]) -> float:
        """Compare the map with the adjoint that the gradient was computed with."""
        forward = sum(_inner(ct, p) for (_, ct), p in zip(self.results, pushed, strict=True))
        backward = _inner(self.moved, direction)
        size = sum(
            _norm([ct]) * _norm([p]) for (_, ct), p in zip(self.results, pushed, strict=True)
        )
        gap = abs(forward - backward)
        return float(gap / size) if size > 0 else float(gap)

    def _has_kink(self, direction: Any, step: float, size: float) -> bool:
        """Tell a kink by its one-sided slopes, which differ however small the step is."""
        middle = self._finite(self._replay(direction, 0.0))
        bends = []
        for h in (step, step / 8):
            ahead = self._finite(self._replay(direction, h))
            behind = self._finite(self._replay(direction, -h))
            bends.append(
                _norm((a - 2 * m + b) / h for a, m, b in zip(ahead, middle, behind, strict=True))
            )
        return bends[1] > 1e-4 * size and bends[1] > 0.5 * bends[0] > 0


def _dependent(equations: list[Equation], operand: Var) -> list[Equation]:
    """Return the equations whose results depend on a variable."""
    reached = {operand}
    kept = []
    for equation in equations:
        if any(type(o) is Var and o in reached for o in equation.operands):
            reached.update(equation.outs)
            kept.append(equation)
    return kept


def _wide(value: Any) -> Any:
    """Return a value in double precision."""
    dtype = getattr(value, "dtype", None)
    if dtype is None or dtype.kind not in "fc":
        return value
    return value.astype(np.complex128 if dtype.kind == "c" else np.float64)


def _narrows(equation: Equation) -> bool:
    """Whether an equation only changes the precision."""
    if equation.primitive.name != "cast":
        return False
    operand = equation.operands[0]
    source = np.asarray(operand.value if type(operand) is Var else operand).dtype
    return bool(source.kind == equation.params["dtype"].kind)


def _norm(parts: Any) -> float:
    return float(np.sqrt(sum(float(np.sum(np.abs(p) ** 2)) for p in parts)))


def _inner(a: Any, b: Any) -> float:
    return float(np.sum(np.real(np.conj(np.asarray(a)) * np.asarray(b))))
