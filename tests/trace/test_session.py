"""What a trace leaves behind: nothing. Constants, threads, errors, nested traces, warnings."""

import cmath
import gc
import inspect
import linecache
import math
import sys
import threading
import types
import warnings
from functools import partial

import numpy as np
import numpy.random
import pytest

import chainrule as cr
from chainrule.program.errors import TraceError
from tests.trace.comparing import check, refusal

X = np.array([0.55, 1.45, 2.6])


def everything():
    """All that a trace may replace, as it is now."""
    modules = [np, np.linalg, np.lib.stride_tricks, math, cmath]
    inside = numpy.random.__name__
    modules += [m for name, m in sys.modules.items() if name.startswith(inside)]
    found = {
        (m.__name__, n): v
        for m in modules
        for n, v in vars(m).items()
        if n != "__warningregistry__"
    }
    found |= {("ndarray", n): v for n, v in vars(np.ndarray).items()}
    found["vectorize", "__call__"] = np.vectorize.__call__
    found["here", "module"] = {n: v for n, v in globals().items() if callable(v)}
    return found, np.geterr(), np.geterrcall()


def assert_restored(before):
    after = everything()
    assert before[0].keys() == after[0].keys()
    for key, value in before[0].items():
        if isinstance(value, dict):
            assert value == after[0][key]
        else:
            assert value is after[0][key], key
    assert before[1:] == after[1:]


def test_everything_is_restored():
    before = everything()
    seen = []

    def f(x):
        seen.append(np.zeros)
        return np.sum(np.array([x[0], math.exp(x[1])]))

    cr.grad(f)(X)
    assert seen[0] is not np.zeros  # it had been replaced
    assert_restored(before)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, TypeError, GeneratorExit])
def test_everything_is_restored_after_an_error(error):
    before = everything()

    def f(x):
        raise error

    for transformation in (cr.grad, cr.value_and_grad, cr.jacobian, cr.hessian):
        with pytest.raises(error):
            transformation(f)(X)
    with pytest.raises(error):
        cr.vjp(f, X)
    with pytest.raises(error):
        cr.jvp(f, (X,), (X,))
    assert_restored(before)


def test_a_nested_trace_leaves_the_outer_one_running():
    before = everything()

    def f(x):
        inner = cr.grad(lambda y: np.sum(np.array([y[0] * y[1], math.sin(y[2])])))(x)
        with pytest.raises(ZeroDivisionError):
            cr.grad(lambda y: 1 / 0)(x)
        r = np.zeros(3)  # still watched
        r[0] = np.sum(inner)
        return r

    check(f, X)
    assert_restored(before)


# -- plain arrays that the derivative needs ------------------------------------------------------


def test_a_small_constant_may_be_changed_later():
    weights = np.array([1.0, 2.0, 3.0])

    def f(x):
        y = x * weights
        weights[0] = 100.0
        return y

    _, pull = cr.vjp(f, X)
    np.testing.assert_array_equal(pull(np.ones(3))[0], [1.0, 2.0, 3.0])


def test_a_large_constant_that_is_changed_is_refused():
    weights = np.ones(5000)

    def f(x):
        y = x * weights
        weights[0] = 100.0
        return np.sum(y)

    with pytest.raises(TraceError, match="was changed in place") as caught:
        cr.grad(f)(np.ones(5000))
    assert "weights[0] = 100.0" in str(caught.value)
    weights[0] = 2.0  # and writeable again


def test_large_inputs_and_constants_are_unlocked_also_after_errors():
    x, weights = np.ones(5000), np.ones((2, 5000))
    row = weights[0]

    def f(x):
        y = np.sum(x * row)
        assert not weights.flags.writeable
        if fails:
            raise KeyError
        return y

    for fails in (False, True):
        try:
            cr.grad(f)(x)
        except KeyError:
            assert fails
        for array in (x, weights, row):
            assert array.flags.writeable
    fixed = np.ones(5000)
    fixed.flags.writeable = False
    cr.grad(lambda x: np.sum(x * fixed))(x)
    assert not fixed.flags.writeable


def test_a_read_only_view_raises_numpy_s_error():
    def f(x):
        np.broadcast_to(x, (2, 3))[0] = 1.0

    with pytest.raises(ValueError, match="read-only"):
        cr.vjp(f, X)


