"""A compiled program: its machine code, its memory, and how it is called."""

from __future__ import annotations

import ctypes
import functools
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..program.equation import Var
from ..program.errors import BoundsError, picture
from ..program.program import Program
from ..program.spans import span_of
from .runtime import blas_threads, buffers, cache, threads
from .runtime.image import Image, all_equations, find_constants
from .runtime.layout import ALIGNMENT, METH_FASTCALL
from .runtime.support import in_memory
from .runtime.symbols import UnknownSymbolError

if TYPE_CHECKING:  # the rest comes in when it is needed: most of a quick first call is imports
    from .emit.floating import Monitor
    from .recorded import Recorded

empty = np.empty  # a trace in another thread may replace the name


threads.provide_pool()
blas_threads.provide_blas_threads()
buffers.provide_buffers()


class Native:
    """A program as one native function.

    Attributes
    ----------
    program : Program
        What was compiled.
    donated : frozenset of int
        Which inputs may be written over.
    nesting : tuple
        How the computed results stand in the tuple, or tuples of tuples, that a call gives.
    cached : bool
        Whether the machine code was found on disk.
    seconds : dict
        How long each stage took.
    template : Instance or None
        Where its machine code comes from, if that serves other shapes too.
    recorded : Recorded or None
        The program as it was recorded, by which the machine code is kept on disk.
    parts : list of str
        For each output, the Python expression that finds it among the arguments ``x`` and the
        computed results ``m``.
    """

    def __init__(
        self,
        program: Program,
        donated: frozenset[int] = frozenset(),
        nesting: tuple[Any, ...] | None = None,
        template: Any = None,
        recorded: Recorded | None = None,
    ) -> None:
        self.program = program
        self.recorded = recorded
        self.template = template
        self.nesting = nesting if nesting is not None else tuple(range(count_computed(program)))
        self.donated = frozenset(k for k in donated if program.inputs[k] not in program.outputs)
        self.seconds: dict[str, float] = {}
        begin = time.perf_counter()
        self._key: str | None = None
        self._image: Image | None
        if template is None:
            self._key = cache.key_of(program, (sorted(self.donated), self.nesting))
            self._image = cache.find(self._key)
        else:
            self._image = template.image
        self.seconds["look up"] = time.perf_counter() - begin
        self.cached = template is None and self._image is not None
        self._built: Any = None
        if self._image is None:
            self._built = self._build()
            self.seconds |= self._built.seconds
        elif "refused" in self._image.facts:
            from .plan.schedule import UnsupportedError

            number, reason = self._image.facts["refused"]
            raise UnsupportedError(program.equations[number], reason)
        self.keep: list[Any] = []
        self.parts, self.names = _selection(program, _places(self.nesting))
        self.select = _selector(self.parts, self.names)

    @classmethod
    def found(cls, recorded: Recorded) -> Native | None:
        """Return the native function of a recorded program if it is on disk, ready to be called."""
        begin = time.perf_counter()
        image = recorded.found()
        if image is None:
            return None
        self = cls.__new__(cls)
        nesting, self.parts = image.facts["call"]
        self.recorded, self.template = recorded, None
        self.nesting = _as_tuples(nesting)
        self.donated = recorded.donated
        self.seconds = {"look up": time.perf_counter() - begin}
        self._key, self._image, self._built = recorded.key, image, None
        self.cached = True
        self.keep = []
        self.names = {"own": _own}
        self.select = _selector(self.parts, self.names)
        return self if self._load(image) else None

    @functools.cached_property
    def program(self) -> Program:
        """What was compiled."""
        assert self.recorded is not None
        return self.recorded.lowered

    def _build(self) -> Any:
        """Make the program into loop nests; keep in mind if that can't be done."""
        from .build import Build
        from .plan.schedule import UnsupportedError

        try:
            return Build(self.program, self.donated, self.nesting)
        except UnsupportedError as unsupported:
            for number, equation in enumerate(self.program.equations):
                if equation is unsupported.equation:
                    facts = {"refused": [number, str(unsupported)]}
                    cache.keep(self._key, Image(b"", [], [], [], 0, facts))
            raise

    def compile(self) -> Native:
        """Have the machine code ready to be called."""
        if self._image is not None and self._load(self._image):
            return self
        if self._built is None:
            self._built = self._build()
            self.cached = False
        image = self._built.image()
        is_plain = image.constants is not None and len(self.names) == 1  # no constants are returned
        recorded = self.recorded
        if recorded is not None and is_plain and recorded.note(image, self.nesting, self.parts):
            self._key = recorded.key
        cache.keep(self._key, image)
        self.seconds |= self._built.seconds
        self.build = self._built  # what it was made of is at hand, and needn't be made again
        self._built = None
        if not self._load(image):
            raise RuntimeError("machine code refers to what this process doesn't have")
        return self

    @functools.cached_property
    def build(self) -> Any:
        """How the program was made into machine code; made once more if it came from disk."""
        from .build import Build

        if self.template is not None:
            return self.template.build
        if self._built is not None:
            return self._built
        return Build(self.program, self.donated, self.nesting)

    @functools.cached_property
    def monitor(self) -> Monitor:
        """What tells of exceptional values."""
        from .emit.floating import Monitor

        return Monitor(self.program)

    @property
    def facts(self) -> dict[str, Any]:
        """Sizes of memory, and whether the interpreter's lock is released."""
        assert self._image is not None
        return self._image.facts

    @property
    def workspace(self) -> int:
        """How many bytes a call needs for values in between."""
        assert self._image is not None
        return self._image.workspace

    @property
    def plan(self) -> Any:
        """The loop nests."""
        return self.build.plan

    @functools.cached_property
    def code(self) -> Any:
        """The LLVM text."""
        from .runtime.engine import Code

        return Code(self.build.parts)

    def _load(self, image: Image) -> bool:
        begin = time.perf_counter()
        try:
            loaded = in_memory(image)
        except UnknownSymbolError:
            return False
        self._constants = image.arrays or self._find_constants(image)
        table = loaded.address("constants")
        for k, array in enumerate(self._constants):
            address = array.__array_interface__["data"][0]
            ctypes.c_int64.from_address(table + 8 * k).value = address
        self._image = image
        self._loaded = loaded
        if image.facts["keeps frames"]:
            self._give = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(loaded.address("give"))
            self._grow()
        self.call = python_function(loaded.address("entry"), loaded)
        self.seconds["load"] = time.perf_counter() - begin
        return True

    def _find_constants(self, image: Image) -> list[Any]:
        if self.recorded is not None and "call" in image.facts:
            return find_constants(self.recorded.program, image.constants or [])
        return find_constants(self.program, image.constants or [])

    def _grow(self) -> None:
        """Let there be memory for one more call at the same time."""
        assert self._image is not None
        raw = empty(self._image.workspace + ALIGNMENT, np.uint8)
        self.keep.append(raw)
        start = raw.__array_interface__["data"][0]
        self._give(start + -start % ALIGNMENT)

    def __call__(self, leaves: Sequence[Any]) -> list[Any] | None:
        """Return the outputs, or None if the arguments are not what was compiled for."""
        results = self.call(*leaves)
        if type(results) is not tuple:
            results = self.told(leaves, results)
        return None if results is None else self.select(leaves, results)

    def told(self, leaves: Sequence[Any], answer: Any) -> tuple[Any, ...] | None:
        """Do what the entry asks for; return its results, or None if it refused the arguments."""
        while answer is NotImplemented:
            self._grow()
            answer = self.call(*leaves)
        if answer is None or type(answer) is tuple:
            return answer
        results, flags, number, index, length = answer
        if number:
            self._raise(number, index, length)
        if flags:
            self.monitor.tell(leaves, flags, not self.facts["in place"])
        return results

    def run(self, leaves: Sequence[Any]) -> list[Any]:
        """Return the outputs for values of the right types, however they lie in memory."""
        results = self(leaves)
        if results is None:  # scalars, strided or misaligned arrays: bring them into order
            results = self(list(map(_ordered, leaves, self.program.inputs)))
        if results is None:
            raise RuntimeError("a native function refused the arrays that were made for it")
        return results

    def _raise(self, number: int, index: int, length: int) -> NoReturn:
        """Raise what NumPy would raise: about a matrix, or an index out of bounds."""
        assert self._image is not None
        place = self._image.notes[number - 1]
        span = None
        equations = list(all_equations(self.program))
        if 0 <= place < len(equations) and equations[place].origin:
            span = span_of(*equations[place].origin[0])
        name = equations[place].primitive.name if 0 <= place < len(equations) else ""
        from .linalg.operations import COMPLAINTS

        if name in COMPLAINTS:
            message, remedy = COMPLAINTS[name]
            raise np.linalg.LinAlgError(picture(message, span, help=remedy))
        shown = index if index >= 0 else index - length
        title = f"index {shown} is out of bounds for an axis of size {length}"
        raise BoundsError(title, span=span, help=f"keep it within {-length} and {length - 1}")


