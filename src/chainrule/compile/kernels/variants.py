"""Math functions that are called for one element, and that LLVM's vectoriser calls for many.

A function of one number names another one of a vector, by the attribute that LLVM has for that.
Both give the same bits: the function of one number calls that of a vector. After the vectoriser
has chosen, the calls are written out (see ``runtime.engine``).
"""

from __future__ import annotations

from .. import ir
from .expression import Number
from .vector import BY_WIDTH
from .wide import KERNELS, SIGNED

PREFIX = "chainrule_wide_"  # by which the engine knows them, too
NEEDED = ("avx512f", "avx512dq", "avx512vl")  # features of the processor
_WIDTHS = {ir.DoubleType(): 64, ir.FloatType(): 32}
WIDE = frozenset(kernel.__name__ for kernel in KERNELS)
_ALL = (*KERNELS, *(kernel for _, kernel in SIGNED.values()))
_KERNELS = {kernel.__name__: kernel for kernel in _ALL}


def of_sign(name: str, sign: int) -> str:
    """Return the name of the kernel for an argument of this sign; 0 if that isn't known.

    Examples
    --------
    >>> of_sign("exp", -1), of_sign("exp", 0)
    ('exp_nonpositive', 'exp')
    """
    wanted, kernel = SIGNED.get(name, (0, None))
    return name if kernel is None or sign != wanted else kernel.__name__


def call(builder: ir.IRBuilder, x: ir.Value, name: str) -> ir.Value:
    """Return a function of a number, such that loops over the call become loops over vectors."""
    module = builder.module
    width = _WIDTHS[x.type]
    full = f"{PREFIX}{name}_{width}"
    function = module.globals.get(full) or _defined(module, name, full, width)
    return builder.call(function, [x])


def _defined(module: ir.Module, name: str, full: str, width: int) -> ir.Function:
    real = BY_WIDTH[width].real
    assert isinstance(real, ir.VectorType)
    whole = _function(module, f"{full}_{real.count}", real, inline=True)
    b = ir.IRBuilder(whole.append_basic_block("entry"))
    b.ret(_KERNELS[name](Number(b, whole.args[0])).value)
    variants = {real.count: whole}
    if width == 32:  # for loops that have numbers of double width in them too
        half = _function(module, f"{full}_8", ir.VectorType(real.element, 8), inline=True)
        variants[8] = half
        b = ir.IRBuilder(half.append_basic_block("entry"))
        wider = b.call(whole, [_resized(b, half.args[0], real)])
        b.ret(_resized(b, wider, ir.VectorType(real.element, 8)))
    single = _function(module, full, real.element, inline=False)
    mapping = ",".join(f"_ZGV_LLVM_N{n}v_{full}({target.name})" for n, target in variants.items())
    single.attributes.add(f'"vector-function-abi-variant"="{mapping}"')
    single.companions = list(variants.values())
    b = ir.IRBuilder(single.append_basic_block("entry"))
    place = ir.Constant(ir.IntType(32), 0)
    vector = b.insert_element(ir.Constant(real, ir.Undefined), single.args[0], place)
    spread = b.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(place.type, real.count), 0))
    b.ret(b.extract_element(b.call(whole, [spread]), place))
    return single


def _function(module: ir.Module, name: str, kind: ir.Type, *, inline: bool) -> ir.Function:
    """Return a new function that only computes; it is kept while nobody calls it yet."""
    function = ir.Function(module, ir.FunctionType(kind, [kind]), name)
    words = ["alwaysinline" if inline else "noinline", "nounwind"]
    function.attributes.update((*words, "willreturn", "speculatable", "memory(none)"))
    function.is_local = True
    return function


def _resized(b: ir.IRBuilder, x: ir.Value, kind: ir.VectorType) -> ir.Value:
    """Return a vector with more elements at the end, which mean nothing, or with fewer."""
    assert isinstance(x.type, ir.VectorType)
    order = [k % x.type.count for k in range(kind.count)]
    return b.shuffle_vector(x, x, ir.Constant(ir.VectorType(ir.IntType(32), kind.count), order))
