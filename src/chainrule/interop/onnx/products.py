"""Emitters of products: matmul, einsum, convolutions, and the pools beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...program.arraytype import ArrayType
from .graph import INT64, Graph, Value
from .registry import emits


def _multiplied(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a type that onnxruntime multiplies matrices in."""
    if dtype.kind in "bu" or (dtype.kind == "i" and dtype.itemsize < 4):
        return INT64
    return np.dtype(np.float32) if dtype == np.float16 else dtype


@emits("matmul")
def _matmul(g: Graph, out: ArrayType, a: Value, b: Value) -> str:
    wide = _multiplied(out.dtype)
    return g.cast(g.node("MatMul", g.cast(a, wide), g.cast(b, wide)), out.dtype, wide)


@emits("einsum")
def _einsum(g: Graph, out: ArrayType, *operands: Value, subscripts: str) -> str:
    wide = _multiplied(out.dtype)
    left, result = subscripts.split("->")
    labels = left.split(",")
    sizes: dict[str, Any] = {}
    for label, operand in zip(labels, operands, strict=True):
        for letter, n in zip(label, operand.shape, strict=True):
            if sizes.get(letter, 1) == 1:
                sizes[letter] = n
    names = []
    for label, operand in zip(labels, operands, strict=True):
        name, shape = g.cast(operand, wide), tuple(sizes[letter] for letter in label)
        names.append(name if shape == operand.shape else g.expand(name, shape))
    found = g.node("Einsum", *names, equation=f"{','.join(labels)}->{result}")
    return g.cast(found, out.dtype, wide)


@emits("convolution")
def _convolution(g: Graph, out: ArrayType, x: Value, *parameters: Value, **attributes: Any) -> str:
    return str(g.node("Conv", x.name, *(p.name for p in parameters), **attributes))


@emits("transposed_convolution")
def _transposed(g: Graph, out: ArrayType, x: Value, *parameters: Value, **attributes: Any) -> str:
    return str(g.node("ConvTranspose", x.name, *(p.name for p in parameters), **attributes))


@emits("max_pool")
def _max_pool(g: Graph, out: ArrayType, x: Value, **attributes: Any) -> str:
    return str(g.node("MaxPool", x.name, **attributes))


@emits("average_pool")
def _average_pool(g: Graph, out: ArrayType, x: Value, **attributes: Any) -> str:
    return str(g.node("AveragePool", x.name, count_include_pad=1, **attributes))
