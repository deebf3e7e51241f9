"""PyTorch: eager, with a compiled loss, and with the whole gradient compiled."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..case import RATE, Case
from . import Run


def eager(case: Case, args: tuple[Any, ...]) -> Run:
    """Differentiate as PyTorch's users do, by the tape of what ran."""
    return _by_tape(case, args, lambda f: f)


def compiled_loss(case: Case, args: tuple[Any, ...]) -> Run:
    """Compile the loss; the tape then holds its compiled derivative."""
    import torch

    return _by_tape(case, args, torch.compile)


def compiled_gradient(case: Case, args: tuple[Any, ...]) -> Run:
    """Compile the function that ``torch.func`` makes of the loss."""
    import torch

    run = torch.compile(_functional(case, args, _function(case)))
    there = _tensors(args)
    return lambda: run(*there)


def _function(case: Case) -> Any:
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    assert case.torch is not None
    return case.torch()


def _tensors(args: tuple[Any, ...]) -> list[Any]:
    import torch

    return [torch.from_numpy(np.array(a)) for a in args]


def _by_tape(case: Case, args: tuple[Any, ...], compile: Any) -> Run:
    import torch

    f = compile(_function(case))
    there = _tensors(args)
    if case.derivative in ("hvp", "hessian", "jacobian"):
        run = _functional(case, args, f)
        return lambda: run(*there)
    wrt = [t.requires_grad_() for t in there[: len(case.argnums(args))]]

    def gradients() -> Any:
        value = f(*there)
        found = torch.autograd.grad(value, wrt)
        if case.derivative == "grad":
            return found
        if case.derivative == "gradient":
            return value, found
        with torch.no_grad():
            return value, [p - RATE * g for p, g in zip(wrt, found, strict=True)]

    return gradients


def _functional(case: Case, args: tuple[Any, ...], f: Any) -> Any:
    from torch import func

    argnums = case.argnums(args)
    if case.derivative == "grad":
        return func.grad(f, argnums)
    if case.derivative == "hvp":
        return lambda x, v: func.jvp(func.grad(f), (x,), (v,))[1]
    if case.derivative == "hessian":
        return func.hessian(f)
    if case.derivative == "jacobian":
        return func.vmap(func.jacrev(f, argnums))
    both = func.grad_and_value(f, argnums)

    def run(*args: Any) -> Any:
        gradients, value = both(*args)
        if case.derivative == "gradient":
            return value, gradients
        return value, [p - RATE * g for p, g in zip(args, gradients, strict=False)]

    return run