# -- threads -------------------------------------------------------------------------------------


def in_threads(*jobs):
    errors = []

    def guarded(job):
        try:
            job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


def test_two_threads_trace_at_the_same_time():
    before = everything()
    barrier = threading.Barrier(2)

    def f(x, factor):
        barrier.wait()
        r = np.zeros(3)
        for i in range(3):
            r[i] = math.exp(x[i]) * factor
        barrier.wait()
        return np.sum(np.array([r[0], r[1] * 2.0, r[2]]))

    def job(factor):
        for _ in range(20):
            gradient = cr.grad(lambda x: f(x, factor))(X)
            np.testing.assert_allclose(gradient, np.exp(X) * factor * [1, 2, 1])

    in_threads(partial(job, 1.0), partial(job, 5.0))
    assert_restored(before)


def test_a_thread_that_does_not_trace_notices_nothing():
    tracing, done = threading.Event(), threading.Event()

    def f(x):
        tracing.set()
        done.wait(10)
        return np.sum(x)

    def other():
        tracing.wait(10)
        a = np.array([1.0, 2.0])
        b = np.zeros(2)
        b[0] = a[1]
        assert type(a) is type(b) is type(a.copy()) is np.ndarray
        assert type(np.vectorize(abs)(a)) is type(np.r_[a, b]) is np.ndarray
        assert type(math.exp(1.0)) is float
        assert a.dot(b) == 2.0
        assert type(np.random.default_rng(0).normal(size=2)) is np.ndarray
        np.testing.assert_allclose(cr.grad(lambda x: np.sum(x * x))(X), 2 * X)
        done.set()

    in_threads(lambda: cr.grad(f)(X), other)


def test_a_value_of_another_thread_is_refused():
    def f(x):
        def job():
            with pytest.raises(TraceError, match="outside the call that traced it"):
                x + 1.0

        in_threads(job)
        return x

    cr.vjp(f, X)


def test_generators():
    def parts(x):
        for v in x:
            yield v * v

    check(lambda x: sum(parts(x)), X)
    check(lambda x: np.array(list(parts(x))), X)
    kept = []
    cr.vjp(lambda x: (kept.append(parts(x)), x)[1], X)
    with pytest.raises(TraceError, match="outside the call that traced it"):
        next(kept[0])


# -- names taken from NumPy ----------------------------------------------------------------------


def module(name, source):
    made = types.ModuleType(name)
    filename = f"<{name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    exec(compile(source, filename, "exec"), vars(made))
    return made


HELPER = """
from numpy import array, zeros as make
from math import exp

def fill(x):
    r = make(3)
    for i in range(3):
        r[i] = exp(x[i])
    return r

class Model:
    def __init__(self, w): self.w = w
    def __call__(self, x): return array([x[0] * self.w, x[1]])
    @property
    def size(self): return array([self.w, 1.0])
"""


def test_names_taken_from_numpy_in_other_modules():
    helper = module("helper", HELPER)
    source = "from numpy import sum\n\ndef loss(x): return sum(fill(x)) + sum(model(x))\n"
    user = module("user", source)
    user.fill, user.model = helper.fill, helper.Model(2.0)
    assert_taken = {name: getattr(helper, name) for name in ("array", "make", "exp")}
    check(user.loss, X)
    check(lambda x: helper.fill(x), X)
    check(partial(lambda f, x: f(x), helper.fill), X)
    check(helper.Model(3.0), X)
    check(helper.Model(3.0).__call__, X)
    for name, value in assert_taken.items():
        assert getattr(helper, name) is value


def test_a_name_that_is_taken_later_is_found_by_the_next_trace():
    late = module("late", "def f(x):\n    r = zeros(3)\n    r[0] = x[0]\n    return r\n")
    late.zeros = lambda n: [0.0] * n
    cr.vjp(late.f, X)
    late.zeros = np.zeros
    check(late.f, X)
    assert late.zeros is np.zeros


def test_the_same_code_in_two_modules():
    source = "def f(x):\n    r = zeros(3)\n    r[0] = x[0]\n    return r\n"
    for name in ("one", "two"):
        made = module(name, source)
        made.zeros = np.zeros
        check(made.f, X)


