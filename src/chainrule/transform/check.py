"""Checking derivatives against finite differences, and the modes against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..program.arraytype import array_type
from ..program.errors import GradientError
from ..program.pytree import flatten
from ..trace import Tracer
from .arguments import Arguments, Function, Selection, definition, name_of, wrapping
from .differences import Array, differentiate
from .linear import jvp, linearize, vjp


@dataclass(frozen=True, slots=True)
class GradientReport:
    """What a successful check has compared.

    Attributes
    ----------
    function : str
        Name of the function.
    order : int
        Highest order of derivative that was checked.
    modes : tuple of str
        What was checked.
    comparisons : int
        How many numbers were compared.
    largest_error : float
        The largest difference, relative to the largest derivative of its comparison.
    """

    function: str
    order: int
    modes: tuple[str, ...]
    comparisons: int
    largest_error: float

    def __str__(self) -> str:
        return (
            f"{self.function}: {self.comparisons} derivatives up to order {self.order} agree, "
            f"the largest relative error is {self.largest_error:.1e}"
        )


def check_gradients(
    f: Function,
    *args: Any,
    argnums: Selection | None = None,
    order: int = 1,
    rtol: float | None = None,
    atol: float | None = None,
    max_elements: int = 40,
    seed: int = 0,
    **kwargs: Any,
) -> GradientReport:
    """Compare the derivatives of ``f`` at a point with finite differences.

    Forward and reverse mode are checked element by element, and against each other by the
    identity ``<J v, w> = <v, Jᵀ w>``; with ``order=2`` the same is done with the gradient and
    with a directional derivative in the place of ``f``.

    Parameters
    ----------
    f : callable
        Any function of arrays, scalars or pytrees of them that returns any of these.
    *args, **kwargs : pytree
        The point; it should lie away from kinks and jumps.
    argnums : int, str or sequence of them, optional
        The arguments to differentiate by; by default all positional ones of floating point.
    order : {1, 2}
        Highest order of derivative to check.
    rtol, atol : float, optional
        A derivative may differ by ``atol + rtol * max(abs(expected))`` and by the estimated
        error of the differences. By default the precision of arguments and results decides.
    max_elements : int
        How many elements of each array to vary; of larger ones a random choice.
    seed : int
        Of the random directions and choices.

    Returns
    -------
    GradientReport
        What was compared, and the largest error.

    Raises
    ------
    GradientError
        At the first derivative that disagrees, naming function, argument, index, mode, order,
        what was computed and what was expected.

    Examples
    --------
    >>> import numpy as np
    >>> report = check_gradients(lambda x: np.sin(x) ** 2, np.array([0.3, 0.4]), order=2)
    >>> report.modes
    ('forward', 'reverse', 'forward over reverse', 'reverse over reverse',
     'forward over forward', 'reverse over forward')
    """
    if order not in (1, 2):
        raise ValueError(f"order has to be 1 or 2, not {order!r}")
    point = Arguments(f, _floating(args) if argnums is None else argnums, args, kwargs)
    if not point.leaves or any(isinstance(leaf, Tracer) for leaf in point.leaves):
        raise GradientError(
            f"{name_of(f)} got no floating-point value to differentiate by",
            help="pass plain floating-point numbers or arrays (2.0, not 2)",
        )
    flat = _flattened(point)
    checker = _Checker(f, point, rtol, atol, max_elements, np.random.default_rng(seed))
    checker.run(flat, "forward", "reverse", 1)
    if order == 2:
        # the first derivatives that are differenced here have just been checked themselves
        weights = checker.random_like(flat(*point.leaves))
        direction = checker.random_like(point.leaves)

        @wrapping(f)
        def gradient(*leaves: Any) -> list[Any]:
            return list(vjp(flat, *leaves)[1](_cast_like(weights, flat(*leaves))))

        @wrapping(f)
        def derivative(*leaves: Any) -> list[Any]:
            moved: list[Any] = jvp(flat, leaves, _cast_like(direction, leaves))[1]
            return moved

        checker.run(gradient, "forward over reverse", "reverse over reverse", 2)
        checker.run(derivative, "forward over forward", "reverse over forward", 2)
    return checker.report(order)


def _floating(args: tuple[Any, ...]) -> tuple[int, ...]:
    def floating(leaf: Any) -> bool:
        return type(leaf) is not str and array_type(leaf).is_differentiable

    trees = [flatten(arg)[0] for arg in args]
    return tuple(i for i, leaves in enumerate(trees) if leaves and all(map(floating, leaves)))


def _flattened(point: Arguments) -> Function:
    """Return the function from the leaves to the list of its floating-point results."""

    @wrapping(point.f)
    def flat(*leaves: Any) -> list[Any]:
        args, kwargs = list(point.args), dict(point.kwargs)
        for key, tree in zip(point.keys, point.arrange_all(leaves), strict=True):
            if isinstance(key, str):
                kwargs[key] = tree
            else:
                args[key] = tree
        results = flatten(point.f(*args, **kwargs))[0]
        return [r for r in results if not isinstance(r, str) and _dtype(r).kind in "fc"]

    return flat


def _dtype(value: Any) -> np.dtype[Any]:
    return value.dtype if hasattr(value, "dtype") else array_type(value).dtype


def _cast_like(given: list[Any], like: Sequence[Any]) -> list[Any]:
    # differences are taken in double precision, derivatives in the precision of the arguments
    return [np.asarray(g, _dtype(x))[()] for g, x in zip(given, like, strict=True)]


class _Checker:
    """Compares derivatives and keeps the score."""

    def __init__(
        self,
        f: Function,
        point: Arguments,
        rtol: float | None,
        atol: float | None,
        max_elements: int,
        rng: np.random.Generator,
    ) -> None:
        self.f = f
        self.rtol = rtol
        self.atol = atol
        self.max_elements = max_elements
        self.rng = rng
        self.leaves = [x if type(x) is float else np.asarray(x)[()] for x in point.leaves]
        self.paths = [
            path
            for key, treedef, _ in point.parts
            for path in treedef.leaf_paths(point._argument(key))
        ]
        self.modes: list[str] = []
        self.comparisons = 0
        self.largest_error = 0.0

    def report(self, order: int) -> GradientReport:
        return GradientReport(
            name_of(self.f), order, tuple(self.modes), self.comparisons, self.largest_error
        )

    def random_like(self, values: Sequence[Any]) -> list[Any]:
        """Return random directions in the spaces of values."""
        return _from_real(self.rng.standard_normal(_to_real(values).size), values)

    def run(self, flat: Function, forward: str, reverse: str, order: int) -> None:
        """Check both modes of a function of the leaves."""
        results, push = linearize(flat, *self.leaves)
        pull = vjp(flat, *self.leaves)[1]
        if not np.all(np.isfinite(_to_real(results))):
            raise GradientError(
                f"{name_of(self.f)} or a derivative of it is not finite at this point",
                span=definition(self.f),
                help="check at a point where it is",
            )
        w = _from_real(self.rng.standard_normal(_to_real(results).size), results)
        pulled = pull(w)
        start = 0
        for i, leaf in enumerate(self.leaves):
            size = _to_real([leaf]).size
            chosen = self._choice(size)
            expected, error = self._differences(flat, start, chosen)
            got = np.stack([_to_real(push(*self._unit(start + c))) for c in chosen], axis=-1)
            at = _Place(self.paths[i], leaf, chosen, order, results)
            self._compare(forward, got, expected, error, abs(expected), at)
            weights = _to_real(w)
            self._compare(
                reverse,
                _to_real([pulled[i]])[chosen][None],
                (weights @ expected)[None],
                (abs(weights) @ error)[None],
                (abs(weights) @ abs(expected))[None],
                at,
            )
            start += size
        self._dot_product(push, w, pulled, (forward, reverse))
        self.modes += [forward, reverse]

    def _choice(self, size: int) -> Any:
        if size <= self.max_elements:
            return np.arange(size)
        return np.sort(self.rng.choice(size, self.max_elements, replace=False))

    def _unit(self, component: int) -> list[Any]:
        e = np.zeros(_to_real(self.leaves).size)
        e[component] = 1.0
        return _from_real(e, self.leaves)

    def _differences(self, flat: Function, start: int, chosen: Any) -> tuple[Array, Array]:
        """Return finite differences and their errors, [result component, argument component]."""
        like = [_in_double(leaf) for leaf in self.leaves]
        base = _to_real(like)
        columns = []
        for c in chosen:

            def curve(t: float, component: int = start + c) -> Array:
                moved = base.copy()
                moved[component] += t
                return _to_real(flat(*_from_real(moved, like)))

            size = abs(float(base[start + c]))
            typical = float(np.max(abs(base))) or 1.0
            steps = {0.1 * (size or typical), 0.1 * max(1.0, size)}
            columns.append(differentiate(curve, tuple(sorted(steps))))
        if not columns:
            return np.zeros((_to_real(flat(*like)).size, 0)), np.zeros((1, 0))
        values, errors = zip(*columns, strict=True)
        return np.stack(values, axis=-1), np.stack(errors, axis=-1)

    def _tolerances(self, results: Sequence[Any]) -> tuple[float, float]:
        coarse = min((np.finfo(_dtype(x)).precision for x in [*self.leaves, *results]), default=15)
        rtol, atol = {3: (2e-2, 1e-3), 6: (1e-3, 1e-5)}.get(coarse, (1e-6, 1e-8))
        return self.rtol if self.rtol is not None else rtol, (
            self.atol if self.atol is not None else atol
        )

    def _compare(
        self, mode: str, got: Array, expected: Array, error: Array, scale: Array, at: _Place
    ) -> None:
        if not expected.size:
            return
        rtol, atol = self._tolerances(at.results)
        largest = float(np.max(scale))
        unsettled = ~(error <= 100 * (atol + rtol * largest))
        if unsettled.any():
            raise self._failure(mode, got, expected, unsettled, at, settled=False)
        wrong = ~(abs(got - expected) <= atol + rtol * largest + 4 * error)
        if wrong.any():
            raise self._failure(mode, got, expected, wrong, at)
        self.comparisons += got.size
        if largest:
            self.largest_error = max(
                self.largest_error, float(np.max(abs(got - expected))) / largest
            )

    def _failure(
        self, mode: str, got: Array, expected: Array, where: Array, at: _Place, settled: bool = True
    ) -> GradientError:
        row, column = map(int, np.argwhere(where)[0])
        argument = at.argument(column)
        notes = [f"argument {argument}"]
        if got.shape[0] > 1:
            notes.append(f"result {at.result(row)}")
        notes += [
            f"got      {got[row, column]:.10g}  ({mode} mode)",
            f"expected {expected[row, column]:.10g}  (finite differences)",
            f"order    {at.order}",
        ]
        if settled:
            title = f"the derivative of {name_of(self.f)} by {argument} is wrong"
            why = help = None
        else:
            title = f"finite differences of {name_of(self.f)} by {argument} do not settle"
            why = "the function may have a kink or a jump here, or be noisy"
            help = "check at another point"
        return GradientError(
            title, span=definition(self.f), why=why, help=help, notes=["\n".join(notes)]
        )

    def _dot_product(
        self, push: Function, w: list[Any], pulled: Any, modes: tuple[str, str]
    ) -> None:
        v = self.random_like(self.leaves)
        moved = push(*v)
        forward, reverse = _to_real(moved) @ _to_real(w), _to_real(v) @ _to_real(pulled)
        rtol, atol = self._tolerances(moved)
        scale = abs(_to_real(moved)) @ abs(_to_real(w)) + abs(_to_real(v)) @ abs(_to_real(pulled))
        if not abs(forward - reverse) <= atol + rtol * scale:
            raise GradientError(
                f"the modes disagree about the derivative of {name_of(self.f)}",
                span=definition(self.f),
                why=f"<Jv, w> = {forward:.10g} in {modes[0]} mode, "
                f"but <v, Jᵀw> = {reverse:.10g} in {modes[1]} mode",
            )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a comparison stands, for the message of a failure."""

    path: str
    leaf: Any
    chosen: Any
    order: int
    results: Sequence[Any]

    def argument(self, column: int) -> str:
        return _element(self.path, self.leaf, int(self.chosen[column]))

    def result(self, row: int) -> str:
        for i, value in enumerate(self.results):
            size = _to_real([value]).size
            if row < size:
                return _element(f"#{i}" if len(self.results) > 1 else "", value, row)
            row -= size
        raise IndexError(row)


