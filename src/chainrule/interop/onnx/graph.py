"""Building a graph: names, nodes, constants, and sizes that are known when the model runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...program.arraytype import ArrayType, array_type
from ...program.equation import Var
from .block import Block, refuse
from .registry import EMITTERS
from .sizes import Banded, Counted, Dim, OpenSizeError, Power, Size, Spread

INT64 = np.dtype(np.int64)
BOOL = np.dtype(bool)
END = np.iinfo(np.int64).max  # in a slice: to the end, whatever the size


class Value(NamedTuple):
    """A tensor of the graph: its name and type, and what it holds where that is known."""

    name: str
    type: ArrayType
    data: Any = None

    @property
    def shape(self) -> tuple[Any, ...]:
        """Its shape; an open size is a :class:`Dim`."""
        return self.type.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its element type."""
        return self.type.dtype


def element_type(dtype: np.dtype[Any]) -> int:
    """Return ONNX's number for an element type."""
    return int(helper.np_dtype_to_tensor_dtype(dtype))


class Main:
    """What the graph and all graphs inside of it share.

    Attributes
    ----------
    opset : int
        The version of ONNX's operators.
    initializers : dict
        Constants by name; graphs inside of others see those of the outermost one.
    symbols : dict
        Where an open size can be read off: the name of an input and the axis.
    """

    def __init__(self, opset: int, symbols: dict[str, tuple[str, int]]) -> None:
        self.opset = opset
        self.symbols = symbols
        self.taken: set[str] = set()
        self.counts: dict[str, int] = {}
        self.initializers: dict[str, Any] = {}
        self.constants: dict[Any, str] = {}
        self.dims: dict[Any, str] = {}
        self.graph = Graph(self)

    def fresh(self, base: str) -> str:
        """Return a name that no tensor has yet."""
        while True:
            self.counts[base] = count = self.counts.get(base, -1) + 1
            name = f"{base}_{count}"
            if name not in self.taken:
                self.taken.add(name)
                return name


