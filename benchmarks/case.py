"""What a benchmark case is: one function, the derivative asked for, and how each peer writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Function = Callable[..., Any]
Builder = Callable[[Any, Any], Function]
"""``build(np, scan)`` gives the function, for a namespace and, where it loops, a ``scan``."""


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes
    ----------
    target : float
        The CPU time that is aimed at, as a fraction of the best peer's.
    inputs : callable
        ``inputs(quick)`` gives the arguments, the same on every call; tiny ones if quick.
    forms : dict of str to Builder
        The ways to write the function in NumPy. Compiled systems are timed with each; the first is
        the one that counts, the last is what one writes without thinking of a compiler.
    derivative : str
        ``gradient`` (value and gradients), ``step`` (value and parameters after a step of gradient
        descent), ``grad`` (gradients alone), ``hvp``, ``hessian``, or ``jacobian`` (of each row of
        the arguments).
    wrt : int, optional
        The function is differentiated by so many first arguments; by default by all.
    tolerance : float
        How far results may be apart, beside the largest number of each array.
    jax, torch, autograd : callable, optional
        ``build()`` gives the function as a user of that system writes it, where it isn't the NumPy
        code with another namespace.
    by_hand : callable, optional
        The value and all derivatives in NumPy, derived by hand.
    c : str, optional
        The name of the C function in ``floor.c`` that does the same.
    flops, traffic : int
        Operations of multiplication and addition in products, and bytes of arguments and results:
        no implementation of this algorithm can do with less.
    """

    name: str
    title: str
    target: float
    inputs: Callable[[bool], tuple[Any, ...]]
    forms: Mapping[str, Builder]
    derivative: str = "gradient"
    wrt: int | None = None
    tolerance: float = 1e-6
    jax: Callable[[], Function] | None = None
    torch: Callable[[], Function] | None = None
    autograd: Callable[[], Function] | None = None
    by_hand: Function | None = None
    c: str | None = None
    flops: int = 0
    traffic: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Peers that cannot express the case, and why."""

    @property
    def main(self) -> str:
        """The form that counts."""
        return next(iter(self.forms))

    @property
    def plain(self) -> str:
        """The form without thought of a compiler."""
        return list(self.forms)[-1]

    def argnums(self, args: tuple[Any, ...]) -> tuple[int, ...]:
        """Return the positions of the arguments to differentiate by."""
        return tuple(range(len(args) if self.wrt is None else self.wrt))


RATE = 0.01
"""The step length of gradient descent in cases of the kind ``step``."""
