"""check_gradients accepts what is right, and says precisely what is wrong."""

import numpy as np
import pytest

from chainrule import check_gradients
from chainrule.maps import scale
from chainrule.program.errors import GradientError
from chainrule.program.primitive import PRIMITIVES, Primitive
from chainrule.transform.differences import differentiate


@pytest.fixture
def made():
    """Makes primitives that go away after the test."""
    names = []

    def make(impl, d):
        names.append(f"test_{len(names)}")
        return Primitive(names[-1], impl, type_rule=lambda x: x, d=(d,), elementwise=True)

    yield make
    for name in names:
        del PRIMITIVES[name]


class TestRight:
    def test_the_report(self):
        report = check_gradients(lambda x, y: np.sum(np.sin(x) * y), np.ones((2, 3)), 2.0, order=2)
        assert (report.function, report.order) == ("`<lambda>`", 2)
        assert len(report.modes) == 6
        assert report.largest_error < 1e-10
        assert "derivatives up to order 2 agree" in str(report)

    def test_every_element_is_compared(self):
        report = check_gradients(lambda x: x**2, np.ones(3))
        assert report.comparisons == 9 + 3  # forward: each result by each element; reverse: 3

    def test_large_arrays_are_sampled(self):
        report = check_gradients(lambda x: np.sum(x**2), np.ones(1000), max_elements=7)
        assert report.comparisons == 14

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
    def test_every_precision(self, dtype):
        x = np.array([0.5, 1.5], dtype)
        check_gradients(lambda x: np.exp(x) * x[0], x, order=2)

    def test_trees_keywords_and_selection(self):
        f = lambda p, n, *, w: p["a"] ** n * w
        check_gradients(f, {"a": 2.0}, 3, w=1.5)
        assert check_gradients(f, {"a": 2.0}, 3, w=1.5, argnums="w").comparisons == 2

    def test_results_without_derivative_are_left_alone(self):
        check_gradients(lambda x: (x**2, "text", None, np.argmax(x)), np.array([1.0, 2.0]))

    @pytest.mark.parametrize("x", [1e-9, 1e-3, 1.0, 1e6])
    def test_every_scale(self, x):
        check_gradients(np.log, x, order=2)
        check_gradients(lambda x: 1.0 + np.sqrt(x), x)


class TestWrong:
    def test_a_wrong_rule(self, made):
        wrong = made(np.tanh, lambda y, x: scale(1.0 - y))
        with pytest.raises(GradientError) as caught:
            check_gradients(lambda x, w: wrong(w["a"]), 1.0, {"a": np.array([[0.0, 0.5]])})
        text = str(caught.value)
        assert "the derivative of `<lambda>` by w['a'][0, 1] is wrong" in text
        assert "result [0, 1]" in text
        assert f"got      {1 - np.tanh(0.5):.10g}  (forward mode)" in text
        assert f"expected {1 - np.tanh(0.5) ** 2:.10g}" in text
        assert "order    1" in text

    def test_a_wrong_transpose(self, made):
        class Lame(type(scale(1.0))):
            __slots__ = ()

            def transpose(self):
                return scale(2.0 * self.coefficient)

        lame = made(np.sin, lambda y, x: Lame(np.cos(x)))
        with pytest.raises(GradientError, match="reverse mode"):
            check_gradients(lambda x: lame(x), np.array([0.3, 0.4]))

    def test_a_wrong_second_derivative(self, made):
        def cos_without_derivative(x):
            return np.cos(x._value) if hasattr(x, "_value") else np.cos(x)

        blind = made(np.sin, lambda y, x: scale(cos_without_derivative(x)))
        f = lambda x: blind(x)
        check_gradients(f, 0.5)
        with pytest.raises(GradientError, match="forward over reverse") as caught:
            check_gradients(f, 0.5, order=2)
        assert "order    2" in str(caught.value)

    def test_a_complex_index(self, made):
        wrong = made(np.exp, lambda y, x: scale(y * 1j))
        with pytest.raises(GradientError, match=r"by z\[1\] \(real part\)"):
            check_gradients(lambda z: wrong(z)[1:], np.array([1j, 2.0]))

    def test_nan(self, made):
        wrong = made(np.exp, lambda y, x: scale(y * np.nan))
        with pytest.raises(GradientError, match="got      nan"):
            check_gradients(lambda x: wrong(x), 1.0)

    def test_a_jump(self):
        with pytest.raises(GradientError, match="do not settle"):
            check_gradients(np.floor, np.array([2.0]))

    def test_a_point_outside_of_the_domain(self):
        with np.errstate(all="ignore"), pytest.raises(GradientError, match="not finite"):
            check_gradients(np.log, -1.0)

    def test_nothing_to_check(self):
        with pytest.raises(GradientError, match="no floating-point value"):
            check_gradients(lambda n: n * 2.0, 3)

    def test_an_order_that_is_not_there(self):
        with pytest.raises(ValueError, match="1 or 2"):
            check_gradients(np.sin, 1.0, order=3)

    def test_tolerances(self, made):
        near = made(np.sin, lambda y, x: scale(1.0001 * np.cos(x)))
        f = lambda x: near(x)
        check_gradients(f, 0.5, rtol=1e-3)
        check_gradients(f, 0.5, atol=1e-3)
        with pytest.raises(GradientError):
            check_gradients(f, 0.5)


class TestDifferences:
    @pytest.mark.parametrize(
        ("g", "slope"),
        [
            (np.exp, 1.0),
            (lambda t: 1 / (1 + t), -1.0),
            (lambda t: t**5 + 3 * t, 3.0),
            (lambda t: 1e8 + np.sin(t), 1.0),
        ],
    )
    def test_the_error_is_not_underestimated(self, g, slope):
        found, error = differentiate(lambda t: np.array([g(t)]), (0.1, 0.01))
        assert abs(found[0] - slope) <= 10 * error[0] + 1e-12
        assert error[0] < 1e-5

    def test_a_kink_is_seen(self):
        _, error = differentiate(lambda t: np.array([abs(t - 0.01)]), (0.1,))
        assert error[0] < 1e-12  # smaller steps than the distance find the smooth part
        _, error = differentiate(lambda t: np.array([float(t > 0)]), (0.1,))
        assert error[0] > 1.0
