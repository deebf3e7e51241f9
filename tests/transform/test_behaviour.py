"""What every transformation promises about arguments, results, types and memory."""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

from chainrule import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    value_and_grad,
    vjp,
)
from chainrule.program.errors import GradientError


def square(x):
    return np.sum(x * x)


class TestSelection:
    def f(self, x, y, *, w=2.0):
        return x * y**2 * w

    @pytest.mark.parametrize(
        ("argnums", "expected"),
        [
            (0, 18.0),
            (-1, 24.0),
            ("y", 24.0),
            (("x", 1), (18.0, 24.0)),
            ([1, 0], (24.0, 18.0)),
            (np.int64(1), 24.0),
            ((), ()),
        ],
    )
    def test_argnums(self, argnums, expected):
        assert grad(self.f, argnums)(2.0, 3.0) == expected

    def test_names_of_keyword_arguments(self):
        assert grad(self.f, "w")(2.0, 3.0, w=4.0) == 18.0
        assert grad(self.f, ("w", 0))(2.0, 3.0, w=4.0) == (18.0, 36.0)
        assert grad(self.f, 1)(2.0, y=3.0) == 24.0
        assert grad(self.f)(x=2.0, y=3.0) == 18.0

    def test_names_go_through_nested_transformations(self):
        assert grad(grad(self.f, "y"), "y")(2.0, 3.0) == 8.0
        assert jacobian(grad(self.f, "y"), "x")(2.0, 3.0) == 12.0

    @pytest.mark.parametrize(
        ("argnums", "message"),
        [
            (2, "called with 2 positional arguments"),
            (-3, "called with 2 positional arguments"),
            ("z", "no argument 'z'"),
            ("w", "was not given"),
            ((0, "x"), "twice"),
            ((0, -2), "twice"),
        ],
    )
    def test_what_is_not_there(self, argnums, message):
        with pytest.raises(GradientError, match=message):
            grad(self.f, argnums)(2.0, 3.0)

    def test_star_arguments_have_no_name(self):
        with pytest.raises(GradientError, match="by number"):
            grad(lambda *xs: xs[0], "xs")(2.0, 3.0)
        assert grad(lambda *xs: xs[0] * xs[1], 1)(2.0, 3.0) == 2.0

    def test_the_same_array_twice(self):
        x = np.array([1.0, 2.0])
        ga, gb = grad(lambda a, b: np.sum(a * a * b), (0, 1))(x, x)
        np.testing.assert_array_equal(ga, 2 * x * x)
        np.testing.assert_array_equal(gb, x * x)


class Scale:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return self.factor * x**2

    def method(self, x):
        return self.factor * x**3

    @classmethod
    def of_class(cls, x):
        return x**2

    @staticmethod
    def static(x):
        return x**2


class TestCallables:
    @pytest.mark.parametrize(
        ("f", "expected"),
        [
            (Scale(2.0), 12.0),
            (Scale(2.0).method, 54.0),
            (Scale.of_class, 6.0),
            (Scale.static, 6.0),
            (functools.partial(lambda a, x: a * x, 5.0), 5.0),
            (functools.partial(lambda x, a: a * x, a=5.0), 5.0),
            (functools.partial(Scale(2.0).method), 54.0),
            (np.sin, np.cos(3.0)),
        ],
    )
    def test_all_kinds(self, f, expected):
        assert grad(f)(3.0) == expected
        assert jvp(f, (3.0,), (1.0,))[1] == expected
        assert jacobian(f)(3.0) == expected

    def test_the_state_of_a_callable_is_not_copied(self):
        model = Scale(2.0)
        gradient = grad(model)
        model.factor = 3.0
        assert gradient(3.0) == 18.0
        assert not hasattr(gradient, "factor")

    def test_name_and_documentation(self):
        def loss(x):
            "The loss."
            return x

        assert (grad(loss).__name__, grad(loss).__doc__) == ("loss", "The loss.")

    def test_a_method_of_a_class(self):
        class Model:
            weight = 3.0

            def loss(self, x):
                return self.weight * x

            slope = grad(loss, argnums=1)

        assert Model().slope(2.0) == 3.0

    def test_messages_name_the_function_inside(self):
        with pytest.raises(GradientError, match="`method`"):
            grad(functools.partial(Scale(1.0).method))(2)
        with pytest.raises(GradientError, match="`Scale`"):
            grad(Scale(1.0))(2)


