"""The explanation of a two-layer network, compared word by word with the one done by hand."""

import json

import numpy as np
import pytest

import chainrule
from chainrule import value_and_grad
from chainrule.explain import Explanation, explain

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
y = np.array([[0], [1], [1], [0]], float)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def loss(W1, b1, W2, b2):
    z1 = X @ W1 + b1
    a1 = sigmoid(z1)
    z2 = a1 @ W2 + b2
    a2 = sigmoid(z2)
    return np.mean((a2 - y) ** 2)


@pytest.fixture(scope="module")
def arguments():
    rng = np.random.default_rng(0)
    W1, W2 = rng.standard_normal((2, 3)), rng.standard_normal((3, 1))
    return W1, np.zeros((1, 3)), W2, np.zeros((1, 1))


@pytest.fixture(scope="module")
def explanation(arguments):
    return explain(loss, argnums=(0, 1, 2, 3))(*arguments)


def test_it_has_the_eight_steps_of_the_chain_in_order(explanation):
    assert [s.symbol for s in explanation.steps] == [
        f"∂L/∂{name}" for name in ("a2", "z2", "W2", "b2", "a1", "z1", "W1", "b1")
    ]


def test_formulas_are_in_the_names_of_the_program(explanation):
    assert [s.formula for s in explanation.steps] == [
        "2(a2 − y)/m",
        "∂L/∂a2 ⊙ a2(1−a2)",
        "a1ᵀ @ ∂L/∂z2",
        "Σ_rows ∂L/∂z2",
        "∂L/∂z2 @ W2ᵀ",
        "∂L/∂a1 ⊙ a1(1−a1)",
        "Xᵀ @ ∂L/∂z1",
        "Σ_rows ∂L/∂z1",
    ]
    assert explanation.legend == {"m": "4 (the number of elements averaged over)"}


def test_rules_are_named(explanation):
    assert [s.rule for s in explanation.steps] == [
        "mean of squares",
        "chain × sigmoid",
        "matmul, right",
        "broadcast → sum",
        "matmul, left",
        "chain × sigmoid",
        "matmul, right",
        "broadcast → sum",
    ]


def test_norms_gains_and_shapes_are_those_of_the_hand_calculation(explanation):
    norms = [0.525, 0.118, 0.0636, 0.0699, 0.207, 0.0501, 0.0191, 0.0292]
    gains = [None, 0.22, None, None, 1.76, 0.24, None, None]
    for step, norm, gain in zip(explanation.steps, norms, gains, strict=True):
        assert step.norm == pytest.approx(norm, rel=5e-3)
        assert step.gain == (None if gain is None else pytest.approx(gain, abs=5e-3))
    assert [s.shapes for s in explanation.steps] == [
        "(4,1)", "(4,1)", "(3,4)@(4,1)", "(1,1)", "(4,1)@(1,3)", "(4,3)", "(2,4)@(4,3)", "(1,3)",
    ]  # fmt: skip
    assert [s.leaf for s in explanation.steps] == [False, False, True, True] * 2


def test_lines_are_those_of_the_source(explanation):
    first = loss.__code__.co_firstlineno
    lines = [step.line - first for step in explanation.steps]
    assert lines == [5, 4, 3, 3, 3, 2, 1, 1]
    assert explanation.steps[2].span.statement.text == "z2 = a1 @ W2 + b2"


def test_every_edge_is_certified(explanation):
    assert explanation.edges == (8, 8)
    assert explanation.verified
    assert all(step.verified and step.smooth for step in explanation.steps)
    assert all(step.error < 1e-8 for step in explanation.steps)


def test_value_and_gradient_are_exactly_those_of_value_and_grad(explanation, arguments):
    value, gradient = value_and_grad(loss, argnums=(0, 1, 2, 3))(*arguments)
    assert explanation.value == value
    for ours, theirs in zip(explanation.gradient, gradient, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    by_name = {step.name: step.value for step in explanation.steps}
    np.testing.assert_array_equal(by_name["W1"], gradient[0])


def test_a_step_in_numbers(explanation):
    assert explanation.step("z2").numbers() == (
        "∂L/∂z2[0, 0] = ∂L/∂a2 ⊙ a2(1−a2) = 0.3422 × 0.6843·(1−0.6843) = 0.07392"
    )
    assert (
        explanation.step("b2")
        .numbers()
        .endswith("= 0.07392 − 0.03974 − 0.03773 + 0.07343 = 0.06988")
    )


def test_the_whole_path_to_a_parameter(explanation):
    assert explanation.path("W1") == ("∂L/∂W1 = Xᵀ[ ((∂L/∂a2 ⊙ σ′(z2)) W2ᵀ) ⊙ σ′(z1) ]")
    with pytest.raises(KeyError, match="no step for 'W3'"):
        explanation.path("W3")


def test_the_header(explanation):
    line = loss.__code__.co_firstlineno
    assert explanation.to_text(200).splitlines()[0] == (
        f"chainrule.explain(loss)   test_worked_example.py:{line}   L = 0.275391   "
        "8/8 edges verified"
    )


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_text_fits_the_width_and_is_plain(explanation, width):
    text = explanation.to_text(width)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= width
    assert "∂L/∂W1" in text


def test_data_is_ready_for_json(explanation):
    data = json.loads(json.dumps(explanation.to_dict(), allow_nan=False))
    assert data["edges_verified"] == data["edges"] == 8
    assert data["steps"][1]["formula"] == "∂L/∂a2 ⊙ a2(1−a2)"
    np.testing.assert_array_equal(data["steps"][6]["gradient"], explanation.gradient[0])


def test_module_and_function_of_one_name(arguments):
    for callable_ in (chainrule.explain, chainrule.explain.explain, explain):
        assert isinstance(callable_(loss)(*arguments), Explanation)
