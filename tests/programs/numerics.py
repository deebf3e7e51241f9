"""Numerical methods with loops, branches and tolerances."""

import math

import numpy as np


def newton_root(c):
    """Square root by Newton's iteration until it stands still."""
    x = 1.0
    while abs(x * x - c) > 1e-14:
        x = x - (x * x - c) / (2 * x)
    return x


def runge_kutta(params):
    """Lotka and Volterra's equations, stepped by a closure."""
    a, b, c, d = params

    def slope(state):
        prey, predator = state
        return np.array([a * prey - b * prey * predator, -c * predator + d * prey * predator])

    state = np.array([1.0, 0.5])
    h = 0.1
    for _ in range(20):
        k1 = slope(state)
        k2 = slope(state + h / 2 * k1)
        k3 = slope(state + h / 2 * k2)
        k4 = slope(state + h * k3)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return state[0] * state[1]


def horner(coefficients):
    """A polynomial by recursion."""

    def value(rest, x):
        if len(rest) == 0:
            return 0.0
        return rest[0] + x * value(rest[1:], x)

    return value(coefficients, 0.7) + value(list(coefficients), -1.3)


def tree_sum(node):
    """A tree of dictionaries, reduced by recursion."""
    if "leaf" in node:
        return np.tanh(node["leaf"]).sum()
    if "product" in node:
        left, right = node["product"]
        return tree_sum(left) * tree_sum(right)
    return sum(tree_sum(part) for part in node["sum"])


def edit_distance(costs):
    """A table of dynamic programming, filled element by element."""
    first, second = "kitten", "sitting"
    insert, delete, substitute = costs
    table = np.zeros((len(first) + 1, len(second) + 1))
    for i in range(len(first) + 1):
        table[i, 0] = i * delete
    for j in range(len(second) + 1):
        table[0, j] = j * insert
    for i, a in enumerate(first, 1):
        for j, b in enumerate(second, 1):
            change = table[i - 1, j - 1] + (0.0 if a == b else substitute)
            table[i, j] = min(table[i - 1, j] + delete, table[i, j - 1] + insert, change)
    return table[-1, -1] ** 2


def forward_algorithm(logits):
    """Likelihood of a hidden Markov chain, in a table of which rows are written."""
    transition = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    emission = np.array([[0.7, 0.3], [0.2, 0.8]])
    observed = [0, 1, 1, 0, 1]
    alpha = np.zeros((len(observed), 2))
    alpha[0] = 0.5 * emission[:, observed[0]]
    for t in range(1, len(observed)):
        for s in range(2):
            alpha[t, s] = (alpha[t - 1] * transition[:, s]).sum() * emission[s, observed[t]]
    return np.log(alpha[-1].sum())


def heat_equation(u):
    """Explicit steps in place, with slices of one array."""
    u = np.array(u)
    for _ in range(10):
        u[1:-1] += 0.2 * (u[2:] - 2 * u[1:-1] + u[:-2])
        u[0] = u[-1] = 0.0
    return np.sum(u**2)


def cubic_spline(y):
    """A natural spline through points: elimination, then evaluation by search."""
    x = np.array([0.0, 1.0, 2.5, 3.0])
    n = len(x)
    h = np.diff(x)
    upper, right = np.zeros(n), np.zeros(n)
    for i in range(1, n - 1):
        slope = (y[i + 1] - y[i]) / h[i] - (y[i] - y[i - 1]) / h[i - 1]
        pivot = 2 * (h[i - 1] + h[i]) - h[i - 1] * upper[i - 1]
        upper[i] = h[i] / pivot
        right[i] = (6 * slope - h[i - 1] * right[i - 1]) / pivot
    second = np.zeros(n)
    for i in range(n - 2, 0, -1):
        second[i] = right[i] - upper[i] * second[i + 1]
    total = 0.0
    for at in (0.3, 1.7, 2.8):
        i = np.searchsorted(x, at) - 1
        a, b = (x[i + 1] - at) / h[i], (at - x[i]) / h[i]
        curve = ((a**3 - a) * second[i] + (b**3 - b) * second[i + 1]) * h[i] ** 2 / 6
        total += a * y[i] + b * y[i + 1] + curve
    return total


def mandelbrot_escape(c):
    """A smooth count of the steps until a complex sequence is large."""
    point = complex(0.3, 0.5) * np.exp(1j * c)
    z = 0j
    for step in range(50):
        z = z * z + point
        if abs(z) > 4:
            return step + 1 - math.log(math.log(abs(z))) / math.log(2)
    return abs(z)


def bisection(level):
    """A root that is found by halving, polished by one step that carries the derivative."""

    def f(x):
        return x**3 + x - level

    low, high = 0.0, 10.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        if f(middle) > 0:
            high = middle
        else:
            low = middle
    return low - f(low) / (3 * low**2 + 1)


def simpson(scale):
    """An integral by a generator of weighted values."""

    def terms(n=20):
        for k in range(n + 1):
            weight = 1 if k in (0, n) else 4 if k % 2 else 2
            yield weight * np.exp(-scale * (k / n) ** 2)

    return sum(terms()) / 60


def fibonacci_matrix(x):
    """A power by squaring, with a branch per bit."""
    base = np.array([[x[0], 1.0], [x[1], 0.0]])
    result = np.eye(2)
    n = 13
    while n:
        if n & 1:
            result = result @ base
        base = base @ base
        n >>= 1
    return np.log(result[0, 1])
