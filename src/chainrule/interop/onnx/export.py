"""From a function to a model in ONNX's format."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper

from ...program.arraytype import ArrayType, array_type
from ...program.equation import Var
from ...program.errors import ChainruleError, ShapeError, TraceError, UnsupportedError
from ...program.pytree import TreeDef, flatten
from ...program.spans import Span
from . import elementwise, indexing, layout, loops, products, reductions  # noqa: F401
from .block import Block, record
from .graph import Main, Value
from .lowering import lowered
from .sizes import merged, points

OLDEST_OPSET = 18  # the first whose reductions take their axes as a tensor

Axes = Mapping[str, Mapping[int, str]]


def to_onnx(
    f: Callable[..., Any],
    *example_args: Any,
    path: str | os.PathLike[str] | None = None,
    opset: int | None = None,
    batch: str | None = None,
    dynamic_axes: Axes | None = None,
    fixed_argnums: int | Sequence[int] = (),
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dtype: Any = None,
    check: bool = False,
) -> Any:
    """Return a function or a model in ONNX's format, which other runtimes execute.

    Parameters
    ----------
    f : callable
        A function of arrays and pytrees of them that can be traced without values; also a
        derivative, such as ``grad(f)``. If it is a pytree with a ``__call__``, as the models of
        :mod:`chainrule.nn` are, its arrays become initializers under the names of their places.
    *example_args : pytree
        Arguments whose arrays say shapes and dtypes; floats are inputs as well. Everything else
        (integers, strings) becomes a fixed part of the model.
    path : path, optional
        Where to write the model.
    opset : int, optional
        The version of ONNX's operators, at least 18; by default the newest that the installed
        package onnx knows. An older runtime may need an older one.
    batch : str, optional
        A name for the length of the first axis of all inputs, which then stays open.
    dynamic_axes : mapping, optional
        For each input by its name the axes that stay open, by number, and what their lengths are
        called: ``{"x": {0: "batch", 1: "time"}}``.
    fixed_argnums : int or sequence of int
        Arguments whose arrays become initializers, as those of a model do.
    input_names, output_names : sequence of str, optional
        Names of the inputs and outputs; by default the places of the leaves, such as ``x`` or
        ``params['W']``, and ``output``.
    dtype : dtype, optional
        What to convert floating-point parameters and arguments to before: ``np.float32``.
    check : bool
        Whether to run the model in onnxruntime and to compare with ``f`` to 1e-5, also for other
        lengths of the open axes.

    Returns
    -------
    onnx.ModelProto
        Checked by :func:`onnx.checker.check_model`.

    Raises
    ------
    UnsupportedError
        If an operation has no counterpart, or a length that should stay open becomes a part of
        the model.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> layer = nn.Linear.init(random.key(0), 3, 4)
    >>> model = to_onnx(layer, np.ones((2, 3)), batch="batch", check=True)
    >>> [node.op_type for node in model.graph.node]
    ['Transpose', 'MatMul', 'Add', 'Identity']
    >>> [tensor.name for tensor in model.graph.initializer]
    ['weight', 'bias']
    """
    opset = _known_opset(opset)
    if dtype is not None:
        f, *converted = _converted((f, *example_args), np.dtype(dtype))
        example_args = tuple(converted)
    call = _Call(f, example_args, fixed_argnums, input_names)
    axes = _open_axes(call, batch, dynamic_axes or {})
    block, tree = _traced(call, axes)
    model = _model(call, axes, block, _output_names(tree, output_names), opset)
    onnx.checker.check_model(model, full_check=True)
    if check:
        from .checking import compare

        compare(model, f, call, axes)
    if path is not None:
        onnx.save(model, os.fspath(path))
    return model


def _known_opset(opset: int | None) -> int:
    newest: int = onnx.defs.onnx_opset_version()
    if opset is None:
        return newest
    if not OLDEST_OPSET <= opset <= newest:
        raise ValueError(
            f"opset is between {OLDEST_OPSET} and {newest} (of onnx {onnx.__version__}), "
            f"not {opset}"
        )
    return opset


def _converted(tree: Any, dtype: np.dtype[Any]) -> Any:
    """Return a tree with its floating-point arrays in another type."""
    leaves, treedef = flatten(tree)

    def convert(leaf: Any) -> Any:
        is_array = isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind == "f"
        return leaf.astype(dtype) if is_array else leaf

    return treedef.unflatten(map(convert, leaves))


# -- the function and its arguments --------------------------------------------------------------


class Leaf(NamedTuple):
    """An array among the arguments or in the model."""

    name: str
    value: Any
    is_fixed: bool

    @property
    def type(self) -> ArrayType:
        """Its shape and dtype."""
        return array_type(self.value)


class _Call:
    """A function with its arguments as a flat list, some of which are fixed."""

    def __init__(
        self, f: Any, args: tuple[Any, ...], fixed: int | Sequence[int], names: Any
    ) -> None:
        self.f = f
        fixed_args = {fixed} if isinstance(fixed, int) else set(fixed)
        fixed_args = {i % len(args) for i in fixed_args}
        self.flat, self.tree = flatten((f, *args))
        self.is_model = not (flatten(f)[0] and flatten(f)[0][0] is f)
        paths = _paths(f, args, self.is_model)
        self.leaves: dict[int, Leaf] = {}
        for place, (value, (argument, name)) in enumerate(zip(self.flat, paths, strict=True)):
            if isinstance(value, float | np.generic) or type(value) is np.ndarray:
                is_fixed = argument < 0 or argument in fixed_args
                self.leaves[place] = Leaf(name, value, is_fixed)
        self._rename(names)

    def _rename(self, names: Sequence[str] | None) -> None:
        places = [p for p, leaf in self.leaves.items() if not leaf.is_fixed]
        if names is not None and len(names) != len(places):
            found = [self.leaves[p].name for p in places]
            raise ValueError(f"{len(names)} input_names for {len(places)} inputs: {found}")
        for place, name in zip(places, names or (), strict=bool(names)):
            self.leaves[place] = self.leaves[place]._replace(name=name)
        given = [leaf.name for leaf in self.leaves.values()]
        if len(set(given)) < len(given):
            raise ValueError(f"two inputs or parameters have the same name: {given}")

    def __call__(self, *values: Any) -> Any:
        """Call the function with other values for its leaves."""
        flat = list(self.flat)
        for place, value in zip(self.leaves, values, strict=True):
            flat[place] = value
        f, *args = self.tree.unflatten(flat)
        return f(*args)

    @property
    def inputs(self) -> list[Leaf]:
        """The arrays that the exported model takes."""
        return [leaf for leaf in self.leaves.values() if not leaf.is_fixed]


def _paths(f: Any, args: tuple[Any, ...], is_model: bool) -> list[tuple[int, str]]:
    """Return for each leaf the number of its argument, and what it is called."""
    try:
        kinds = inspect.signature(f).parameters.values()
        names = [p.name for p in kinds if p.kind < p.VAR_POSITIONAL]
    except (ValueError, TypeError):
        names = []
    paths = [(-1, path.lstrip(".")) for path in flatten(f)[1].leaf_paths("")]
    for number, arg in enumerate(args):
        root = names[number] if number < len(names) else f"arg{number}"
        paths += [(number, path) for path in flatten(arg)[1].leaf_paths(root)]
    return paths


def _output_names(tree: TreeDef, given: Sequence[str] | None) -> list[str]:
    names = tree.leaf_paths("output")
    if given is None:
        return names
    if len(given) != len(names):
        raise ValueError(f"{len(given)} output_names for {len(names)} outputs: {names}")
    return list(given)


# -- open axes -----------------------------------------------------------------------------------


class OpenAxes(NamedTuple):
    """Which axes stay open: for each input by its name, and the lengths in the example."""

    of: dict[str, dict[int, str]]
    examples: dict[str, int]

    def shape(self, leaf: Leaf, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape of a leaf for other lengths."""
        axes = {} if leaf.is_fixed else self.of.get(leaf.name, {})
        shape = leaf.type.shape
        return tuple(sizes[axes[i]] if i in axes else n for i, n in enumerate(shape))


