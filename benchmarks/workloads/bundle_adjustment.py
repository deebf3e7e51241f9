"""The Jacobian of the residuals of bundle adjustment: ADBench's objective.

Each observation of a point by a camera gives two residuals, which depend on the camera's eleven
parameters (rotation, centre, focal length, principal point, two of radial distortion), the point
and a weight: a block of 2 × 15. The data are random ones of ADBench's size.
"""

from __future__ import annotations

from typing import Any

import numpy

from ..case import Case


def inputs(quick: bool) -> tuple[Any, ...]:
    """Return the camera, the point, the weight and the feature of each observation."""
    rng = numpy.random.default_rng(0)
    cameras, points, observations = (2, 5, 7) if quick else (49, 7776, 31843)
    camera = numpy.concatenate(
        [
            0.3 * rng.standard_normal((cameras, 3)),
            rng.standard_normal((cameras, 3)) - [0.0, 0.0, 6.0],
            500 + rng.standard_normal((cameras, 1)),
            rng.standard_normal((cameras, 2)),
            0.01 * rng.standard_normal((cameras, 2)),
        ],
        axis=1,
    )
    point = rng.standard_normal((points, 3))
    return (
        camera[rng.integers(0, cameras, observations)],
        point[rng.integers(0, points, observations)],
        rng.random(observations),
        100 * rng.standard_normal((observations, 2)),
    )


def build(np: Any, scan: Any) -> Any:
    """Return the residuals of one observation, or of a batch of them."""

    def dot(a: Any, b: Any) -> Any:
        return np.sum(a * b, axis=-1)

    def cross(a: Any, b: Any) -> Any:
        a0, a1, a2 = a[..., 0], a[..., 1], a[..., 2]
        b0, b1, b2 = b[..., 0], b[..., 1], b[..., 2]
        return np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=-1)

    def rotate(rotation: Any, x: Any) -> Any:
        angle = np.sqrt(dot(rotation, rotation))[..., None]
        axis = rotation / angle
        along = dot(axis, x)[..., None] * (1 - np.cos(angle))
        return x * np.cos(angle) + cross(axis, x) * np.sin(angle) + axis * along

    def residuals(camera: Any, point: Any, weight: Any, feature: Any) -> Any:
        seen = rotate(camera[..., 0:3], point - camera[..., 3:6])
        flat = seen[..., 0:2] / seen[..., 2:3]
        square = dot(flat, flat)[..., None]
        distortion = 1 + square * (camera[..., 9:10] + square * camera[..., 10:11])
        image = flat * distortion * camera[..., 6:7] + camera[..., 7:9]
        return weight[..., None] * (image - feature)

    return residuals


def torch_function() -> Any:
    """Return the residuals in PyTorch."""
    import torch

    return build(torch, None)


N = 31843

CASES = (
    Case(
        name="bundle_adjustment",
        title="bundle adjustment, 31,843 observations: Jacobian of the residuals",
        target=0.3,
        inputs=inputs,
        forms={"NumPy": build},
        derivative="jacobian",
        wrt=3,
        torch=torch_function,
        traffic=8 * N * (11 + 3 + 1 + 2 + 2 * 15),
    ),
)
