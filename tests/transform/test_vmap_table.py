"""vmap over every operation of the table, its values and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import grad, vmap
from chainrule.program.errors import TraceError, UnsupportedError
from tests.primitives.table import ROWS, Row
from tests.primitives.test_table import like, scalar

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


# what depends on the values of an example, as a branch or a length, is refused
NEEDS_VALUES = frozenset(
    ["lstsq", "lstsq residuals", "polyfit", "nanmedian", "nanquantile", "nonzero", "piecewise"]
)


def batch_of(x: Any) -> Any:
    """Return three examples near ``x``, so that they stay where the row is defined."""
    x = np.asarray(x)
    steps = np.array([0.0, 1e-3, -1e-3]).reshape((3,) + (1,) * x.ndim)
    return (x + steps * np.cos(np.arange(x.size, dtype=float)).reshape(x.shape)).astype(x.dtype)


def by_loop(f: Any, batches: list[Any]) -> Any:
    return np.stack([np.asarray(f(*(b[i] for b in batches))) for i in range(3)])


def close(got: Any, expected: Any, tolerance: float) -> None:
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_vmap_of_every_operation(row: Row) -> None:
    batches = [batch_of(a) for a in row.args]
    expected = by_loop(row.f, batches)
    if row.name in NEEDS_VALUES:
        with pytest.raises(TraceError, match=r"known|shape"):
            vmap(row.f)(*batches)
        return
    got = vmap(row.f)(*batches)
    close(got, expected, 1e-11)
    assert got.dtype == expected.dtype

    g = grad(scalar(row, like(row.f(*row.args), 100)))
    try:
        got = vmap(g)(*batches)
    except UnsupportedError:
        # a rule that is an escape hatch needs values, and says so: complex singular values
        assert row.name == "complex svdvals"
        return
    close(got, by_loop(g, batches), 1e-8)
