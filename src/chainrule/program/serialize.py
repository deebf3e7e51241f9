"""Programs as JSON, and their fingerprints.

The text holds data only: numbers, names of primitives, arrays as base64 with dtype and shape.
Reading it runs no code, whoever wrote it.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .arraytype import ArrayType
from .codecs import CODECS
from .equation import Equation, Var
from .errors import ProgramError
from .index import Hole
from .primitive import PRIMITIVES
from .printing import user_names
from .repeated import essence

if TYPE_CHECKING:
    from .program import Program

FORMAT = "chainrule program"
VERSION = 1
_KINDS = "biufc"  # booleans and numbers: the dtypes whose bytes are nothing but values


def to_json(program: Program) -> str:
    """Return a program as JSON text."""
    return json.dumps(_Writer(array=_array_data).program(program), allow_nan=False)


def fingerprint(program: Program) -> str:
    """Return a hash of a program's equations, constants and types, but not of its names."""
    content = _Writer(array=_array_digest, names=False).program(program)
    text = json.dumps(content, allow_nan=False, sort_keys=True, separators=(",", ":"))
    import hashlib  # with OpenSSL behind it, slow to import

    return hashlib.sha256(text.encode()).hexdigest()


def from_json(text: str) -> Program:
    """Return the program that :func:`to_json` wrote."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ProgramError("this text is not JSON", why=str(error)) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ProgramError("this text holds no chainrule program")
    if content.get("version") != VERSION:
        raise ProgramError(
            f"this program was written in version {content.get('version')} of the format, "
            f"but only version {VERSION} can be read",
        )
    try:
        return _Reader().program(content)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        if isinstance(error, ProgramError):
            raise
        raise ProgramError(
            "this text is not a well-formed program", why=f"{type(error).__name__}: {error}"
        ) from error


# -- writing -------------------------------------------------------------------------------------


def _array_data(array: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def _array_digest(array: np.ndarray[Any, Any]) -> str:
    import hashlib

    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


class _Writer:
    def __init__(self, array: Callable[[Any], str], names: bool = True) -> None:
        self.array = array
        self.names = names
        self.wished: dict[Var, str | None] = {}

    def program(self, program: Program) -> dict[str, Any]:
        numbers: dict[Var, int] = {}
        if self.names:
            self.wished.update(user_names(program.equations))
        inputs = [self.variable(var, numbers) for var in program.inputs]
        equations = [self.equation(equation, numbers) for equation in program.equations]
        content = {
            "format": FORMAT,
            "version": VERSION,
            "inputs": inputs,
            "equations": equations,
            "outputs": [self.operand(o, numbers) for o in program.outputs],
        }
        return content | {"name": program.name} if self.names else content

    def variable(self, var: Var, numbers: dict[Var, int]) -> dict[str, Any]:
        numbers[var] = len(numbers)
        content: dict[str, Any] = {"shape": list(var.type.shape), "dtype": var.type.dtype.str}
        if var.type.weak:
            content["weak"] = True
        name = var.name or self.wished.get(var)
        if self.names and name is not None:
            content["name"] = name
        return content

    def equation(self, equation: Equation, numbers: dict[Var, int]) -> dict[str, Any]:
        primitive = equation.primitive.name
        try:
            return {
                "primitive": primitive,
                "operands": [self.operand(o, numbers) for o in equation.operands],
                "params": {name: self.value(v) for name, v in equation.params.items()},
                "outs": [self.variable(out, numbers) for out in equation.outs],
            }
        except _UnwritableError as error:
            raise ProgramError(
                f"an equation {primitive!r} cannot be written down",
                why=f"it has a parameter of type {error.args[0]}",
            ) from None

    def operand(self, operand: Any, numbers: dict[Var, int]) -> Any:
        return {"var": numbers[operand]} if type(operand) is Var else self.value(operand)

    def value(self, value: Any) -> Any:
        """Return a constant or parameter as JSON: plain where JSON has it, else tagged."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if kind is complex:
            return {"complex": [self.value(value.real), self.value(value.imag)]}
        if kind in (tuple, list):
            return {kind.__name__: [self.value(v) for v in value]}
        if kind is dict:
            return {"dict": [[self.value(k), self.value(v)] for k, v in value.items()]}
        if kind is slice:
            return {"slice": [self.value(v) for v in (value.start, value.stop, value.step)]}
        if value is Ellipsis:
            return {"ellipsis": True}
        if kind is Hole:
            return {"hole": int(value)}
        return self.special(value)

    def constant(self, array: np.ndarray[Any, Any]) -> list[Any]:
        content = [array.dtype.str, list(array.shape), self.array(array)]
        # the layout decides in which order BLAS adds, and so about the last bit of a result
        special = self.names and not array.flags.c_contiguous
        return [*content, _layout(array)] if special else content

    def special(self, value: Any) -> Any:
        if isinstance(value, np.dtype) and value.kind in _KINDS:
            return {"dtype": value.str}
        if type(value) is np.ndarray and value.dtype.kind in _KINDS:
            elements = essence(value)
            if elements is value:
                return {"array": self.constant(value)}
            return {"repeated": [self.constant(elements), list(value.shape)]}
        if isinstance(value, np.generic) and value.dtype.kind in _KINDS:
            return {"scalar": [value.dtype.str, self.array(np.asarray(value))]}
        codec = CODECS.get(type(value))
        if codec is not None:
            return {codec.tag: self.value(codec.encode(value))}
        from .program import Program

        if isinstance(value, Program):
            return {"program": self.program(value)}
        raise _UnwritableError(type(value).__name__)