def _open_axes(call: _Call, batch: str | None, dynamic: Axes) -> OpenAxes:
    inputs = {leaf.name: leaf.type.shape for leaf in call.inputs}
    unknown = set(dynamic) - set(inputs)
    if unknown:
        raise ValueError(f"dynamic_axes names {sorted(unknown)}, the inputs are {sorted(inputs)}")
    axes: dict[str, dict[int, str]] = {}
    examples: dict[str, int] = {}
    for name, shape in inputs.items():
        chosen = {0: batch} if batch is not None and shape else {}
        chosen |= {i % len(shape): symbol for i, symbol in dynamic.get(name, {}).items()}
        axes[name] = chosen
        for i, symbol in chosen.items():
            if examples.setdefault(symbol, shape[i]) != shape[i]:
                raise ShapeError(
                    f"the open length {symbol!r} is {examples[symbol]} in one input of the "
                    f"example and {shape[i]} in `{name}`",
                    help="name only those axes alike that have the same length, by dynamic_axes",
                )
    return OpenAxes(axes, examples)


def _traced(call: _Call, axes: OpenAxes) -> tuple[Block, TreeDef]:
    """Trace the function, for several lengths if some stay open."""
    if not axes.examples:
        return _traced_for(call, axes, {})
    taken = {n for leaf in call.leaves.values() for n in leaf.type.shape}
    at, checks = points(axes.examples, taken)
    found = [_traced_for_another(call, axes, sizes) for sizes in at]
    refusals: list[ChainruleError] = []
    for check in checks:
        if len(refusals) == 2 or (refusals and check is checks[-1]):
            break  # one refusal may be of a length that is equal to another one by chance
        try:
            one_more = _traced_for(call, axes, check)
        except TraceError as error:
            refusals.append(error)
            continue
        except Exception:  # the function is not for lengths that small
            continue
        blocks, trees = zip(*found, one_more, strict=True)
        if any(tree != trees[0] for tree in trees):
            raise UnsupportedError(
                "the structure of the result depends on the length of an open axis"
            )
        try:
            return merged(blocks, [*at, check]), trees[0]
        except UnsupportedError as error:
            refusals.append(error)
    raise refusals[0]