class TestAux:
    def f(self, x):
        return np.sum(x**2), {"twice": 2 * x, "text": "kept", "number": 3}

    def check(self, aux):
        assert type(aux["twice"]) is np.ndarray
        np.testing.assert_array_equal(aux["twice"], [2.0, 4.0])
        assert (aux["text"], aux["number"]) == ("kept", 3)

    x = np.array([1.0, 2.0])

    def all(self, x):
        v = np.ones(2)
        (_, aux), _ = value_and_grad(self.f, has_aux=True)(x)
        yield aux
        yield grad(self.f, has_aux=True)(x)[1]
        yield vjp(self.f, x, has_aux=True)[2]
        yield jvp(self.f, (x,), (v,), has_aux=True)[2]
        yield linearize(self.f, x, has_aux=True)[2]
        yield jacobian(self.f, has_aux=True)(x)[1]
        yield hessian(self.f, has_aux=True)(x)[1]
        yield hvp(self.f, (x,), (v,), has_aux=True)[1]

    def test_outside(self):
        auxs = list(self.all(self.x))
        assert len(auxs) == 8
        for aux in auxs:
            self.check(aux)

    def test_inside_of_another_derivative(self):
        def outer(scale):
            for aux in self.all(self.x):  # depends on nothing outside: plain again
                self.check(aux)
            return sum(np.sum(aux["twice"]) for aux in self.all(scale * self.x))

        assert grad(outer)(1.0) == 8 * 6.0

    @pytest.mark.parametrize("result", [1.0, (1.0,), (1.0, 2.0, 3.0), [1.0, 2.0]])
    def test_no_pair(self, result):
        with pytest.raises(GradientError, match="pair"):
            grad(lambda x: result, has_aux=True)(1.0)


class TestTypes:
    @pytest.mark.parametrize(
        ("x", "kind", "dtype"),
        [
            (2.0, np.float64, "float64"),
            (np.float64(2), np.float64, "float64"),
            (np.float32(2), np.float32, "float32"),
            (np.float16(2), np.float16, "float16"),
            (np.array(2.0), np.ndarray, "float64"),
            (np.array(2.0, np.float32), np.ndarray, "float32"),
            (np.array([2.0], np.float32), np.ndarray, "float32"),
            (2 + 0j, np.complex128, "complex128"),
            (np.complex64(2), np.complex64, "complex64"),
            (np.array([2], np.complex64), np.ndarray, "complex64"),
        ],
    )
    def test_a_gradient_lives_in_the_space_of_its_argument(self, x, kind, dtype):
        def f(x, y):
            return np.sum(np.abs(x) ** 2) * 1.5

        def linear(x):
            return x * 3.0

        for g in (
            grad(f)(x, 1.0),
            grad(f, 1)(1.0, x),  # unused: zeros
            vjp(f, x, 1.0)[1](1.0)[0],
            vjp(lambda x: x, x)[1](x)[0],
            grad(lambda x: 1.5)(x),
        ):
            assert type(g) is kind
            assert (g.dtype, np.shape(g)) == (np.dtype(dtype), np.shape(x))
        for g in (jvp(linear, (x,), (x,))[1], linearize(linear, x)[1](x)):
            assert isinstance(g, np.ndarray | np.generic)
            assert (g.dtype, np.shape(g)) == (np.dtype(dtype), np.shape(x))
        assert grad(f)(x, 1.0) == pytest.approx(6.0)

    def test_python_complex(self):
        assert grad(lambda z: abs(z) ** 2)(1 + 2j) == 2 + 4j
        assert grad(lambda z: (z * z.conjugate()).real)(1 + 2j) == 2 + 4j

    def test_steepest_ascent(self):
        z = np.array([1 + 2j, -3j])
        f = lambda z: np.sum(np.abs(z) ** 2 + z.imag)
        g = grad(f)(z)
        assert f(z + 1e-6 * g) > f(z + 1e-6j * g) > f(z - 1e-6 * g)
        np.testing.assert_allclose(g, 2 * z + 1j)

    def test_python_numbers_where_a_derivative_is_infinite(self):
        assert grad(lambda x: x**0.5)(0.0) == np.inf
        assert grad(grad(lambda x: x**1.5))(0.0) == np.inf
        assert jvp(grad(lambda x: x**1.5), (0.0,), (1.0,))[1] == np.inf

    def test_pythons_own_errors_stay(self):
        with pytest.raises(ZeroDivisionError):
            grad(lambda x: 1 / x)(0.0)
        assert grad(lambda x: fallback(x))(0.0) == 7.0

    @pytest.mark.parametrize(
        "x", [2, True, np.arange(3), np.array([True]), "text", np.array(["a"]), np.int8(1)]
    )
    def test_what_is_not_continuous(self, x):
        for transformed in (
            lambda: grad(square)(x),
            lambda: vjp(square, x),
            lambda: jvp(square, (x,), (x,)),
            lambda: linearize(square, x),
            lambda: jacobian(square)(x),
            lambda: hessian(square)(x),
        ):
            with pytest.raises(GradientError, match="continuous"):
                transformed()

    def test_where_in_a_tree_the_integer_is(self):
        with pytest.raises(GradientError, match=r"by params\['W'\]\[1\]: it is 3"):
            grad(lambda params: 1.0)({"W": [1.0, 3]})


