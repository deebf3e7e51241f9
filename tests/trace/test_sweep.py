"""Every function that NumPy lets one intercept is right for a traced value, or refused."""

import warnings

import numpy as np
import pytest
from numpy.testing.overrides import (
    get_overridable_numpy_array_functions,
    get_overridable_numpy_ufuncs,
)

import chainrule as cr
from chainrule.program.errors import ChainruleError
from chainrule.program.pytree import flatten

v = np.array([0.62, 0.31, 0.93, 0.47])
w = np.array([0.28, 0.84, 0.55, 0.71])
m = np.array([[0.61, 0.27, 0.93], [0.35, 0.74, 0.18]])
q = np.array([[2.1, 0.3, 0.2], [0.4, 1.9, 0.5], [0.1, 0.6, 2.3]])
cube = np.sin(np.arange(8.0) * 1.7).reshape(2, 2, 2) + 1.3
i = np.array([2, 0, 1])
mask = np.array([True, False, True, True])
s = 0.7


def symmetric(a):
    """A symmetric, positive definite matrix."""
    return np.outer(a, a) + np.diag(a) + np.eye(len(a))


# Calls for functions that no general template fits; the first argument is the traced one.
CALLS = {
    "append": [lambda a: np.append(a, w)],
    "apply_along_axis": [lambda a: np.apply_along_axis(lambda r: r * r[0], 0, a)],
    "apply_over_axes": [lambda a: np.apply_over_axes(np.sum, np.outer(a, a), [0])],
    "argpartition": [lambda a: np.argpartition(a, 1)],
    "array2string": [lambda a: np.array2string(a)],
    "array_split": [lambda a: np.array_split(a, 3)],
    "array_str": [lambda a: np.array_str(a)],
    "array_repr": [lambda a: np.array_repr(a)],
    "astype": [lambda a: np.astype(a, np.float32)],
    "average": [lambda a: np.average(a, weights=w), lambda a: np.average(w, weights=a)],
    "bincount": [lambda a: np.bincount([0, 2, 0, 1], a)],
    "block": [lambda a: np.block([[a, a], [a, w]])],
    "broadcast_to": [lambda a: np.broadcast_to(a, (2, 4))],
    "can_cast": [lambda a: np.can_cast(a, float)],
    "choose": [lambda a: np.choose([0, 1, 0, 1], [a, w])],
    "clip": [lambda a: np.clip(a, 0.4, 0.8), lambda a: np.clip(a, None, w)],
    "column_stack": [lambda a: np.column_stack([a, w])],
    "common_type": [lambda a: np.common_type(a) is np.float64],
    "compress": [lambda a: np.compress(mask, a)],
    "concatenate": [lambda a: np.concatenate([a, w, a])],
    "concat": [lambda a: np.concat([a, w, a])],
    "convolve": [lambda a: np.convolve(a, w), lambda a: np.convolve(w, a, "same")],
    "correlate": [lambda a: np.correlate(a, w), lambda a: np.correlate(w, a, "full")],
    "copyto": [lambda a: (lambda r: (np.copyto(r, a), r)[1])(np.zeros(4))],
    "cross": [lambda a: np.cross(a[:3], w[:3])],
    "cholesky": [lambda a: np.linalg.cholesky(symmetric(a))],
    "datetime_as_string": [],
    "delete": [lambda a: np.delete(a, 1)],
    "diff": [lambda a: np.diff(a), lambda a: np.diff(a, 2, prepend=0.5)],
    "digitize": [lambda a: np.digitize(a, [0.3, 0.5])],
    "dstack": [lambda a: np.dstack([a, w])],
    "ediff1d": [lambda a: np.ediff1d(a)],
    "eigh": [lambda a: np.linalg.eigh(symmetric(a))[0]],
    "eigvalsh": [lambda a: np.linalg.eigvalsh(symmetric(a))],
    "empty_like": [lambda a: np.empty_like(a).shape],
    "einsum": [lambda a: np.einsum("i,i->", a, w), lambda a: np.einsum("i,j->ji", a, a)],
    "einsum_path": [lambda a: np.einsum_path("i,i->", a, w)[0]],
    "expand_dims": [lambda a: np.expand_dims(a, 1)],
    "extract": [lambda a: np.extract(mask, a)],
    "fill_diagonal": [lambda a: (lambda r: (np.fill_diagonal(r, a), r)[1])(np.zeros((4, 4)))],
    "from_dlpack": [],
    "full_like": [lambda a: np.full_like(w, a[0]), lambda a: np.full_like(a, 2.0) * a],
    "geomspace": [lambda a: np.geomspace(a[0], a[1], 4)],
    "gradient": [lambda a: np.gradient(a), lambda a: np.gradient(a, 0.5)],
    "histogram": [
        lambda a: np.histogram(a, 3),
        lambda a: np.histogram(a, 3, density=True),
        lambda a: np.histogram(w, 3, weights=a),
    ],
    "histogram2d": [lambda a: np.histogram2d(a, w, 2)[0]],
    "histogram_bin_edges": [lambda a: np.histogram_bin_edges(a, 3)],
    "histogramdd": [lambda a: np.histogramdd(np.stack([a, w], 1), 2)[0]],
    "hsplit": [lambda a: np.hsplit(a, 2)],
    "hstack": [lambda a: np.hstack([a, w])],
    "in1d": [lambda a: np.isin(a, [0.31])],
    "insert": [lambda a: np.insert(a, 1, 0.5), lambda a: np.insert(w, 1, a[0])],
    "interp": [
        lambda a: np.interp(a, [0.0, 0.5, 1.0], [1.0, 3.0, 2.0]),
        lambda a: np.interp(0.4, [0.0, 0.3, 0.6, 1.0], a),
    ],
    "isin": [lambda a: np.isin(a, [0.31])],
    "ix_": [lambda a: np.ones((5, 5))[np.ix_(a > 0.4, a > 0.4)]],
    "kron": [lambda a: np.kron(a, w)],
    "lexsort": [lambda a: np.lexsort((a, w))],
    "linspace": [lambda a: np.linspace(a[0], a[1], 5), lambda a: np.linspace(0.0, a, 3)],
    "loadtxt": [],
    "logspace": [lambda a: np.logspace(a[0], a[1], 4)],
    "meshgrid": [lambda a: np.meshgrid(a, w)],
    "moveaxis": [lambda a: np.moveaxis(np.outer(a, w), 0, 1)],
    "nan_to_num": [lambda a: np.nan_to_num(a)],
    "nanpercentile": [lambda a: np.nanpercentile(a, 30.0)],
    "nanquantile": [lambda a: np.nanquantile(a, 0.3)],
    "pad": [lambda a: np.pad(a, 2), lambda a: np.pad(a, (1, 2), mode="reflect")],
    "partition": [lambda a: np.partition(a, 1)[1]],
    "percentile": [lambda a: np.percentile(a, [30.0, 55.0])],
    "piecewise": [lambda a: np.piecewise(a, [a > 0.5], [lambda t: t * t, lambda t: -t])],
    "place": [lambda a: (lambda r: (np.place(r, mask, a), r)[1])(np.zeros(4))],
    "poly": [lambda a: np.poly(a)],
    "polyder": [lambda a: np.polyder(a)],
    "polydiv": [lambda a: np.polydiv(a, [1.0, 0.5])],
    "polyfit": [lambda a: np.polyfit([0.0, 1.0, 2.0, 3.0], a, 2)],
    "polyint": [lambda a: np.polyint(a)],
    "put": [lambda a: (lambda r: (np.put(r, [0, 2], a[:2]), r)[1])(np.zeros(4))],
    "put_along_axis": [
        lambda a: (lambda r: (np.put_along_axis(r, i, a[:3], 0), r)[1])(np.zeros(4))
    ],
    "putmask": [lambda a: (lambda r: (np.putmask(r, mask, a), r)[1])(np.zeros(4))],
    "quantile": [lambda a: np.quantile(a, 0.3)],
    "ravel_multi_index": [lambda a: np.ravel_multi_index((i, i), (3, 3)) * a[:3]],
    "repeat": [lambda a: np.repeat(a, 2), lambda a: np.repeat(a, [1, 0, 2, 1])],
    "require": [lambda a: np.require(a, float)],
    "reshape": [lambda a: np.reshape(a, (2, 2))],
    "resize": [lambda a: np.resize(a, (2, 3))],
    "result_type": [lambda a: np.result_type(a, np.float32).kind],
    "roll": [lambda a: np.roll(a, 1)],
    "rollaxis": [lambda a: np.rollaxis(np.outer(a, w), 1)],
    "roots": [lambda a: np.abs(np.roots(a))],
    "row_stack": [lambda a: np.vstack([a, w])],
    "save": [],
    "savetxt": [],
    "savez": [],
    "savez_compressed": [],
    "searchsorted": [lambda a: np.searchsorted(np.sort(a), 0.5)],
    "select": [lambda a: np.select([a > 0.5, a > 0.4], [a * a, -a], 0.1)],
    "setdiff1d": [lambda a: np.setdiff1d(a, [0.31])],
    "sliding_window_view": [lambda a: np.lib.stride_tricks.sliding_window_view(a, 2)],
    "split": [lambda a: np.split(a, 2)],
    "dsplit": [lambda a: np.dsplit(a.reshape(1, 1, 4), 2)],
    "vsplit": [lambda a: np.vsplit(a.reshape(4, 1), 2)],
    "stack": [lambda a: np.stack([a, w], axis=1)],
    "swapaxes": [lambda a: np.swapaxes(np.outer(a, w), 0, 1)],
    "take": [lambda a: np.take(a, [3, 0, 3])],
    "take_along_axis": [lambda a: np.take_along_axis(a, i, 0)],
    "tensordot": [lambda a: np.tensordot(a, np.outer(w, a), 1)],
    "tile": [lambda a: np.tile(a, (2, 2))],
    "unravel_index": [lambda a: (*np.unravel_index(i, (2, 2)), a)],
    "vstack": [lambda a: np.vstack([a, w])],
    "where": [lambda a: np.where(a > 0.5, a, w * a)],
    "as_strided": [],
    "busday_count": [],
    "busday_offset": [],
    "is_busday": [],
    "fromfile": [],
    "frombuffer": [],
    "merge_arrays": [],
    "eigvals": [lambda a: np.abs(np.linalg.eigvals(np.outer(a, w) + np.diag(w)))],
    "eig": [lambda a: np.abs(np.linalg.eig(np.outer(a, w) + np.diag(w))[0])],
    "tensorsolve": [lambda a: np.linalg.tensorsolve(q, a[:3])],
    "tensorinv": [lambda a: np.linalg.tensorinv(np.diag(a).reshape(4, 4), ind=1)],
    "solve": [lambda a: np.linalg.solve(q, a[:3]), lambda a: np.linalg.solve(np.diag(a), w)],
    "lstsq": [lambda a: np.linalg.lstsq(np.stack([w, w * w], 1), a, rcond=None)[0]],
    "matrix_power": [lambda a: np.linalg.matrix_power(np.outer(a, w), 3)],
    "multi_dot": [lambda a: np.linalg.multi_dot([np.outer(a, w), np.outer(w, a), a])],
    "vander": [lambda a: np.vander(a, 3)],
    "vecdot": [lambda a: np.vecdot(a, w)],
    "matvec": [lambda a: np.matvec(np.outer(w, w), a)],
    "vecmat": [lambda a: np.vecmat(a, np.outer(w, w))],
    "rot90": [lambda a: np.rot90(np.outer(a, w))],
    "unstack": [lambda a: np.unstack(np.outer(a, w))],
    "trapezoid": [lambda a: np.trapezoid(a, dx=0.5), lambda a: np.trapezoid(w, np.cumsum(a))],
}
TEMPLATES = [
    (lambda f: lambda a: f(a), v),
    (lambda f: lambda a: f(a), m),
    (lambda f: lambda a: f(a), q),
    (lambda f: lambda a: f(a), cube),
    (lambda f: lambda a: f(a, w.copy()), v),
    (lambda f: lambda a: f(w.copy(), a), v),
    (lambda f: lambda a: f(a, q.copy()), q.T),
    (lambda f: lambda a: f(a, 1), m),
]


