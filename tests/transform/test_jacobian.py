"""Jacobians, Hessians and their products against the ones that are known."""

import sys

import numpy as np
import pytest

from chainrule import gauss_newton_product, grad, hessian, hvp, jacobian, jvp, vjp
from chainrule.program.errors import GradientError

rng = np.random.default_rng(3)
A = rng.standard_normal((3, 4))
MODES = pytest.mark.parametrize("mode", ["forward", "reverse"])


class TestJacobian:
    @MODES
    def test_a_linear_map_is_its_own_jacobian(self, mode):
        np.testing.assert_allclose(jacobian(lambda x: A @ x, mode=mode)(np.ones(4)), A)

    @MODES
    def test_shapes_of_matrices(self, mode):
        X = rng.standard_normal((4, 2))
        J = jacobian(lambda X: A @ X, mode=mode)(X)
        np.testing.assert_allclose(J, np.einsum("ik,jl->ijkl", A, np.eye(2)))

    @MODES
    def test_numbers(self, mode):
        J = jacobian(np.sin, mode=mode)(1.0)
        assert type(J) is np.float64
        assert pytest.approx(np.cos(1.0)) == J

    @MODES
    def test_trees(self, mode):
        def f(p, s):
            return {"y": p["W"] @ p["v"] * s, "s": s**2}

        p = {"W": A, "v": np.ones(4)}
        J = jacobian(f, ("s", 0), mode)(p, 2.0)
        assert list(J) == ["y", "s"]
        np.testing.assert_allclose(J["y"][0], A.sum(1))
        np.testing.assert_allclose(J["y"][1]["v"], 2 * A)
        np.testing.assert_allclose(
            J["y"][1]["W"], 2 * np.einsum("ij,k->ijk", np.eye(3), np.ones(4))
        )
        assert J["s"][0] == 4.0
        np.testing.assert_array_equal(J["s"][1]["W"], np.zeros((3, 4)))

    @MODES
    def test_many_directions_make_no_longer_program(self, mode):
        from chainrule.trace.program import trace_program

        def equations(n):
            J = jacobian(lambda x: np.sin(x[::-1]) * x, mode=mode)
            return len(trace_program(J, np.ones(n), abstract=True)[0])

        assert equations(10) == equations(40)

    @MODES
    def test_directions_that_do_not_fit_at_once(self, mode, monkeypatch):
        module = sys.modules["chainrule.transform.jacobian"]
        monkeypatch.setattr(module, "BLOCK_BYTES", 7 * 8 * 9)
        x = rng.standard_normal(9)
        J = jacobian(lambda x: np.sin(x) * np.sum(x), mode=mode)(x)
        np.testing.assert_allclose(J, np.diag(np.cos(x) * x.sum()) + np.sin(x)[:, None], rtol=1e-14)

    @MODES
    def test_one_trace(self, mode):
        calls = []

        def f(x):
            calls.append(1)
            return x**2

        jacobian(f, mode=mode)(np.ones(5))
        assert len(calls) == 1

    @pytest.mark.parametrize(("rows", "columns"), [(2, 5), (5, 2)])
    def test_the_mode_with_fewer_passes(self, rows, columns, monkeypatch):
        from chainrule.transform.call import TracedCall

        passes = []
        for name in ("push", "pull"):
            original = getattr(TracedCall, name)
            monkeypatch.setattr(
                TracedCall,
                name,
                lambda self, d, original=original, name=name: (
                    passes.append(name) or original(self, d)
                ),
            )
        J = jacobian(lambda x: np.ones((rows, columns)) @ x)(np.ones(columns))
        np.testing.assert_array_equal(J, np.ones((rows, columns)))
        assert passes == (["pull"] * 2 if rows < columns else ["push"] * 2)

    def test_an_unknown_mode(self):
        with pytest.raises(ValueError, match="'forward', 'reverse' or None"):
            jacobian(np.sin, mode="sideways")

    @MODES
    def test_infinite_derivatives_stay_where_they_are(self, mode):
        x = np.array([0.0, 4.0])
        expected = [[np.inf, 0.0], [0.0, 0.25]]
        np.testing.assert_array_equal(jacobian(np.sqrt, mode=mode)(x), expected)
        inside = jvp(lambda x: jacobian(np.sqrt, mode=mode)(x), (x,), (x,))[0]
        np.testing.assert_array_equal(inside, expected)

    @MODES
    def test_precision(self, mode):
        J = jacobian(lambda x: x * np.float32(2), mode=mode)(np.ones(2, np.float32))
        assert J.dtype == np.float32
        J = jacobian(lambda x: x * np.ones(2), mode=mode)(np.ones(2, np.float32))
        assert J.dtype == np.float64
        assert jacobian(lambda s: s * np.ones(2, np.float32), mode=mode)(2.0).dtype == np.float32

    @MODES
    def test_holomorphic(self, mode):
        z = np.array([1 + 2j, 3 - 1j])
        np.testing.assert_allclose(jacobian(lambda z: z**3, mode=mode)(z), np.diag(3 * z**2))
        B = rng.standard_normal((3, 2)) + 1j * rng.standard_normal((3, 2))
        np.testing.assert_allclose(jacobian(lambda z: B @ z, mode=mode)(z), B)

    @MODES
    def test_complex_results_of_real_arguments(self, mode):
        x = np.array([0.3, 0.7])
        J = jacobian(lambda x: np.exp(1j * x), mode=mode)(x)
        np.testing.assert_allclose(J, np.diag(1j * np.exp(1j * x)), atol=1e-16)

    @MODES
    def test_real_results_of_complex_arguments(self, mode):
        z = np.array([1 + 2j, 3 - 1j])
        J = jacobian(lambda z: np.abs(z) ** 2, mode=mode)(z)
        np.testing.assert_allclose(J, np.diag(2 * z), atol=1e-15)
        J = jacobian(lambda z: np.sum(z.imag), mode=mode)(z)
        np.testing.assert_array_equal(J, grad(lambda z: np.sum(z.imag))(z))

    @MODES
    @pytest.mark.parametrize("f", [np.conj, lambda z: np.abs(z) * z, lambda z: z.real + 0j])
    def test_not_holomorphic(self, mode, f):
        with pytest.raises(GradientError, match="not holomorphic"):
            jacobian(f, mode=mode)(np.array([1 + 2j]))

    @MODES
    def test_mixed_arguments(self, mode):
        Jz, Jx = jacobian(lambda z, x: z**2 * x, (0, 1), mode)(1 + 1j, 3.0)
        assert (Jz, Jx) == (6 + 6j, 2j)


