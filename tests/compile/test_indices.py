"""Index arrays in compiled code: read and checked before the loops in which they are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import grad, jit
from chainrule.compile import explain_compile

RNG = np.random.default_rng(5)
X = RNG.standard_normal((7, 5, 3))
ROWS = RNG.integers(-7, 7, 11)
Pick = Callable[[Any, Any], Any]

PICKS: dict[str, Pick] = {
    "rows": lambda x, i: x[i] * 2,
    "middle": lambda x, i: x[:, i % 5] + 1,
    "last": lambda x, i: x[..., i % 3] + 1,
    "pairs": lambda x, i: x[i, i % 5] * 3,
    "computed": lambda x, i: x[(i + 1) % 7] * np.sum(x, axis=0),
    "table": lambda x, i: x[np.stack([i, i[::-1]])] - 1,
    "one": lambda x, i: x[i[3]] * x,
    "twice": lambda x, i: x[i][:, i % 5] * 2,
    "both": lambda x, i: x[i] * i[:, None, None],
    "sums": lambda x, i: np.sum(x[i] ** 2, axis=1),
    "along": lambda x, i: np.exp(x[i] - np.max(x[i], axis=-1, keepdims=True)),
}


@pytest.mark.parametrize("name", PICKS)
@pytest.mark.parametrize("shape", [(7, 5, 3), (7, 5, 40), (7, 5, 1)])
def test_elements_are_those_of_numpy(name: str, shape: tuple[int, ...]) -> None:
    pick = PICKS[name]
    x = RNG.standard_normal(shape)
    rows = ROWS if shape[2] >= 3 or name != "last" else ROWS % 1
    np.testing.assert_allclose(jit(pick)(x, rows), pick(x, rows), rtol=1e-14)


@pytest.mark.parametrize("name", PICKS)
def test_derivatives_are_those_of_numpy(name: str) -> None:
    def loss(x: Any) -> Any:
        return np.sum(np.sin(PICKS[name](x, ROWS)))

    np.testing.assert_allclose(jit(grad(loss))(X), grad(loss)(X), rtol=1e-12)


@pytest.mark.parametrize("name", ["rows", "twice", "both", "sums", "one"])
@pytest.mark.parametrize("bad", [7, -8, 10**12])
def test_indices_out_of_bounds_are_told(name: str, bad: int) -> None:
    rows = ROWS.copy()
    rows[3] = bad
    with pytest.raises(IndexError, match=rf"index {bad} is out of bounds for an axis of size 7"):
        jit(PICKS[name])(X, rows)


def test_indices_are_read_outside_of_the_innermost_loop() -> None:
    text = explain_compile(lambda x, i: np.sin(x[i]), RNG.standard_normal((7, 99)), ROWS).parts
    (part,) = text
    lines = part.code.text.splitlines()
    read = next(k for k, line in enumerate(lines) if "load i64, ptr %v" in line)
    blocks = [line for line in lines[: read + 1] if line.startswith("loop.")]
    assert len(blocks) == 1  # the outer one; the loop over 99 elements begins behind