def public_name(function):
    for module, prefix in ((np, "np."), (np.linalg, "np.linalg."), (np.fft, "np.fft.")):
        if getattr(module, function.__name__, None) is not None:
            return prefix + function.__name__
    return function.__name__


def functions():
    for function in get_overridable_numpy_array_functions():
        yield public_name(function), function
    for ufunc in get_overridable_numpy_ufuncs():
        yield "np." + ufunc.__name__ + " (ufunc)", ufunc


def ufuncs_of_scipy():
    special = pytest.importorskip("scipy.special")
    return {
        name: value
        for name, value in vars(special).items()
        if isinstance(value, np.ufunc) and not name.startswith("_")
    }


def is_number(leaf):
    return np.asarray(leaf).dtype.kind in "fc"


def is_smooth_at(f, x, direction, weights):
    """The derivative along a line by differences of two sizes; None if they disagree."""

    def along(t):
        leaves = flatten(f(x + t * direction))[0]
        parts = zip(leaves, weights, strict=True)
        return sum(np.sum(np.real(np.conj(u) * leaf)) for leaf, u in parts if is_number(leaf))

    rough, fine = ((along(h) - along(-h)) / (2 * h) for h in (2e-5, 1e-5))
    return fine if np.isclose(rough, fine, rtol=1e-4, atol=1e-6) else None


