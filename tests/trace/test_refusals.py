"""Each refusal is a picture of the user's line, and the rewrite that it proposes works."""
# ruff: noqa: E501 - a picture is as wide as it is

import linecache
import pickle
import textwrap
import types

import numpy as np
import pytest

import chainrule as cr
from chainrule.program.errors import ChainruleError

CASES = [
    pytest.param(
        """\
        def loss(x):
            t = x * 2
            return np.log(float(t))
        """,
        """\
        float() needs a plain number, but `t` is being differentiated
          --> <model>:3:19 in loss
         3 |     return np.log(float(t))
           |                   ^^^^^^^^ this value carries a derivative
           = why:  a Python float has no derivative, so the gradient would silently lose this path
           = help: leave float() out, since NumPy takes the value as it is; for printing only: `float(stop_gradient(t))`
        """,
        """\
        def loss(x):
            t = x * 2
            return np.log(t)
        """,
        2.0,
        id="a number for the math",
    ),
    pytest.param(
        """\
        def loss(x):
            t = x['w'] * 2
            history.append(float(t))
            return t * 3
        """,
        """\
        float() needs a plain number, but `t` is being differentiated
          --> <model>:3:20 in loss
         3 |     history.append(float(t))
           |                    ^^^^^^^^ this value carries a derivative
           = why:  a Python float has no derivative, so the gradient would silently lose this path
           = help: leave float() out, since NumPy takes the value as it is; for printing only: `float(stop_gradient(t))`
        """,
        """\
        def loss(x):
            t = x['w'] * 2
            history.append(float(stop_gradient(t)))
            return t * 3
        """,
        {"w": 2.0},
        id="a number to log",
    ),
    pytest.param(
        """\
        def loss(x):
            return float(x['w'] * 2)
        """,
        """\
        float() needs a plain number, but `x['w'] * 2` is being differentiated
          --> <model>:2:12 in loss
         2 |     return float(x['w'] * 2)
           |            ^^^^^^^^^^^^^^^^^ this value carries a derivative
           = why:  a Python float has no derivative, so the gradient would silently lose this path
           = help: leave float() out, since NumPy takes the value as it is; for printing only: `float(stop_gradient(x['w'] * 2))`
        """,
        """\
        def loss(x):
            return x['w'] * 2
        """,
        {"w": 2.0},
        id="an expression",
    ),
    pytest.param(
        """\
        def loss(x):
            buf[0] = x[1]
            return buf.sum()
        """,
        """\
        a value that is being differentiated cannot be written into the plain array `buf`
          --> <model>:2:5 in loss
         2 |     buf[0] = x[1]
           |     ^^^^^^ a plain array has no place for a derivative
           = why:  the array was made outside of the traced function, or by a function that makes plain arrays
           = help: take a copy inside the function and write into that: `r = np.array(buf)`
        """,
        """\
        def loss(x):
            r = np.array(buf)
            r[0] = x[1]
            return r.sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="an element of a plain array",
    ),
    pytest.param(
        """\
        def loss(x):
            state.buf[0] = x[1]
            return state.buf.sum()
        """,
        """\
        a value that is being differentiated cannot be written into the plain array `state.buf`
          --> <model>:2:5 in loss
         2 |     state.buf[0] = x[1]
           |     ^^^^^^^^^^^^ a plain array has no place for a derivative
           = why:  the array was made outside of the traced function, or by a function that makes plain arrays
           = help: take a copy inside the function and write into that: `r = np.array(state.buf)`
        """,
        """\
        def loss(x):
            r = np.array(state.buf)
            r[0] = x[1]
            return r.sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="an element of an attribute",
    ),
    pytest.param(
        """\
        def loss(x):
            r = np.zeros(3, int)
            r[0] = x[0]
            return r.sum()
        """,
        """\
        a float64 that is being differentiated is assigned into an array of int64
          --> <model>:3:5 in loss
         3 |     r[0] = x[0]
           |     ^^^^ NumPy would convert it to int64 here
           = why:  that conversion has no derivative, so the gradient would silently lose this path
           = help: create `r` with `dtype=float`
        """,
        """\
        def loss(x):
            r = np.zeros(3, dtype=float)
            r[0] = x[0]
            return r.sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="an array of integers",
    ),
    pytest.param(
        """\
        def loss(x):
            r = np.arange(3)
            r += x
            return r.sum()
        """,
        """\
        a float64 that is being differentiated is assigned into an array of int64
          --> <model>:3:5 in loss
         3 |     r += x
           |     ^^^^^^ NumPy would convert it to int64 here
           = why:  that conversion has no derivative, so the gradient would silently lose this path
           = help: create `r` with `dtype=float`
        """,
        """\
        def loss(x):
            r = np.arange(3, dtype=float)
            r += x
            return r.sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="an array of integers in place",
    ),
    pytest.param(
        """\
        def loss(x):
            return linalg.norm(x * 2)
        """,
        """\
        `x * 2` is being differentiated and cannot become a plain array
          --> <model>:2:12 in loss
         2 |     return linalg.norm(x * 2)
           |            ^^^^^^^^^^^^^^^^^^ this reads raw memory, which holds no derivative
           = why:  compiled code cannot be traced, so the gradient would silently lose this path
           = help: use functions of NumPy instead; if no derivative is wanted through it, pass `stop_gradient(x * 2)`
        """,
        """\
        def loss(x):
            return np.linalg.norm(x * 2)
        """,
        np.array([0.5, 1.5, 2.5]),
        id="compiled code",
    ),
    pytest.param(
        """\
        def loss(x):
            return linalg.solve(A, x).sum()
        """,
        """\
        `x` is being differentiated and cannot become a plain array
          --> <model>:2:12 in loss
         2 |     return linalg.solve(A, x).sum()
           |            ^^^^^^^^^^^^^^^^^^ this reads raw memory, which holds no derivative
           = why:  compiled code cannot be traced, so the gradient would silently lose this path
           = help: use functions of NumPy instead; if no derivative is wanted through it, pass `stop_gradient(x)`
        """,
        """\
        def loss(x):
            return np.linalg.solve(A, x).sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="compiled code with several arguments",
    ),
    pytest.param(
        """\
        def loss(x):
            return rng.normal(x[0])
        """,
        """\
        `x[0]` is being differentiated and cannot become a plain array
          --> <model>:2:12 in loss
         2 |     return rng.normal(x[0])
           |            ^^^^^^^^^^^^^^^^ this reads raw memory, which holds no derivative
           = why:  compiled code cannot be traced, so the gradient would silently lose this path
           = help: use functions of NumPy instead; if no derivative is wanted through it, pass `stop_gradient(x[0])`
        """,
        """\
        def loss(x):
            return rng.normal(stop_gradient(x[0])) * x.sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="a parameter of a random draw",
    ),
    pytest.param(
        """\
        def loss(x):
            return (x + {1: 2}).sum()
        """,
        """\
        a dict cannot be combined with a value that is being differentiated
          --> <model>:2:13 in loss
         2 |     return (x + {1: 2}).sum()
           |             ^^^^^^^^^^ one operand is a dict
           = help: convert it to an array or a number first
        """,
        """\
        def loss(x):
            return (x + {1: 2}[1]).sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="an unknown operand",
    ),
    pytest.param(
        """\
        def loss(x):
            r = np.array([x[0], x[1]], dtype=object)
            return r.sum()
        """,
        """\
        an array of objects cannot hold values that are being differentiated
          --> <model>:2:9 in loss
         2 |     r = np.array([x[0], x[1]], dtype=object)
           |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           = why:  NumPy would compute with each element by itself and unseen
           = help: leave `dtype=object` out, or use a list
        """,
        """\
        def loss(x):
            r = np.array([x[0], x[1]])
            return r.sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="an array of objects",
    ),
    pytest.param(
        """\
        def loss(x):
            return (x * np.matrix([[1.0, 2.0, 3.0]])).sum()
        """,
        """\
        a matrix met a value that is being differentiated
          --> <model>:2:13 in loss
         2 |     return (x * np.matrix([[1.0, 2.0, 3.0]])).sum()
           |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this kind of array changes what operators mean
           = help: pass a plain array: np.asarray(...)
        """,
        """\
        def loss(x):
            return (x * np.asarray(np.matrix([[1.0, 2.0, 3.0]]))).sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="a matrix",
    ),
    pytest.param(
        """\
        def loss(x):
            return (masked * x).sum()
        """,
        """\
        a MaskedArray met a value that is being differentiated
          --> <model>:2:13 in loss
         2 |     return (masked * x).sum()
           |             ^^^^^^^^^^ this kind of array changes what operators mean
           = help: pass a plain array: np.asarray(...)
        """,
        """\
        def loss(x):
            return (np.asarray(masked) * x).sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="a masked array",
    ),
    pytest.param(
        """\
        def loss(x):
            return (x * kept).sum()
        """,
        """\
        `kept` was used outside the call that traced it
          --> <model>:2:13 in loss
         2 |     return (x * kept).sum()
           |             ^^^^^^^^ this value belongs to a derivative that is finished or runs elsewhere
           = why:  the function kept a traced value (in a global, an attribute, a list or another thread) beyond its own call
           = help: return the value from the function (has_aux=True hands back extra outputs)
        """,
        """\
        def loss(x):
            return (x * x).sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="a value that was kept",
    ),
    pytest.param(
        """\
        def loss(x):
            y = x * big
            big[0] = 2.0
            return y.sum()
        """,
        """\
        an array that the derivative needs was changed in place
          --> <model>:3:5 in loss
         3 |     big[0] = 2.0
           |     ^^^^^^ its earlier value is a factor in the chain rule
           = why:  it is large, so it was not copied when it was used
           = help: change a copy instead: `r = big.copy()`
        """,
        """\
        def loss(x):
            y = x * big
            r = big.copy()
            r[0] = 2.0
            return y.sum()
        """,
        np.ones(5000),
        id="a large constant that changes",
    ),
    pytest.param(
        """\
        def loss(x):
            total = rng.normal(size=3)
            first = total
            total += x
            return first.sum()
        """,
        """\
        a value that is being differentiated cannot be written into an existing plain array
          --> <model>:4:5 in loss
         4 |     total += x
           |     ^^^^^^^^^^ a plain array has no place for a derivative
           = why:  the array has other users, which would not see the change
           = help: start from a copy made inside the function: `r = np.array(total)`
        """,
        """\
        def loss(x):
            total = rng.normal(size=3)
            r = np.array(total)
            r += x
            return r.sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="a plain array in place",
    ),
    pytest.param(
        """\
        def loss(x):
            return np.nextafter(x, 2.0).sum()
        """,
        """\
        `np.nextafter` has no derivative rule here
          --> <model>:2:12 in loss
         2 |     return np.nextafter(x, 2.0).sum()
           |            ^^^^^^^^^^^^^^^^^^^^
           = help: write it with other NumPy functions; if no derivative is wanted through it, pass `stop_gradient(x)`
        """,
        """\
        def loss(x):
            return (np.nextafter(stop_gradient(x), 2.0) * x).sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="a ufunc without a rule",
    ),
    pytest.param(
        """\
        def loss(x):
            return special.mathieu_a(2, x).sum()
        """,
        """\
        `scipy.special.mathieu_a` has no derivative rule here
          --> <model>:2:12 in loss
         2 |     return special.mathieu_a(2, x).sum()
           |            ^^^^^^^^^^^^^^^^^^^^^^^
           = help: write it with other NumPy functions; if no derivative is wanted through it, pass `stop_gradient(x)`
        """,
        """\
        def loss(x):
            return (special.mathieu_a(2, stop_gradient(x)) * x).sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="a special function without a rule",
    ),
    pytest.param(
        """\
        def loss(x):
            return len(x.tobytes()) * x.sum()
        """,
        """\
        the ndarray attribute .tobytes cannot be followed by the derivative
          --> <model>:2:16 in loss
         2 |     return len(x.tobytes()) * x.sum()
           |                ^^^^^^^^^
           = why:  it reads raw memory or the raw values
           = help: if no derivative is wanted through it, use `stop_gradient(x)`
        """,
        """\
        def loss(x):
            return len(stop_gradient(x).tobytes()) * x.sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="raw memory",
    ),
    pytest.param(
        """\
        def loss(x):
            return np.exp([x[0], x[1]]).sum()
        """,
        """\
        a value here is being differentiated and cannot become a plain array
          --> <model>:2:12 in loss
         2 |     return np.exp([x[0], x[1]]).sum()
           |            ^^^^^^^^^^^^^^^^^^^^ this reads raw memory, which holds no derivative
           = why:  compiled code cannot be traced, so the gradient would silently lose this path
           = help: make an array of it first: `np.array([x[0], x[1]])`
        """,
        """\
        def loss(x):
            return np.exp(np.array([x[0], x[1]])).sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="a list of values",
    ),
    pytest.param(
        """\
        def loss(x):
            return {x: 1}[x] * x
        """,
        """\
        `x` is being differentiated and cannot be hashed
          --> <model>:2:12 in loss
         2 |     return {x: 1}[x] * x
           |            ^^^^^^ a dictionary key, a set member or an argument of a cached function
           = why:  what is found by the value would be cut off from the derivative
           = help: look it up by the plain value: `float(stop_gradient(x))`
        """,
        """\
        def loss(x):
            return {float(stop_gradient(x)): 1}[float(stop_gradient(x))] * x
        """,
        1.0,
        id="a dictionary key",
    ),
    pytest.param(
        """\
        def loss(x):
            pickle.dumps(x)
            return x.sum()
        """,
        """\
        `x` cannot be pickled while it is being differentiated
          --> <model>:2:5 in loss
         2 |     pickle.dumps(x)
           |     ^^^^^^^^^^^^^^^
           = why:  it is a place in a computation and not a value
           = help: store `stop_gradient(x)`
        """,
        """\
        def loss(x):
            pickle.dumps(stop_gradient(x))
            return x.sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="pickling",
    ),
    pytest.param(
        """\
        def loss(x):
            return np.log(x, where=x > 0).sum()
        """,
        """\
        np.log with where= and without out= has no derivative rule here
          --> <model>:2:12 in loss
         2 |     return np.log(x, where=x > 0).sum()
           |            ^^^^^^^^^^^^^^^^^^^^^^
           = why:  the elements that `where` leaves out would be uninitialised memory
           = help: use np.where(condition, f(x), other)
        """,
        """\
        def loss(x):
            return np.where(x > 0, np.log(x), 0.0).sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="where without out",
    ),
    pytest.param(
        """\
        def loss(x):
            return np.frompyfunc(abs, 1, 1)(x).sum()
        """,
        """\
        a function made by np.frompyfunc has no derivative rule here
          --> <model>:2:12 in loss
         2 |     return np.frompyfunc(abs, 1, 1)(x).sum()
           |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^
           = why:  it calls a Python function on each element, unseen
           = help: np.vectorize, or a list: `np.array([f(a) for a in x])`
        """,
        """\
        def loss(x):
            return np.array([abs(a) for a in x]).sum()
        """,
        np.array([0.5, 1.5, 2.5]),
        id="a function of objects",
    ),
]


