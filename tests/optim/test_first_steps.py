"""The first two steps of each optimiser, by hand."""

import numpy as np
import pytest

from chainrule import optim

G1, G2, P = 3.0, -0.5, 2.0  # the gradients of the two steps, and the parameter


def two_steps(optimiser):
    state = optimiser.init(np.array(P))
    first, state = optimiser.update(np.array(G1), state, np.array(P))
    second, _ = optimiser.update(np.array(G2), state, np.array(P) + first)
    return float(first), float(second)


def adam_moments():
    m1, v1 = 0.1 * G1, 0.001 * G1**2
    return m1, v1, 0.9 * m1 + 0.1 * G2, 0.999 * v1 + 0.001 * G2**2


def test_sgd():
    assert two_steps(optim.sgd(0.1)) == pytest.approx((-0.3, 0.05))


def test_sgd_with_momentum_and_penalty():
    b1 = G1 + 0.5 * P
    b2 = 0.9 * b1 + G2 + 0.5 * (P - 0.1 * b1)
    assert two_steps(optim.sgd(0.1, 0.9, weight_decay=0.5)) == pytest.approx((-0.1 * b1, -0.1 * b2))


def test_nesterov():
    b2 = 0.9 * G1 + G2
    steps = (-0.1 * (G1 + 0.9 * G1), -0.1 * (G2 + 0.9 * b2))
    assert two_steps(optim.sgd(0.1, 0.9, nesterov=True)) == pytest.approx(steps)


def test_adam():
    _, _, m2, v2 = adam_moments()
    second = -0.1 * (m2 / (1 - 0.81)) / (np.sqrt(v2 / (1 - 0.999**2)) + 1e-8)
    assert two_steps(optim.adam(0.1)) == pytest.approx((-0.1 * G1 / (G1 + 1e-8), second), rel=1e-12)


def test_amsgrad_divides_by_the_greatest():
    m2, v1 = adam_moments()[2], 0.5 * G1**2  # with b2 = 0.5 the second moment falls
    assert 0.5 * v1 + 0.5 * G2**2 < v1
    second = -0.1 * (m2 / (1 - 0.81)) / (np.sqrt(v1 / 0.75) + 1e-8)
    assert two_steps(optim.adam(0.1, b2=0.5, amsgrad=True))[1] == pytest.approx(second, rel=1e-12)


def test_adamw_decays_the_parameter_and_not_the_gradient():
    first = two_steps(optim.adamw(0.1, weight_decay=0.5))[0]
    assert first == pytest.approx(-0.1 * G1 / (G1 + 1e-8) - 0.1 * 0.5 * P, rel=1e-12)


def test_nadam():
    mu1, mu2 = (0.9 * (1 - 0.5 * 0.96 ** (t * 0.004)) for t in (1, 2))
    top = G1 * (1 - mu1) / (1 - mu1) + 0.1 * G1 * mu2 / (1 - mu1 * mu2)
    assert two_steps(optim.nadam(0.1))[0] == pytest.approx(-0.1 * top / (G1 + 1e-8), rel=1e-12)


def test_adamax():
    m2 = adam_moments()[2]
    second = -0.1 * m2 / (1 - 0.81) / (0.999 * G1)
    assert two_steps(optim.adamax(0.1)) == pytest.approx((-0.1, second), rel=1e-7)


def test_adagrad():
    second = 0.1 * 0.5 / np.sqrt(G1**2 + G2**2) / (1 + 0.25)
    assert two_steps(optim.adagrad(0.1, decay=0.25)) == pytest.approx((-0.1, second), rel=1e-9)


def test_adagrad_begins_at_its_initial_sum():
    first = two_steps(optim.adagrad(0.1, initial=7.0))[0]
    assert first == pytest.approx(-0.1 * G1 / np.sqrt(7 + G1**2))


def test_rmsprop():
    s1 = 0.01 * G1**2
    s2 = 0.99 * s1 + 0.01 * G2**2
    u1, u2 = G1 / (np.sqrt(s1) + 1e-8), G2 / (np.sqrt(s2) + 1e-8)
    assert two_steps(optim.rmsprop(0.1)) == pytest.approx((-0.1 * u1, -0.1 * u2))
    steps = (-0.1 * u1, -0.1 * (0.9 * u1 + u2))
    assert two_steps(optim.rmsprop(0.1, momentum=0.9)) == pytest.approx(steps)


def test_centred_rmsprop_divides_by_a_deviation():
    first = two_steps(optim.rmsprop(0.1, 0.75, centred=True))[0]
    assert first == pytest.approx(-0.1 * G1 / (G1 * np.sqrt(0.25 - 0.25**2)), rel=1e-7)


def test_centred_rmsprop_of_a_constant_gradient_stays_finite():
    optimiser = optim.rmsprop(1e-12, 0.5, centred=True)
    state = optimiser.init(np.float32(0.0))
    for _ in range(200):
        updates, state = optimiser.update(np.float32(0.1), state)
        assert np.isfinite(updates)


def test_lion():
    assert two_steps(optim.lion(0.1)) == pytest.approx((-0.1, 0.1))  # 0.9 * 0.03 - 0.1 * 0.5 < 0
    assert two_steps(optim.lion(0.1, weight_decay=0.5))[0] == pytest.approx(-0.1 - 0.1 * 0.5 * P)


def test_adafactor_of_a_number():
    first = two_steps(optim.adafactor(0.1))[0]
    assert first == pytest.approx(-0.1 * P)  # relative to the parameter; the direction is clipped


def test_adafactor_of_a_matrix():
    params, g = np.array([[3.0, 4.0], [0.0, 5.0]]), np.array([[1.0, 2.0], [2.0, 4.0]])
    optimiser = optim.adafactor(0.1, threshold=100.0)
    updates, state = optimiser.update(g, optimiser.init(params), params)
    np.testing.assert_allclose(state.row, [[2.5], [10.0]])
    np.testing.assert_allclose(state.column, [[2.5, 10.0]])
    # The square of g has rank one, so its factors lose nothing and the direction is all ones.
    np.testing.assert_allclose(updates, np.full((2, 2), -0.1 * np.sqrt(50 / 4)))


def test_lbfgs_begins_with_a_short_step_and_then_knows_the_curvature():
    optimiser = optim.lbfgs(1.0, line_search=False)
    curvature = np.array([2.0, 2.0])
    x = np.array([3.0, -4.0])
    state = optimiser.init(x)
    step, state = optimiser.update(curvature * x, state, x)
    np.testing.assert_allclose(step, -curvature * x / 14)
    x = x + step
    step, state = optimiser.update(curvature * x, state, x)
    np.testing.assert_allclose(x + step, [0, 0], atol=1e-12)
