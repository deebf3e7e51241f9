"""Comparing an exported model with the function that it was made from."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...program.errors import ChainruleError
from ...program.pytree import flatten

TOLERANCE = 1e-5


def compare(model: Any, f: Any, call: Any, axes: Any) -> None:
    """Run a model in onnxruntime and raise unless it gives what the function gives.

    Raises
    ------
    ChainruleError
        Naming the output that differs, and by how much.
    """
    session = _session(model)
    for sizes in _lengths(axes.examples):
        leaves = [_resized(leaf, axes.shape(leaf, sizes)) for leaf in call.leaves.values()]
        pairs = zip(call.leaves.values(), leaves, strict=True)
        feeds = {leaf.name: np.asarray(v) for leaf, v in pairs if not leaf.is_fixed}
        found = session.run(None, feeds)
        expected = flatten(call(*leaves))[0]
        names = [output.name for output in session.get_outputs()]
        for name, got, value in zip(names, found, expected, strict=True):
            _check(name, got, np.asarray(value), sizes)


def _session(model: Any) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ImportError("check=True needs onnxruntime: pip install chainrule[onnx]") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _lengths(examples: dict[str, int]) -> list[dict[str, int]]:
    """Return the lengths of the example, and twice others."""
    if not examples:
        return [{}]
    return [{name: n + more for name, n in examples.items()} for more in (0, 1, 5)]


def _resized(leaf: Any, shape: tuple[int, ...]) -> Any:
    """Return the values of an input in another shape: they begin again where they end.

    Numbers are a little different the second time, so that none is there twice.
    """
    value = np.asarray(leaf.value)
    if value.shape == shape:
        return leaf.value
    found = np.resize(value, shape)
    if value.dtype.kind != "f":
        return found
    again = np.arange(found.size).reshape(shape) // max(value.size, 1)
    return (found * (1.0 + again / 64)).astype(value.dtype)


def _check(name: str, got: Any, expected: Any, sizes: dict[str, int]) -> None:
    at = f" for {sizes}" if sizes else ""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        raise ChainruleError(
            f"the output `{name}` of the exported model is {got.dtype}{list(got.shape)}{at}, "
            f"of the function {expected.dtype}{list(expected.shape)}"
        )
    finite = expected[np.isfinite(expected)] if expected.dtype.kind == "f" else expected
    scale = max(1.0, float(np.max(np.abs(finite), initial=0))) if expected.dtype.kind == "f" else 0
    if not np.allclose(got, expected, TOLERANCE, TOLERANCE * scale, equal_nan=True):
        with np.errstate(all="ignore"):
            worst = np.nanmax(np.abs(got.astype(float) - expected.astype(float)))
        raise ChainruleError(
            f"the output `{name}` of the exported model differs by {worst:.1e}{at}",
            why="it was run in onnxruntime and compared with the function itself",
        )
