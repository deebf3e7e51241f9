"""Loops found again in programs that a trace has unrolled: the same to the last bit."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import cond, grad, jvp, vmap
from chainrule.program.program import Program
from chainrule.program.pytree import flatten
from chainrule.trace.body import Body
from chainrule.trace.program import trace_program
from chainrule.transform import reroll, simplify
from tests.transform.test_simplify import assert_same as assert_same_types
from tests.transform.test_simplify import bits, names

rng = np.random.default_rng(0)
A, M = rng.standard_normal((2, 5, 5))
V = rng.standard_normal(5)
XS = rng.standard_normal(40)
ROWS = rng.standard_normal((20, 3))
WEIGHTS = (
    rng.standard_normal((4, 3)),
    rng.standard_normal((4, 4)) / 2,
    rng.standard_normal(4),
)


# -- loops as people write them ------------------------------------------------------------------


def rnn(W, U, b, xs):
    h = np.zeros(4)
    for t in range(len(xs)):
        z = W @ xs[t] + U @ h + b
        h = np.tanh(z)
    return h


def rnn_with_outputs(W, U, b, xs):
    h, hs = np.zeros(4), []
    for t in range(len(xs)):
        h = np.tanh(W @ xs[t] + U @ h + b)
        hs.append(h)
    return np.stack(hs)


def all_states(W, U, b, xs):
    h = np.zeros(4) + b
    hs = [h]
    for x in xs:
        h = np.tanh(W @ x + U @ h + b)
        hs.append(h)
    return np.array(hs), sum(hs), np.concatenate(hs)


def power_iteration(A, v):
    for _ in range(30):
        v = A @ v
        v = v / np.sqrt(np.sum(v * v))
    return v @ A @ v


def running_sum(xs):
    out, total = np.zeros(len(xs)), 0.0
    for i in range(len(xs)):
        total = total + xs[i]
        out[i] = total
    return out


def running_sum_in_place(xs):
    out = np.zeros(len(xs))
    out[0] = xs[0]
    for i in range(1, len(xs)):
        out[i] = out[i - 1] + xs[i]
    return out


def euler(y, k):
    t, dt, ys = 0.0, 0.01, []
    for _ in range(50):
        y = y + dt * (k * y * np.cos(t))
        t += dt
        ys.append(y)
    return y, np.stack(ys)


def runge_kutta(y, k):
    f = lambda y, t: np.sin(t) * y - k * y**3
    h = 0.1
    for i in range(20):
        t = i * h
        k1 = f(y, t)
        k2 = f(y + h / 2 * k1, t + h / 2)
        k3 = f(y + h / 2 * k2, t + h / 2)
        k4 = f(y + h * k3, t + h)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


def edit_distance(C):
    n, m = C.shape
    D = np.zeros((n + 1, m + 1))
    for i in range(n):
        D[i + 1, 0] = D[i, 0] + C[i, 0]
    for j in range(m):
        D[0, j + 1] = D[0, j] + C[0, j]
    for i in range(n):
        for j in range(m):
            step = np.minimum(D[i, j + 1], D[i + 1, j]) + 1.0
            D[i + 1, j + 1] = np.minimum(step, D[i, j] + C[i, j])
    return D[n, m]


def cheapest_path(c):
    row, wall = c[0], np.full(1, np.inf)
    for i in range(1, len(c)):
        left = np.concatenate([wall, row[:-1]])
        right = np.concatenate([row[1:], wall])
        row = c[i] + np.minimum(row, np.minimum(left, right))
    return np.min(row)


def laplacian(u):
    n, m = u.shape
    out = np.zeros((n, m))
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            out[i, j] = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] - 4 * u[i, j]
    return out


def heat(u):
    for _ in range(12):
        new = u.copy()
        for j in range(1, len(u) - 1):
            new[j] = u[j] + 0.1 * (u[j - 1] - 2 * u[j] + u[j + 1])
        u = new
    return u


def first_differs(xs):
    for t in range(20):
        h = xs[0] * 2.0 if t == 0 else np.sin(h) + xs[t]  # noqa: F821
    return h


def last_differs(xs):
    h = xs[0]
    for t in range(20):
        h = np.sin(h) + xs[t]
        if t == 19:
            h = h * 2.0
    return h


def every_other(x):
    for t in range(20):
        x = np.sin(x) if t % 2 else np.cos(x) * x
    return x


def fibonacci(a, b):
    for _ in range(30):
        a, b = b, 0.5 * (a + b)
    return a, b


def two_back(xs):
    known = [xs[0], xs[1]]
    for i in range(2, 30):
        known.append(0.5 * known[i - 1] + 0.3 * known[i - 2])
    return known[-1], known[-2], np.stack(known)


def layers(Ws, x):
    for W in Ws:
        x = np.tanh(W @ x)
    return x


def mean_loss(w, X):
    total = 0.0
    for i in range(len(X)):
        total += (X[i] @ w - 0.3 * i) ** 2
    return total / len(X)


def windows(xs, k):
    return np.array([np.sum(xs[t : t + 5] * k) for t in range(len(xs) - 4)])


def blocks(xs):
    out = np.zeros(20)
    for t in range(10):
        out[2 * t : 2 * t + 2] = xs[t] * np.ones(2)
    return out


def columns(M):
    s = M[:, 0] * 2.0
    for j in range(M.shape[1]):
        s = np.maximum(s * 0.5, M[:, j])
    return s


def backwards(xs):
    h = 0.0
    for t in reversed(range(len(xs))):
        h = np.tanh(h + xs[t])
    return h


def every_third(xs):
    h = 0.0
    for t in range(12):
        h = h * xs[3 * t] + t
    return h


def three_deep(x):
    for _ in range(4):
        for _ in range(5):
            for _ in range(6):
                x = x * 0.99 + 0.01 * np.sin(x)
            x = x + 1.0
        x = x * 0.5
    return x


def back_substitution(L, b):
    y = np.zeros(len(b))
    for i in range(len(b)):
        y[i] = (b[i] - L[i] @ y) / L[i, i]
    return y


def triangle(L, b):
    y = np.zeros(len(b))
    for i in range(len(b)):
        s = b[i]
        for j in range(i):
            s = s - L[i, j] * y[j]
        y[i] = s / L[i, i]
    return y


def newton(x):
    for i in range(25):
        x = x - 0.1 * (x * x - 2.0) + 0.01 * i
    return x


def tables(xs):
    table, total = np.array([3, 1, 2, 0]), 0.0
    for t in range(12):
        total = total + xs[table + t] * np.array([1.0, t, t * t, -t])
    return total


def adam(w, X):
    m, v = np.zeros(5), np.zeros(5)
    for t in range(1, 20):
        g = grad(mean_loss)(w, X)
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        w = w - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-8)
    return w


LOOPS = [  # the function, its arguments, and how many equations may be left of it
    (rnn, (*WEIGHTS, ROWS), 1),
    (rnn_with_outputs, (*WEIGHTS, ROWS), 1),
    (all_states, (*WEIGHTS, ROWS), 6),
    (power_iteration, (A, V), 3),
    (running_sum, (XS,), 1),
    (running_sum_in_place, (XS,), 4),
    (euler, (V, V), 1),
    (euler, (1.0, 2.0), 1),
    (runge_kutta, (V, 0.2), 1),
    (runge_kutta, (1.0, 0.2), 1),
    (edit_distance, (rng.random((8, 9)),), 9),
    (cheapest_path, (rng.random((20, 9)),), 4),
    (laplacian, (rng.random((9, 8)),), 1),
    (heat, (rng.random(12),), 1),
    (first_differs, (XS,), 4),
    (last_differs, (XS,), 4),
    (every_other, (V,), 1),
    (fibonacci, (1.0, 2.0), 1),
    (fibonacci, (V, V + 1), 1),
    (two_back, (XS,), 5),
    (layers, ([A / 2 + i for i in range(12)], V), 2),
    (mean_loss, (V, rng.standard_normal((50, 5))), 2),
    (windows, (XS, V), 1),
    (blocks, (XS,), 2),
    (columns, (M,), 4),
    (backwards, (XS,), 2),
    (every_third, (XS,), 3),
    (three_deep, (V,), 1),
    (back_substitution, (A, V), 1),
    (newton, (0.5,), 1),
    (newton, (V,), 1),
    (tables, (XS,), 1),
    (adam, (V, rng.standard_normal((10, 5))), 24),
]
LOOP = pytest.mark.parametrize(
    ("f", "args", "most"), LOOPS, ids=[f"{f.__name__}-{i}" for i, (f, _, _) in enumerate(LOOPS)]
)


def traced(f, args):
    return trace_program(f, *args, abstract=True)[0], flatten(args)[0]


def assert_same(program, other, *values):
    """Compare to the last bit; a Python number may have become one of NumPy's."""
    for a, b in zip(program.evaluate(*values), other.evaluate(*values), strict=True):
        assert bits(np.asarray(a)) == bits(np.asarray(b))
        assert type(a) is type(b) or isinstance(a, float)


