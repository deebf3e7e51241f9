"""Every row of the table of operations as a model, run in onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import random  # noqa: F401 - it declares primitives
from chainrule.program.equation import Var
from chainrule.program.errors import TraceError, UnsupportedError
from chainrule.program.primitive import PRIMITIVES
from chainrule.trace.program import trace_program
from tests.primitives.table import ROWS, Row

pytest.importorskip("onnx", reason="models in ONNX's format need the package onnx")
pytest.importorskip("onnxruntime", reason="exported models are run in onnxruntime")

from chainrule.interop import to_onnx
from chainrule.interop.onnx.lowering import supported

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

UNSUPPORTED = {
    *("betainc", "betaincc", "betaincinv", "gammainc", "gammaincc", "gammaincinv", "stdtr"),
    *("dawsn", "erfcinv", "erfi", "erfinv", "exp1", "expi", "ndtri", "ndtri_exp"),
    *("hyp0f1", "hyp1f1", "hyp2f1"),
    *("i0", "i0e", "i1", "i1e", "iv", "ive", "j0", "j1", "jv", "y0", "y1", "yv"),
    *("k0", "k0e", "k1", "k1e", "kv", "kve"),
    *("fourier", "real_fourier", "inverse_real_fourier", "real", "imag", "phase_of_det"),
    *("eigenvalues", "eigenvectors", "qr_q", "qr_r", "pinv", "matrix_rank"),
    *("singular_values", "left_singular_vectors", "right_singular_vectors"),
    *("random_bits", "fold_in", "normal_quantile"),
    *("random_log_gamma", "random_poisson", "log_gamma_slope"),
}

# what these do depends on the values, and a model is for all values
NEED_VALUES = {
    *("lstsq", "lstsq residuals", "polyfit"),
    *("nanmedian", "nanquantile", "nonzero", "piecewise"),
}

ids = [row.name for row in ROWS]


def reasons(row: Row) -> set[str]:
    """Say what of a row has no counterpart in ONNX."""
    program, _ = trace_program(row.f, *row.args, abstract=True)
    found = {e.primitive.name for e in program.equations} & UNSUPPORTED
    vars = [*program.inputs, *(out for e in program.equations for out in e.outs)]
    if any(type(v) is Var and v.type.dtype.kind == "c" for v in vars):
        found.add("complex")
    return found


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_operation(row: Row) -> None:
    if row.name in NEED_VALUES:
        with pytest.raises(TraceError):
            to_onnx(row.f, *row.args)
        return
    missing = reasons(row)
    if not missing:
        to_onnx(row.f, *row.args, check=True)
        return
    with pytest.raises(UnsupportedError) as caught:
        to_onnx(row.f, *row.args)
    assert any(name in caught.value.title for name in missing)


def test_every_primitive_is_supported_or_listed() -> None:
    assert set(supported()) | UNSUPPORTED == {n for n in PRIMITIVES if n in OWN}
    assert not set(supported()) & UNSUPPORTED


OWN = set(PRIMITIVES)  # those of other tests are declared later

# -- points that the table leaves out ------------------------------------------------------------

SPECIAL = np.array([1.0, -np.inf, np.inf, -0.0, 0.0, 1e-9, 3e5, -2.5])
FUNCTIONS = [
    *(np.exp2, np.expm1, np.tanh, np.arctan, np.arcsinh, np.cbrt, np.sinh, np.cosh, np.signbit),
    *(np.sign, np.isfinite, np.isinf, np.floor, np.trunc, np.rint, np.square, np.isposinf),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_at_zeros_and_infinities(f: Any, dtype: Any) -> None:
    to_onnx(f, SPECIAL.astype(dtype), check=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", [np.logaddexp, np.hypot, np.arctan2, np.copysign, np.maximum])
def test_of_pairs_of_zeros_and_infinities(f: Any, dtype: Any) -> None:
    x = SPECIAL.astype(dtype)
    to_onnx(f, x[:, None], x, check=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", [np.remainder, np.floor_divide, np.fmod])
def test_remainders_of_all_signs(f: Any, dtype: Any) -> None:
    a = np.array([5.5, -5.5, 0.0, 6.0, -6.0, 0.1], dtype)
    to_onnx(f, a[:, None], np.array([2.0, -2.0, 0.7, -0.7], dtype), check=True)


def test_integers_divided_by_zero() -> None:
    a, b = np.array([3, 4, -5, 7]), np.array([0, 2, 3, -2])
    to_onnx(lambda a, b: (a // b, a % b, np.fmod(a, b)), a, b, check=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_error_and_gamma_functions_far_out(dtype: Any) -> None:
    import scipy.special as sp

    x = (np.linspace(-30, 30, 40) + 0.01).astype(dtype)
    functions = (sp.erf, sp.erfc, sp.ndtr, sp.log_ndtr, sp.gammaln, sp.psi)
    to_onnx(lambda x: [f(x) for f in functions], x, check=True)


def test_nan_goes_through() -> None:
    x = np.array([np.nan, 1.0, -1.0])
    to_onnx(lambda x: (np.isnan(x), np.maximum(x, 0.0), np.sum(x), np.tanh(x)), x, check=True)


def test_singular_and_permuted_matrices() -> None:
    permuted = np.eye(4)[[1, 3, 0, 2]]
    to_onnx(lambda a: (np.linalg.det(a), np.linalg.inv(a)), permuted, check=True)
    to_onnx(lambda a: (np.linalg.det(a), np.linalg.slogdet(a)), np.ones((3, 3)), check=True)


# -- element types -------------------------------------------------------------------------------

INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32]


def arithmetic(a: Any, b: Any) -> Any:
    return a + b, a * b, np.maximum(a, b), a > b, a == b, np.where(a > b, a, b)


def division(a: Any, b: Any) -> Any:
    return a // b, a % b, a / b, a**2, np.fmod(a, b), a @ b.T, np.einsum("ij,ij->i", a, b)


def reductions(a: Any, b: Any) -> Any:
    ordered = np.argmax(a), np.argmin(a, 1), np.sort(b, 1), np.max(a), np.min(b, 1)
    return *ordered, np.sum(a, 0), np.any(b), np.all(a, 1), np.mean(a), np.count_nonzero(a, 1)


def layout(a: Any, b: Any) -> Any:
    written = np.zeros((3, 3), a.dtype)
    written[1:, [0, 2]] = a[:2, :2]
    picked = a[[0, 2]], b[:, ::-1], a[[0, 1], [2, 3]]
    return *picked, np.pad(a, 1), np.stack([a, b]), np.roll(a, 1), a.astype(float), written


def logic(a: Any, b: Any) -> Any:
    return a & b, a | b, a ^ b, ~a, np.logical_and(a, b), np.logical_not(a)


def shifts(a: Any, b: Any) -> Any:
    return a << 3, a >> 1, (a << b) >> b, -a >> b


@pytest.mark.parametrize("dtype", [*INTEGERS, np.bool_, np.float16], ids=lambda t: t.__name__)
@pytest.mark.parametrize("f", [arithmetic, division, reductions, layout, logic, shifts])
def test_element_types(f: Any, dtype: Any) -> None:
    kind = np.dtype(dtype).kind
    if kind in {division: "b", logic: "f", shifts: "bf"}.get(f, ""):
        pytest.skip("NumPy has no such operation for this type")
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2, (3, 4)) if kind == "b" else rng.integers(1, 9, (3, 4))
    to_onnx(f, a.astype(dtype), a[::-1].astype(dtype), check=True)


def test_types_are_promoted_as_by_numpy() -> None:
    def f(x: Any, n: Any, s: float) -> Any:
        return x + n, x * 2.0, x * s, n * s, n > 1.5, n / 3, s**2

    to_onnx(f, np.ones(3, np.float32), np.arange(3), 2.5, check=True)
