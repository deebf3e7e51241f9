"""Factorisations and estimators written with loops and assignment, as in a first course."""

import numpy as np


def lu_determinant(a):
    """Determinant by elimination in place, with row exchanges."""
    a = a.copy()
    n = len(a)
    sign = 1.0
    for k in range(n):
        pivot = k + np.argmax(np.abs(a[k:, k]))
        if pivot != k:
            a[[k, pivot]] = a[[pivot, k]]
            sign = -sign
        for i in range(k + 1, n):
            a[i, k] /= a[k, k]
            a[i, k + 1 :] -= a[i, k] * a[k, k + 1 :]
    return sign * np.prod(np.diag(a))


def cholesky_log_likelihood(a, y):
    """Log density of a normal distribution, with a Cholesky factor made element by element."""
    s = a @ a.T + np.eye(len(a))
    n = len(s)
    L = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            rest = s[i, j] - np.dot(L[i, :j], L[j, :j])
            L[i, j] = np.sqrt(rest) if i == j else rest / L[j, j]
    z = np.zeros(n)
    for i in range(n):
        z[i] = (y[i] - L[i, :i] @ z[:i]) / L[i, i]
    return -0.5 * z @ z - sum(np.log(L[i, i]) for i in range(n)) - 0.5 * n * np.log(2 * np.pi)


def gram_schmidt(a):
    """How far the columns of ``a`` are from their orthonormal basis."""
    q = np.empty_like(a)
    for j in range(a.shape[1]):
        v = a[:, j].copy()
        for k in range(j):
            v -= (q[:, k] @ a[:, j]) * q[:, k]
        q[:, j] = v / np.linalg.norm(v)
    return np.sum((a - q) ** 2)


def jacobi_sweeps(b):
    """Iterative solution of a linear system until it changes little."""
    a = np.array([[4.0, 1.0, 0.5], [1.0, 5.0, 1.0], [0.5, 1.0, 6.0]])
    x = np.zeros(3)
    for _ in range(200):
        new = np.zeros_like(x)
        for i in range(3):
            others = sum(a[i, j] * x[j] for j in range(3) if j != i)
            new[i] = (b[i] - others) / a[i, i]
        done = np.max(np.abs(new - x)) < 1e-13
        x = new
        if done:
            break
    return np.sum(x**3)


def kalman_filter(params):
    """Likelihood of a track under a constant-velocity model, from a dictionary of parameters."""
    F = np.array([[1.0, 1.0], [0.0, 1.0]])
    H = np.array([[1.0, 0.0]])
    Q = np.exp(params["log_q"]) * np.eye(2)
    R = np.exp(params["log_r"]) * np.eye(1)
    x, P = params["start"], np.eye(2)
    total = 0.0
    for y in [0.3, 1.1, 2.3, 2.9, 4.2]:
        x, P = F @ x, F @ P @ F.T + Q
        S = H @ P @ H.T + R
        r = y - H @ x
        K = P @ H.T @ np.linalg.inv(S)
        x = x + K @ r
        P = (np.eye(2) - K @ H) @ P
        total -= 0.5 * (r @ np.linalg.solve(S, r) + np.log(np.linalg.det(S)))
    return total


def gaussian_process(params):
    """Marginal likelihood with a squared-exponential kernel."""
    x = np.linspace(0.0, 1.0, 6)
    y = np.sin(4 * x)
    length, noise = np.exp(params[0]), np.exp(params[1])
    K = np.exp(-0.5 * ((x[:, None] - x[None, :]) / length) ** 2)
    K[np.diag_indices(6)] += noise
    _, logdet = np.linalg.slogdet(K)
    return -0.5 * (y @ np.linalg.solve(K, y) + logdet)


def power_iteration(a):
    """Largest eigenvalue by repeated products."""
    s = a + a.T
    v = np.ones(len(a))
    for _ in range(300):
        v = s @ v
        v /= np.sqrt(np.sum(v * v))
    return v @ s @ v