def fallback(x):
    try:
        return 1 / x
    except ZeroDivisionError:
        return 7.0 * x


class TestResults:
    @pytest.mark.parametrize(
        ("result", "message"),
        [
            (lambda x: None, "returns nothing"),
            (lambda x: (x, x), r"returns \(\*, \*\)"),
            (lambda x: [x], "one scalar"),
            (lambda x: x * np.ones(2), r"shape \(2,\)"),
            (lambda x: np.ones(1), r"shape \(1,\)"),
            (lambda x: x * 1j, "complex128 number"),
            (lambda x: 1j, "complex128 number"),
            (lambda x: np.argmax(x * np.ones(2)), "int64"),
            (lambda x: x > 1, "bool"),
            (lambda x: "text", "a str"),
        ],
    )
    def test_not_a_real_scalar(self, result, message):
        for transformed in (grad(result), value_and_grad(result), hessian(result)):
            with pytest.raises(GradientError, match=message):
                transformed(2.0)

    @pytest.mark.parametrize("constant", [3.0, 0, np.float64(3), np.array(3.0), np.float32(1)])
    def test_a_constant(self, constant):
        value, g = value_and_grad(lambda x: constant)(np.ones((2, 3)))
        assert value == constant
        np.testing.assert_array_equal(g, np.zeros((2, 3)))
        assert grad(grad(lambda x: constant))(2.0) == 0.0
        np.testing.assert_array_equal(jacobian(lambda x: constant)(np.ones(2)), np.zeros(2))
        assert jvp(lambda x: constant, (2.0,), (1.0,))[1] == 0.0
        assert vjp(lambda x: constant, 2.0)[1](1.0) == (0.0,)

    def test_an_argument_itself(self):
        assert value_and_grad(lambda x: x)(2.0) == (2.0, 1.0)
        assert grad(lambda x, y: y)(2.0, 3.0) == 0.0
        y, pull = vjp(lambda a, b: (b, a, b), 1.0, 2.0)
        assert (y, pull((1.0, 2.0, 3.0))) == ((2.0, 1.0, 2.0), (2.0, 4.0))

    def test_empty_arrays(self):
        x = np.zeros((0, 3), np.float32)
        g = grad(lambda x: np.sum(x**2))(x)
        assert (g.shape, g.dtype) == ((0, 3), np.float32)
        for mode in ("forward", "reverse"):
            J = jacobian(lambda x: x**2, mode=mode)(x)
            assert (J.shape, J.dtype) == ((0, 3, 0, 3), np.float32)
            J = jacobian(lambda x: np.ones(2) * np.sum(x), mode=mode)(x)
            assert J.shape == (2, 0, 3)
        assert hessian(square)(x).shape == (0, 3, 0, 3)

    def test_nan_stays_visible(self):
        g = grad(lambda x: np.sum(x * x))(np.array([1.0, np.nan]))
        np.testing.assert_array_equal(g, [2.0, np.nan])
        assert np.isnan(grad(lambda x: x * np.nan)(1.0))
        assert np.isnan(grad(lambda x: (x * 0.0) ** 0.5)(1.0))  # a true 0·inf

    def test_trees(self):
        class Pair(NamedTuple):
            a: float
            b: float

        @dataclass
        class Layer:
            W: np.ndarray
            b: None = None

        params = {"p": Pair(2.0, 3.0), "l": [Layer(np.array([1.0, 2.0]))], "none": None}
        g = grad(lambda t: t["p"].a ** 2 * t["p"].b * np.sum(t["l"][0].W))(params)
        assert g["p"] == Pair(36.0, 12.0)
        np.testing.assert_array_equal(g["l"][0].W, [12.0, 12.0])
        assert g["none"] is None

    def test_trees_of_results(self):
        y, pull = vjp(lambda x: {"a": x * 2, "b": [x * 3]}, 1.0)
        assert y == {"a": 2.0, "b": [3.0]}
        assert pull({"a": 1.0, "b": [10.0]}) == (32.0,)
        assert jvp(lambda x: {"a": x * 2, "b": None}, (1.0,), (1.0,))[1] == {"a": 2.0, "b": None}


