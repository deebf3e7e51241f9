"""A trace replaces methods of ndarray, unless it is sure that nobody calls them."""

import functools
import operator

import numpy as np
import pytest

from chainrule import grad
from chainrule.trace.method_calls import are_plain, is_transparent
from chainrule.trace.names import look_through

A = np.array([[2.0, 0.0], [0.0, 3.0]])
LAYERS = [A]
KEY = "dot"


class Model:
    def __init__(self, a):
        self.a = a

    def __call__(self, x):
        return self.a.dot(x).sum()


class Holder:
    def __init__(self, model):
        self.parts = {"model": model}

    def __call__(self, x):
        return self.parts["model"](x)


MODEL = Model(A)
HOLDER = Holder(MODEL)


def by_module(x):
    return np.dot(A, np.exp(x) + np.copy(x)).sum()


def by_method(x):
    return A.dot(x).sum()


def by_nested(x):
    return (lambda t: A.dot(t))(x).sum()


def by_helper(x):
    return by_method(x)


def by_name(x):
    return getattr(A, "dot")(x).sum()  # noqa: B009 - the indirect call is the point


def by_caller(x):
    return operator.methodcaller("dot", x)(A).sum()


def by_type(x):
    return np.ndarray.dot(A, x).sum()


def by_object(x):
    return MODEL(x)


def by_holder(x):
    return HOLDER(x)


def by_list(x):
    return LAYERS[0].dot(x).sum()


def by_import(x):
    from tests.trace.test_method_calls import by_method as imported

    return imported(x)


def by_copy(x):
    r = A.copy()
    r[0] = x
    return (r @ x).sum()


SQUARED = np.vectorize(lambda v: v * v)


def by_vectorize(x):
    return SQUARED(x).sum()


def by_vectorize_inside(x):
    return np.vectorize(lambda v: v * v)(x).sum()


by_partial = functools.partial(lambda a, x: a.dot(x).sum(), A)
WITH_METHODS = [
    *(by_method, by_nested, by_helper, by_name, by_caller, by_type, by_object, by_holder),
    *(by_list, by_import, by_partial),
]


@pytest.mark.parametrize("f", WITH_METHODS)
def test_a_method_is_answered_wherever_it_is_called(f):
    np.testing.assert_allclose(grad(f)(np.array([1.0, 2.0])), [2.0, 3.0])


def test_a_copy_can_be_assigned_to():
    np.testing.assert_allclose(grad(by_copy)(np.array([1.0, 2.0])), [2.0, 4.0 + 3.0])


@pytest.mark.parametrize("f", [by_vectorize, by_vectorize_inside])
def test_a_vectorized_function_is_traced(f):
    np.testing.assert_allclose(grad(f)(np.array([1.0, 2.0])), [2.0, 4.0])


@pytest.mark.parametrize("f", [*WITH_METHODS, by_copy, by_vectorize, by_vectorize_inside])
def test_a_doubt_keeps_the_methods_replaced(f):
    assert not look_through(f, ())[1]


def test_a_function_of_a_module_is_no_method():
    assert look_through(by_module, ())[1]

    def closure(np):
        return lambda x: np.dot(A, x).sum()

    assert look_through(closure(np), ())[1]
    assert not look_through(closure(MODEL), ())[1]


def test_a_name_that_means_something_else_is_looked_at_again():
    namespace = {"np": np, "A": A}
    exec("def f(x):\n    return np.dot(A, x).sum()", namespace)
    f = namespace["f"]
    assert look_through(f, ())[1]
    namespace["np"] = MODEL
    assert not look_through(f, ())[1]


def with_current_dot(x):
    return (x * x).sum(), np.ndarray.__dict__[KEY]


def test_methods_stay_as_they_are_without_need():
    own = np.ndarray.__dict__[KEY]
    assert grad(with_current_dot, has_aux=True)(np.ones(2))[1] is own
    assert grad(with_current_dot, has_aux=True)(x=np.ones(2))[1] is not own  # not looked through
    assert np.ndarray.__dict__[KEY] is own


def test_a_model_among_the_arguments_is_a_doubt():
    assert are_plain((A, 1.0, 2, "mean", None, {"W": A, "b": 1.0}, [A], (A, 0.5)))
    assert not are_plain((MODEL,))
    assert not are_plain(({"layer": MODEL},))
    assert not are_plain((by_method,))
    assert not is_transparent([A])

    def f(x, model):
        return model(x)

    np.testing.assert_allclose(grad(f)(np.array([1.0, 2.0]), MODEL), [2.0, 3.0])
    np.testing.assert_allclose(grad(f)(np.array([1.0, 2.0]), by_method), [2.0, 3.0])