def _layout(array: np.ndarray[Any, Any]) -> list[int]:
    """Return the axes from the one with the largest steps in memory to the smallest."""
    return sorted(range(array.ndim), key=lambda axis: -array.strides[axis])


class _UnwritableError(Exception):
    """A value that has no form in JSON here."""


# -- reading -------------------------------------------------------------------------------------


class _Reader:
    def program(self, content: dict[str, Any]) -> Program:
        from .program import Program

        variables: list[Var] = []
        inputs = tuple(self.variable(c, variables) for c in _list(content["inputs"]))
        equations = tuple(self.equation(c, variables) for c in _list(content["equations"]))
        outputs = tuple(self.operand(c, variables) for c in _list(content["outputs"]))
        return Program(inputs, equations, outputs, str(content["name"]))

    def variable(self, content: dict[str, Any], variables: list[Var]) -> Var:
        shape = tuple(_natural(n) for n in content["shape"])
        type_ = ArrayType(shape, _dtype(content["dtype"]), content.get("weak", False) is True)
        name = content.get("name")
        var = Var(len(variables), None, type_, None if name is None else str(name))
        variables.append(var)
        return var

    def equation(self, content: dict[str, Any], variables: list[Var]) -> Equation:
        name = content["primitive"]
        primitive = PRIMITIVES.get(name)
        if primitive is None:
            raise ProgramError(
                f"this program uses a primitive {name!r}, which does not exist here",
                why="it was written by another version, or with rules that are not loaded",
                help="import the module that defines it first",
            )
        operands = tuple(self.operand(c, variables) for c in content["operands"])
        params = {str(key): self.value(c) for key, c in content["params"].items()}
        outs = tuple(self.variable(c, variables) for c in content["outs"])
        if len(outs) != 1 and primitive.joint is None:
            raise ProgramError(f"{name!r} has one result, not {len(outs)}")
        return Equation(primitive, operands, params, outs, ())

    def operand(self, content: Any, variables: list[Var]) -> Any:
        if isinstance(content, dict) and "var" in content:
            return variables[_natural(content["var"])]
        return self.value(content)

    def value(self, content: Any) -> Any:
        if not isinstance(content, dict):
            if isinstance(content, list):
                raise ProgramError("a bare list stands where a value is expected")
            return content
        ((tag, inner),) = content.items()
        for codec in CODECS.values():
            if codec.tag == tag:
                return codec.decode(self.value(inner))
        if tag not in _READERS:
            raise ProgramError(f"a value is tagged {tag!r}, which means nothing here")
        return _READERS[tag](self, inner)


def _natural(n: Any) -> int:
    if type(n) is not int or n < 0:
        raise ProgramError(f"{n!r} stands where a size or a number of a variable is expected")
    return n


def _list(content: Any) -> list[Any]:
    if type(content) is not list:
        raise ProgramError(f"a {type(content).__name__} stands where a list is expected")
    return content


def _dtype(text: Any) -> np.dtype[Any]:
    dtype = np.dtype(str(text))
    if dtype.kind not in _KINDS:
        raise ProgramError(f"{text!r} is no dtype of numbers")
    return dtype


def _read_array(reader: _Reader, content: Any) -> np.ndarray[Any, Any]:
    dtype, shape, data, *layout = content
    try:
        raw = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ProgramError("the elements of a constant are damaged", why=str(error)) from None
    flat = np.frombuffer(raw, _dtype(dtype)).copy()
    array = flat.reshape(tuple(_natural(n) for n in shape)).copy()
    if layout:
        axes = [_natural(axis) for axis in layout[0]]
        array = array.transpose(axes).copy().transpose(np.argsort(axes)).copy(order="K")
    array.flags.writeable = False
    return array


def _read_repeated(reader: _Reader, content: Any) -> np.ndarray[Any, Any]:
    elements, shape = content
    return np.broadcast_to(_read_array(reader, elements), tuple(_natural(n) for n in shape))


def _read_scalar(reader: _Reader, content: Any) -> Any:
    dtype, data = content
    return _read_array(reader, [dtype, [], data])[()]


def _sequence(reader: _Reader, content: Any) -> list[Any]:
    return [reader.value(c) for c in content]


_READERS: dict[str, Callable[[_Reader, Any], Any]] = {
    "float": lambda reader, c: {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[c],
    "complex": lambda reader, c: complex(*_sequence(reader, c)),
    "tuple": lambda reader, c: tuple(_sequence(reader, c)),
    "list": _sequence,
    "dict": lambda reader, c: {reader.value(k): reader.value(v) for k, v in c},
    "slice": lambda reader, c: slice(*_sequence(reader, c)),
    "ellipsis": lambda reader, c: Ellipsis,
    "hole": lambda reader, c: Hole(_natural(c)),
    "dtype": lambda reader, c: _dtype(c),
    "array": _read_array,
    "repeated": _read_repeated,
    "scalar": _read_scalar,
    "program": lambda reader, c: reader.program(c),
}