class TestDirections:
    x = np.array([1.0, 2.0])

    @pytest.mark.parametrize(
        ("direction", "error", "message"),
        [
            (np.ones(3), ValueError, r"shape \(3,\), but its value has shape \(2,\)"),
            (1.0, ValueError, r"shape \(\)"),
            ([1.0, 1.0], ValueError, "expected a leaf"),
            (np.ones(2) * 1j, GradientError, "complex"),
            (np.array(["a", "b"]), GradientError, "number"),
        ],
    )
    def test_what_does_not_fit(self, direction, error, message):
        f = lambda x: x * 2
        with pytest.raises(error, match=message):
            jvp(f, (self.x,), (direction,))
        with pytest.raises(error, match=message):
            linearize(f, self.x)[1](direction)
        with pytest.raises(error, match=message):
            vjp(f, self.x)[1](direction)

    def test_how_many(self):
        with pytest.raises(GradientError, match="2 tangents for 1"):
            jvp(square, (self.x,), (self.x, self.x))
        with pytest.raises(GradientError, match="tuple"):
            jvp(square, (self.x,), self.x)

    def test_integers_are_numbers_too(self):
        assert vjp(lambda x: x * 2, 3.0)[1](1) == (2.0,)
        np.testing.assert_array_equal(jvp(lambda x: x * 2, (self.x,), (np.arange(2),))[1], [0, 2])

    def test_a_kept_derivative_may_be_used_again(self):
        _, pull = vjp(np.sin, self.x)
        first = pull(np.ones(2))
        np.testing.assert_array_equal(first, pull(np.ones(2)))

    def test_a_kept_derivative_is_not_changed_from_outside(self):
        x, a = self.x.copy(), np.full(10_000, 2.0)
        f = lambda x: (x**2, np.sum(a * x[0] ** 2))
        (y, _), pull = vjp(f, x)
        (z, _), push = linearize(f, x)
        before = pull((np.ones(2), 1.0)), push(np.ones(2))
        for array in (x, a, y, z):
            array[:] = np.nan
        after = pull((np.ones(2), 1.0)), push(np.ones(2))
        np.testing.assert_array_equal(before[0], after[0])
        np.testing.assert_array_equal(before[1][0], after[1][0])


def memory(tree):
    from chainrule.program.pytree import flatten

    return [x for x in flatten(tree)[0] if isinstance(x, np.ndarray)]


@pytest.mark.parametrize("n", [3, 2000])  # large constants are locked and not copied
@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: (x, y),
        lambda x, y: (x, x),
        lambda x, y: (x.T, np.broadcast_to(y, (2, *y.shape))),
        lambda x, y: (x + y, x[1:]),
        lambda x, y: (x.reshape(-1), np.concatenate([x, y])),
        lambda x, y: (np.ones(3), x.real),
    ],
)
class TestMemory:
    """What is returned belongs to the caller alone."""

    def apart(self, *trees):
        arrays = [a for tree in trees for a in memory(tree)]
        for i, a in enumerate(arrays):
            assert a.flags.writeable
            for b in arrays[:i]:
                assert not np.may_share_memory(a, b)

    def test_vjp(self, f, n):
        x, y = np.arange(n + 0.0), np.ones(n)
        values, pull = vjp(f, x, y)
        ones = tuple(np.ones_like(v) for v in values)
        self.apart(x, y, values, pull(ones), pull(ones), ones)

    def test_jvp_and_linearize(self, f, n):
        x, y = np.arange(n + 0.0), np.ones(n)
        v, w = np.ones(n), np.zeros(n)
        self.apart(x, y, v, w, jvp(f, (x, y), (v, w)))
        values, push = linearize(f, x, y)
        self.apart(x, y, v, w, values, push(v, w), push(v, w))

    def test_grad(self, f, n):
        x, y = np.arange(n + 0.0), np.ones(n)
        loss = lambda x, y: sum(np.sum(v) for v in f(x, y))
        self.apart(x, y, grad(loss, (0, 1))(x, y))

    def test_inside_of_another_derivative(self, f, n):
        def outer(x, y):
            _, pull = vjp(f, x, y)
            gx, gy = pull(tuple(np.ones(np.shape(v)) for v in f(x, y)))
            before = np.sum(gy)
            gx += 1.0
            return np.sum(gy) - before + np.sum(x)

        g = grad(outer)(np.arange(n + 0.0), np.ones(n))
        np.testing.assert_array_equal(g, np.ones(n))
        x = np.arange(3.0)
        assert outer(x, np.ones(3)) == np.sum(x)
