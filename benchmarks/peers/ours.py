"""chainrule: interpreted, compiled, and the bare function compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..case import RATE, Case
from . import Run


def derivative(case: Case, args: tuple[Any, ...], f: Any) -> Any:
    """Return what the case asks for, as a function of all arguments."""
    import chainrule as cr

    argnums = case.argnums(args)
    if case.derivative == "gradient":
        return cr.value_and_grad(f, argnums)
    if case.derivative == "grad":
        return cr.grad(f, argnums)
    if case.derivative == "hvp":
        return lambda x, v: cr.hvp(f, (x,), (v,))
    if case.derivative == "hessian":
        return cr.hessian(f)
    if case.derivative == "jacobian":
        return cr.vmap(cr.jacobian(f, argnums))
    both = cr.value_and_grad(f, argnums)

    def step(*args: Any) -> Any:
        value, gradients = both(*args)
        return value, [p - RATE * g for p, g in zip(args, gradients, strict=False)]

    return step


def interpreted(case: Case, args: tuple[Any, ...]) -> Run:
    """Differentiate the plain NumPy function, without compiling."""
    import chainrule as cr

    run = derivative(case, args, case.forms[case.plain](np, cr.scan))
    return lambda: run(*args)


def compiled(case: Case, args: tuple[Any, ...], plain: bool = False) -> Run:
    """Compile the derivative to one native function."""
    import chainrule as cr

    form = case.plain if plain else case.main
    run = cr.jit(derivative(case, args, case.forms[form](np, cr.scan)))
    return lambda: run(*args)


def function_only(case: Case, args: tuple[Any, ...]) -> Run:
    """Compile the function without any derivative, to see what the derivative costs."""
    import chainrule as cr

    run = cr.jit(case.forms[case.main](np, cr.scan))
    return lambda: run(*args)