def _element(name: str, value: Any, component: int) -> str:
    """Write an element of an array, given its place among all real numbers in it."""
    part = ""
    if _dtype(value).kind == "c":
        component, odd = divmod(component, 2)
        part = " (imaginary part)" if odd else " (real part)"
    shape = np.shape(value)
    index = [int(i) for i in np.unravel_index(component, shape)] if shape else []
    return name + (f"[{', '.join(map(str, index))}]" if index else "") + part


# -- values as vectors of real numbers -----------------------------------------------------------


def _in_double(leaf: Any) -> Any:
    if type(leaf) is float or _dtype(leaf).itemsize >= 16:
        return leaf
    return np.asarray(leaf, np.result_type(_dtype(leaf), np.float64))[()]


def _to_real(values: Sequence[Any]) -> Array:
    """Return values as one vector, real and imaginary parts side by side."""
    parts = [np.zeros(0)]
    for value in values:
        flat = np.ravel(np.asarray(value))
        parts.append(
            np.stack([flat.real, flat.imag], -1).ravel() if flat.dtype.kind == "c" else flat
        )
    return np.concatenate(parts).astype(float)


def _from_real(vector: Array, like: Sequence[Any]) -> list[Any]:
    """Return the values that :func:`_to_real` takes to a vector."""
    values = []
    start = 0
    for value in like:
        dtype, shape = _dtype(value), np.shape(value)
        size = int(np.prod(shape)) * (2 if dtype.kind == "c" else 1)
        part = vector[start : start + size]
        start += size
        if dtype.kind == "c":
            part = part[::2] + 1j * part[1::2]
        values.append(float(part[0]) if type(value) is float else _shaped(part, shape, dtype))
    return values


def _shaped(part: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    return part.reshape(shape).astype(dtype)[()]