def outcome(f, x):
    """How tracing goes, beside plain NumPy: "fails" (also plain), "refused" or "right"."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            plain = f(x.copy())
        except Exception:
            return "fails"
        try:
            traced, pull = cr.vjp(f, x)
        except ChainruleError as error:
            where = error.span
            return "refused" if where is not None and where.file == __file__ else "refused nowhere"
        try:
            compare(f, x, plain, traced, pull)
        except ChainruleError:
            return "refused"  # by an argument of which there is no derivative
    return "right"


def compare(f, x, plain, traced, pull):
    ours, theirs = flatten(traced)[0], flatten(plain)[0]
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        if isinstance(b, str | None) or np.asarray(b).dtype.kind in "OSU":
            assert a == b
            continue
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=np.shape(b)) for b in theirs]
    numbers = [is_number(b) for b in theirs]
    if not any(numbers):
        return
    tree = flatten(traced)[1]
    cotangents = [
        u.astype(np.asarray(b).dtype) if number else b
        for u, b, number in zip(weights, theirs, numbers, strict=True)
    ]
    direction = rng.normal(size=x.shape)
    expected = is_smooth_at(f, x, direction, weights)
    if expected is not None and np.isfinite(expected) and np.asarray(theirs[0]).itemsize >= 8:
        (gradient,) = pull(tree.unflatten(cotangents))
        np.testing.assert_allclose(np.sum(gradient * direction), expected, rtol=1e-3, atol=1e-4)


def calls_of(function, name):
    if name in CALLS:
        return [(call, v) for call in CALLS[name]]
    return [(template(function), x) for template, x in TEMPLATES]


NUMPY = dict(functions())


@pytest.mark.parametrize("name", sorted(NUMPY))
def test_numpy(name):
    function = NUMPY[name]
    seen = {outcome(f, x) for f, x in calls_of(function, function.__name__)}
    assert "refused nowhere" not in seen
    assert "right" in seen or name not in SUPPORTED


def test_scipy_special():
    right = set()
    for name, ufunc in ufuncs_of_scipy().items():
        for call in (
            lambda a, u=ufunc: u(a),
            lambda a, u=ufunc: u(0.6, a),
            lambda a, u=ufunc: u(a, 0.6),
            lambda a, u=ufunc: u(2, 0.4, a),
            lambda a, u=ufunc: u(2, 1, 0.4, a),
        ):
            try:
                if outcome(call, v) == "right":
                    right.add(name)
            except AssertionError as error:
                raise AssertionError(f"scipy.special.{name}: {error}") from error
    assert {"erf", "gammaln", "digamma", "expit", "xlogy", "betaln"} <= right


# What everybody uses must not be refused one day.
SUPPORTED = {
    *("np.sum", "np.mean", "np.dot", "np.einsum", "np.concatenate", "np.where", "np.linalg.solve"),
    *("np.exp (ufunc)", "np.log (ufunc)", "np.matmul (ufunc)", "np.linalg.norm", "np.sort"),
    *("np.diff", "np.interp", "np.linalg.det", "np.fft.fft", "np.cumsum", "np.var", "np.pad"),
}
