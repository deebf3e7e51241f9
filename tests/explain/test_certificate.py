"""A wrong derivative is found, at its own edge; a right one is not accused."""

import numpy as np
import pytest

from chainrule.explain import explain
from chainrule.maps import IDENTITY, LinearMap, scale
from chainrule.program.primitive import PRIMITIVES


def program(W, x):
    z = W @ x
    a = np.sin(z)
    s = np.sum(a)
    return s * s


def arguments(dtype=float):
    rng = np.random.default_rng(3)
    return rng.normal(size=(3, 2)).astype(dtype), rng.normal(size=2).astype(dtype)


@pytest.fixture
def sine(monkeypatch):
    def set_rule(rule):
        monkeypatch.setattr(PRIMITIVES["sin"], "d", (rule,))

    return set_rule


def verdicts(explanation):
    return {step.name: step.verified for step in explanation.steps}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_right_program_passes(dtype):
    e = explain(program, (0, 1))(*arguments(dtype))
    assert e.verified
    assert all(step.smooth and not step.note for step in e.steps)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_wrong_rule_is_named_at_its_edge(sine, dtype):
    sine(lambda y, x: scale(np.cos(x) * 1.001))
    e = explain(program, (0, 1))(*arguments(dtype))
    assert verdicts(e) == {"s": True, "a": True, "z": False, "W": True, "x": True}
    assert e.edges == (4, 5)
    assert e.step("z").error == pytest.approx(1e-3, rel=0.2)
    assert "✗" in e.to_text()
    assert e.step("z").smooth


class _Lopsided(LinearMap):
    """A map whose transpose is not its transpose."""

    def apply(self, v):
        return v

    def transpose(self):
        return scale(2.0)

    def text(self, v, show):
        return v


def test_a_wrong_transpose_is_found_as_well(monkeypatch):
    monkeypatch.setattr(PRIMITIVES["neg"], "d", (lambda y, x: _negated(),))
    e = explain(lambda x: np.sum(-x))(np.array([1.0, 2.0]))
    assert not e.verified


def _negated():
    from chainrule.maps import compose

    return compose(scale(-1.0), _Lopsided())


def test_a_forgotten_factor_of_a_constant_is_found(monkeypatch):
    monkeypatch.setattr(PRIMITIVES["exp"], "d", (lambda y, x: IDENTITY,))
    e = explain(lambda x: np.sum(np.exp(x)))(np.array([1.0, 2.0]))
    assert not e.verified


def test_a_formula_is_shown_only_if_it_is_what_was_computed(sine):
    # the formula comes from the wrong rule too: it says what was done, not what should have been
    sine(lambda y, x: scale(np.cos(x) * 3.0))
    e = explain(program, (0, 1))(*arguments())
    assert e.step("z").formula == "∂L/∂a ⊙ 3cos(z)"


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
def test_sizes_do_not_matter(size):
    e = explain(lambda x: np.sum(np.tanh(x / size) * x))(np.array([0.3, -1.2]) * size)
    assert e.verified


def test_domains_are_respected():
    e = explain(lambda x: np.sum(np.log(x) + np.sqrt(x)))(np.array([1e-9, 1.0, 3.0]))
    assert e.verified


def test_cancellation_is_not_taken_for_an_error():
    def f(z):
        m = np.max(z)
        return m + np.log(np.sum(np.exp(z - m)))

    e = explain(f)(np.array([0.3, 2.0, 1.0]))
    assert e.verified


def test_integers_and_masks_stay_as_they_are():
    def f(x, n, keep):
        y = np.where(keep, x**n, x)
        return np.sum(y)

    e = explain(f)(np.array([0.5, 2.0]), 3, np.array([True, False]))
    assert e.verified
    np.testing.assert_allclose(e.gradient, [0.75, 1.0])
