"""Compile a loop over arrays around one kernel, as a compiled program does."""

import ctypes
import functools

import numpy as np
from llvmlite import binding

from chainrule.compile import ir
from chainrule.compile.kernels import EMITTERS, variants
from chainrule.compile.runtime import engine

TYPES = {np.float64: ir.DoubleType(), np.float32: ir.FloatType()}
I64 = ir.IntType(64)
# kernels for whole vectors, where the processor has what they need
WIDE = sorted(variants.WIDE) if engine.has(variants.NEEDED) else []
KERNELS = [*EMITTERS, *(f"wide {name}" for name in WIDE)]
OPERANDS = {"pow": 2, "logaddexp": 2, "arctan2": 2, "xlogy": 2, "xlog1py": 2, "hypot": 2}
OPERANDS |= {"copysign": 2, "heaviside": 2}


def loop_ir(emit, dtype, operands=1):
    """The IR of ``for i in range(n): out[i] = f(x[i], ...)``."""
    module = ir.Module("kernel")
    real = TYPES[dtype]
    pointer = ir.PointerType()
    function = ir.Function(
        module, ir.FunctionType(ir.VoidType(), [I64] + [pointer] * (operands + 1)), "loop"
    )
    for argument in function.args[1:]:
        argument.add_attribute("noalias")
    entry, body, done = (function.append_basic_block(name) for name in ("entry", "body", "done"))
    n, *inputs, out = function.args
    builder = ir.IRBuilder(entry)
    builder.cbranch(builder.icmp_signed(">", n, I64(0)), body, done)
    builder.position_at_end(body)
    i = builder.phi(I64)
    values = [builder.load(builder.gep(x, [i], source_etype=real), typ=real) for x in inputs]
    builder.store(emit(builder, *values), builder.gep(out, [i], source_etype=real))
    following = builder.add(i, I64(1))
    i.add_incoming(I64(0), entry)
    i.add_incoming(following, body)
    builder.cbranch(builder.icmp_signed("<", following, n), body, done)
    ir.IRBuilder(done).ret_void()
    return module.parts()


class Loop:
    """A kernel over arrays: call it like a ufunc. ``text`` is its optimised IR."""

    def __init__(self, emit, dtype, operands=1):
        machine = engine.machine()
        module = engine.optimise(loop_ir(emit, dtype, operands), machine)
        self.text = str(module)
        self.assembly = machine.emit_assembly(module)
        self.dtype = dtype
        self._engine = binding.create_mcjit_compiler(module, machine)
        self._engine.finalize_object()
        pointers = [ctypes.c_void_p] * (operands + 1)
        address = self._engine.get_function_address("loop")
        self._function = ctypes.CFUNCTYPE(None, ctypes.c_int64, *pointers)(address)

    def bind(self, *arrays):
        """A call without arguments that computes into the last array."""
        addresses = [a.ctypes.data for a in arrays]
        return lambda: self._function(arrays[-1].size, *addresses)

    def __call__(self, *arrays, out=None):
        arrays = [np.ascontiguousarray(a, self.dtype) for a in arrays]
        out = np.empty_like(arrays[0]) if out is None else out
        self._function(out.size, *(a.ctypes.data for a in arrays), out.ctypes.data)
        return out


@functools.cache
def loop(name, dtype):
    if name.startswith("wide "):
        return Loop(functools.partial(variants.call, name=plain_name(name)), dtype)
    return Loop(EMITTERS[name], dtype, OPERANDS.get(name, 1))


def plain_name(name):
    return name.removeprefix("wide ")
