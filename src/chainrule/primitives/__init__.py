"""The operations that a program is made of; importing this room fills their tables."""

from . import (
    accumulate,
    choosing,
    contraction,
    decompositions,
    elementwise,
    fourier,
    indexing,
    inspection,
    joining,
    layout,
    linalg,
    numerical,
    reductions,
    sorting,
    special,
    windows,
)

__all__ = [
    "accumulate",
    "choosing",
    "contraction",
    "decompositions",
    "elementwise",
    "fourier",
    "indexing",
    "inspection",
    "joining",
    "layout",
    "linalg",
    "numerical",
    "reductions",
    "sorting",
    "special",
    "windows",
]
