"""Loops, trees, open axes and refusals of the export to ONNX."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import cond, grad, hessian, jvp, scan, vmap, while_loop
from chainrule.program.errors import ChainruleError, ShapeError, UnsupportedError

onnx = pytest.importorskip("onnx", reason="models in ONNX's format need the package onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="exported models are run in onnxruntime")

from chainrule.interop import to_onnx  # noqa: E402
from chainrule.interop.onnx import checking, sizes  # noqa: E402

RNG = np.random.default_rng(0)
V, M = RNG.normal(size=5), RNG.normal(size=(5, 3))


def run(model: Any, *inputs: Any) -> list[Any]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [i.name for i in session.get_inputs()]
    return session.run(None, dict(zip(names, map(np.asarray, inputs), strict=True)))


# -- loops and choices ---------------------------------------------------------------------------


@cr.custom_rule
def cube(x: Any) -> Any:
    return np.asarray(x) ** 3


cube.vjp(lambda ct, y, x: (ct * 3 * x**2,))
cube.result(lambda x: x)

PROGRAMS: dict[str, Any] = {
    "cond": (lambda v: cond(np.sum(v) > 0, np.sin, lambda a: a * 2, v), V),
    "cond over captured": (lambda v, w: cond(np.sum(v) > 0, lambda: np.sin(w), lambda: v), V, V),
    "cond of constants": (
        lambda v: cond(v[0] > 0, lambda a: (a, 1.0), lambda a: (np.zeros(5), 2.0), v), V,
    ),
    "gradient of cond": (grad(lambda v: cond(v > 0, np.sin, lambda a: a * 2, v)), -0.3),
    "switch": (lambda v, i: cr.switch(i, [np.sin, np.cos, np.exp], v), V, np.array(2)),
    "while": (lambda v: while_loop(lambda s: np.sum(s) < 99, lambda s: s * 2, v), V**2),
    "while not once": (lambda v: while_loop(lambda s: np.sum(s) < 0, lambda s: s * 2, v), V**2),
    "while over captured": (
        lambda v, w: while_loop(lambda s: s[0] < w, lambda s: (s[0] + 1, s[1] * v), (0, 1.0)),
        *(1.5, 7.0),
    ),
    "gradient of while": (grad(lambda v: while_loop(lambda s: s < 99, lambda s: s * s, v)), 3.0),
    "scan": (lambda v, w: scan(lambda c, r: (np.tanh(c + r @ w), c), np.zeros(3), v), M, M[:3]),
    "scan backwards": (lambda v: scan(lambda c, r: (c * r, c + r), 1.0, v, reverse=True), V),
    "scan without rows": (lambda v: scan(lambda c, _: (c * v, c), 1.0, length=5), 1.5),
    "scan without state": (lambda v: cr.map(lambda r: np.sum(r) ** 2, v), M),
    "scan in scan": (
        lambda v: scan(lambda c, r: (scan(lambda d, e: (d + e * c, d), c, r)[0], c), 0.5, v), M,
    ),
    "cond in scan": (
        lambda v: scan(lambda c, r: (cond(r > 0, lambda: c + r, lambda: c), c), 0.0, v), V,
    ),
    "gradient of scan": (grad(lambda v: scan(lambda c, r: (np.sin(c * r), c), 0.5, v)[0]), V),
    "fori_loop": (lambda v: cr.fori_loop(0, 5, lambda i, s: s + v[i] * i, 0.0), V),
    "python loop": (lambda v: sum(np.sin(r) * i for i, r in enumerate(v)), M),
    "checkpoint": (grad(lambda v: np.sum(cr.checkpoint(lambda a: np.sin(a) ** 2)(v))), V),
    "custom rule": (cube, V),
    "gradient of a custom rule": (grad(lambda v: np.sum(cube(v))), V),
    "hessian": (hessian(lambda v: np.sum(np.sin(v) ** 3)), V),
    "jvp": (lambda a, b: jvp(lambda v: np.tanh(v) * v, (a,), (b,)), V, V**2),
    "gradient of gradient": (grad(grad(lambda v: v**3 * np.exp(-v))), 1.3),
    "vmap of solve": (vmap(np.linalg.solve), RNG.normal(size=(4, 3, 3)) + 3 * np.eye(3), M[:4]),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    f, *args = PROGRAMS[name]
    to_onnx(f, *args, check=True)


def test_loops_are_loops() -> None:
    found = [to_onnx(*PROGRAMS[name]) for name in ("cond", "while", "scan")]
    operators = [{node.op_type for node in model.graph.node} for model in found]
    assert "If" in operators[0]
    assert "Loop" in operators[1]
    assert "Scan" in operators[2]


def test_both_branches_and_any_number_of_steps() -> None:
    f, v = PROGRAMS["cond"]
    model = to_onnx(f, v)
    for x in (V - 9, V + 9):
        np.testing.assert_allclose(run(model, x)[0], f(x), rtol=1e-6)
    f, v = PROGRAMS["while"]
    model = to_onnx(f, v)
    for scale in (0.01, 3.0, 1000.0):
        np.testing.assert_allclose(run(model, scale * v)[0], f(scale * v), rtol=1e-6)


# -- trees and names -----------------------------------------------------------------------------


def test_trees_go_in_and_out() -> None:
    def f(params: Any, n: int) -> Any:
        return {"a": params["w"] * params["b"][0], "b": (params["b"][1], 1.0, np.arange(n))}

    model = to_onnx(f, {"w": V, "b": [V, 2.0]}, 3, check=True)
    assert [i.name for i in model.graph.input] == [
        "params['b'][0]",
        "params['b'][1]",
        "params['w']",
    ]
    names = [o.name for o in model.graph.output]
    assert names == ["output['a']", "output['b'][0]", "output['b'][1]", "output['b'][2]"]
    assert run(model, V, 2.0, V)[3].tolist() == [0, 1, 2]


def test_names_given() -> None:
    model = to_onnx(np.sin, V, input_names=["angle"], output_names=["height"])
    assert (model.graph.input[0].name, model.graph.output[0].name) == ("angle", "height")
    with pytest.raises(ValueError, match="2 input_names for 1 inputs"):
        to_onnx(np.sin, V, input_names=["a", "b"])
    with pytest.raises(ValueError, match="2 output_names for 1 outputs"):
        to_onnx(np.sin, V, output_names=["a", "b"])
    with pytest.raises(ValueError, match="the same name"):
        to_onnx(np.add, V, V, input_names=["a", "a"])


def test_an_input_as_it_is() -> None:
    model = to_onnx(lambda x: (x, x), V, check=True)
    assert len(model.graph.output) == 2


def test_written_file(tmp_path: Any) -> None:
    path = tmp_path / "sine.onnx"
    model = to_onnx(np.sin, V, path=path)
    assert onnx.load(path) == model
    assert model.producer_name == "chainrule"


@pytest.mark.parametrize("opset", [18, 21, 23, onnx.defs.onnx_opset_version()])
def test_other_versions_of_the_operators(opset: int) -> None:
    def f(v: Any) -> Any:
        total, ys = scan(lambda c, r: (np.tanh(c + r), c), np.zeros(3), v)
        return (
            np.sort(v, 0),
            np.linalg.det(v[:3]),
            np.cumsum(ys, 0),
            np.pad(v, 1),
            np.any(v > total),
        )

    assert to_onnx(f, M, opset=opset, check=True).opset_import[0].version == opset


def test_by_default_the_operators_are_current() -> None:
    version = to_onnx(np.sin, V, check=True).opset_import[0].version
    assert version == onnx.defs.onnx_opset_version()


def test_versions_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="opset is between 18 and"):
        to_onnx(np.sin, V, opset=17)


class Doubling:
    def __init__(self) -> None:
        self.factor = np.full(3, 2.0)

    def __call__(self, v: Any) -> Any:
        return v * self.factor


@pytest.mark.parametrize(
    "f",
    [functools.partial(np.add, 2.0), Doubling(), Doubling().__call__, np.sin, vmap(np.sum)],
    ids=["partial", "object", "method", "ufunc", "transformed"],
)
def test_all_kinds_of_callables(f: Any) -> None:
    to_onnx(f, M, batch="batch", check=True)


# -- writing by index ----------------------------------------------------------------------------


def test_of_elements_written_twice_the_last_one_stays() -> None:
    def f(x: Any, i: Any, v: Any) -> Any:
        y = x * 1.0
        y[i] = v
        return y

    model = to_onnx(f, V, np.array([0, 1, 2]), V[:3])
    for i in ([1, 3, 1], [4, 4, 4], [-1, 0, -1], [2, 1, 0]):
        assert np.array_equal(run(model, V, i, V[:3])[0], f(V, np.array(i), V[:3]))
    to_onnx(lambda x: f(x, [1, 3, 1], V[:3]), V, check=True)


def test_rows_written_by_an_array_and_a_slice() -> None:
    def f(x: Any, i: Any, v: Any) -> Any:
        y = x * 1.0
        y[i, 1:] = v
        y[:, 0] += np.sum(v)
        return y

    to_onnx(f, M, np.array([1, -1, 1]), RNG.normal(size=(3, 2)), check=True)


def _random_part(rng: Any, n: int, shape: tuple[int, ...]) -> Any:
    kind = rng.integers(0, 6)
    if kind == 0:
        return int(rng.integers(-n, n))
    if kind == 1:
        return slice(None)
    if kind == 2:
        ends = [None if rng.random() < 0.3 else int(rng.integers(-n - 1, n + 2)) for _ in "ab"]
        return slice(*ends, int(rng.choice([1, 2, -1, -2])))
    broadcast = tuple(d if rng.random() < 0.7 else 1 for d in shape)
    return rng.integers(-n, n, broadcast[int(rng.integers(0, len(shape) + 1)) :])


def _random_index(rng: Any) -> tuple[Any, Any]:
    """Return an array and an index for it, of anything that NumPy takes."""
    x = rng.normal(size=rng.integers(1, 5, rng.integers(1, 5)))
    shape = tuple(rng.integers(1, 4, rng.integers(0, 3)))
    index = [_random_part(rng, n, shape) for n in x.shape[: rng.integers(1, x.ndim + 1)]]
    for extra, chance in ((None, 0.2), (Ellipsis, 0.25)):
        if rng.random() < chance:
            index.insert(int(rng.integers(0, len(index) + 1)), extra)
    return x, tuple(index)


@pytest.mark.parametrize("seed", range(30))
def test_reading_and_writing_by_random_indices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, index = _random_index(rng)
    open_ = [i for i, p in enumerate(index) if isinstance(p, np.ndarray) and rng.random() < 0.5]

    def full(arrays: Any) -> tuple[Any, ...]:
        given = dict(zip(open_, arrays, strict=True))
        return tuple(given.get(i, p) for i, p in enumerate(index))

    def f(x: Any, v: Any, *arrays: Any) -> Any:
        y, z = x * 1.0, x * 1.0
        y[full(arrays)] = v
        z[full(arrays)] += v
        return x[full(arrays)], y, z

    args = x, rng.normal(size=x[index].shape), *(index[i] for i in open_)
    to_onnx(f, *args, check=True)
    to_onnx(grad(lambda *args: sum(np.sum(np.sin(y)) for y in f(*args)), (0, 1)), *args, check=True)


# -- open axes -----------------------------------------------------------------------------------

OPEN: dict[str, Any] = {
    "length as a number": lambda v: v / len(v) + len(v) * 1.0,
    "root of the length": lambda v: (v - v.mean(0)) / v.std(0, ddof=1) / np.sqrt(len(v)),
    "reshape": lambda v: np.reshape(v, -1) * np.reshape(v, (3 * len(v),)),
    "pairs": lambda v: v[:, None] - v[None],
    "counting": lambda v: v * np.arange(len(v))[:, None],
    "ends": lambda v: (v[-1], v[len(v) - 1], v[1 : len(v) - 1], v[:-2], v[::-1]),
    "order": lambda v: (np.cumsum(v, 0), np.sort(v, 0), np.argsort(v, 0), np.cumprod(v, 0)),
    "joined": lambda v: (np.concatenate([v, v]), np.roll(v, 1, 0), np.pad(v, ((1, 2), (0, 1)))),
    "repeated": lambda v: (np.repeat(v, 2, 1), np.tile(v, (1, 2)), np.stack([v, v], 1)),
    "windows": lambda v: np.lib.stride_tricks.sliding_window_view(v, 3, 0),
    "unit matrix": lambda v: v @ v.T + np.eye(len(v)),
    "triangle": lambda v: (np.tril(v @ v.T, -1), np.triu(v @ v.T, 1), np.diagonal(v @ v.T)),
    "covariance": lambda v: np.cov(v.T),
    "filled": lambda v: np.full((len(v), 2), 7.0) + np.zeros(len(v))[:, None],
    "linear algebra": lambda v: np.linalg.inv(v[:, :, None] * v[:, None] + np.eye(3)),
}


@pytest.mark.parametrize("name", OPEN)
def test_open_axis(name: str) -> None:
    to_onnx(OPEN[name], M, batch="batch", check=True)


def _assigned(v: Any) -> Any:
    r = np.zeros((len(v), 4))
    r[:, 1:] = v
    r[:, 0] = np.sum(v, 1)
    r[0] += 1.0
    return r


def test_assignment_over_an_open_axis() -> None:
    to_onnx(_assigned, M, batch="batch", check=True)


def test_two_open_axes() -> None:
    axes = {"a": {0: "n"}, "b": {0: "m"}}
    to_onnx(
        lambda a, b: (a @ b.T, np.reshape(a @ b.T, -1)), M, M[:4], dynamic_axes=axes, check=True
    )
    model = to_onnx(lambda a, b: a @ b.T, M, M[:4], dynamic_axes=axes)
    dims = model.graph.output[0].type.tensor_type.shape.dim
    assert [d.dim_param for d in dims] == ["n", "m"]


@pytest.mark.parametrize("count", [1, 2, 50])
def test_other_lengths_than_the_traced_ones(count: int) -> None:
    x = RNG.normal(size=(count, 3))
    for name in ("length as a number", "counting", "pairs", "unit matrix", "triangle", "reshape"):
        found = run(to_onnx(OPEN[name], M, batch="batch"), x)
        expected = OPEN[name](x)
        for got, value in zip(found, expected if len(found) > 1 else [expected], strict=True):
            np.testing.assert_allclose(got, value, rtol=1e-9)


def _unrolled(v: Any) -> Any:
    h = np.zeros(3)
    for row in v:
        h = np.tanh(h + row)
    return h


@pytest.mark.parametrize(
    "f",
    [
        _unrolled,
        lambda v: v * np.linspace(0, 1, len(v))[:, None],
        lambda v: v * np.log(len(v)),
        lambda v: v[: len(v) // 2],
        lambda v: v[:7],
        lambda v: np.fft.rfft(v, 7, axis=0).real,
        lambda v: v if len(v) > 11 else -v,
        lambda v: np.reshape(np.outer(v, v), -1)[: len(v) ** 2],
    ],
    ids=["loop", "linspace", "logarithm", "half", "seven", "cropped", "branch", "square"],
)
def test_a_length_that_would_become_a_part_of_the_model(f: Any) -> None:
    with pytest.raises(UnsupportedError) as caught:
        to_onnx(f, M, batch="batch")
    assert "`batch`" in str(caught.value) or "depends on the length" in str(caught.value)
    to_onnx(f, M, check=True)


def test_a_function_that_fails_for_other_lengths() -> None:
    with pytest.raises(UnsupportedError, match="fails for another length of an open axis"):
        to_onnx(lambda v: v + np.ones((5, 1)), M, batch="batch")

    def assigned(v: Any) -> Any:
        r = np.zeros((5, 3))
        r[:] = v
        return r

    with pytest.raises(UnsupportedError, match="is assigned to elements of shape"):
        to_onnx(assigned, M, batch="batch")


def test_a_refusal_shows_the_line() -> None:
    def f(v: Any) -> Any:
        weights = np.linspace(0, 1, len(v))
        return v * weights[:, None]

    with pytest.raises(UnsupportedError, match=r"v \* weights"):
        to_onnx(f, M, batch="batch")


def test_lengths_that_differ() -> None:
    with pytest.raises(ShapeError, match="'batch' is 5 in one input"):
        to_onnx(np.add, M, M[:1], input_names=["a", "b"], batch="batch")
    with pytest.raises(ValueError, match="dynamic_axes names"):
        to_onnx(np.sin, M, dynamic_axes={"angle": {0: "batch"}})


# -- refusals ------------------------------------------------------------------------------------


def test_an_operation_without_counterpart() -> None:
    def f(x: Any) -> Any:
        y = x + 1.0
        return np.linalg.svdvals(y)

    with pytest.raises(UnsupportedError) as caught:
        to_onnx(f, M)
    text = str(caught.value)
    assert "`singular_values` cannot be exported to ONNX" in text
    assert "np.linalg.svdvals(y)" in text
    assert "supported are" in text


def test_a_difference_is_found() -> None:
    model = to_onnx(np.sin, V, input_names=["x"])
    call_of_another = to_onnx_call(np.cos, V)
    with pytest.raises(ChainruleError, match="`output` of the exported model differs by"):
        checking.compare(model, np.cos, *call_of_another)
    with pytest.raises(ChainruleError, match="of the function float32"):
        checking.compare(model, np.cos, *to_onnx_call(lambda x: np.cos(x).astype("f4"), V))


def to_onnx_call(f: Any, *args: Any) -> Any:
    from chainrule.interop.onnx.export import _Call, _open_axes

    call = _Call(f, args, (), ["x"])
    return call, _open_axes(call, None, {})


# -- sizes ---------------------------------------------------------------------------------------


def test_polynomials_in_sizes() -> None:
    n, m = sizes.Dim({("n",): 1}), sizes.Dim({("m",): 1})
    assert (n + 1) * (m - 2) == m * n - 2 * n + m - 2
    assert str(2 * m * n + m - 3) == "2*m*n + m + -3"
    assert n - n == 0
    assert (2 * n + 3 * m).at({"n": 5, "m": 7}) == 31
    with pytest.raises(sizes.OpenSizeError):
        range(n)
    with pytest.raises(sizes.OpenSizeError):
        bool(n < 3)