def count_computed(program: Program) -> int:
    """Return how many different results a program computes."""
    given = set(program.inputs)
    return len({o for o in program.outputs if type(o) is Var and o not in given})


def _places(nesting: tuple[Any, ...], path: str = "m") -> dict[int, str]:
    """Return for each result how it is found in nested tuples."""
    found: dict[int, str] = {}
    for k, item in enumerate(nesting):
        here = f"{path}[{k}]"
        found |= {item: here} if type(item) is int else _places(item, here)
    return found


def _selection(program: Program, places: dict[int, str]) -> tuple[list[str], dict[str, Any]]:
    """Return for each output how it is found, and the constants that are named there.

    It is Python source, because a call per output takes longer than small programs do.
    """
    names: dict[str, Any] = {"own": _own}
    parts = []
    computed: dict[Var, int] = {}
    for k, o in enumerate(program.outputs):
        if type(o) is not Var:
            names[f"c{k}"] = o
            parts.append(f"own(c{k})")
        elif o in program.inputs:
            parts.append(f"own(x[{program.inputs.index(o)}])")
        else:
            seen = o in computed
            position = computed.setdefault(o, len(computed))
            place = places[position]
            parts.append(f"own({place})" if seen else place)
    return parts, names


def _selector(parts: list[str], names: dict[str, Any]) -> Any:
    """Return what makes the list of outputs of arguments and computed results."""
    return eval(f"lambda x, m: [{', '.join(parts)}]", dict(names))


