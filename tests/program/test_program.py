"""Programs: traced, pruned, printed, evaluated, hashed."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings

from chainrule import grad, hessian, jvp, value_and_grad, vjp
from chainrule.program.equation import Equation, Var
from chainrule.program.errors import ProgramError, TraceError
from chainrule.program.primitive import PRIMITIVES
from chainrule.program.program import Program
from chainrule.program.pytree import flatten
from chainrule.trace.program import trace_program
from tests.transform.test_random_programs import points, programs, run

ABSTRACT = pytest.mark.parametrize("abstract", [True, False], ids=["abstract", "concrete"])


def layer(params, x):
    z1 = params["W"] @ x + params["b"]
    h = np.tanh(z1)
    return {"sum": np.sum(h[1:]), "h": h}


W = np.arange(6.0).reshape(2, 3)
PARAMS = {"W": W, "b": np.ones(2)}


class TestTracing:
    @ABSTRACT
    def test_inputs_and_outputs(self, abstract):
        program, out_tree = trace_program(layer, PARAMS, np.ones(3), abstract=abstract)
        assert [var.name for var in program.inputs] == ["params['W']", "params['b']", "x"]
        assert [str(var.type) for var in program.inputs] == [
            "float64[2,3]",
            "float64[2]",
            "float64[3]",
        ]
        h, total = program.evaluate(W, np.ones(2), np.zeros(3))
        result = out_tree.unflatten([h, total])
        np.testing.assert_array_equal(result["h"], np.tanh(np.ones(2)))
        assert result["sum"] == np.tanh(1.0)

    def test_no_values_are_kept(self):
        program, _ = trace_program(layer, PARAMS, np.ones(3))
        variables = [*program.inputs, *(e.out for e in program.equations)]
        assert all(var.value is None for var in variables)
        assert [var.id for var in variables] == list(range(len(variables)))

    @pytest.mark.parametrize(
        ("f", "args"),
        [
            (layer, (PARAMS, np.ones(3))),
            (lambda x, y: (x * 2 + y, x @ y[:, None]), (np.ones((3, 2)), np.ones(2))),
            (lambda x: np.concatenate([x, 2 * x])[::2].reshape(2, -1), (np.ones(4),)),
            (lambda x: (x * 2) * np.ones(2, np.float32), (3.0,)),
            (lambda x: (2 / abs(-x) ** 2) * np.ones(2, np.float32), (3.0,)),
            (lambda x: np.sin(x) * np.ones(2, np.float32), (3.0,)),
            (lambda x, y: np.where(y < 3, x, y), (3.0, np.ones(2, np.float32))),
            (grad(lambda x: np.sum(np.exp(x) * x[0])), (np.ones(3),)),
            (grad(grad(lambda x: np.sin(x) / x)), (2.0,)),
        ],
    )
    def test_shapes_alone_give_the_same_program(self, f, args):
        first, tree = trace_program(f, *args, abstract=True)
        second, other = trace_program(f, *args)
        comparisons = any(e.primitive.name == "less" for e in first.equations)
        if not comparisons:  # with values these are constants already
            assert first.fingerprint() == second.fingerprint()
        assert tree == other
        values = [leaf for arg in args for leaf in flatten(arg)[0]]
        for a, b in zip(first.evaluate(*values), second.evaluate(*values), strict=True):
            np.testing.assert_array_equal(a, b)
            assert np.asarray(a).dtype == np.asarray(b).dtype

    def test_integers_and_strings_are_part_of_the_program(self):
        program, _ = trace_program(lambda x, n, how: x**n, np.ones(2), 3, "text", abstract=True)
        assert len(program.inputs) == 1
        np.testing.assert_array_equal(program.evaluate(np.full(2, 2.0))[0], [8.0, 8.0])

    def test_keyword_arguments(self):
        program, _ = trace_program(
            lambda x, *, scale, shift: x * scale + shift, 2.0, shift=1.0, scale=5.0, abstract=True
        )
        assert [var.name for var in program.inputs] == ["x", "scale", "shift"]
        assert program.evaluate(2.0, 5.0, 1.0) == (11.0,)

    def test_a_branch_is_refused_with_its_picture(self):
        def f(x):
            y = x * 2
            if y > 0:
                return y
            return -y

        with pytest.raises(TraceError) as caught:
            trace_program(f, 1.0, abstract=True)
        text = str(caught.value)
        assert "if y > 0:" in text
        assert "^^^^^" in text
        assert "np.where" in text
        program, _ = trace_program(f, 1.0)  # with values: the program of this branch
        assert program.evaluate(3.0) == (6.0,)

    def test_constants_are_copied(self):
        a = np.ones(2)
        program, _ = trace_program(lambda x: x * a, np.ones(2))
        a[:] = 7.0
        np.testing.assert_array_equal(program.evaluate(np.ones(2))[0], np.ones(2))

    def test_large_constants_are_copied_and_the_originals_left_writeable(self):
        a = np.ones(10_000)
        program, _ = trace_program(lambda x: x * a, np.ones(10_000))
        a[:] = 7.0
        assert program.evaluate(np.ones(10_000))[0][0] == 1.0

    def test_inside_of_another_trace(self):
        seen = []

        def f(x):
            seen.append(trace_program(np.sin, 2.0)[0])
            return x * 2

        assert grad(f)(1.0) == 2.0
        assert seen[0].evaluate(1.0) == (np.sin(1.0),)

    def test_a_value_of_a_trace_around_it(self):
        def f(x):
            trace_program(lambda y: x * y, 2.0)
            return x

        with pytest.raises(TraceError):
            grad(f)(1.0)

    def test_dead_code_is_left_out(self):
        def f(x):
            np.exp(x)
            y = np.sin(x)
            np.cos(y)
            return y

        program, _ = trace_program(f, np.ones(2))
        assert [e.primitive.name for e in program.equations] == ["sin"]

    def test_outputs_that_are_inputs_or_constants(self):
        program, _ = trace_program(lambda x, y: (y, 3.0, np.ones(2), y), 1.0, np.zeros(2))
        y = np.zeros(2)
        a, b, c, d = program.evaluate(1.0, y)
        assert b == 3.0
        for i, one in enumerate((a, c, d)):
            assert not np.may_share_memory(one, y)
            assert not any(np.may_share_memory(one, other) for other in (a, c, d)[:i])
        c[:] = 5.0
        np.testing.assert_array_equal(program.evaluate(1.0, y)[2], np.ones(2))


class TestGradientPrograms:
    def f(self, x, w):
        return np.sum(np.tanh(w @ x) ** 2) + np.sum(np.where(x > 0, x, 0.0) * np.exp(-x))

    x = np.array([0.5, -1.0, 2.0])
    other = np.array([-0.3, 0.7, 1.0])

    @pytest.mark.parametrize(
        "transform",
        [
            grad,
            lambda f: grad(f, (0, 1)),
            value_and_grad,
            hessian,
            lambda f: grad(lambda x, w: np.sum(grad(f)(x, w) ** 2)),
            lambda f: lambda x, w: jvp(f, (x, w), (x, w)),
            lambda f: lambda x, w: vjp(f, x, w)[1](2.0),
        ],
    )
    def test_a_program_of_shapes_holds_at_every_point(self, transform):
        transformed = transform(self.f)
        program, out_tree = trace_program(transformed, self.x, W, abstract=True)
        for x in (self.x, self.other):
            result = out_tree.unflatten(program.evaluate(x, W))
            compare(result, transformed(x, W))

    def test_a_program_of_values_holds_at_its_point(self):
        program, _ = trace_program(grad(self.f), self.x, W)
        (result,) = program.evaluate(self.x, W)
        np.testing.assert_allclose(result, grad(self.f)(self.x, W), rtol=1e-14)

    def test_masks_hold_in_programs(self):
        f = lambda x: np.sum(np.where(x > 0, np.log(np.where(x > 0, x, x)), 0.0))
        program, _ = trace_program(grad(f), np.ones(2), abstract=True)
        np.testing.assert_array_equal(program.evaluate(np.array([0.0, 2.0]))[0], [0.0, 0.5])

    def test_a_program_may_be_differentiated(self):
        program, _ = trace_program(grad(np.sin), 1.0, abstract=True)
        (value,) = program.evaluate(0.5)
        assert value == np.cos(0.5)


def compare(a, b):
    for x, y in zip(flatten(a)[0], flatten(b)[0], strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-13, atol=1e-15)
        assert np.shape(x) == np.shape(y)


class TestEvaluation:
    program, _ = trace_program(lambda x, s: x * s, np.ones(2, np.float32), 2.0, abstract=True)

    def test_types(self):
        (result,) = self.program.evaluate(np.ones(2, np.float32), 3.0)
        assert result.dtype == np.float32
        (result,) = self.program.evaluate(np.ones(2, np.float32), np.float64(3.0))
        assert result.dtype == np.float32
        (result,) = self.program.evaluate(np.ones(2, np.int8), 3)
        assert result.dtype == np.float32

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ((), "takes 2 values, but was given 0"),
            ((np.ones(3, np.float32), 1.0), r"input 0 \(x\) has shape \(3,\) instead of \(2,\)"),
            ((np.ones(2), 1.0), "float64 instead of float32"),
            ((np.ones(2, np.float32), 1j), "complex128 instead of float64"),
            ((np.ones(2, np.float32), "1"), "instead of float64"),
        ],
    )
    def test_what_does_not_fit(self, values, message):
        with pytest.raises(ProgramError, match=message):
            self.program.evaluate(*values)

    def test_infinities(self):
        program, _ = trace_program(grad(lambda x: x**1.5), 1.0, abstract=True)
        assert program.evaluate(0.0) == (0.0,)
        program, _ = trace_program(lambda x: 1 / x, 1.0, abstract=True)
        assert program.evaluate(0.0) == (np.inf,)
        assert np.isnan(program.evaluate(np.nan)[0])


class TestWellFormed:
    x, y = (Var(i, None, trace_program(np.sin, 1.0)[0].inputs[0].type) for i in range(2))
    sine = Equation(PRIMITIVES["sin"], (x,), {}, (y,), ())

    @pytest.mark.parametrize(
        ("inputs", "equations", "outputs", "message"),
        [
            ((), (sine,), (), "used before"),
            ((x,), (sine, sine), (), "defined twice"),
            ((x, x), (), (), "defined twice"),
            ((x, y), (sine,), (), "defined twice"),
            ((x,), (), (y,), "never computed"),
        ],
    )
    def test_what_is_not(self, inputs, equations, outputs, message):
        with pytest.raises(ProgramError, match=message):
            Program(inputs, equations, outputs)

    def test_frozen(self):
        program = Program((self.x,), (self.sine,), (self.y,))
        with pytest.raises(AttributeError):
            program.outputs = ()


class TestPrinting:
    def test_names_types_and_lines(self):
        program, _ = trace_program(layer, PARAMS, np.ones(3), abstract=True)
        line = layer.__code__.co_firstlineno
        assert str(program).splitlines() == [
            "layer(params['W']: float64[2,3], params['b']: float64[2], x: float64[3]):",
            f"    t0: float64[2] = matmul params['W'] x            # test_program.py:{line + 1}",
            f"    z1: float64[2] = add t0 params['b']              # test_program.py:{line + 1}",
            f"    h: float64[2] = tanh z1                          # test_program.py:{line + 2}",
            f"    t1: float64[1] = getitem h spec=[1:]             # test_program.py:{line + 3}",
            f"    t2: float64[] = sum t1 axis=(0,) keepdims=False  # test_program.py:{line + 3}",
            "    return h, t2",
        ]

    def test_a_name_that_is_used_again(self):
        def f(x):
            for _ in range(3):
                x = np.sin(x)
            return x

        program, _ = trace_program(f, 1.0)
        assert [line.split(":")[0].strip() for line in str(program).splitlines()[1:4]] == [
            "x.1",
            "x.2",
            "x.3",
        ]

    def test_one_statement_names_its_last_equation_only(self):
        def f(x):
            slope = grad(lambda y: np.sum(np.sin(y) ** 2))(x)
            return slope * 2

        program, _ = trace_program(f, np.ones(2), abstract=True)
        assert sum("slope:" in line for line in str(program).splitlines()) <= 1

    def test_constants_and_indices(self):
        a = np.arange(100.0)
        i = np.array([1, 0])
        f = lambda x: (
            x * np.array([1.0, 2.0]),
            x[i],
            x[..., None, 0],
            a[:2] * x,
            x * np.float32(2),
        )
        text = str(trace_program(f, np.ones(2), abstract=True)[0])
        for part in ("mul x [1.,2.]", "getitem x [1,0] spec=[#0]", "spec=[..., None, 0]"):
            assert part in text
        text = str(trace_program(lambda x: x * a, 1.0, abstract=True)[0])
        assert "mul x <float64[100]>" in text


class TestFingerprint:
    def of(self, f, *args):
        return trace_program(f, *args, abstract=True)[0].fingerprint()

    def test_names_and_places_do_not_count(self):
        def f(x):
            y = np.sin(x)
            return y * 2.0

        assert self.of(f, np.ones(2)) == self.of(lambda a: np.sin(a) * 2.0, np.ones(2))

    def test_dead_code_does_not_count(self):
        assert self.of(lambda x: (np.cos(x), np.sin(x))[1], 1.0) == self.of(np.sin, 1.0)

    @pytest.mark.parametrize(
        ("f", "g"),
        [
            (lambda x: np.sin(x), lambda x: np.cos(x)),
            (lambda x: x * 2.0, lambda x: x * 2),
            (lambda x: x * 2.0, lambda x: x * np.float64(2.0)),
            (lambda x: x * 0.0, lambda x: x * -0.0),
            (lambda x: x - x * 2, lambda x: x * 2 - x),
            (lambda x: np.sum(x, 0), lambda x: np.sum(x, 1)),
            (lambda x: x * np.ones(2), lambda x: x * np.array([1.0, 2.0])),
            (lambda x: x[0], lambda x: x[0, :]),
            (lambda x: (x, x), lambda x: x),
            (lambda x: x.astype(np.float32), lambda x: x.astype(complex)),
        ],
    )
    def test_everything_else_does(self, f, g):
        assert self.of(f, np.ones((2, 2))) != self.of(g, np.ones((2, 2)))

    def test_types_of_inputs_count(self):
        prints = {
            self.of(np.sin, x)
            for x in (1.0, np.float64(1.0), np.float32(1), 1j, np.ones(1), np.ones((1, 1)))
        }
        assert len(prints) == 6

    def test_it_is_the_same_in_another_process(self):
        code = (
            "import numpy as np\n"
            "from chainrule.trace.program import trace_program\n"
            "f = lambda x: np.sum(np.sin(x) * np.arange(3.0), axis=0)\n"
            "print(trace_program(f, np.ones(3), abstract=True)[0].fingerprint())\n"
        )
        prints = {
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            ).stdout.strip()
            for _ in range(2)
        }
        f = lambda x: np.sum(np.sin(x) * np.arange(3.0), axis=0)
        assert prints == {self.of(f, np.ones(3))}


@given(programs(), points)
@settings(max_examples=40)
def test_random_programs(steps, point):
    f = lambda x, y: run(steps, x, y)
    other = np.cos(point)
    for transformed in (f, grad(lambda x, y: np.sum(f(x, y)))):
        abstract, _ = trace_program(transformed, *point, abstract=True)
        concrete, _ = trace_program(transformed, *point)
        if all(name != "assign" for name, _ in steps):  # memory layout decides what is read again
            assert abstract.fingerprint() == concrete.fingerprint()
        again = Program.from_json(abstract.to_json())
        assert again.fingerprint() == abstract.fingerprint()
        for values in (point, other):
            expected = transformed(*values)
            (result,) = abstract.evaluate(*values)
            np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-14)
            np.testing.assert_array_equal(again.evaluate(*values)[0], result)
