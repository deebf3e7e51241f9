"""jit: a function that is compiled to machine code when it is first called."""

from __future__ import annotations

import functools
import time
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..program.equation import Equation, Var
from ..program.errors import ChainruleError
from ..program.program import Program
from ..program.pytree import TreeDef, flatten
from ..program.records import record, replaced
from ..program.spans import span_of
from ..trace import Tracer, current
from ..trace.program import trace_program
from .report import Compilation
from .runtime.turns import in_a_hurry
from .warning import JitWarning

if TYPE_CHECKING:
    from .native import Native
    from .recorded import Recorded
    from .tiers import Watch


@record
class Compiled:
    """One version of a jitted function: for one structure of arguments and their types.

    Attributes
    ----------
    program : Program
        What the function computes.
    native : Native or None
        Its machine code; a Mixed where parts are left to NumPy; None where all is interpreted.
    dynamic : list of int
        Which leaves of the arguments are inputs of the program.
    watch : Watch or None
        Whether code of its own is made in the background, where the code serves all lengths; or
        how the code came about that was made so.
    """

    __slots__ = ("__dict__", "__weakref__", "entry", "finish")  # those that each call reads

    program: Program
    native: Any
    dynamic: list[int]
    out_tree: TreeDef
    arity: int = -1
    """How many positional arguments there are, where each of them is one input; else -1."""
    watch: Watch | None = None

    def __post_init__(self) -> None:
        self.arrange = _arranger(self.out_tree)
        if type(self.native).__name__ == "Native":
            self.entry = self.native.call
            self.finish = _finisher(self.out_tree, self.native)
        else:
            self.arity = -1

    def __str__(self) -> str:
        return str(Compilation(self, self.program.name))

    def run(self, leaves: list[Any]) -> Any:
        """Return what the function returns for these leaves of its arguments."""
        given = [leaves[i] for i in self.dynamic]
        if self.native is None:
            return self.arrange(list(self.program.evaluate(*given)))
        if self.watch is None:
            return self.arrange(self.native.run(given))
        begin = time.perf_counter()
        results = self.native.run(given)
        self.watch.add(time.perf_counter() - begin)
        return self.arrange(results)

    def watched(self, watch: Watch) -> None:
        """Have a watch count the calls and their time, as long as it wants to know."""
        self.watch = watch
        own, call, clock = weakref.ref(self), self.native.call, time.perf_counter

        def entry(*args: Any) -> Any:
            begin = clock()
            results = call(*args)
            if results is not None and watch.add(clock() - begin):
                version = own()
                if version is not None and version.watch is watch:
                    version.entry = call
            return results

        self.entry = entry

    def retire(self) -> None:
        """Refuse all arguments, so that who calls looks for another version."""
        self.entry = lambda *_: None