def user_names():
    """What the user's module holds beside the function."""
    linalg = pytest.importorskip("scipy.linalg")
    special = pytest.importorskip("scipy.special")
    kept = []
    cr.vjp(lambda x: (kept.append(x * 2), x)[1], np.ones(3))
    return {
        "np": np,
        "stop_gradient": cr.stop_gradient,
        "history": [],
        "buf": np.zeros(3),
        "state": types.SimpleNamespace(buf=np.zeros(3)),
        "linalg": linalg,
        "special": special,
        "A": np.eye(3),
        "rng": np.random.default_rng(0),
        "masked": np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]),
        "kept": kept[0],
        "big": np.ones(5000),
        "pickle": pickle,
    }


def loss_of(source):
    name = "<model>"
    source = textwrap.dedent(source)
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    namespace = user_names()
    exec(compile(source, name, "exec"), namespace)
    return namespace["loss"]


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize(("source", "picture", "rewrite", "x"), CASES)
def test_the_picture_and_its_rewrite(source, picture, rewrite, x):
    with pytest.raises(ChainruleError) as caught:
        cr.grad(loss_of(source))(x)
    assert str(caught.value) == textwrap.dedent(picture).rstrip()
    cr.grad(loss_of(rewrite))(x)


def test_refusals_are_type_errors_where_numpy_s_are():
    with pytest.raises(TypeError):
        cr.grad(lambda x: float(x))(1.0)
    with pytest.raises(NotImplementedError):
        cr.grad(lambda x: np.unique(x).sum())(np.ones(3))


def test_a_refusal_can_be_caught_like_any_error():
    def f(x):
        try:
            history = float(x)
        except TypeError:
            history = 0.0
        return x * 2 + history

    assert cr.grad(f)(1.0) == 2.0


def test_the_line_is_the_user_s_also_through_helpers_and_comprehensions():
    def helper(v):
        return float(v)

    def f(x):
        return sum([helper(v) for v in x])

    with pytest.raises(ChainruleError) as caught:
        cr.grad(f)(np.ones(2))
    assert "return float(v)" in str(caught.value)
    assert " in test_the_line" in str(caught.value)
