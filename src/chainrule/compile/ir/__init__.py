"""Programs of LLVM as text, written instruction by instruction.

The names are those of ``llvmlite.ir``, of which this is the part that the compiler needs. An
instruction becomes text at once, without an object that stands for it, and that is most of the time
that writing a program takes.
"""

from .builder import IRBuilder, Phi
from .module import LENGTH, Block, Function, GlobalVariable, Module
from .types import (
    ArrayType,
    DoubleType,
    FloatType,
    FunctionType,
    IntType,
    PointerType,
    Type,
    VectorType,
    VoidType,
    filled_in,
)
from .values import Constant, Undefined, Value

__all__ = [
    "LENGTH",
    "ArrayType",
    "Block",
    "Constant",
    "DoubleType",
    "FloatType",
    "Function",
    "FunctionType",
    "GlobalVariable",
    "IRBuilder",
    "IntType",
    "Module",
    "Phi",
    "PointerType",
    "Type",
    "Undefined",
    "Value",
    "VectorType",
    "VoidType",
    "filled_in",
]
