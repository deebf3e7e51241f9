"""Explanations of the kinds of programs that people write."""

import inspect

import numpy as np
import pytest
from scipy.special import expit, logsumexp

from chainrule import checkpoint, grad, scan, value_and_grad, vmap
from chainrule.explain import explain
from chainrule.program.errors import GradientError
from chainrule.program.pytree import flatten

rng = np.random.default_rng(1)
X, Y = rng.normal(size=(4, 2)), rng.normal(size=(4, 1))


def explained(f, *args, argnums=0, level="statement"):
    """Explain, and compare numbers with the gradient's own, whatever the program."""
    explanation = explain(f, argnums, level=level)(*args)
    value, gradient = value_and_grad(f, argnums)(*args)
    assert explanation.value == value
    for ours, theirs in zip(flatten(explanation.gradient)[0], flatten(gradient)[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return explanation


def formulas(explanation):
    return {step.symbol: step.formula for step in explanation.steps}


def line_of(f, text):
    lines, start = inspect.getsourcelines(f)
    return start + next(i for i, line in enumerate(lines) if text in line)


def test_vectors_count_as_columns():
    def loss(W1, b1, W2, b2, x):
        z1 = np.dot(W1, x) + b1
        a1 = expit(z1)
        z2 = np.dot(W2, a1) + b2
        a2 = 1 / (1 + np.exp(-z2))
        return (a2 - 0.2) ** 2

    W1, W2 = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([0.7, 0.8])
    e = explained(
        loss, W1, np.array([0.5, 0.6]), W2, np.array(0.9), np.array([0.5, 0.3]), argnums=range(4)
    )
    assert formulas(e) == {
        "∂L/∂a2": "2(a2 − 0.2)",
        "∂L/∂z2": "∂L/∂a2 · a2(1−a2)",
        "∂L/∂W2": "∂L/∂z2 · a1",
        "∂L/∂b2": "∂L/∂z2",
        "∂L/∂a1": "∂L/∂z2 · W2",
        "∂L/∂z1": "∂L/∂a1 ⊙ a1(1−a1)",
        "∂L/∂W1": "∂L/∂z1 @ xᵀ",
        "∂L/∂b1": "∂L/∂z1",
    }
    assert e.verified


def test_a_loop_has_one_step_per_turn():
    def rnn(W, b, xs):
        h = np.zeros(3)
        for t in range(5):
            h = np.tanh(W @ h + xs[t] + b)
        return np.sum(h)

    e = explained(
        rnn, rng.normal(size=(3, 3)), np.zeros(3), rng.normal(size=(5, 3)), argnums=(0, 1)
    )
    assert [s.name for s in e.steps] == ["h⁽⁵⁾", "h⁽⁴⁾", "h⁽³⁾", "h⁽²⁾", "h⁽¹⁾", "W", "b"]
    assert e.step("h⁽²⁾").formula == "Wᵀ @ (∂L/∂h⁽³⁾ ⊙ (1−h⁽³⁾²))"
    assert e.step("h⁽²⁾").rule == "tanh ∘ matmul, right"
    assert e.step("W").formula == (
        "(∂L/∂h⁽⁵⁾ ⊙ (1−h⁽⁵⁾²)) @ h⁽⁴⁾ᵀ + … + (∂L/∂h⁽¹⁾ ⊙ (1−h⁽¹⁾²)) @ h⁽⁰⁾ᵀ  (5 uses)"
    )
    assert e.edges == (15, 15)
    assert {s.line for s in e.steps[1:5]} == {line_of(rnn, "np.tanh")}


def test_a_helper_in_a_loop_is_called_anew_in_each_turn():
    def cell(h):
        return np.sin(h)

    def f(x):
        h = x
        for _ in range(3):
            h = cell(h)
        return h

    e = explained(f, 0.5)
    assert [s.formula for s in e.steps] == [
        "cos(h⁽²⁾)",
        "∂L/∂h⁽²⁾ · cos(h⁽¹⁾)",
        "∂L/∂h⁽¹⁾ · cos(x)",
    ]


def test_a_loop_in_a_helper_belongs_to_the_call():
    def power(x, n):
        y = x
        for _ in range(n):
            y = y * x
        return y

    def f(x):
        z = power(x, 3)
        return z + x

    e = explained(f, 1.5)
    assert [s.name for s in e.steps] == ["z", "x"]
    assert e.step("x").value == grad(f)(1.5)


def test_long_loops_are_abridged():
    def f(w):
        s = w
        for _ in range(50):
            s = np.sin(s * w)
        return s

    e = explained(f, 0.9)
    assert len(e.steps) == 50
    assert len(e.to_text(100).splitlines()) < 20
    assert "⋮ steps 3–48" in e.to_text(100)
    assert len(e.to_text(200, turns=None).splitlines()) > 50


def test_a_value_used_twice_gets_a_sum():
    def f(x):
        a = np.sin(x)
        b = a * a + np.exp(a)
        return np.sum(b * x)

    e = explained(f, np.array([0.3, 0.7]))
    assert formulas(e) == {
        "∂L/∂b": "x",
        "∂L/∂a": "∂L/∂b ⊙ exp(a) + ∂L/∂b ⊙ 2a",
        "∂L/∂x": "b + ∂L/∂a ⊙ cos(x)",
    }
    assert e.step("a").rule == "sum of 2 paths"
    assert e.step("x").rule.startswith("2 uses")
    assert e.edges == (4, 4)


def test_pytrees_are_named_by_their_paths():
    def loss(p):
        h = np.maximum(0, X @ p["W1"] + p["b1"])
        out = h @ p["layers"][0]
        return np.mean((out - Y) ** 2)

    p = {"W1": rng.normal(size=(2, 3)), "b1": np.zeros(3), "layers": [rng.normal(size=(3, 1))]}
    e = explained(loss, p)
    assert formulas(e)["∂L/∂p['layers'][0]"] == "hᵀ @ ∂L/∂out"
    assert formulas(e)["∂L/∂p['W1']"] == "Xᵀ @ (∂L/∂h ⊙ [h > 0])"
    assert e.step("p['b1']").masked == pytest.approx(1 - np.mean(X @ p["W1"] > 0))
    assert e.path("p['W1']") == "∂L/∂p['W1'] = Xᵀ ((∂L/∂out p['layers'][0]ᵀ) ⊙ [h > 0])"
    assert e.verified


def test_masks_are_conditions_of_the_program():
    def f(x):
        y = np.where(x > 0, np.log(x), 0.0)
        return y.sum()

    with np.errstate(all="ignore"):
        e = explained(f, np.array([0.0, 0.5, 2.0, -1.0]))
    assert e.step("x").formula == "∂L/∂y / x ⊙ [x > 0]"
    assert e.step("x").masked == 0.5
    assert e.verified


def test_a_tie_is_marked():
    def f(x):
        y = np.maximum(x, 0)
        return y.sum()

    e = explained(f, np.array([0.0, 1.0, -1.0]))
    step = e.step("x")
    assert not step.smooth
    assert "not smooth" in step.note
    np.testing.assert_array_equal(step.value, [0.5, 1.0, 0.0])
    assert "½ at ties" in step.formula
    smooth = explained(f, np.array([2.0, 1.0, -1.0]))
    assert smooth.step("x").smooth


def test_assignment_to_elements():
    def f(x):
        r = np.zeros(3)
        for i in range(3):
            r[i] = x[i] ** 2
        return r.sum()

    e = explained(f, np.array([1.0, 2.0, 3.0]))
    assert e.step("r⁽²⁾").formula == "∂L/∂r⁽³⁾ outside [2]"
    assert e.step("x").formula == (
        "(∂L/∂r⁽³⁾[2] · 2x[2]) at [2] + (∂L/∂r⁽²⁾[1] · 2x[1]) at [1] + (∂L/∂r⁽¹⁾[0] · 2x[0]) at [0]"
    )
    assert e.verified


class Model:
    def __init__(self):
        self.scale = np.array([1.0, 2.0, 3.0])

    def loss(self, w):
        z = w * self.scale
        return np.sum(np.sqrt(z))

    def __call__(self, w):
        return self.loss(w)


@pytest.mark.parametrize("f", [Model().loss, Model(), lambda w: Model().loss(w)])
def test_methods_callable_objects_and_wrappers(f):
    e = explained(f, np.array([1.0, 2.0, 3.0]))
    assert formulas(e) == {"∂L/∂z": "0.5/√z", "∂L/∂w": "∂L/∂z ⊙ self.scale"}
    assert e.steps[1].line == line_of(Model.loss, "w * self")


def test_softmax_is_recognised():
    def softmax(z):
        e = np.exp(z - np.max(z, axis=1, keepdims=True))
        return e / np.sum(e, axis=1, keepdims=True)

    def loss(W, labels):
        z = X @ W
        p = softmax(z)
        return -np.mean(np.log(p[np.arange(4), labels]))

    e = explained(loss, rng.normal(size=(2, 3)), np.array([0, 1, 2, 0]))
    assert e.step("z").formula == "(∂L/∂p − Σ_cols(∂L/∂p ⊙ p)) ⊙ p"
    assert e.step("z").rule == "chain × softmax"
    assert e.verified


def test_log_softmax_by_logsumexp():
    def loss(W, labels):
        z = X @ W
        logp = z - logsumexp(z, axis=1, keepdims=True)
        return -np.mean(logp[np.arange(4), labels])

    e = explained(loss, rng.normal(size=(2, 3)), np.array([0, 1, 2, 0]))
    assert e.step("z").formula == "∂L/∂logp − (Σ_cols ∂L/∂logp) ⊙ softmax(z)"
    assert e.verified


def _by_labels(z, y):
    logp = z - logsumexp(z, axis=1, keepdims=True)
    return -np.mean(logp[np.arange(len(y)), y])


def _by_probabilities(z, y):
    e = np.exp(z)
    p = e / np.sum(e, axis=1, keepdims=True)
    return -np.log(p[np.arange(len(y)), y]).mean()


def _by_one_hot(z, y):
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    return -np.sum(y * np.log(p)) / len(y)


@pytest.mark.parametrize(
    ("entropy", "labels", "formula"),
    [
        (_by_labels, np.array([0, 1, 2, 0]), "(softmax(z) − onehot(labels))/m"),
        (_by_probabilities, np.array([0, 1, 2, 0]), "(softmax(z) − onehot(labels))/m"),
        (_by_one_hot, np.eye(3)[[0, 1, 2, 0]], "(softmax(z) − labels)/m"),
    ],
)
def test_cross_entropy_is_recognised_however_it_is_written(entropy, labels, formula):
    def f(W, labels):
        z = X @ W
        loss = entropy(z, labels)
        return loss

    W = rng.normal(size=(2, 3))
    e = explained(f, W, labels)
    assert e.step("z").formula == formula
    assert e.step("z").rule == "softmax cross-entropy"
    p = np.exp(X @ W)[0] / np.sum(np.exp(X @ W)[0])
    assert f"({p[0]:.4g} − 1)/4" in e.step("z").numbers()
    assert e.verified


def test_what_only_looks_like_a_cross_entropy_keeps_its_own_formula():
    def entropy(z, y):
        logp = z - logsumexp(z, axis=1, keepdims=True)
        return -np.mean(logp[np.arange(len(y)), y] * 1.5)

    def f(W, labels):
        z = X @ W
        return entropy(z, labels)

    e = explained(f, rng.normal(size=(2, 3)), np.array([0, 1, 2, 0]))
    assert all(step.rule != "softmax cross-entropy" for step in e.steps)
    assert e.verified


def test_layers_in_helpers_become_steps_of_their_own():
    def net(params, x):
        for W, b in params[:-1]:
            x = np.tanh(x @ W + b)
        W, b = params[-1]
        return x @ W + b

    def mse(p, y):
        return np.mean((p - y) ** 2)

    def loss(params):
        return mse(net(params, X), Y)

    params = [(rng.normal(size=(2, 3)), np.zeros(3)), (rng.normal(size=(3, 1)), np.zeros(1))]
    e = explained(loss, params)
    assert formulas(e) == {
        "∂L/∂net": "2(net − Y)/m",
        "∂L/∂params[1][0]": "xᵀ @ ∂L/∂net",
        "∂L/∂params[1][1]": "Σ_rows ∂L/∂net",
        "∂L/∂x": "∂L/∂net @ params[1][0]ᵀ",
        "∂L/∂params[0][0]": "Xᵀ @ (∂L/∂x ⊙ (1−x²))",
        "∂L/∂params[0][1]": "Σ_rows(∂L/∂x ⊙ (1−x²))",
    }


def test_several_results_of_one_call():
    def cell(W, h, c, x):
        g = W @ np.concatenate([h, x])
        i, u = np.split(g, 2)
        c = c + expit(i) * np.tanh(u)
        h = np.tanh(c)
        return h, c

    def f(W, xs):
        h, c = np.zeros(2), np.zeros(2)
        for x in xs:
            h, c = cell(W, h, c, x)
        return np.sum(h * c)

    e = explained(f, rng.normal(size=(4, 4)), rng.normal(size=(3, 2)))
    assert e.verified
    assert {"h⁽³⁾", "c⁽³⁾", "h⁽¹⁾", "W"} <= {s.name for s in e.steps}


def test_code_without_source():
    scope = {"np": np}
    exec("def g(x, k=2):\n    y = np.sin(x)\n    z = y * k\n    return z.sum()\n", scope)
    e = explained(scope["g"], np.array([0.5, 0.6]))
    assert formulas(e) == {"∂L/∂z": "1", "∂L/∂y": "2·∂L/∂z", "∂L/∂x": "∂L/∂y ⊙ cos(x)"}
    assert [s.line for s in e.steps] == [4, 3, 2]


def test_single_precision_has_its_own_tolerance():
    def f(w):
        z = X.astype(np.float32) @ w
        return np.sum(np.tanh(z))

    e = explained(f, rng.normal(size=(2, 3)).astype(np.float32))
    assert e.verified
    assert e.step("w").value.dtype == np.float32


def test_an_argument_without_part_in_the_result():
    e = explained(lambda x, y, n: x * n, 2.0, 3.0, 3, argnums=(0, 1))
    assert [s.name for s in e.steps] == ["x"]
    assert e.unused == ["y"]
    assert "y has no part in the result" in e.to_text()


def test_a_constant_function_has_no_steps():
    e = explained(lambda x: 3.0, 2.0)
    assert e.steps == []
    assert e.verified
    assert "L = 3" in e.to_text()


def test_numbers_that_are_not():
    def f(x):
        y = np.sqrt(x)
        return np.sum(np.sqrt(y * y))

    with np.errstate(all="ignore"):
        e = explained(f, np.array([0.0, 0.6]))
    assert not e.verified
    assert "NaN in this gradient" in e.step("y").note
    assert "NaN ✗" in e.to_text()
    assert e.to_dict()["steps"][0]["gradient"][0] == "nan"


def test_comprehensions_and_accumulated_lists():
    def f(x):
        ys = [np.sin(v) for v in x]
        return sum(ys)

    e = explained(f, np.array([0.5, 0.6]))
    assert e.verified
    assert e.step("x").value == pytest.approx(np.cos([0.5, 0.6]))


def test_linear_algebra():
    def f(A, b):
        x = np.linalg.solve(A, b)
        return np.linalg.norm(x) ** 2

    e = explained(f, rng.normal(size=(2, 2)), rng.normal(size=2), argnums=(0, 1))
    assert e.step("A").formula == "−(A⁻ᵀ ∂L/∂x) @ xᵀ"
    assert e.step("b").formula == "A⁻ᵀ ∂L/∂x"
    assert e.verified


def test_derivatives_of_derivatives():
    def energy(x):
        return np.sum(x**4)

    def f(x):
        g = grad(energy)(x)
        return np.sum(g * g)

    e = explained(f, np.array([0.5, -1.0]))
    assert [s.name for s in e.steps] == ["g", "x"]
    assert e.step("g").formula == "2g"
    assert e.verified


def test_level_primitive_has_a_step_per_operation():
    def f(x):
        y = np.sin(x) * x + 1
        return np.sum(y)

    e = explained(f, np.array([0.3, 0.7]), level="primitive")
    assert [s.formula for s in e.steps] == [
        "1",
        "∂L/∂y",
        "∂L/∂t2 ⊙ x",
        "∂L/∂t2 ⊙ t1 + ∂L/∂t1 ⊙ cos(x)",
    ]
    assert e.legend == {"t1": "sin(x)", "t2": "t1·x"}


def test_operations_with_several_results():
    def f(w, xs):
        def body(h, x):
            h = np.tanh(w * h + x)
            return h, h

        h, ys = scan(body, np.zeros(2), xs)
        return np.sum(ys) + np.sum(h**2)

    e = explained(f, np.array([0.5, 0.6]), rng.normal(size=(4, 2)), argnums=(0, 1))
    assert e.verified
    assert formulas(e) == {
        "∂L/∂ys": "1",
        "∂L/∂h": "2h",
        "∂L/∂w": "(∂h/∂w)ᵀ ∂L/∂h + (∂ys/∂w)ᵀ ∂L/∂ys",
        "∂L/∂xs": "(∂h/∂xs)ᵀ ∂L/∂h + (∂ys/∂xs)ᵀ ∂L/∂ys",
    }
    assert e.step("w").rule == "loop"


@pytest.mark.parametrize(
    "inner", [checkpoint(lambda v: np.sin(v) * v), vmap(lambda v: np.sin(v) * v)]
)
def test_transformed_pieces(inner):
    def f(x):
        y = inner(x)
        return np.sum(y)

    e = explained(f, np.array([0.5, 0.6]))
    assert e.verified
    assert [s.name for s in e.steps] == ["y", "x"]


def test_a_result_that_is_an_argument():
    e = explained(lambda x: x, 2.0)
    assert e.gradient == 1.0
    assert e.steps == []
    assert e.unused == []


def test_a_numbered_result_is_called_loss():
    def f(x):
        y = x
        for _ in range(2):
            y = y * x
        return y

    assert [s.symbol for s in explained(f, 2.0).steps] == ["∂L/∂y⁽¹⁾", "∂L/∂x"]


@pytest.mark.parametrize("result", [np.ones(2), (1.0, 2.0), 1j, None])
def test_what_has_no_gradient_is_refused_as_by_grad(result):
    def f(x):
        return x * result if isinstance(result, np.ndarray) else result

    with pytest.raises(GradientError) as ours:
        explain(f)(1.0)
    with pytest.raises(GradientError) as theirs:
        grad(f)(1.0)
    assert str(ours.value) == str(theirs.value)


def test_refusals():
    with pytest.raises(GradientError, match="level 'line'"):
        explain(np.sin, level="line")
    with pytest.raises(GradientError, match="inside a function"):
        grad(lambda x: explain(np.sin)(x).value)(1.0)
    with pytest.raises(GradientError, match="cannot be differentiated by x"):
        explain(lambda x: x * 1.0)(3)
