"""Programs with programs in them: loops and branches."""

import numpy as np
import pytest

from chainrule import checkpoint, cond, fori_loop, grad, scan, while_loop
from chainrule.program.program import Program
from chainrule.program.pytree import flatten
from chainrule.trace import Tracer
from chainrule.trace.body import Body
from chainrule.trace.program import trace_program

A = np.array([[0.5, 0.1], [-0.2, 0.3]])


def rolled(w, h, xs):
    def step(h, x):
        h = np.tanh(w @ h + x)
        return h, np.sum(h)

    last, sums = scan(step, h, xs)
    return np.sum(last) + np.sum(sums**2)


LOOPS = {
    "scan": rolled,
    "fori_loop": lambda w, h, xs: np.sum(fori_loop(0, 4, lambda i, h: w @ h + xs[0] * i, h)),
    "cond": lambda w, h, xs: cond(
        np.sum(h) > 0, lambda h: np.sum(w @ h), lambda h: np.sum(h**2), h
    ),
    "checkpoint": lambda w, h, xs: np.sum(checkpoint(lambda h: np.sin(w @ h))(h)),
}
VALUES = (A, np.array([0.3, 0.4]), np.arange(6.0).reshape(3, 2) / 7)
OTHERS = (A.T, np.array([-0.3, -0.4]), np.cos(VALUES[2]))


@pytest.mark.parametrize("transform", [lambda f: f, lambda f: grad(f, (0, 1, 2))])
@pytest.mark.parametrize("f", list(LOOPS.values()), ids=list(LOOPS))
def test_loops_are_programs(f, transform):
    transformed = transform(f)
    program, _ = trace_program(transformed, *VALUES, abstract=True)
    text = program.to_json()
    again = Program.from_json(text)
    assert again.fingerprint() == program.fingerprint()
    assert trace_program(transformed, *VALUES, abstract=True)[0].fingerprint() == (
        program.fingerprint()
    )
    for values in (VALUES, OTHERS):
        expected = transformed(*values)
        for p in (program, again):
            results = p.evaluate(*values)
            for a, b in zip(results, flatten(expected)[0], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_a_while_loop():
    f = lambda x: while_loop(lambda s: s < 100.0, lambda s: s * 2.0, x)
    program, _ = trace_program(f, 3.0, abstract=True)
    again = Program.from_json(program.to_json())
    assert again.evaluate(3.0) == program.evaluate(3.0) == (192.0,)


def test_bodies_hold_on_to_nothing_of_the_trace():
    program, _ = trace_program(rolled, *VALUES, abstract=True)
    (equation,) = (e for e in program.equations if e.primitive.name == "scan")
    body = equation.params["body"]
    assert type(body) is Body
    assert not any(isinstance(o, Tracer) for o in body.outer)


def test_bodies_are_printed_below_their_loop():
    lines = str(trace_program(rolled, *VALUES, abstract=True)[0]).splitlines()
    (start,) = (i for i, line in enumerate(lines) if "= scan" in line)
    assert "body=(" in lines[start]
    assert lines[start + 1].startswith("        body(")
    assert any(line.startswith(" " * 12) and "tanh" in line for line in lines[start:])


def test_what_a_body_does_counts():
    def loop(factor):
        f = lambda x: fori_loop(0, 3, lambda i, s: s * factor, x)
        return trace_program(f, 1.0, abstract=True)[0].fingerprint()

    assert loop(2.0) == loop(2.0)
    assert loop(2.0) != loop(3.0)