def _traced_for(call: _Call, axes: OpenAxes, sizes: Mapping[str, int]) -> tuple[Block, TreeDef]:
    """Trace the function for some lengths."""
    leaves = list(call.leaves.values())
    types = [leaf.type._replace(shape=axes.shape(leaf, sizes)) for leaf in leaves]
    f = type(call.f).__call__ if call.is_model else call.f
    program, tree = record(f, call, types, [leaf.name for leaf in leaves])
    return lowered(program), tree


def _traced_for_another(call: _Call, axes: OpenAxes, sizes: Mapping[str, int]) -> Any:
    try:
        return _traced_for(call, axes, sizes)
    except ShapeError as error:
        raise _fails_for(sizes, error.span, error.title) from error
    except ChainruleError:
        raise
    except Exception as error:
        raise _fails_for(sizes, None, f"{type(error).__name__}: {error}") from error


def _fails_for(sizes: Mapping[str, int], span: Span | None, why: str) -> UnsupportedError:
    lengths = ", ".join(f"{name} = {n}" for name, n in sizes.items())
    return UnsupportedError(
        f"the function fails for another length of an open axis: {lengths}",
        span=span,
        why=why,
        help="leave only axes open that may have any length",
    )


# -- the model -----------------------------------------------------------------------------------


def _model(call: _Call, axes: OpenAxes, block: Block, output_names: list[str], opset: int) -> Any:
    symbols: dict[str, tuple[str, int]] = {}
    for name, named in axes.of.items():
        for axis, symbol in named.items():
            symbols.setdefault(symbol, (name, axis))
    main = Main(opset, symbols)
    graph = main.graph
    main.taken.update(leaf.name for leaf in call.leaves.values())
    main.taken.update(output_names)
    used = _used(block)
    inputs = []
    for leaf, var in zip(call.leaves.values(), block.inputs, strict=True):
        graph.values[var] = Value(leaf.name, var.type)
        if not leaf.is_fixed:
            inputs.append(graph.described(leaf.name, var.type))
        elif var in used:
            graph.constant(leaf.value, leaf.name)
    results = []
    for value, name in zip(graph.run(block), output_names, strict=True):
        type_ = value.type._replace(weak=False)
        graph.nodes.append(helper.make_node("Identity", [value.name], [name], name=f"to_{name}"))
        results.append(graph.described(name, type_))
    return _finished(graph.proto(_name(call.f), inputs, results), opset)


def _used(block: Block) -> set[Any]:
    operands = [o for step in block.steps for o in step.operands]
    return {o for o in (*operands, *block.outputs) if type(o) is Var}


def _name(f: Any) -> str:
    return getattr(f, "__name__", type(f).__name__)


def _finished(graph: Any, opset: int) -> Any:
    from importlib.metadata import PackageNotFoundError, version

    try:
        ours = version("chainrule")
    except PackageNotFoundError:  # run from a folder that is not installed
        ours = ""
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(
        graph,
        opset_imports=imports,
        ir_version=helper.find_min_ir_version_for(imports),
        producer_name="chainrule",
        producer_version=ours,
    )