class _Code:
    """A piece of source code that stands for a leaf."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _arranger(out_tree: TreeDef) -> Callable[[list[Any]], Any]:
    """Return a function that puts leaves into a structure; compiled, if Python can write it."""
    shape = out_tree.unflatten([_Code(f"r[{i}]") for i in range(out_tree.num_leaves)])
    if _is_literal(shape):
        arrange: Callable[[list[Any]], Any] = eval(f"lambda r: {shape!r}")
        return arrange
    return out_tree.unflatten


def _finisher(out_tree: TreeDef, native: Any) -> Callable[[Any, Any], Any] | None:
    """Return what makes the result of arguments and native results; None if these are it."""
    shape = out_tree.unflatten([_Code(part) for part in native.parts])
    if not _is_literal(shape):
        return lambda x, m: out_tree.unflatten(native.select(x, m))
    if native.nesting == out_tree.unflatten(list(range(out_tree.num_leaves))):
        return None
    finish: Callable[[Any, Any], Any] = eval(f"lambda x, m: {shape!r}", dict(native.names))
    return finish


def _nesting(program: Program, out_tree: TreeDef) -> tuple[Any, ...] | None:
    """Return the tuples of which a result consists, if it does and all in it is computed."""
    outputs, given = program.outputs, set(program.inputs)
    computed = all(type(o) is Var and o not in given for o in outputs)
    if not computed or len(set(outputs)) < len(outputs):
        return None
    shape = out_tree.unflatten(list(range(len(outputs))))
    return shape if _is_nest(shape) else None


def _is_nest(tree: Any) -> bool:
    return type(tree) is tuple and all(type(t) is int or _is_nest(t) for t in tree)


def _is_literal(tree: Any) -> bool:
    if type(tree) in (tuple, list):
        return all(map(_is_literal, tree))
    if type(tree) is dict:
        return all(type(k) is str for k in tree) and all(map(_is_literal, tree.values()))
    return tree is None or type(tree) is _Code


class jit:  # noqa: N801 - used as a decorator, like the functions beside it
    """Compile a function to machine code.

    The function is recorded with the shapes and dtypes of its first call, and every further
    combination of them once more; shapes that differ in lengths only share their machine code.
    What is recorded must not depend on the values of its arrays: use ``np.where`` or ``cond`` to
    choose. Python's integers, booleans and strings are fixed parts of the recorded program, as are
    keyword options named in ``static``.

    Inside of another transformation (``grad(jit(f))``) the function is recorded along; for the
    speed of compiled derivatives write ``jit(grad(f))``.

    Parameters
    ----------
    f : callable
        A function of arrays, numbers and pytrees of them, without side effects.
    static : sequence of int or str
        Arguments that are fixed parts of the program, by position or name; they are compared by
        ``==`` and must be hashable.
    donate : sequence of int or str
        Arguments that the caller no longer needs, by position or name: results of the same shape
        and dtype are written over their arrays where that is possible, and are these very arrays.
        Only arrays that are contiguous and share no memory with other arguments.
    background : bool
        Whether a shape that is called often may get code of its own, made in the background, in
        place of code for all lengths. When that comes depends on the clock, and results then
        differ in their last digits: say False where a run must repeat to the last bit.

    Warns
    -----
    JitWarning
        If a part of the function cannot be compiled yet: it is then interpreted.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import grad
    >>> slope = jit(grad(lambda x: np.sum(np.sin(x) * x)))
    >>> x = np.array([0.5, 1.0])
    >>> bool(np.allclose(slope(x), np.cos(x) * x + np.sin(x), rtol=1e-14))
    True
    """

    __slots__ = ("__dict__", "__weakref__", "_last")  # that is found sooner than in a dictionary

    def __init__(
        self,
        f: Callable[..., Any],
        *,
        static: Sequence[int | str] = (),
        donate: Sequence[int | str] = (),
        background: bool = True,
    ) -> None:
        functools.update_wrapper(self, f)
        self.f = f
        self.static = frozenset(static)
        self.donate = frozenset(donate)
        self.background = background
        self.versions: dict[Any, Compiled] = {}
        self._families: dict[Any, Any] = {}
        self._promoted: dict[Any, Compiled] = {}
        self._last: Compiled | None = None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Return the method of an instance."""
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the compiled version for these arguments, compiling it when it's the first time."""
        last = self._last
        if last is not None and not kwargs:
            results = last.entry(*args)
            if type(results) is not tuple:
                results = last.native.told(args, results)
            if results is not None:
                return results if last.finish is None else last.finish(args, results)
        if current() is not None:  # traced arguments: the entry has refused them
            return self.f(*args, **kwargs)
        leaves, key = self._key(args, kwargs)
        version = self.versions.get(key)
        if version is None:
            version = self._compile(args, kwargs, leaves, key)
        self._last = version if version.arity >= 0 else None
        return version.run(leaves)

    def lower(self, *args: Any, **kwargs: Any) -> Compiled:
        """Return the version for these arguments, to look at its program and machine code."""
        leaves, key = self._key(args, kwargs)
        if key not in self.versions:
            self._compile(args, kwargs, leaves, key)
        return self.versions[key]

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Any]:
        if self.static:
            fixed = tuple(a for i, a in enumerate(args) if i in self.static)
            named = tuple(sorted((k, v) for k, v in kwargs.items() if k in self.static))
            args = tuple(None if i in self.static else a for i, a in enumerate(args))
            kwargs = {k: v for k, v in kwargs.items() if k not in self.static}
        else:
            fixed = named = ()
        leaves, treedef = flatten((args, kwargs))
        return leaves, (treedef, fixed, named, *map(_kind, leaves))

    def _compile(self, args: Any, kwargs: Any, leaves: list[Any], key: Any) -> Compiled:
        fixed = {i: a for i, a in enumerate(args) if i in self.static}
        options = {k: v for k, v in kwargs.items() if k in self.static}
        free = tuple(a for i, a in enumerate(args) if i not in fixed)
        named = {k: v for k, v in kwargs.items() if k not in options}

        @functools.wraps(self.f)
        def of_free(*given: Any, **rest: Any) -> Any:
            remaining = iter(given)
            full = [fixed[i] if i in fixed else next(remaining) for i in range(len(args))]
            return self.f(*full, **rest, **options)

        program, out_tree = trace_program(
            of_free if fixed or options else self.f, *free, abstract=True, rolls=True, **named
        )
        dynamic = [i for i, x in enumerate(leaves) if _is_input(x)]
        plain = not kwargs and not fixed and len(dynamic) == len(leaves) == len(args)
        flat = plain and all(map(_is_input, args))
        given = self._given_away(args, kwargs)
        donated = frozenset(k for k, leaf in enumerate(dynamic) if given[leaf])
        with in_a_hurry():
            native = self._native(program, donated, out_tree, key)
        made = Compiled(program, native, dynamic, out_tree, len(args) if flat else -1)
        if getattr(native, "template", None) is not None:
            self._watch(key, made)
        self.versions[key] = made
        return made

    def _watch(self, key: Any, version: Compiled) -> None:
        """Have code made for exactly these shapes if they are called often."""
        from . import tiers

        if not self.background or not tiers.is_wanted():
            return
        owner, watched = weakref.ref(self), weakref.ref(version)  # who goes takes all along

        def deliver(native: Native) -> None:
            jitted, version = owner(), watched()
            if jitted is not None and version is not None:
                jitted._promote(key, version, native)

        version.watched(tiers.Watch(version.native, deliver))

    def _promote(self, key: Any, version: Compiled, native: Native) -> None:
        """Put code for exactly these shapes in the place of code for all lengths."""
        from .tiers import MOST_OWN

        made = replaced(version, native=native)
        self.versions[key] = made
        version.retire()
        self._promoted[key] = version
        if len(self._promoted) > MOST_OWN:
            oldest = next(iter(self._promoted))
            before = self._promoted.pop(oldest)
            self.versions[oldest].retire()
            self._watch(oldest, before)
            self.versions[oldest] = before

    def _given_away(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[bool]:
        """Return which leaves the caller no longer needs."""

        def marked(value: Any, name: int | str) -> Any:
            leaves, tree = flatten(None if name in self.static else value)
            return tree.unflatten([name in self.donate] * len(leaves))

        marks = tuple(marked(a, i) for i, a in enumerate(args))
        named = {k: marked(a, k) for k, a in kwargs.items() if k not in self.static}
        found: list[bool] = flatten((marks, named))[0]
        return found

    def _native(
        self, program: Program, donated: frozenset[int], out_tree: TreeDef, key: Any
    ) -> Any:
        from .runtime.layout import layout_is_known

        if not layout_is_known():
            self._warn("all of it, as native code is not made for this Python or platform")
            return None
        from .native import Native
        from .recorded import Recorded

        kind = tuple(map(_without_lengths, key))
        shape = out_tree.unflatten(list(range(out_tree.num_leaves)))
        recorded = Recorded(program, donated, shape if _is_nest(shape) else None)
        if kind not in self._families:  # what serves other lengths too would be found first
            native = Native.found(recorded)
            if native is not None:
                self._families[kind] = [recorded]
                return native
        return self._compiled(recorded, out_tree, kind)

    def _compiled(self, recorded: Recorded, out_tree: TreeDef, kind: Any) -> Any:
        """Return the native function of a program that is not on disk, or for other lengths."""
        from .generic import Family
        from .mixed import Mixed
        from .native import Native
        from .plan.schedule import UnsupportedError

        program, donated = recorded.lowered, recorded.donated
        nesting = _nesting(program, out_tree)
        family = self._families.get(kind)
        if type(family) is not Family:
            family = self._families[kind] = Family(family or ())
        try:
            found = family.native(program, donated, nesting) or Native.found(recorded)
            if found is None:
                found = Native(program, donated, nesting, recorded=recorded).compile()
            found.recorded = recorded
            return found
        except UnsupportedError:
            mixed = Mixed(program)
        except ImportError as error:
            if not (error.name or "").startswith("llvmlite"):
                raise
            self._warn("all of it, as llvmlite is not installed: `pip install llvmlite`")
            return None
        self._warn("; ".join(_described(*left) for left in mixed.left.values()))
        return mixed

    def _warn(self, what: str) -> None:
        name = getattr(self.f, "__name__", "the function")
        message = f"parts of `{name}` run in NumPy and not as native code: {what}"
        warnings.warn(message, JitWarning, stacklevel=5)


def explain_compile(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Compilation:
    """Return how a function is compiled for arguments, to be printed.

    It shows the program after simplification, the loop nests that it became, what memory a call
    needs, the code, and how long each stage of the compilation took.

    Parameters
    ----------
    f : callable
        A function, or what :class:`jit` made of it.
    *args, **kwargs
        Its arguments, of which only the types matter.

    Returns
    -------
    Compilation
        Also with attributes: ``program``, ``llvm``, ``assembly``.

    Examples
    --------
    >>> import numpy as np
    >>> report = explain_compile(lambda x: np.sum(np.tanh(x) * x), np.ones(1000))
    >>> text = str(report)
    >>> print(text[text.index("Loop nests") : text.index("Code")])
    Loop nests
      0: 1000, in memory order: t2 float64[] by sum
    Memory
      arguments 7.8 KiB, results 8 B, in between 128 B
      without reuse there would be 8 B in between
      peak: 7.9 KiB
        float64[]                   8 B at       64, nests 0 to 1
    <BLANKLINE>
    """
    compiled = f if isinstance(f, jit) else jit(f)
    name = getattr(compiled, "__name__", "function")
    return Compilation(compiled.lower(*args, **kwargs), name)


def _described(equation: Equation, reason: str) -> str:
    if not equation.origin:
        return reason
    span = span_of(*equation.origin[0])
    return f"{reason} ({span.file}:{span.line})"


def _is_input(x: Any) -> bool:
    return isinstance(x, float | complex | np.generic) or type(x) is np.ndarray


def _without_lengths(part: Any) -> Any:
    """Return a part of a version's key without the lengths of axes other than 0 and 1."""
    if type(part) is tuple and len(part) == 2 and isinstance(part[0], np.dtype):
        return part[0], tuple(min(n, 2) for n in part[1])
    return part


def _kind(x: Any) -> Any:
    """Return what of a leaf the compiled version depends on."""
    cls = type(x)
    if cls is np.ndarray:
        return x.dtype, x.shape
    if cls is float or cls is complex:
        return cls
    if isinstance(x, np.generic):
        return cls
    if isinstance(x, Tracer):
        raise ChainruleError("a traced value reached a compiled function from outside")
    return cls, x
