"""Every row of the table of operations as a model, run in onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import cond, grad, nn, random
from chainrule.program.errors import TraceError, UnsupportedError
from chainrule.program.primitive import PRIMITIVES
from chainrule.trace.program import trace_program
from tests.primitives.table import ROWS, Row
from tests.primitives.test_plain import room_of

pytest.importorskip("onnx", reason="models in ONNX's format need the package onnx")
pytest.importorskip("onnxruntime", reason="exported models are run in onnxruntime")

from chainrule.interop import to_onnx
from chainrule.interop.onnx.lowering import supported

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

UNSUPPORTED = {
    *("betainc", "betaincc", "betaincinv", "gammainc", "gammaincc", "gammaincinv", "stdtr"),
    *("dawsn", "erfi", "exp1", "expi", "hyp0f1", "hyp1f1", "hyp2f1"),
    *("i0", "i0e", "i1", "i1e", "iv", "ive", "j0", "j1", "jv", "y0", "y1", "yv"),
    *("k0", "k0e", "k1", "k1e", "kv", "kve"),
    *("eigenvalues", "eigenvectors", "pinv", "matrix_rank", "phase_of_det"),
    *("singular_values", "left_singular_vectors", "right_singular_vectors"),
    *("random_log_gamma", "random_poisson", "log_gamma_slope"),
}

# of complex numbers, these as well
REAL_ONLY = {"arctan", "arcsin", "arccosh", "det", "log_abs_det", "cholesky", "qr_q", "qr_r"}

# what these do depends on the values, and a model is for all values
NEED_VALUES = {
    *("lstsq", "lstsq residuals", "polyfit"),
    *("nanmedian", "nanquantile", "nonzero", "piecewise"),
}

ids = [row.name for row in ROWS]


def on_parts(row: Row) -> tuple[Any, list[Any]]:
    """Return a row as a function of real arrays with real results, and its arguments."""
    is_complex = [np.iscomplexobj(a) for a in row.args]

    def f(*parts: Any) -> Any:
        given = iter(parts)
        args = [next(given) + 1j * next(given) if c else next(given) for c in is_complex]
        y = row.f(*args)
        return (y.real, y.imag) if getattr(y, "dtype", np.dtype(int)).kind == "c" else y

    args = []
    for a, c in zip(row.args, is_complex, strict=True):
        args += [a.real.copy(), a.imag.copy()] if c else [a]
    return f, args


def reasons(f: Any, args: Any) -> set[str]:
    """Say what of a function has no counterpart in ONNX."""
    program, _ = trace_program(f, *args, abstract=True)
    found = {e.primitive.name for e in program.equations} & UNSUPPORTED
    for e in program.equations:
        if any(v.type.dtype.kind == "c" for v in (*e.inputs, *e.outs)):
            found |= {e.primitive.name} & REAL_ONLY
    return found


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_operation(row: Row) -> None:
    f, args = on_parts(row)
    if row.name in NEED_VALUES:
        with pytest.raises(TraceError):
            to_onnx(f, *args)
        return
    missing = reasons(f, args)
    if not missing:
        to_onnx(f, *args, check=True)
        return
    with pytest.raises(UnsupportedError) as caught:
        to_onnx(f, *args)
    assert any(f"`{name}`" in caught.value.title for name in missing)


# as long as no test has declared one; passes of the compiler make some of their own
OURS = {n for n, p in PRIMITIVES.items() if room_of(p) != "chainrule.compile" and n != "rows"}


def test_every_primitive_is_supported_or_listed() -> None:
    assert set(supported()) & OURS | UNSUPPORTED == OURS
    assert not set(supported()) & UNSUPPORTED


def test_a_complex_result_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="a result is complex"):
        to_onnx(np.fft.fft, np.ones(4))
    with pytest.raises(UnsupportedError, match="a result is complex"):
        to_onnx(lambda x: cond(x > 0, lambda: x * 1j, lambda: x + 0j).real, 1.0)
    with pytest.raises(UnsupportedError, match="`abs` of complex numbers"):
        to_onnx(np.abs, np.ones(4) * 1j)


@pytest.mark.parametrize("n", [1, 2, 12, 30, 49, 64])
def test_fourier_transforms_of_any_length(n: int) -> None:
    def spectrum(x: Any) -> Any:
        power = np.abs(np.fft.rfft(x)) ** 2
        return power, np.fft.irfft(np.fft.rfft(x) * 2.0, n), np.fft.ifft(x).imag

    x = np.random.default_rng(0).normal(size=(3, n))
    to_onnx(spectrum, x, batch="batch", check=True)
    to_onnx(grad(lambda x: np.sum(spectrum(x)[0] ** 2)), x.astype(np.float32), check=True)


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


def test_integers_of_64_bits() -> None:
    large = np.array([2**63 + 5, 7, 2**64 - 1, 0, 2**63 - 1], np.uint64)
    to_onnx(lambda a: (np.argsort(a), np.argmax(a), np.cumsum(a), a * a, a**3), large, check=True)
    to_onnx(lambda a: (a**3, a**5, a**0, a**1), np.array([3**12 + 1, -7, 0]), check=True)


def test_integers_divided_by_zero() -> None:
    a, b = np.array([3, 4, -5, 7]), np.array([0, 2, 3, -2])
    to_onnx(lambda a, b: (a // b, a % b, np.fmod(a, b)), a, b, check=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_error_and_gamma_functions_far_out(dtype: Any) -> None:
    import scipy.special as sp

    x = (np.linspace(-30, 30, 40) + 0.01).astype(dtype)
    functions = (sp.erf, sp.erfc, sp.ndtr, sp.log_ndtr, sp.gammaln, sp.psi)
    to_onnx(lambda x: [f(x) for f in functions], x, check=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_quantiles_far_out(dtype: Any) -> None:
    import scipy.special as sp

    def quantiles(u: Any) -> Any:
        return sp.ndtri(u), sp.erfinv(2 * u - 1), sp.erfcinv(2 * u), sp.ndtri_exp(-1000 * u**4)

    u = np.concatenate([[0, 1, 1e-30, 1e-12, 0.5], np.linspace(0.001, 0.999, 20)])
    to_onnx(quantiles, u.astype(dtype), check=True)


DRAWS: dict[str, Any] = {
    "bits": lambda key: (random.bits(key, (3, 4)), random.bits(key, 3, np.uint64)),
    "split": lambda key: random.split(key, 3),
    "uniform": lambda key: random.uniform(key, (2, 3)),
    "normal": lambda key: random.normal(key, (2, 3), np.float32),
    "truncated_normal": lambda key: random.truncated_normal(key, -1.0, 9.0, (4,)),
    "permutation": lambda key: random.permutation(key, 6),
    "categorical": lambda key: random.categorical(key, np.ones((3, 4))),
    "dropout": lambda key: nn.Dropout(0.5)(np.ones((4, 5)), key=key, train=True),
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_are_those_of_numpy(name: str) -> None:
    to_onnx(DRAWS[name], random.key(3), check=True)


def test_keys_for_the_steps_of_a_loop() -> None:
    def f(key: Any, i: Any) -> Any:
        return random.fold_in(key, i), random.normal(random.fold_in(key, i), 3)

    to_onnx(f, random.key(3), np.array(7), check=True)


def test_nan_goes_through() -> None:
    x = np.array([np.nan, 1.0, -1.0])
    to_onnx(lambda x: (np.isnan(x), np.maximum(x, 0.0), np.sum(x), np.tanh(x)), x, check=True)


def test_singular_and_permuted_matrices() -> None:
    permuted = np.eye(4)[[1, 3, 0, 2]]
    to_onnx(lambda a: (np.linalg.det(a), np.linalg.inv(a)), permuted, check=True)
    to_onnx(lambda a: (np.linalg.det(a), np.linalg.slogdet(a)), np.ones((3, 3)), check=True)


@pytest.mark.parametrize(
    "a",
    [np.eye(3), -np.eye(3)[[1, 0, 2]], np.triu(np.arange(9.0).reshape(3, 3) + 1), np.ones((3, 1))],
    ids=["unit", "permutation", "triangle", "column"],
)
def test_signs_of_an_orthogonal_factor(a: Any) -> None:
    to_onnx(lambda a: (np.linalg.qr(a).Q, np.linalg.qr(a).R), a, check=True)


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