class TestHessian:
    Q = A.T @ A

    def test_a_quadratic_form(self):
        H = hessian(lambda x: x @ self.Q @ x / 2)(np.ones(4))
        np.testing.assert_allclose(H, self.Q)

    def test_symmetric(self):
        x = rng.standard_normal((2, 3))
        H = hessian(lambda x: np.sum(np.tanh(x @ A) ** 3 / (1 + np.exp(x @ A))))(x)
        assert H.shape == (2, 3, 2, 3)
        np.testing.assert_allclose(H, H.transpose(2, 3, 0, 1), atol=1e-13)

    def test_several_arguments(self):
        H = hessian(lambda x, y: x**3 * y**2, (0, "y"))(2.0, 3.0)
        assert H == ((108.0, 72.0), (72.0, 16.0))

    def test_trees(self):
        H = hessian(lambda p: p["a"] ** 2 * np.sum(p["b"]))({"a": 2.0, "b": np.ones(2)})
        assert H["a"]["a"] == 4.0
        np.testing.assert_array_equal(H["a"]["b"], [4.0, 4.0])
        np.testing.assert_array_equal(H["b"]["b"], np.zeros((2, 2)))

    def test_it_is_the_jacobian_of_the_gradient_in_any_mode(self):
        f = lambda x: np.sum(np.sin(np.outer(x, x)))
        x = rng.standard_normal(3)
        for mode in ("forward", "reverse"):
            np.testing.assert_allclose(jacobian(grad(f), mode=mode)(x), hessian(f)(x))

    def test_of_complex_arguments(self):
        with pytest.raises(GradientError, match="not holomorphic"):
            hessian(lambda z: np.abs(z) ** 2)(1 + 2j)


class TestHvp:
    def f(self, x, p):
        return np.sum(np.exp(x) * p["s"] ** 3)

    def test_one_argument(self):
        x, v = rng.standard_normal((2, 3))
        f = lambda x: np.sum(np.exp(x) * x[0])
        np.testing.assert_allclose(hvp(f, (x,), (v,)), hessian(f)(x) @ v)

    def test_several_arguments_and_trees(self):
        x = np.array([0.0, 1.0])
        hx, hp = hvp(self.f, (x, {"s": 2.0}), (x, {"s": 0.5}))
        np.testing.assert_allclose(hx, 8 * np.exp(x) * x + 12 * 0.5 * np.exp(x))
        assert hp["s"] == pytest.approx(np.sum(12 * np.exp(x) * x) + 12 * 0.5 * np.sum(np.exp(x)))

    def test_it_agrees_with_reverse_over_forward(self):
        x, v = rng.standard_normal((2, 3))
        f = lambda x: np.sum(np.sin(x) * x[0] ** 2)
        slope = lambda x: jvp(f, (x,), (v,))[1]
        np.testing.assert_allclose(hvp(f, (x,), (v,)), vjp(slope, x)[1](1.0)[0])


class TestGaussNewton:
    x = np.linspace(-1.0, 1.0, 5)

    def model(self, w, b):
        return np.tanh(self.x * w[0] + b["b"]) * w[1]

    def test_half_the_sum_of_squares(self):
        w, v = rng.standard_normal((2, 2))
        f = lambda w: self.model(w, {"b": 0.3})
        J = jacobian(f)(w)
        np.testing.assert_allclose(gauss_newton_product(f, (w,), (v,)), J.T @ J @ v)

    def test_a_loss_and_several_arguments(self):
        w, v = rng.standard_normal((2, 2))
        loss = lambda y: np.log(np.sum(np.exp(y)))
        pw, pb = gauss_newton_product(self.model, (w, {"b": 0.3}), (v, {"b": 0.5}), loss)
        Jw, Jb = jacobian(self.model, argnums=(0, 1))(w, {"b": 0.3})
        H = hessian(loss)(self.model(w, {"b": 0.3}))
        moved = H @ (Jw @ v + Jb["b"] * 0.5)
        np.testing.assert_allclose(pw, Jw.T @ moved)
        np.testing.assert_allclose(pb["b"], Jb["b"] @ moved)

    def test_it_is_the_hessian_of_a_linear_model(self):
        A = rng.standard_normal((4, 3))
        w, v = rng.standard_normal((2, 3))
        total = lambda w: 0.5 * np.sum((A @ w) ** 2)
        product = gauss_newton_product(lambda w: A @ w, (w,), (v,))
        np.testing.assert_allclose(product, hvp(total, (w,), (v,)))
        slope = grad(lambda w: gauss_newton_product(lambda w: w**3, (w,), (v,)) @ v)(w)
        np.testing.assert_allclose(slope, 36 * w**3 * v**2)
