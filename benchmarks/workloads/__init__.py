"""One module per workload; each lists its cases, of one or several sizes, in ``CASES``."""

from __future__ import annotations

from importlib import import_module

from ..case import Case

MODULES = (
    "worked_example",
    "elementwise",
    "softmax_cross_entropy",
    "logistic_regression",
    "rosenbrock",
    "dense_hessian",
    "mlp",
    "cnn",
    "attention",
    "rnn",
    "lstm",
    "gru",
    "gaussian_mixture",
    "bundle_adjustment",
    "adbench_lstm",
    "neural_ode",
)


def cases() -> dict[str, Case]:
    """Return all cases by name, in the order of the table."""
    modules = (import_module(f"{__name__}.{name}") for name in MODULES)
    return {case.name: case for module in modules for case in module.CASES}
