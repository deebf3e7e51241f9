"""The log-likelihood of a mixture of Gaussians with a Wishart prior: ADBench's objective.

F. Srajer, Z. Kukelova, A. Fitzgibbon, A benchmark of selected algorithmic differentiation tools on
some problems in computer vision and machine learning, 2018. Each Gaussian has a weight, a mean, and
the factor of its inverse covariance: the logarithms of the diagonal, then the lower triangle,
column by column. The data are random ones of ADBench's sizes.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy

from ..case import Case

GAMMA, EXTRA = 1.0, 0  # of the Wishart prior


def inputs(d: int, k: int, quick: bool) -> tuple[Any, ...]:
    """Return weights, means, factors and points."""
    rng = numpy.random.default_rng(0)
    d, k, n = (3, 2, 5) if quick else (d, k, 1000)
    return (
        rng.standard_normal(k),
        rng.random((k, d)),
        0.5 * rng.standard_normal((k, d * (d + 1) // 2)),
        rng.random((n, d)),
    )


def triangle(d: int) -> Any:
    """Return where each element of a strictly lower triangle is stored; 0 stands for a zero."""
    place = numpy.zeros((d, d), int)
    columns, rows = numpy.triu_indices(d, 1)
    place[rows, columns] = 1 + numpy.arange(len(rows))
    return place


def constant(n: int, d: int, k: int) -> float:
    """Return the part of the log-likelihood that depends on no parameter."""
    wishart = d + EXTRA + 1
    prior = wishart * d * (math.log(GAMMA) - 0.5 * math.log(2))
    prior -= 0.25 * d * (d - 1) * math.log(math.pi)
    prior -= sum(math.lgamma(0.5 * (wishart - j)) for j in range(d))
    return -0.5 * n * d * math.log(2 * math.pi) - k * prior


def build(np: Any, scan: Any) -> Any:
    """Return the log-likelihood."""

    def logsumexp(x: Any) -> Any:
        m = np.max(x, axis=-1, keepdims=True)
        return np.log(np.sum(np.exp(x - m), axis=-1)) + m[..., 0]

    def objective(alphas: Any, means: Any, factors: Any, x: Any) -> Any:
        (n, d), k = x.shape, len(alphas)
        logs, below = factors[:, :d], factors[:, d:]
        lower = np.concatenate([np.zeros((k, 1)), below], axis=1)[:, triangle(d)]
        centred = x[:, None, :] - means
        scaled = np.exp(logs) * centred + np.einsum("kij,nkj->nki", lower, centred)
        volumes = np.sum(logs, axis=1)
        inner = alphas + volumes - 0.5 * np.sum(scaled**2, axis=2)
        prior = 0.5 * GAMMA**2 * (np.sum(np.exp(2 * logs)) + np.sum(below**2))
        prior = prior - EXTRA * np.sum(volumes)
        return constant(n, d, k) + np.sum(logsumexp(inner)) - n * logsumexp(alphas) + prior

    return objective


def torch_function() -> Any:
    """Return the log-likelihood in PyTorch."""
    import torch

    def objective(alphas: Any, means: Any, factors: Any, x: Any) -> Any:
        (n, d), k = x.shape, len(alphas)
        logs, below = factors[:, :d], factors[:, d:]
        padded = torch.cat([factors.new_zeros(k, 1), below], dim=1)
        lower = padded[:, torch.from_numpy(triangle(d))]
        centred = x[:, None, :] - means
        scaled = torch.exp(logs) * centred + torch.einsum("kij,nkj->nki", lower, centred)
        volumes = torch.sum(logs, dim=1)
        inner = alphas + volumes - 0.5 * torch.sum(scaled**2, dim=2)
        prior = 0.5 * GAMMA**2 * (torch.sum(torch.exp(2 * logs)) + torch.sum(below**2))
        prior = prior - EXTRA * torch.sum(volumes)
        total = torch.sum(torch.logsumexp(inner, 1)) - n * torch.logsumexp(alphas, 0)
        return constant(n, d, k) + total + prior

    return objective


CASES = tuple(
    Case(
        name=f"gmm_d{d}_k{k}",
        title=f"mixture of Gaussians, d = {d}, k = {k}, n = 1,000",
        target=target,
        inputs=partial(inputs, d, k),
        forms={"NumPy": build},
        wrt=3,
        torch=torch_function,
        flops=3 * 1000 * k * d * (d - 1),
    )
    for d, k, target in ((10, 25, 0.5), (64, 5, 0.75))
)
