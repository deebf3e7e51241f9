"""LLVM: from the text of a module to addresses of machine code."""

from __future__ import annotations

import functools
import threading
from typing import Any

import llvmlite.binding as llvm

_lock = threading.Lock()


@functools.cache
def _host() -> tuple[Any, str, str]:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features: str = llvm.get_host_cpu_features().flatten()
    if "+avx512f" in features:
        features += ",-prefer-256-bit"  # else LLVM leaves half of each vector unused
    return llvm.Target.from_default_triple(), llvm.get_host_cpu_name(), features


def machine() -> Any:
    """Return a description of this computer's processor; an engine takes possession of it."""
    target, cpu, features = _host()
    return target.create_target_machine(cpu=cpu, features=features, opt=3, jit=True)


class Code:
    """Machine code that lives as long as this object.

    Attributes
    ----------
    text : str
        The LLVM assembly before optimisation.
    optimised : str
        The same after it.
    """

    def __init__(self, text: str) -> None:
        with _lock:
            target = machine()
        module = llvm.parse_assembly(text)
        module.verify()
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        options.loop_vectorization = True
        options.slp_vectorization = True
        options.loop_unrolling = True
        with _lock:
            builder = llvm.create_pass_builder(target, options)
            builder.getModulePassManager().run(module, builder)
            self.text = text
            self.optimised = str(module)
            self._engine = llvm.create_mcjit_compiler(module, target)
            self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Return the address of a function."""
        found: int = self._engine.get_function_address(name)
        return found
