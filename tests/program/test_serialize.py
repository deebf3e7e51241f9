"""Programs as JSON: the way back, and what a damaged or hostile text gives."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.program.equation import Equation, Var
from chainrule.program.errors import ProgramError
from chainrule.program.index import Hole
from chainrule.program.primitive import PRIMITIVES
from chainrule.program.program import Program
from chainrule.program.serialize import _array_data, _Reader, _Writer
from chainrule.trace.program import trace_program


def written(value):
    return json.loads(json.dumps(_Writer(_array_data).value(value), allow_nan=False))


def read(content):
    return _Reader().value(content)


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return all(map(same, a.items(), b.items())) and len(a) == len(b)
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, slice):
        return same((a.start, a.stop, a.step), (b.start, b.stop, b.step))
    return repr(a) == repr(b)


dtypes = st.sampled_from(
    ["bool", "int8", "uint16", "int64", "float16", "float32", "float64", "complex64", "complex128"]
).map(np.dtype)
numbers = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.complex_numbers(),
    st.text(),
    st.just(Ellipsis),
    dtypes,
    st.integers(0, 5).map(Hole),
    st.builds(slice, *[st.none() | st.integers(-9, 9)] * 3),
    hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)),
    hnp.arrays(dtypes, (1,)).map(lambda a: a[0]),
    hnp.arrays(dtypes, (4, 6)).map(lambda a: a.T[::2]),
    st.just(np.arange(3, dtype=">f8")),
)
values = st.recursive(
    numbers,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=8,
)


@given(values)
def test_values_come_back_to_the_bit(value):
    assert same(read(written(value)), value)


EVERYTHING = [
    (lambda x: x[0, ..., None, ::2], (np.ones((2, 3)),)),
    (lambda x: x[np.array([1, 0]), 1:], (np.ones((2, 3)),)),
    (lambda x: np.where(x > 0, x, -np.inf), (np.ones(2),)),
    (lambda x: x.astype(np.float32) * np.float32(2), (np.ones(2),)),
    (lambda x: np.einsum("ij,kj->ik", x, x), (np.ones((2, 3)),)),
    (lambda z: np.abs(z * (1 + 2j)), (np.ones(2) * 1j,)),
    (lambda x: (x, 1.0, None, np.ones(2)), (2.0,)),
    (lambda x: np.max(x, axis=(0, 1), keepdims=True), (np.ones((2, 3)),)),
]


@pytest.mark.parametrize(("f", "args"), EVERYTHING)
def test_programs_come_back(f, args):
    program, _ = trace_program(f, *args, abstract=True)
    again = Program.from_json(program.to_json())
    assert again.fingerprint() == program.fingerprint()
    assert again.to_json() == program.to_json()
    for a, b in zip(program.evaluate(*args), again.evaluate(*args), strict=True):
        assert same(a, b)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (0, 2, 1), (1, 0, 2)])
def test_the_layout_of_constants_comes_back(axes):
    # it decides in which order BLAS adds
    a = np.arange(24.0).reshape(2, 3, 4)
    turned = a.transpose(axes).copy().transpose(np.argsort(axes))
    f, g = (trace_program(lambda x, a=a: x + a, 1.0, abstract=True)[0] for a in (a, turned))
    assert f.fingerprint() == g.fingerprint()
    again = Program.from_json(g.to_json())
    (constant,) = (o for o in again.equations[0].operands if type(o) is np.ndarray)
    assert constant.strides == turned.strides
    np.testing.assert_array_equal(constant, a)


def test_names_come_back():
    def f(x):
        y = np.sin(x)
        return y * 2

    program, _ = trace_program(f, 1.0, abstract=True)
    again = Program.from_json(program.to_json())
    strip = lambda text: [line.split("#")[0].rstrip() for line in text.splitlines()]
    assert strip(str(again)) == strip(str(program))


def test_a_parameter_that_is_a_program():
    inner, _ = trace_program(np.sin, 1.0, abstract=True)
    content = written({"body": inner})
    back = read(content)["body"]
    assert back.fingerprint() == inner.fingerprint()


def test_constants_that_come_back_are_constant():
    program, _ = trace_program(lambda x: x * np.ones(3), np.ones(3))
    again = Program.from_json(program.to_json())
    for p in (program, again):
        (constant,) = (o for o in p.equations[0].operands if type(o) is np.ndarray)
        with pytest.raises(ValueError, match="read-only"):
            constant[0] = 2.0


class TestDamage:
    program, _ = trace_program(lambda x: np.sin(x) * np.ones(2), np.ones(2))

    def content(self):
        return json.loads(self.program.to_json())

    def check(self, content, message):
        with pytest.raises(ProgramError, match=message):
            Program.from_json(json.dumps(content))

    def test_no_json(self):
        with pytest.raises(ProgramError, match="not JSON"):
            Program.from_json("{")
        with pytest.raises(ProgramError, match="no chainrule program"):
            Program.from_json("[]")
        self.check({"format": "other"}, "no chainrule program")

    def test_another_version(self):
        self.check(self.content() | {"version": 99}, "version 99")

    def test_an_unknown_primitive(self):
        content = self.content()
        content["equations"][0]["primitive"] = "frobnicate"
        self.check(content, "'frobnicate', which does not exist here")

    @pytest.mark.parametrize(
        "operand",
        [
            {"var": 99},
            {"var": -1},
            {"var": "0"},
            {"var": 2},
            {"eval": "1"},
            {"tuple": 3},
            [1],
            {},
            {"float": "1e9"},
            {"array": ["<f8", [2], "AAAA"]},
            {"array": ["<f8", [-1], ""]},
            {"array": ["<f8", [1], "!!!!"]},
            {"array": ["<f8", [1], "AAAAAAAAAAA=", "K"]},
            {"array": ["<f8", [1], "AAAAAAAAAAA=", [1]]},
            {"array": ["<f8", [1], "AAAAAAAAAAA=", [0, 0]]},
            {"array": ["O", [1], "AAAAAAAAAAA="]},
            {"array": ["M8[s]", [1], "AAAAAAAAAAA="]},
            {"dtype": "O"},
            {"dtype": "nonsense"},
            {"hole": "x"},
        ],
    )
    def test_operands_that_mean_nothing(self, operand):
        content = self.content()
        content["equations"][0]["operands"] = [operand]
        with pytest.raises(ProgramError):
            Program.from_json(json.dumps(content))

    @pytest.mark.parametrize("key", ["inputs", "equations", "outputs", "name"])
    @pytest.mark.parametrize("value", [None, 3, {"a": 1}, [[3]], [{"var": []}]])
    def test_parts_of_another_kind(self, key, value):
        content = self.content()
        if key == "name":
            del content[key]
        else:
            content[key] = value
        with pytest.raises(ProgramError):
            Program.from_json(json.dumps(content))

    @pytest.mark.parametrize("outs", [0, 2])
    def test_a_wrong_number_of_results(self, outs):
        content = self.content()
        content["equations"][0]["outs"] *= outs
        self.check(content, "one result")

    def test_every_shortened_text(self):
        text = self.program.to_json()
        for end in range(0, len(text), 7):
            with pytest.raises(ProgramError):
                Program.from_json(text[:end])


@pytest.mark.parametrize("value", [object(), {1, 2}, len, np.array([object()]), b"bytes"])
def test_what_has_no_form(value):
    x = Var(0, None, trace_program(np.sin, 1.0)[0].inputs[0].type)
    y = Var(1, None, x.type)
    program = Program((x,), (Equation(PRIMITIVES["sin"], (x,), {"p": value}, (y,), ()),), (y,))
    for write in (program.to_json, program.fingerprint):
        with pytest.raises(ProgramError, match="cannot be written down"):
            write()
