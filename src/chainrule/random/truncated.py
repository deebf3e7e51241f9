"""The quantile function of the normal distribution between two bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..primitives.special import LOG_NDTR, NDTRI_EXP
from .portable import LOG


def truncated_quantile(u: Any, lower: Any, upper: Any) -> Any:
    """Return Φ⁻¹((1 − u) Φ(lower) + u Φ(upper))."""
    # where both bounds are positive, the other tail is where the probabilities are exact
    mirrored = np.greater(lower, 0.0)
    sign = np.where(mirrored, -1.0, 1.0)
    near = np.where(mirrored, -upper, lower)
    far = np.where(mirrored, -lower, upper)
    share = np.where(mirrored, 1.0 - u, u)
    logarithm = np.logaddexp(LOG(1.0 - share) + LOG_NDTR(near), LOG(share) + LOG_NDTR(far))
    return np.clip(sign * NDTRI_EXP(np.minimum(logarithm, 0.0)), lower, upper)