class Graph:
    """The nodes of one graph: the model's, or the body of a loop or of a branch."""

    def __init__(self, main: Main) -> None:
        self.main = main
        self.nodes: list[Any] = []
        self.values: dict[Var, Value] = {}

    # -- nodes -----------------------------------------------------------------------------------

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; returns the name of its result, or of all if there are several."""
        names = [self.main.fresh(op.lower()) for _ in range(outputs)]
        self.nodes.append(
            helper.make_node(op, list(inputs), names, self.main.fresh(op), **attributes)
        )
        return names[0] if outputs == 1 else names

    def constant(self, array: Any, name: str | None = None) -> str:
        """Return the name of a constant tensor; equal ones are kept once."""
        array = np.asarray(array)
        key = (array.dtype.str, array.shape, array.tobytes())
        if name is None and key in self.main.constants:
            return self.main.constants[key]
        if name is None:
            name = self.main.constants[key] = self.main.fresh("constant")
        self.main.initializers[name] = numpy_helper.from_array(np.array(array, order="C"), name)
        return name

    def integers(self, *values: Any) -> str:
        """Return a vector of integers, some of which may be open sizes."""
        if not any(isinstance(v, Dim) for v in values):
            return self.constant(np.array(values, np.int64))
        if len(values) == 1:
            return self.main.graph._dim(values[0])
        graph = self.main.graph  # there every graph inside can see it
        key = ("vector", *values)
        if key not in self.main.dims:
            parts = [graph.integers(v) for v in values]
            self.main.dims[key] = graph.node("Concat", *parts, axis=0)
        return self.main.dims[key]

    def _dim(self, dim: Dim) -> str:
        """Return an open size as a vector of one integer."""
        known = self.main.dims
        if dim in known:
            return known[dim]
        total = None
        for monomial, factor in dim.terms.items():
            parts = [self._symbol(name) for name in monomial]
            if factor != 1 or not parts:
                parts.append(self.integers(factor))
            product = parts[0]
            for part in parts[1:]:
                product = self.node("Mul", product, part)
            total = product if total is None else self.node("Add", total, product)
        assert total is not None
        known[dim] = total
        return total

    def _symbol(self, symbol: str) -> str:
        known = self.main.dims
        if symbol not in known:
            name, axis = self.main.symbols[symbol]
            known[symbol] = self.node("Shape", name, start=axis, end=axis + 1)
        return known[symbol]

    # -- what many operations need -----------------------------------------------------------------

    def cast(self, value: Value | str, dtype: Any, given: Any = None) -> str:
        """Return a tensor in another element type."""
        dtype = np.dtype(dtype)
        if isinstance(value, str):
            if given is not None and np.dtype(given) == dtype:
                return value
            return str(self.node("Cast", value, to=element_type(dtype)))
        if value.dtype == dtype:
            return value.name
        if value.data is not None:
            return self.constant(np.asarray(value.data).astype(dtype))
        return str(self.node("Cast", value.name, to=element_type(dtype)))

    def through(self, wide: Any, out: Any, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node that works on another element type than its inputs and its result have."""
        given = [self.cast(name, wide) for name in inputs]
        return self.cast(self.node(op, *given, **attributes), out)

    def scalar(self, number: Any, dtype: Any) -> str:
        """Return a number as a tensor without axes."""
        return self.constant(np.array(number, dtype))

    def reshape(self, name: str, shape: Sequence[Any]) -> str:
        """Return a tensor in another shape."""
        open_sizes = [n for n in shape if isinstance(n, Dim)]
        if len(open_sizes) == 1 and 0 not in shape:
            shape = [-1 if isinstance(n, Dim) else n for n in shape]
        return str(self.node("Reshape", name, self.integers(*shape), allowzero=int(0 in shape)))

    def expand(self, name: str, shape: Sequence[Any]) -> str:
        """Return a tensor broadcast to a shape."""
        return str(self.node("Expand", name, self.integers(*shape)))

    def filled(self, number: Any, dtype: Any, shape: Sequence[Any]) -> str:
        """Return a tensor of equal elements."""
        if not any(isinstance(n, Dim) for n in shape) and int(np.prod(shape)) <= 1:
            return self.constant(np.full(shape, number, dtype))
        return self.expand(self.scalar(number, dtype), shape)

    def arange(self, count: Any) -> str:
        """Return the integers below ``count``."""
        if not isinstance(count, Dim):
            return self.constant(np.arange(count))
        stop = self.node("Squeeze", self.integers(count))
        return str(self.node("Range", self.scalar(0, INT64), stop, self.scalar(1, INT64)))

    # -- programs ----------------------------------------------------------------------------------

    def value(self, operand: Any) -> Value:
        """Return the tensor of a variable or of a constant."""
        if type(operand) is Var:
            return self.values[operand]
        if isinstance(operand, Spread | Counted | Banded | Power | Size):
            return Value(self.main.graph._open_constant(operand), operand.type)
        return Value(self.constant(operand), array_type(operand), operand)

    def _open_constant(self, constant: Any) -> str:
        """Return a constant that depends on an open size; in the outermost graph."""
        type_: ArrayType = constant.type
        if isinstance(constant, Size):
            return self.cast(self.node("Squeeze", self.integers(constant.dim)), type_.dtype, INT64)
        if isinstance(constant, Power):
            size = self.cast(self.node("Squeeze", self.integers(constant.dim)), type_.dtype, INT64)
            power = self.node("Pow", size, self.scalar(constant.exponent, type_.dtype))
            return str(self.node("Mul", self.constant(constant.factor), power))
        if isinstance(constant, Banded):
            return self._bands(constant)
        base = self.value(constant.base).name
        if isinstance(constant, Spread):
            return self.expand(base, type_.shape)
        steps = self.node(
            "Mul", self.arange(type_.shape[constant.axis]), self.integers(constant.step)
        )
        along = [-1 if i == constant.axis else 1 for i in range(type_.ndim)]
        placed = self.cast(self.node("Reshape", steps, self.integers(*along)), type_.dtype, INT64)
        return str(self.node("Add", base, placed))

    def _bands(self, constant: Banded) -> str:
        """Return a matrix by how far an element is from the diagonal."""
        rows, columns = constant.type.shape
        down = self.node("Unsqueeze", self.arange(rows), self.integers(1))
        offset = self.node("Sub", self.arange(columns), down)
        diagonal = self.integers(constant.diagonal)
        above = self.node("Greater", offset, diagonal)
        on = self.node("Equal", offset, diagonal)
        # onnxruntime has no Where for all types: the band is looked up
        place = self.node("Add", self.cast(above, INT64), self.cast(above, INT64))
        place = self.node("Add", place, self.cast(on, INT64))
        bands = self.constant(np.array(constant.bands, constant.type.dtype))
        return str(self.node("Gather", bands, place, axis=0))

    def run(self, block: Block) -> list[Value]:
        """Add the nodes of a block whose inputs are known; returns its outputs."""
        for step in block.steps:
            values = [self.value(o) for o in step.operands]
            try:
                names = EMITTERS[step.name](self, step, values)
            except OpenSizeError as error:
                refuse(
                    f"`{step.name}` cannot be exported with an open size here",
                    step.origin,
                    why=str(error),
                    help="export it without this open axis",
                )
            for out, name in zip(step.outs, names, strict=True):
                self.values[out] = Value(name, out.type)
        return [self.value(o) for o in block.outputs]

    def inside(self) -> Graph:
        """Return a graph that stands inside of this one, and sees its values."""
        graph = Graph(self.main)
        graph.values = dict(self.values)
        return graph

    def renamed(self, values: Sequence[Value], base: str) -> list[str]:
        """Return values under names of their own, as the results of a graph must be."""
        names = []
        for value in values:
            names.append(self.main.fresh(base))
            self.nodes.append(helper.make_node("Identity", [value.name], [names[-1]]))
        return names

    def described(self, name: str, type_: ArrayType) -> Any:
        """Return the description of an input or a result."""
        shape = [str(n) if isinstance(n, Dim) else n for n in type_.shape]
        return helper.make_tensor_value_info(name, element_type(type_.dtype), shape)

    def proto(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> onnx.GraphProto:
        """Return the finished graph."""
        own = []
        if self is self.main.graph:
            used = _taken(self.nodes)
            own = [t for n, t in self.main.initializers.items() if n in used]
        return helper.make_graph(self.nodes, name, inputs, outputs, own)


def _taken(nodes: Sequence[Any]) -> set[str]:
    """Return the names that nodes take, those of graphs inside of them included."""
    names: set[str] = set()
    for node in nodes:
        names.update(node.input)
        for attribute in node.attribute:
            names |= _taken(attribute.g.node)
    return names
