"""LLVM: from the text of a module to an object file, and from there to addresses."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import llvmlite.binding as llvm

from .loader import is_supported
from .symbols import address_of
from .turns import give_way

PREFIX = "chainrule_wide_"  # of functions for which there are functions of vectors
_lock = threading.Lock()


@functools.cache
def _host() -> tuple[Any, str, str]:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features: str = llvm.get_host_cpu_features().flatten()
    if "+avx512f" in features:
        features += ",-prefer-256-bit"  # else LLVM leaves half of each vector unused
    return llvm.Target.from_default_triple(), llvm.get_host_cpu_name(), features


@functools.cache
def has(features: tuple[str, ...]) -> bool:
    """Tell whether this computer's processor has all of some features."""
    found = _host()[2].split(",")
    return all(f"+{feature}" in found for feature in features)


def machine(level: int = 3) -> Any:
    """Return a description of this computer's processor; an engine takes possession of it.

    With level 0, instructions are chosen quickly and without much thought.
    """
    target, cpu, features = _host()
    options: dict[str, Any] = {"jit": True}
    if is_supported():  # code that our own loader understands
        options = {"reloc": "pic", "codemodel": "small"}
    return target.create_target_machine(cpu=cpu, features=features, opt=level, **options)


def optimise(parts: Mapping[str, str], target: Any) -> Any:
    """Return a module of LLVM in its best form, from its parts by how much is worth doing."""
    first, *others = [_improved(text, effort, target) for effort, text in parts.items()]
    for other in others:
        first.link_in(other)
    return first


def _parsed(text: str, target: Any) -> Any:
    module = llvm.parse_assembly(text)
    module.triple = target.triple
    module.verify()
    return module


def _improved(text: str, effort: str, target: Any) -> Any:
    give_way()
    module = _parsed(text, target)
    # the higher levels take a third longer, and do more only where a condition is to be taken out
    # of a loop; unrolling takes as much
    options = llvm.create_pipeline_tuning_options(speed_level=3 if effort == "much" else 1)
    options.loop_vectorization = True
    options.slp_vectorization = True
    options.loop_unrolling = effort != "long"
    with _lock:
        builder = llvm.create_pass_builder(target, options)
        passes = _few() if effort == "little" else builder.getModulePassManager()
        passes.run(module, builder)
        _write_out_calls(module, builder)
    return module


def _few() -> Any:
    """Return what is done to tiles, which are vectors in registers as they are written."""
    passes = llvm.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    passes.add_instruction_combine_pass()
    return passes


def _write_out_calls(module: Any, builder: Any) -> None:
    """Write out the calls of functions of vectors, which the vectoriser has chosen."""
    functions = [f for f in module.functions if f.name.startswith(PREFIX) and not f.is_declaration]
    if not functions:
        return
    for function in functions:
        function.linkage = "internal"
    passes = llvm.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_instruction_combine_pass()
    passes.add_constant_merge_pass()
    passes.run(module, builder)


def object_code(parts: Mapping[str, str]) -> tuple[bytes, list[str]]:
    """Return an object file for a module, and the external symbols that it names."""
    target = machine()
    return _emitted(optimise(parts, target), target)


def quick_object_code(text: str) -> tuple[bytes, list[str]]:
    """Return the same for a module that has no loops over arrays, and is worth no passes."""
    target = machine(level=0)
    return _emitted(_parsed(text, target), target)


def _emitted(module: Any, target: Any) -> tuple[bytes, list[str]]:
    externals = [
        value.name
        for values in (module.functions, module.global_variables)
        for value in values
        if value.is_declaration and not value.name.startswith("llvm.")
    ]
    give_way()
    with _lock:
        code: bytes = target.emit_object(module)
    return code, externals


class Code:
    """The LLVM text of a program.

    Parameters
    ----------
    parts : mapping of str to str
        The LLVM assembly before optimisation, by how much is worth doing to it.
    """

    def __init__(self, parts: Mapping[str, str]) -> None:
        self._parts = parts

    @property
    def text(self) -> str:
        """The LLVM assembly before optimisation."""
        return "\n".join(self._parts.values())

    @functools.cached_property
    def optimised(self) -> str:
        """The LLVM assembly after optimisation."""
        return str(optimise(self._parts, machine()))

    @functools.cached_property
    def assembly(self) -> str:
        """The instructions of the processor."""
        target = machine()
        return str(target.emit_assembly(optimise(self._parts, target)))


class LoadedByLLVM:
    """An object file as code in memory, for platforms that our own loader doesn't know."""

    def __init__(self, data: bytes, externals: Iterable[str]) -> None:
        for name in externals:
            llvm.add_symbol(name, address_of(name))
        with _lock:
            self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine())
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(data))
            self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Return the address of a function or variable."""
        found: int = self._engine.get_function_address(name)
        return found or self._engine.get_global_value_address(name)