def _as_tuples(nesting: Any) -> Any:
    return tuple(map(_as_tuples, nesting)) if type(nesting) is list else nesting


def _own(value: Any) -> Any:
    return value.copy() if type(value) is np.ndarray else value


def _ordered(x: Any, var: Var) -> Any:
    """Return an input as the native function takes it: contiguous, aligned, of its very dtype."""
    if var.type.weak:
        return complex(x) if var.type.dtype.kind == "c" else float(x)
    # by name, as equal dtypes may be several objects, of which the entry knows one
    array = empty(var.type.shape, var.type.dtype.str)
    array[...] = x
    return array


# -- a function of Python from an address ------------------------------------------------------


class _MethodDef(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


# Python reads a function's definition once more when the function goes away, so a definition must
# outlive its function, whatever the order in which objects are freed, also when the interpreter
# ends: these few bytes are used again for another function of the same address, and stay else.
_definitions: dict[int, _MethodDef] = {}
_definitions_lock = threading.Lock()


def python_function(address: int, owner: Any) -> Any:
    """Return a callable for an emitted entry; ``owner`` keeps its machine code."""
    with _definitions_lock:
        definition = _definitions.get(address)
        if definition is None:
            definition = _MethodDef(b"native", address, METH_FASTCALL, None)
            _definitions[address] = definition
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(definition))
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.POINTER(_MethodDef), ctypes.py_object, ctypes.c_void_p]
    return make(ctypes.byref(definition), owner, None)