def test_a_name_that_the_function_rebinds_stays_rebound():
    source = "from numpy import zeros\ndef f(x):\n    global zeros\n    zeros = 7\n    return x\n"
    made = module("rebinding", source)
    cr.vjp(made.f, X)
    assert made.zeros == 7


# -- compiled code, randomness -------------------------------------------------------------------


def test_random_draws_are_constants():
    def f(x):
        rng = np.random.default_rng(0)
        old = np.random.RandomState(0)
        order = rng.permutation(np.arange(3))
        shuffled = np.arange(3)
        assert type(rng.normal(size=3)) is np.ndarray
        return (
            x[order] * rng.normal(size=3) + old.uniform(size=3) + rng.choice(np.arange(5), 3),
            old.permutation(3) * x,
            rng.multivariate_normal(np.zeros(2), np.eye(2)),
            shuffled,
        )

    check(f, X)
    text = refusal(lambda x: np.random.default_rng(0).normal(x), X)
    assert "cannot become a plain array" in text


def test_compiled_code_takes_constants():
    linalg = pytest.importorskip("scipy.linalg")

    def f(x):
        a = np.eye(3) * 2.0
        return linalg.solve(a, np.ones(3)) * x + linalg.norm(np.arange(3.0))

    check(f, X)
    assert "plain array" in refusal(lambda x: linalg.norm(x), X)


# -- warnings ------------------------------------------------------------------------------------


def test_numpy_s_warnings_name_the_user_s_line():
    def f(x):
        y = np.log(x)
        return np.sum(y)

    first = inspect.getsourcelines(f)[1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cr.grad(f)(np.array([0.0, 1.0]))
    assert [str(w.message) for w in caught] == ["divide by zero encountered in log"]
    assert caught[0].filename == __file__
    assert caught[0].lineno == first + 1


def test_error_states_are_the_user_s():
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        cr.grad(lambda x: np.sum(np.log(x)))(np.zeros(2))
    with np.errstate(all="ignore"):
        cr.grad(lambda x: np.sum(np.log(x)))(np.zeros(2))

    def f(x):
        with np.errstate(divide="ignore"):
            return np.sum(np.log(x))

    cr.grad(f)(np.zeros(2))


def test_libraries_with_compiled_parts_get_plain_arrays():
    interpolate = pytest.importorskip("scipy.interpolate")
    sparse = pytest.importorskip("scipy.sparse")
    tree = pytest.importorskip("sklearn.tree")

    def f(x):
        spline = interpolate.CubicSpline(np.arange(4.0), np.ones(4))(np.arange(3.0))
        product = sparse.csr_matrix(np.eye(3)) @ np.ones(3)
        inputs = np.arange(6.0).reshape(3, 2)
        model = tree.DecisionTreeRegressor(random_state=0).fit(inputs, np.arange(3.0))
        return x * spline * product + model.predict(inputs)

    check(f, X)


@pytest.mark.filterwarnings("ignore:you are shuffling")
def test_shuffling():
    def vector(x):
        order, y = np.arange(3), x * 2.0
        np.random.default_rng(0).shuffle(order)
        np.random.default_rng(1).shuffle(y)
        return y * order

    check(vector, X)

    def rows(x):
        table = np.outer(x, x)
        np.random.default_rng(0).shuffle(table)
        return table

    assert "shuffled in place" in refusal(rows, X)


def test_arrays_that_are_no_numbers_stay_as_they_are():
    def f(x):
        names = np.array(["a", "b", "c"])
        table = np.zeros(3, dtype=[("weight", float)])
        table["weight"] = [1.0, 2.0, 3.0]
        chosen = dict(zip(names, x, strict=True))
        return chosen["b"] * table["weight"] + x

    check(f, X)


def test_shapes_and_sizes_from_constants():
    def f(x):
        shape = np.array([3, 1])
        n = np.array(2)
        listed = np.arange(3).tolist()
        assert type(listed[0]) is int
        return x.reshape(shape), np.zeros(shape) + x[0], sum(x[i] for i in range(n)), np.ones(n)

    check(f, X)


def test_a_gradient_leaves_nothing_to_the_garbage_collector():
    f = cr.value_and_grad(lambda x: np.sum(np.sin(x) * x[0]))
    f(np.ones(3))
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            f(np.ones(3))
        assert gc.collect() == 0
    finally:
        gc.enable()
