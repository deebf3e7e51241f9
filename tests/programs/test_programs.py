"""Programs as people write them: the gradient against differences of the unchanged program."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.program.pytree import flatten
from tests.programs import linear_algebra, models, numerics

rng = np.random.default_rng(5)
S = rng.normal(size=(3, 3))

PROGRAMS = [
    (linear_algebra.lu_determinant, (rng.normal(size=(4, 4)),)),
    (linear_algebra.cholesky_log_likelihood, (rng.normal(size=(4, 4)), rng.normal(size=4))),
    (linear_algebra.gram_schmidt, (rng.normal(size=(4, 3)),)),
    (linear_algebra.jacobi_sweeps, (rng.normal(size=3),)),
    (
        linear_algebra.kalman_filter,
        ({"log_q": -1.0, "log_r": -0.5, "start": np.array([0.1, 0.9])},),
    ),
    (linear_algebra.gaussian_process, (np.array([-1.0, -2.0]),)),
    (linear_algebra.power_iteration, (S @ S.T,)),
    (numerics.newton_root, (2.0,)),
    (numerics.runge_kutta, (np.array([1.1, 0.4, 0.4, 0.1]),)),
    (numerics.horner, (np.array([0.5, -1.0, 2.0, 0.3]),)),
    (
        numerics.tree_sum,
        (
            {
                "product": [
                    {"leaf": np.array([0.2, 0.5])},
                    {"sum": [{"leaf": np.array(0.7)}, {"leaf": S[0]}]},
                ]
            },
        ),
    ),
    (numerics.edit_distance, (np.array([1.0, 1.3, 1.7]),)),
    (numerics.forward_algorithm, (rng.normal(size=(2, 2)),)),
    (numerics.heat_equation, (rng.normal(size=7),)),
    (numerics.cubic_spline, (rng.normal(size=4),)),
    (numerics.mandelbrot_escape, (0.4,)),
    (numerics.bisection, (3.0,)),
    (numerics.simpson, (1.5,)),
    (numerics.fibonacci_matrix, (np.array([1.0, 0.8]),)),
    (
        models.softmax_regression,
        ({"W": rng.normal(size=(2, 3)), "b": rng.normal(size=3)},),
    ),
    (models.network_loss, (rng.normal(size=17),)),
    (models.attention, ({name: rng.normal(size=(3, 3)) for name in "qkv"},)),
    (models.convolution_by_loops, (rng.normal(size=(3, 3)),)),
    (models.k_means_loss, (rng.normal(size=(3, 2)),)),
    (
        models.springs,
        ({"x": rng.normal(size=(3, 2)), "v": rng.normal(size=(3, 2)), "g": 9.81},),
    ),
    (models.recurrent, ({"W": S, "u": rng.normal(size=3)},)),
    (models.batch_norm, (rng.normal(size=2),)),
]


def differences(f, args):
    """Central differences by every element of every argument."""
    leaves, tree = flatten(args)
    gradients = []
    for n, leaf in enumerate(leaves):
        gradient = np.zeros(np.shape(leaf))
        for index in np.ndindex(np.shape(leaf)):
            ends = []
            for step in (1e-6, -1e-6):
                moved = np.array(leaf, dtype=float)
                moved[index] += step
                changed = [*leaves[:n], moved if np.ndim(leaf) else float(moved), *leaves[n + 1 :]]
                copies = [x.copy() if isinstance(x, np.ndarray) else x for x in changed]
                ends.append(f(*tree.unflatten(copies)))
            gradient[index] = (ends[0] - ends[1]) / 2e-6
        gradients.append(gradient)
    return gradients


@pytest.mark.parametrize(("f", "args"), PROGRAMS, ids=[f.__name__ for f, _ in PROGRAMS])
def test_value_and_gradient(f, args):
    plain = f(*args)
    value, gradient = cr.value_and_grad(f, argnums=tuple(range(len(args))))(*args)
    np.testing.assert_array_equal(value, plain)
    for ours, expected in zip(flatten(gradient)[0], differences(f, args), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=2e-5, atol=2e-7)


@pytest.mark.parametrize(("f", "args"), PROGRAMS, ids=[f.__name__ for f, _ in PROGRAMS])
def test_the_gradient_again_after_the_arguments_came_back_unchanged(f, args):
    before = [np.copy(leaf) for leaf in flatten(args)[0]]
    first = flatten(cr.grad(f)(*args))[0]
    second = flatten(cr.grad(f)(*args))[0]
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    for leaf, kept in zip(flatten(args)[0], before, strict=True):
        np.testing.assert_array_equal(leaf, kept)


@pytest.mark.parametrize(("f", "args"), PROGRAMS, ids=[f.__name__ for f, _ in PROGRAMS])
def test_forward_mode_agrees(f, args):
    direction = [rng.normal(size=np.shape(leaf))[()] for leaf in flatten(args)[0]]
    tangents = flatten(args)[1].unflatten(direction)
    _, moved = cr.jvp(f, args, tangents)
    gradient = flatten(cr.grad(f, argnums=tuple(range(len(args))))(*args))[0]
    expected = sum(np.sum(g * d) for g, d in zip(gradient, direction, strict=True))
    np.testing.assert_allclose(moved, expected, rtol=1e-9, atol=1e-12)
