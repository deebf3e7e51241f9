"""The discrete Fourier transforms of ``numpy.fft``.

There is one complex transform, and the two between real signals and half spectra. NumPy's other
functions pad or crop first and then call one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ..maps import Cast, Fourier, LinearMap, Pad, Slice, compose, scale
from ..program.arraytype import ArrayType, ndim_of, shape_of
from ..program.primitive import BY_NAME, Primitive
from . import batching
from .families import normalize_axes, real_dtype

Axes = tuple[int, ...]
Norm = Literal["backward", "ortho", "forward"]
_OPPOSITE: dict[str, Norm] = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _complex_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.result_type(dtype if dtype.kind in "fc" else float, np.complex64)


# -- the three transforms ------------------------------------------------------------------------


def _fourier(x: Any, axes: Axes, inverse: bool, norm: Norm) -> Any:
    return (np.fft.ifftn if inverse else np.fft.fftn)(x, axes=axes, norm=norm)


def _fourier_rule(y: Any, x: Any, axes: Axes, inverse: bool, norm: Norm) -> LinearMap:
    map = Fourier(axes, inverse, norm)
    return map if x.dtype.kind == "c" else compose(map, Cast(x.dtype, y.dtype))


FOURIER = Primitive(
    "fourier",
    _fourier,
    type_rule=lambda x, axes, inverse, norm: ArrayType(x.shape, _complex_of(x.dtype)),
    d=(_fourier_rule,),
    batch=batching.shifted_axes,
    text="fft({0})",
    symbol="Fourier transform",
)


def _half(shape: Axes, axis: int, n: int) -> Axes:
    return (*shape[:axis], n, *shape[axis + 1 :])


def _part(axis: int, n: int) -> tuple[Any, ...]:
    return (*((slice(None),) * axis), slice(0, n))


def _real_rule(y: Any, x: Any, axis: int, norm: Norm) -> LinearMap:
    half = Slice(shape_of(x), _part(axis, shape_of(y)[axis]))
    return compose(half, Fourier((axis,), False, norm), Cast(x.dtype, y.dtype))


REAL_FOURIER = Primitive(
    "real_fourier",
    lambda x, axis, norm: np.fft.rfft(x, axis=axis, norm=norm),
    type_rule=lambda x, axis, norm: ArrayType(
        _half(x.shape, axis, x.shape[axis] // 2 + 1), _complex_of(x.dtype)
    ),
    d=(_real_rule,),
    batch=batching.shifted_axes,
    text="rfft({0})",
    symbol="Fourier transform",
)


def _inverse_real_rule(y: Any, x: Any, n: int, axis: int, norm: Norm) -> LinearMap:
    """Return the real part of the transform of the half spectrum, its inner part doubled."""
    m = shape_of(x)[axis]
    factors = np.full(m, 2.0, y.dtype)
    factors[0] = 1.0
    if n % 2 == 0:
        factors[-1] = 1.0
    factors = factors.reshape((-1,) + (1,) * (ndim_of(x) - axis - 1))
    padding = Pad(_half(shape_of(x), axis, n), _part(axis, m))
    return compose(Cast(x.dtype, y.dtype), Fourier((axis,), True, norm), padding, scale(factors))


INVERSE_REAL_FOURIER = Primitive(
    "inverse_real_fourier",
    lambda x, n, axis, norm: np.fft.irfft(x, n, axis, norm),
    type_rule=lambda x, n, axis, norm: ArrayType(
        _half(x.shape, axis, n), real_dtype(_complex_of(x.dtype))
    ),
    d=(_inverse_real_rule,),
    batch=batching.shifted_axes,
    text="irfft({0})",
    symbol="inverse Fourier transform",
)


# -- numpy.fft -----------------------------------------------------------------------------------


def _implements(name: str) -> Callable[[Any], Any]:
    """Answer a function of ``numpy.fft`` by its name: its users import it, and nobody else."""

    def register(answer: Any) -> Any:
        BY_NAME[f"numpy.fft.{name}"] = answer
        return answer

    return register


def _sized(x: Any, axis: int, n: int | None) -> Any:
    """Crop an axis to length ``n``, or fill it up with zeros."""
    given = shape_of(x)[axis]
    if n is None or n == given:
        return x
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    if n < given:
        return x[_part(axis, n)]
    widths = [(0, n - given if i == axis else 0) for i in range(ndim_of(x))]
    return np.pad(x, widths)


def _norm(norm: Norm | None) -> Norm:
    if norm is not None and norm not in _OPPOSITE:
        raise ValueError(f'Invalid norm value {norm}; should be "backward","ortho" or "forward".')
    return norm or "backward"


def _plan(a: Any, s: Any, axes: Any) -> tuple[list[int], list[int | None]]:
    """Return the axes of an n-dimensional transform and the length for each."""
    ndim = ndim_of(a)
    if axes is None:
        axes = range(ndim) if s is None else range(ndim - len(s), ndim)
    where = [normalize_axes(int(i), ndim)[0] for i in axes]
    lengths = [None] * len(where) if s is None else list(s)
    if len(lengths) != len(where):
        raise ValueError("Shape and axes have different lengths.")
    kept = [None if n is None or n == -1 else int(n) for n in lengths]
    return where, kept


def _transform(a: Any, s: Any, axes: Any, norm: Norm | None, inverse: bool) -> Any:
    where, lengths = _plan(a, s, axes)
    for axis, n in zip(where, lengths, strict=True):
        a = _sized(a, axis, n)
    if len(set(where)) < len(where):  # an axis may be transformed more than once
        for axis in where:
            a = FOURIER(a, axes=(axis,), inverse=inverse, norm=_norm(norm))
        return a
    return FOURIER(a, axes=tuple(where), inverse=inverse, norm=_norm(norm)) if where else a


def _one(inverse: bool) -> Callable[..., Any]:
    def answer(a: Any, n: int | None = None, axis: int = -1, norm: Norm | None = None) -> Any:
        return _transform(a, (n,), (axis,), norm, inverse)

    return answer


def _many(inverse: bool, default: Any) -> Callable[..., Any]:
    def answer(a: Any, s: Any = None, axes: Any = default, norm: Norm | None = None) -> Any:
        return _transform(a, s, axes, norm, inverse)

    return answer


_implements("fft")(_one(False))
_implements("ifft")(_one(True))
_implements("fft2")(_many(False, (-2, -1)))
_implements("ifft2")(_many(True, (-2, -1)))
_implements("fftn")(_many(False, None))
_implements("ifftn")(_many(True, None))


@_implements("rfft")
def _rfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm | None = None) -> Any:
    if a.dtype.kind == "c":
        raise TypeError("rfft takes a real signal; use fft for a complex one")
    axis = normalize_axes(axis, ndim_of(a))[0]
    return REAL_FOURIER(_sized(a, axis, n), axis=axis, norm=_norm(norm))


@_implements("irfft")
def _irfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm | None = None) -> Any:
    axis = normalize_axes(axis, ndim_of(a))[0]
    n = 2 * (shape_of(a)[axis] - 1) if n is None else n
    if a.dtype.kind != "c":
        a = a.astype(_complex_of(a.dtype))
    a = _sized(a, axis, n // 2 + 1)
    return INVERSE_REAL_FOURIER(a, n=n, axis=axis, norm=_norm(norm))


@_implements("rfftn")
def _rfftn(a: Any, s: Any = None, axes: Any = None, norm: Norm | None = None) -> Any:
    where, lengths = _plan(a, s, axes)
    a = np.fft.rfft(a, lengths[-1], where[-1], norm)
    return _transform(a, lengths[:-1], where[:-1], norm, False) if where[:-1] else a


@_implements("irfftn")
def _irfftn(a: Any, s: Any = None, axes: Any = None, norm: Norm | None = None) -> Any:
    where, lengths = _plan(a, s, axes)
    a = _transform(a, lengths[:-1], where[:-1], norm, True) if where[:-1] else a
    return np.fft.irfft(a, lengths[-1], where[-1], norm)


@_implements("rfft2")
def _rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Norm | None = None) -> Any:
    return np.fft.rfftn(a, s, axes, norm)


@_implements("irfft2")
def _irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Norm | None = None) -> Any:
    return np.fft.irfftn(a, s, axes, norm)


@_implements("hfft")
def _hfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm | None = None) -> Any:
    return np.fft.irfft(np.conj(a), n, axis, _OPPOSITE[_norm(norm)])


@_implements("ihfft")
def _ihfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm | None = None) -> Any:
    return np.conj(np.fft.rfft(a, n, axis, _OPPOSITE[_norm(norm)]))


def _shift(direction: int) -> Callable[..., Any]:
    def answer(x: Any, axes: Any = None) -> Any:
        where = normalize_axes(axes, ndim_of(x))
        shifts = [direction * (shape_of(x)[i] // 2) for i in where]
        return np.roll(x, shifts, where)

    return answer


_implements("fftshift")(_shift(1))
_implements("ifftshift")(_shift(-1))
