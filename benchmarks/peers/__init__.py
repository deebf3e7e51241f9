"""How each system computes what a case asks for.

A peer is a function that takes a case and its arguments and returns a function without arguments,
which computes the results once. What it needs to import it imports itself, for each peer runs in a
process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from ..case import Case

Run = Callable[[], Any]


@dataclass(frozen=True)
class Peer:
    """A system, or a way to use it.

    Attributes
    ----------
    entry : str
        Module of this package and function: ``prepare(case, args, **options)``.
    needs : str
        The package that has to be installed.
    rival : bool
        Whether the targets are measured against it: a system that finds derivatives itself.
    applies : callable
        Whether there is such a peer for a case at all.
    slow_start : bool
        Whether its first call takes so long that others may be started beside it.
    """

    entry: str
    needs: str
    options: Mapping[str, Any] = field(default_factory=dict)
    rival: bool = False
    applies: Callable[[Case], bool] = lambda case: True
    slow_start: bool = False

    def prepare(self, case: Case, args: tuple[Any, ...]) -> Run:
        """Import the system and return the function to be timed."""
        module, _, name = self.entry.partition(":")
        run: Run = getattr(import_module(f"{__name__}.{module}"), name)(case, args, **self.options)
        return run


def _has_loop_form(case: Case) -> bool:
    return case.main != case.plain


def _has_function(case: Case) -> bool:
    return case.derivative in ("gradient", "grad", "step")


INTERPRETED, JIT, JIT_PLAIN = "chainrule, interpreted", "chainrule jit", "chainrule jit, plain"
FUNCTION = "chainrule jit, function only"

PEERS: dict[str, Peer] = {
    INTERPRETED: Peer("ours:interpreted", "chainrule"),
    JIT: Peer("ours:compiled", "llvmlite"),
    JIT_PLAIN: Peer("ours:compiled", "llvmlite", {"plain": True}, applies=_has_loop_form),
    FUNCTION: Peer("ours:function_only", "llvmlite", applies=_has_function),
    "JAX": Peer("jax_jit:compiled", "jax", rival=True),
    "JAX, plain": Peer(
        "jax_jit:compiled", "jax", {"plain": True}, True, lambda c: _has_loop_form(c) or bool(c.jax)
    ),
    "PyTorch, eager": Peer("pytorch:eager", "torch", rival=True),
    "PyTorch, compiled loss": Peer(
        "pytorch:compiled_loss", "torch", {}, True, _has_function, slow_start=True
    ),
    "PyTorch, compiled gradient": Peer(
        "pytorch:compiled_gradient", "torch", {}, True, slow_start=True
    ),
    "autograd": Peer("hips:differentiated", "autograd", rival=True),
    "NumPy by hand": Peer("by_hand:in_numpy", "numpy", applies=lambda c: c.by_hand is not None),
    "C by hand": Peer("by_hand:in_c", "numpy", applies=lambda c: c.c is not None),
}