def run(program, *values):
    """Run a program so that it can be traced in turn."""
    tree = flatten(list(program.outputs))[1]
    return Body(program.inputs, [], program.equations, program.outputs, tree).run(values, [])


def equations_in(program):
    """Count equations, those in the bodies of loops too."""
    return sum(" = " in line for line in str(program).splitlines())


class TestLoops:
    @LOOP
    def test_values(self, f, args, most):
        program, values = traced(f, args)
        rolled = reroll(program)
        assert len(rolled) <= most
        assert equations_in(rolled) < len(program)
        assert_same(program, rolled, *values)
        for seed in range(3):
            new = [
                np.random.default_rng(seed).standard_normal(np.shape(v)) * 2 if np.shape(v) else v
                for v in values
            ]
            assert_same(program, rolled, *new)

    @LOOP
    def test_gradients_are_loops_too(self, f, args, most):
        if f is adam:
            pytest.skip("its gradient takes seconds")
        total = lambda *args: sum(np.sum(np.sin(o)) for o in flatten(f(*args))[0])
        program, values = traced(grad(total, tuple(range(len(args)))), args)
        rolled = reroll(program)
        assert equations_in(rolled) < len(program)
        assert_same(program, rolled, *values)

    @LOOP
    def test_rolled_programs_can_be_differentiated(self, f, args, most):
        program, values = traced(f, args)
        rolled = reroll(program)
        total = lambda p: lambda *values: sum(np.sum(np.sin(o)) for o in run(p, *values))
        where = tuple(range(len(values)))
        for expected, found in zip(
            grad(total(program), where)(*values),
            grad(total(rolled), where)(*values),
            strict=True,
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(
            jvp(total(rolled), tuple(values), tuple(values)),
            jvp(total(program), tuple(values), tuple(values)),
            rtol=1e-9,
        )

    @LOOP
    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    def test_rolled_programs_can_be_mapped(self, f, args, most):
        program, values = traced(f, args)
        rolled = reroll(program)
        batch = [np.stack([v, np.multiply(v, 0.5)]) for v in values]
        for expected, found in zip(
            vmap(lambda *values: run(program, *values))(*batch),
            vmap(lambda *values: run(rolled, *values))(*batch),
            strict=True,
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)

    @LOOP
    def test_rolled_programs_can_be_written_down(self, f, args, most):
        program, values = traced(f, args)
        rolled = reroll(program)
        again = Program.from_json(rolled.to_json())
        assert again.fingerprint() == rolled.fingerprint() == reroll(rolled).fingerprint()
        assert_same(rolled, again, *values)

    @LOOP
    def test_together_with_simplification(self, f, args, most):
        program, values = traced(f, args)
        assert_same(program, simplify(reroll(program)), *values)
        assert_same(program, reroll(simplify(program)), *values)

    def test_concrete_traces(self):
        program, _ = trace_program(rnn, *WEIGHTS, ROWS)
        assert len(reroll(program)) == 1
        full, _ = trace_program(rnn, *WEIGHTS, ROWS, full_origins=True)
        assert len(reroll(full)) == 1

    def test_float32(self):
        args = [w.astype(np.float32) for w in (*WEIGHTS, ROWS)]
        f = lambda W, U, b, xs: [0.1 * t * np.tanh(W @ xs[t]) for t in range(10)]
        program, values = traced(f, args)
        rolled = reroll(program)
        assert_same_types(program, rolled, *values)
        program, values = traced(lambda x: np.stack(f(*args[:3], x)), args[3:])
        rolled = reroll(program)
        assert len(rolled) == 2
        assert_same_types(program, rolled, *values)

    def test_numbers_that_give_way_to_float32_stay_pythons(self):
        def f(x, v):
            for i in range(6):
                x = x * 0.5 + i
                v = v * x
            return v

        program, values = traced(f, (0.3, np.ones(3, np.float32)))
        assert_same_types(program, reroll(program), *values)
        assert program.evaluate(*values)[0].dtype == np.float32

    def test_inner_loops_of_branches(self):
        def f(x):
            return cond(x > 0, lambda x: newton(x), lambda x: x, x)

        program, _ = traced(f, (np.float64(0.5),))
        rolled = reroll(program)
        assert "scan" in str(rolled)
        assert equations_in(rolled) < 10
        assert_same(program, rolled, np.float64(0.5))


class TestLimits:
    def test_short_loops_stay(self):
        f = lambda x, n: [x := np.sin(x) * x for _ in range(n)][-1]
        for n, minimum, rolls in ((2, 3, False), (3, 3, True), (9, 10, False), (10, 10, True)):
            program, _ = trace_program(f, V, n, abstract=True)
            assert ("scan" in names(reroll(program, minimum=minimum))) == rolls

    def test_minimum_is_checked(self):
        program, _ = traced(newton, (V,))
        with pytest.raises(ValueError, match="minimum is 1"):
            reroll(program, minimum=1)

    def test_a_loop_with_changing_shapes_stays(self):
        f = lambda x: [x := x[1:] + x[:-1] for _ in range(8)][-1]
        program, _ = traced(f, (XS,))
        assert reroll(program) is program

    def test_a_growing_inner_loop_is_rolled_by_itself(self):
        program, values = traced(triangle, (rng.standard_normal((9, 9)), rng.standard_normal(9)))
        rolled = reroll(program)
        assert 1 < len(rolled) < len(program) / 2
        assert_same(program, rolled, *values)

    def test_large_weights_are_not_copied(self):
        program, _ = traced(layers, ([np.zeros((200, 200))] * 5, np.zeros(200)))
        assert reroll(program) is program
        program, _ = traced(layers, (np.zeros((5, 200, 200)), np.zeros(200)))
        assert len(reroll(program)) == 1

    def test_results_of_many_iterations_by_themselves(self):
        def f(x):
            kept = []
            for _ in range(10):
                x = np.sin(x)
                kept.append(x)
            return kept

        program, _ = traced(f, (V,))
        assert reroll(program) is program

    def test_nothing_to_do(self):
        program, _ = traced(lambda x: np.sin(x) + np.cos(x), (V,))
        assert reroll(program) is program


class TestText:
    def test_a_loop_prints_as_one(self):
        program, _ = traced(rnn, (*WEIGHTS, ROWS))
        lines = str(reroll(program)).splitlines()
        assert "h: float64[4] = scan [0.,0.,0.,0.] xs W U b" in lines[1]
        assert "steps=20" in lines[1]
        assert lines[2].strip().startswith("body(h: float64[4], xs_t: float64[3], W:")
        assert [line.split("=")[0].strip() for line in lines[6:8]] == [
            "z: float64[4]",
            "h.1: float64[4]",
        ]
        assert "test_reroll.py" in lines[6]
        assert lines[8].strip() == "return h.1"

    def test_inner_loops_are_indented(self):
        lines = str(reroll(traced(three_deep, (V,))[0])).splitlines()
        depths = [len(line) - len(line.lstrip()) for line in lines if "scan" in line]
        assert len(depths) == 3
        assert depths == sorted(set(depths))


def test_a_thousand_steps():
    xs = np.random.default_rng(0).standard_normal((1000, 3))
    total = lambda *args: np.sum(rnn(*args) ** 2)
    for f, most in ((rnn, 1), (grad(total, (0, 1, 2, 3)), 40)):
        program, values = traced(f, (*WEIGHTS, xs))
        assert len(program) >= 6000
        start = time.perf_counter()
        rolled = reroll(program)
        assert time.perf_counter() - start < 5  # a quarter of a second, on an idle machine
        assert len(rolled) <= most
        assert_same(program, rolled, *values)


# -- loops that nobody wrote -----------------------------------------------------------------------

N = 7


def step(kind, state, t):
    """One statement of a random loop."""
    s, x = state, state["x"]
    match kind:
        case "read":
            s["a"] = x[t + 1]
        case "read backwards":
            s["a"] = s["a"] + x[N - 1 - t]
        case "read twice":
            s["a"] = x[t] * x[t + 2]
        case "element":
            s["a"] = s["a"] * x[2, t % 3 if s["odd"] else 1]
        case "column":
            s["a"] = s["a"] - x[:3, 1] * x[t, 2]
        case "carry":
            s["h"] = np.tanh(s["h"] + s["a"])
        case "swap":
            s["h"], s["g"] = s["g"], s["h"] * 0.5
        case "number":
            s["a"] = s["a"] * (0.5 * t)
        case "numbers":
            s["a"] = s["a"] + np.array([1.0, t, -t])
        case "product":
            s["h"] = s["h"] * s["scale"]
        case "scalar":
            s["n"] = s["n"] * 0.5 + s["h"][1]
        case "use scalar":
            s["h"] = s["h"] + s["n"]
        case "write":
            s["out"][t] = s["h"]
        case "write element":
            s["out"][t, 1] = s["a"][0]
        case "read what was written":
            s["a"] = s["out"][t - 1] + 1.0
        case "add in place":
            s["out"][2:4] += s["a"]
        case "append":
            s["list"].append(s["a"])
        case "look back":
            s["list"].append(s["h"])
            s["a"] = s["list"][-2] + s["a"]
        case "inner":
            for j in range(3):
                s["h"] = s["h"] * 0.9 + s["a"][j]
        case "inner write":
            for j in range(3):
                s["out"][t, j] = s["a"][j] + s["out"][t - 1, j]
        case "first":
            if t == 0:
                s["a"] = s["h"] * 2.0
        case "last":
            if t == N - 1:
                s["h"] = np.sin(s["h"])
        case "every other":
            if t % 2:
                s["h"] = np.cos(s["h"])
        case "not in the middle":
            if t != 3:
                s["h"] = s["h"] - 0.25


KINDS = [
    "read",
    "read backwards",
    "read twice",
    "element",
    "column",
    "carry",
    "swap",
    "number",
    "numbers",
    "product",
    "scalar",
    "use scalar",
    "write",
    "write element",
    "read what was written",
    "add in place",
    "append",
    "look back",
    "inner",
    "inner write",
    "first",
    "last",
    "every other",
    "not in the middle",
]


def random_loop(kinds, odd, x, h, scale):
    state = {
        "x": x,
        "h": h,
        "g": h * 2.0,
        "a": x[0],
        "n": 0.0,
        "scale": scale,
        "out": np.zeros((N, 3)),
        "list": [h],
        "odd": odd,
    }
    for t in range(N):
        for kind in kinds:
            step(kind, state, t)
    s = state
    return s["h"], s["g"], s["a"], s["n"] + 1.0, s["out"] * 1.0, np.stack(s["list"])


LOOP_KINDS = st.lists(st.sampled_from(KINDS), min_size=1, max_size=7)


@given(LOOP_KINDS, st.booleans(), st.sampled_from([np.float64, np.float32]), st.booleans())
@settings(max_examples=200)
def test_random_loops(kinds, odd, dtype, first):
    x = np.random.default_rng(1).uniform(-1, 1, (N + 2, 3)).astype(dtype)
    args = (x, x[3] + 1, 0.5)
    program, values = traced(lambda *args: random_loop(kinds, odd, *args), args)
    rolled = reroll(simplify(program) if first else program)
    assert len(rolled) <= len(program)
    assert_same(program, rolled, *values)
    assert reroll(rolled).fingerprint() == rolled.fingerprint()


@given(LOOP_KINDS, st.booleans())
@settings(max_examples=60)
def test_gradients_of_random_loops(kinds, odd):
    x = np.random.default_rng(1).uniform(-1, 1, (N + 2, 3))
    total = lambda *args: sum(np.sum(np.sin(o)) for o in random_loop(kinds, odd, *args))
    program, values = traced(grad(total, (0, 1, 2)), (x, x[3] + 1, 0.5))
    rolled = reroll(program)
    assert len(rolled) <= len(program)
    assert_same(program, rolled, *values)
