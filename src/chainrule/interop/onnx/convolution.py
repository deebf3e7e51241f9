"""Finding convolutions and pools among the equations that they are written in.

:mod:`chainrule.nn` takes the windows of an input and multiplies or reduces them. ONNX has one
operator for all of that, which is what other tools look for in a model; so the last equation of
such a chain is replaced by a step that names the whole. The others go when nobody needs them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ...program.arraytype import shape_of
from ...program.equation import Equation, Var
from .block import Step

Sizes = tuple[int, ...]


class _Patches(NamedTuple):
    """The windows of an input: which input, and which windows."""

    x: Any
    window: Sizes
    strides: Sizes
    dilations: Sizes
    pads: Sizes


class _NoMatch(Exception):  # noqa: N818 - it is no error
    """The equations are something else."""


def joined_convolutions(equations: Iterable[Equation]) -> list[Any]:
    """Return the equations, the last one of each convolution or pool as a step of its own."""
    finder = _Finder()
    return [finder.found(equation) for equation in equations]


def _require(holds: bool) -> None:
    if not holds:
        raise _NoMatch


class _Finder:
    def __init__(self) -> None:
        self.made_by: dict[Var, Equation] = {}
        self.joined: dict[Var, Step] = {}

    def found(self, equation: Equation) -> Equation | Step:
        """Return the equation, or the step that stands for it and those before it."""
        self.made_by.update(dict.fromkeys(equation.outs, equation))
        matches = {
            "add": (self.bias,),
            "transpose": (self.convolution,),
            "reshape": (self.grouped_convolution,),
            "max": (self.pool, self.pool_of_blocks),
            "mean": (self.pool, self.pool_of_blocks),
        }
        for match in matches.get(equation.primitive.name, ()):
            try:
                kind, operands, params = match(equation)
            except _NoMatch:
                continue
            step = Step(kind, operands, params, equation.outs, equation.origin)
            self.joined[equation.outs[0]] = step
            return step
        return equation

    def maker(self, operand: Any, name: str) -> Equation:
        """Return the equation that makes a value; no match if it is another operation."""
        equation = self.made_by.get(operand) if type(operand) is Var else None
        if equation is None or equation.primitive.name != name:
            raise _NoMatch
        return equation

    # -- convolutions ----------------------------------------------------------------------------

    def convolution(self, last: Equation) -> Any:
        """Match ``_product`` of :mod:`chainrule.nn.convolution`, from its end."""
        y = last.out.type
        d = y.ndim - 2
        _require(d >= 1 and y.dtype == np.float32)  # onnxruntime convolves nothing else
        _require(last.params["axes"] == (0, d + 1, *range(1, d + 1)))
        product = self.maker(self.maker(last.operands[0], "reshape").operands[0], "matmul")
        patches, taken = self.rows(product.operands[0], d, 0)
        inputs, kernel = taken.x.type.shape[1], shape_of(patches)[2 + d :]
        _require(y.shape == (shape_of(patches)[0], y.shape[1], *shape_of(patches)[2 : 2 + d]))
        weight = self.weight(product.operands[1], (y.shape[1], inputs, *kernel))
        return self.step(taken, weight, 1)

    def grouped_convolution(self, last: Equation) -> Any:
        """Match ``_grouped_product``."""
        y = last.out.type
        d = y.ndim - 2
        _require(d >= 1 and y.dtype == np.float32)
        turned = self.maker(last.operands[0], "transpose")
        _require(turned.params["axes"] == (1, 0, d + 2, *range(2, d + 2)))
        product = self.maker(self.maker(turned.operands[0], "reshape").operands[0], "matmul")
        patches, taken = self.rows(product.operands[0], d, 1)
        groups, inputs = shape_of(patches)[1:3]
        kernel, positions = shape_of(patches)[3 + d :], shape_of(patches)[3 : 3 + d]
        _require(y.shape == (shape_of(patches)[0], y.shape[1], *positions))
        weight = self.weight(product.operands[1], (y.shape[1], inputs, *kernel), groups)
        return self.step(taken, weight, groups)

    def rows(self, operand: Any, d: int, grouped: int) -> tuple[Any, _Patches]:
        """Match windows that were laid out as the rows of a matrix, or of one per group."""
        laid_out = self.maker(operand, "reshape")
        turned = self.maker(laid_out.operands[0], "transpose")
        space = tuple(range(2 + grouped, 2 + grouped + d))
        offsets = tuple(range(2 + grouped + d, 2 + grouped + 2 * d))
        front = (1, 0) if grouped else (0,)
        _require(turned.params["axes"] == (*front, *space, 1 + grouped, *offsets))
        patches = turned.operands[0]
        shape = shape_of(turned.out.type)
        flat = int(np.prod(shape[grouped : grouped + 1 + d])), int(np.prod(shape[-1 - d :]))
        _require(laid_out.out.type.shape == (*shape[:grouped], *flat))
        whole = self.maker(patches, "reshape").operands[0] if grouped else patches
        taken = self.patches(whole, d)
        if grouped:
            n, groups, inputs, *rest = patches.type.shape
            _require(whole.type.shape == (n, groups * inputs, *rest))
        return patches.type, taken

    def weight(self, operand: Any, shape: Sizes, groups: int | None = None) -> Any:
        """Return the weight of which this is the matrix, or one matrix per group."""
        length = int(np.prod(shape[1:]))
        if type(operand) is not Var:
            _require(groups is None and operand.shape == (length, shape[0]))
            return np.ascontiguousarray(np.reshape(operand.T, shape))
        turned = self.maker(operand, "transpose")
        flat = self.maker(turned.operands[0], "reshape")
        weight = flat.operands[0]
        _require(type(weight) is Var and weight.type.shape == shape)
        stack = () if groups is None else (groups,)
        outputs = shape[0] if groups is None else shape[0] // groups
        _require(turned.params["axes"] == ((1, 0) if groups is None else (0, 2, 1)))
        _require(flat.out.type.shape == (*stack, outputs, length))
        return weight

    def patches(self, operand: Any, d: int) -> _Patches:
        """Match windows along the last d axes, perhaps with steps, perhaps of a padded input."""
        steps: Sizes = (1,) * (2 * d)
        maker = self.made_by.get(operand) if type(operand) is Var else None
        if maker is not None and maker.primitive.name == "getitem":
            steps = self.steps(maker, d)
            operand = maker.operands[0]
        windows = self.maker(operand, "windows")
        x = windows.operands[0]
        _require(type(x) is Var and windows.params["axis"] == tuple(range(2, 2 + d)))
        _require(x.type.ndim == 2 + d)
        spans, strides, dilations = windows.params["window"], steps[:d], steps[d:]
        kernel = tuple((s - 1) // k + 1 for s, k in zip(spans, dilations, strict=True))
        fits = zip(kernel, dilations, spans, strict=True)
        _require(all((k - 1) * dil + 1 == span for k, dil, span in fits))
        return _Patches(x, kernel, strides, dilations, (0,) * (2 * d))

    def steps(self, reading: Equation, d: int) -> Sizes:
        spec = reading.params["spec"]
        _require(len(spec) == 2 + 2 * d and spec[:2] == (slice(None), slice(None)))
        for part in spec[2:]:
            _require(isinstance(part, slice) and part.start is None and part.stop is None)
        steps = tuple(part.step or 1 for part in spec[2:])
        _require(min(steps) > 0)
        return steps

    def step(self, taken: _Patches, weight: Any, groups: int) -> Any:
        """Return the step of a convolution, or of the transpose of one."""
        try:
            return self.transposed(taken, weight, groups)
        except _NoMatch:
            taken = self.with_pads(taken, 0.0)
        params = {
            "strides": taken.strides,
            "dilations": taken.dilations,
            "pads": taken.pads,
            "group": groups,
        }
        return "convolution", (taken.x, weight), params

    def transposed(self, taken: _Patches, weight: Any, groups: int) -> Any:
        """Match ``convolve_transposed``: an input with zeros in between, a flipped weight."""
        given = self.unflipped(weight, groups)
        d = len(taken.window)
        _require(set(taken.strides) == {1})
        x, before, after = self.unextended(taken.x, d)
        x, strides = self.unspread(x, d)
        _require(type(x) is Var)
        reach = [k * (n - 1) for k, n in zip(taken.dilations, taken.window, strict=True)]
        cut = [r - b for r, b in zip(reach, before, strict=True)]
        extra = [a - b for a, b in zip(after, before, strict=True)]
        # onnxruntime takes no more elements at the end than the stride leaves out
        _require(min(*cut, *extra, 0) == 0 and all(map(int.__lt__, extra, strides)))
        params = {
            "strides": strides,
            "dilations": taken.dilations,
            "pads": (*cut, *cut),
            "output_padding": tuple(extra),
            "group": groups,
        }
        return "transposed_convolution", (x, given), params

    def unflipped(self, weight: Any, groups: int) -> Any:
        """Return the weight of which this is the flipped one, inputs and outputs exchanged."""
        turned = self.maker(self.maker(weight, "reshape").operands[0], "transpose")
        stacked = self.maker(turned.operands[0], "reshape")
        flipped = self.maker(stacked.operands[0], "getitem")
        given = flipped.operands[0]
        _require(type(given) is Var and len(flipped.operands) == 1)
        inputs, outputs, *kernel = given.type.shape
        flips = [slice(None, None, -1)] * len(kernel)
        _require(flipped.params["spec"] == (slice(None), slice(None), *flips))
        _require(stacked.out.type.shape == (groups, inputs // groups, outputs, *kernel))
        _require(turned.params["axes"] == (0, 2, 1, *range(3, 3 + len(kernel))))
        _require(weight.type.shape == (groups * outputs, inputs // groups, *kernel))
        return given

    def unextended(self, x: Any, d: int) -> tuple[Any, list[int], list[int]]:
        """Return an input without its margins, and these; what is cut off counts as negative."""
        before, after = [0] * d, [0] * d
        padding = self.made_by.get(x)
        if padding is not None and padding.primitive.name == "embed":
            inner, outer = padding.operands[0], padding.out.type.shape
            pads = _margins(padding.params["index"], shape_of(inner.type), outer)
            before, after, x = list(pads[:d]), list(pads[d:]), inner
        kept = self.maker(x, "getitem")
        spec, shape = kept.params["spec"], shape_of(kept.operands[0].type)
        _require(len(spec) == 2 + d and spec[:2] == (slice(None), slice(None)))
        for i, (part, n) in enumerate(zip(spec[2:], shape[2:], strict=True)):
            _require(isinstance(part, slice) and part.step in (None, 1))
            start, stop, _ = part.indices(n)
            before[i] -= start
            after[i] -= n - stop
        return kept.operands[0], before, after

    def unspread(self, x: Any, d: int) -> tuple[Any, Sizes]:
        """Return an input without zeros between its elements, and the steps between these."""
        strides = [1] * d
        for axis in reversed(range(2, 2 + d)):
            try:
                source, stride = self.unspread_along(x, axis)
            except _NoMatch:
                continue
            x, strides[axis - 2] = source, stride
        return x, tuple(strides)

    def unspread_along(self, x: Any, axis: int) -> tuple[Any, int]:
        cropped = self.maker(x, "getitem")
        filled = self.maker(self.maker(cropped.operands[0], "reshape").operands[0], "embed")
        source = self.maker(filled.operands[0], "reshape").operands[0]
        _require(type(source) is Var and filled.out.type.ndim == source.type.ndim + 1)
        shape = list(source.type.shape)
        n, stride = shape[axis], filled.out.type.shape[axis + 1]
        inner = (*shape[: axis + 1], 1, *shape[axis + 1 :])
        _require(shape_of(filled.operands[0].type) == inner)
        _require(filled.out.type.shape == (*inner[: axis + 1], stride, *inner[axis + 2 :]))
        _require(all(part.start in (None, 0) for part in filled.params["index"]))
        ends = slice(0, (n - 1) * stride + 1)
        _require(cropped.params["spec"] == (*((slice(None),) * axis), ends))
        shape[axis] *= stride
        _require(cropped.operands[0].type.shape == tuple(shape))
        return source, stride

    def with_pads(self, taken: _Patches, fill: float) -> _Patches:
        """Take the padding of the input into the operator, if it is padded with ``fill``."""
        try:
            if fill == 0.0:
                padding = self.maker(taken.x, "embed")
                inner, index = padding.operands[0], padding.params["index"]
            else:
                padding = self.maker(taken.x, "setitem")
                around, inner = padding.operands[:2]
                index = padding.params["spec"]
                _require(len(padding.operands) == 2 and type(around) is not Var)
                outside = np.array(around)
                outside[index] = fill
                _require(bool(np.all(outside == fill)))
            pads = _margins(index, shape_of(inner.type), taken.x.type.shape)
        except (_NoMatch, AttributeError):
            return taken
        return taken._replace(x=inner, pads=pads)

    def bias(self, last: Equation) -> Any:
        """Match a bias that is added to a convolution."""
        before, bias = last.operands
        step = self.joined.get(before) if type(before) is Var else None
        if step is None or not step.name.endswith("convolution") or len(step.operands) > 2:
            raise _NoMatch
        y = last.out.type
        along = (y.shape[1], *(1,) * (y.ndim - 2))
        _require(shape_of(bias.type if type(bias) is Var else bias) == along)
        if type(bias) is Var:
            bias = self.maker(bias, "reshape").operands[0]
            _require(bias.type == y._replace(shape=along[:1]))
        else:
            _require(bias.dtype == y.dtype)
            bias = bias.reshape(-1)
        return step.name, (*step.operands, bias), step.params

    # -- pools -----------------------------------------------------------------------------------

    def pool(self, last: Equation) -> Any:
        """Match the largest or the mean element of each window."""
        operand = last.operands[0]
        d = len(last.params["axis"])
        _require(type(operand) is Var and operand.type.ndim == 2 + 2 * d)
        _require(d >= 1 and last.params["axis"] == tuple(range(2 + d, 2 + 2 * d)))
        _require(not last.params["keepdims"])
        return self.pooled(last, self.patches(operand, d))

    def pool_of_blocks(self, last: Equation) -> Any:
        """Match the same where windows lie side by side: every second axis is reduced."""
        blocks = self.maker(last.operands[0], "reshape")
        x, shape = blocks.operands[0], blocks.out.type.shape
        d = (len(shape) - 2) // 2
        _require(type(x) is Var and d >= 1 and len(shape) == 2 + 2 * d)
        _require(last.params["axis"] == tuple(range(3, 3 + 2 * d, 2)))
        _require(not last.params["keepdims"])
        sizes = [n * k for n, k in zip(shape[2::2], shape[3::2], strict=True)]
        _require(x.type.shape == (*shape[:2], *sizes))
        kernel = tuple(shape[3::2])
        return self.pooled(last, _Patches(x, kernel, kernel, (1,) * d, (0,) * (2 * d)))

    def pooled(self, last: Equation, taken: _Patches) -> Any:
        largest = last.primitive.name == "max"
        dtype = last.out.type.dtype
        _require(dtype == np.float32 or (largest and dtype == np.float64))
        _require(0 not in last.out.type.shape)
        taken = self.with_pads(taken, -np.inf if largest else 0.0)
        params = {"kernel_shape": taken.window, "strides": taken.strides, "pads": taken.pads}
        if any(step > 1 for step in taken.dilations):
            _require(largest)
            params["dilations"] = taken.dilations
        return "max_pool" if largest else "average_pool", (taken.x,), params


def _margins(index: Any, inner: Sizes, outer: Sizes) -> Sizes:
    """Return how much is around an array on each axis of space, as ONNX lists it."""
    _require(isinstance(index, tuple) and len(index) == len(inner) == len(outer))
    before, after = [], []
    for part, n, m in zip(index, inner, outer, strict=True):
        _require(isinstance(part, slice) and part.step in (None, 1))
        start, stop, _ = part.indices(m)
        _require(stop - start == n)
        before.append(start)
        after.append(m - stop)
    _require(before[:2] == [0, 0] == after[:2])
    return (*before[2:], *after[2:])
