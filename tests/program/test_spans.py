"""From an instruction back to the source: the place, the statement, the names."""

import contextlib
import functools
import itertools
import json
import linecache
import os
import pickle
import subprocess
import sys
import textwrap
from collections import defaultdict
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from chainrule.program import spans
from chainrule.program.bytecode import stored_name
from chainrule.program.spans import (
    argument_texts,
    is_internal,
    result_name,
    span_of,
    statement_of,
    user_frame,
)


class Probe:
    """A value that remembers from where it was operated on."""

    def __init__(self):
        self.places = []

    def seen(self, depth=1):
        frame = sys._getframe(depth + 1)
        self.places.append((frame.f_code, frame.f_lasti))
        return self

    def operate(self, *operands):
        return self.seen()

    def consume(self, *operands):
        self.seen()
        return True

    __add__ = __radd__ = __mul__ = __matmul__ = __neg__ = __lt__ = __gt__ = operate
    __getitem__ = __setitem__ = sum = reshape = operate
    __bool__ = consume
    T = property(operate)

    def __iter__(self):
        self.seen()
        return iter([self, self])


def op(x, *rest, **options):
    """A function of the machinery, seen from its caller."""
    return x.seen()


_counter = itertools.count()


def run(source, with_source=True):
    """Run a text as a notebook would, and give the places where the value `x` was operated on."""
    source = textwrap.dedent(source).strip("\n") + "\n"
    name = f"<cell {next(_counter)}>"
    if with_source:
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    x = Probe()
    exec(compile(source, name, "exec"), {"x": x, "op": op, "box": Box(), "params": {}, "np": np})
    return x.places


class Box:
    pass


def texts(places):
    return [span_of(*place).text for place in places]


def names(places):
    return [result_name(*place) for place in places]


# --- the place -----------------------------------------------------------------------------------


def loss(x, W):
    h = x @ W + op(x)
    return -h * op(
        h,
        W,
    )


def test_span_of_a_function():
    x = Probe()
    loss(x, 1.0)
    assert texts(x.places) == [
        "x @ W",
        "op(x)",
        "x @ W + op(x)",
        "-h",
        "op(\n        h,\n        W,\n    )",
        "-h * op(\n        h,\n        W,\n    )",
    ]
    first = loss.__code__.co_firstlineno
    span = span_of(*x.places[0])
    assert (span.file, span.function, span.line, span.end_line) == (
        __file__,
        "loss",
        first + 1,
        first + 1,
    )
    assert (span.col, span.end_col) == (8, 13)
    assert (span_of(*x.places[4]).line, span_of(*x.places[4]).end_line) == (first + 2, first + 5)


def test_span_can_be_hashed_compared_and_pickled():
    span = span_of(*run("y = -x")[0])
    assert pickle.loads(pickle.dumps(span)) == span
    assert hash(pickle.loads(pickle.dumps(span))) == hash(span)


def test_span_columns_count_characters_not_bytes():
    (place,) = run("größe = '日本' if 0 else -x")
    span = span_of(*place)
    assert span.text == "-x"
    assert (span.col, span.end_col) == (23, 25)
    assert result_name(*place) == "größe"


def test_span_in_a_file_with_tabs():
    (place,) = run("if True:\n\tif True:\n\t\ty\t=\t-x")
    span = span_of(*place)
    assert (span.text, span.line, span.col, span.end_col) == ("-x", 3, 6, 8)
    assert span.statement.text == "y\t=\t-x"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("(lambda t: t * 2)(x)", ["t * 2"]),
        ("[y + 1 for y in [x]]", ["y + 1"]),
        ("{0: y + 1 for y in [x]}", ["y + 1"]),
        ("list(y + 1 for y in [x])", ["y + 1"]),
        ("def outer():\n    def inner():\n        return -x\n    return inner\nouter()()", ["-x"]),
        ("class A:\n    def m(self):\n        return -x\nA().m()", ["-x"]),
        ("if x:\n    pass\nelse:\n    pass", ["x"]),
        ("if x > 1:\n    pass", ["x > 1", "x > 1"]),
        ("while op(x):\n    break", ["op(x)", "op(x)"]),
        ("1 if x else 2", ["x"]),
        ("assert x, 'message'", ["x"]),
        ("not x", ["not x"]),
        ("f'{-x!s:>3}'[:0]", ["-x"]),
        ("x.T.sum()", ["x.T", "x.T.sum()"]),
        ("x[1:2, ...]", ["x[1:2, ...]"]),
        ("x[0] = 1", ["x[0]"]),
        ("x[0] += 1", ["x[0]", "x[0] += 1", "x[0]"]),
        ("op(x, *[1], **{'a': 2})", ["op(x, *[1], **{'a': 2})"]),
        ("with contextlib.nullcontext(-x): pass", ["-x"]),
        ("for y in op(x): break", ["op(x)", "op(x)"]),
        ("a, b = x", ["a, b"]),
    ],
)
def test_span_text(source, expected):
    assert texts(run("import contextlib\n" + source)) == expected


def test_method_chain_over_several_lines_is_placed_at_the_method():
    places = run("y = (x\n     .reshape(3)\n     .sum())")
    assert texts(places) == ["reshape(3)", "sum()"]
    assert [span_of(*place).line for place in places] == [2, 3]
    assert names(places) == [None, "y"]
    assert argument_texts(*places[0]) == ["x", "3"]


def test_cells_with_the_same_code_are_told_apart():
    first, second = run("y = -x")[0], run("y = -x")[0]
    assert first[0] == second[0]  # which is why a cache must not use a code object alone
    assert span_of(*first).file != span_of(*second).file


def test_text_that_changes_under_the_same_name_is_read_again():
    name = "<changing cell>"
    for source in ("first = -x\n", "second = -x\n"):
        linecache.cache[name] = (len(source), None, [source], name)
        x = Probe()
        exec(compile(source, name, "exec"), {"x": x})
        assert names(x.places) == [source.split()[0]]


def test_source_file_on_disk(tmp_path):
    path = tmp_path / "model.py"
    source = "# -*- coding: latin-1 -*-\ndef f(x):\n    é = 'ü'; y = -x\n    return y\n"
    path.write_bytes(source.encode("latin-1"))
    namespace = {}
    exec(compile(path.read_bytes(), str(path), "exec"), namespace)
    x = Probe()
    namespace["f"](x)
    span = span_of(*x.places[0])
    assert (span.text, span.file, span.line, span.col) == ("-x", str(path), 3, 17)
    assert names(x.places) == ["y"]


def test_without_source_the_line_is_known_and_nothing_is_invented():
    (place,) = run("\n\ny = 0\ny = -x", with_source=False)
    span = span_of(*place)
    assert (span.line, span.text, span.statement) == (2, "", None)
    assert argument_texts(*place) == []
    assert statement_of(*place) is None


def test_source_that_is_no_python_gives_its_line():
    name = "<magic cell>"
    lines = ["%time\n", "y = -x\n"]
    linecache.cache[name] = (1, None, lines, name)
    x = Probe()
    exec(compile("\ny = -x\n", name, "exec"), {"x": x})
    span = span_of(*x.places[0])
    assert (span.text, span.statement.text) == ("-x", "y = -x")
    assert names(x.places) == ["y"]


def test_source_that_was_edited_since_does_not_mislead():
    name = "<edited>"
    linecache.cache[name] = (1, None, ["longer_name = 1 + 2\n"], name)
    x = Probe()
    exec(compile("y = op(-x)\n", name, "exec"), {"x": x, "op": op})
    assert names(x.places) == [None, "y"]
    assert argument_texts(*x.places[1]) == []


def test_without_column_information(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import json, sys
            from chainrule.program.spans import argument_texts, result_name, span_of
            class X:
                def __neg__(self):
                    frame = sys._getframe(1)
                    place = frame.f_code, frame.f_lasti
                    span = span_of(*place)
                    facts = [span.line, span.end_line, span.col, span.end_col, span.text]
                    facts += [span.statement.text, span.statement.targets, result_name(*place)]
                    print(json.dumps([*facts, argument_texts(*place)]))
            def f(x):
                if True:
                    total = -x
            f(X())
            """
        )
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(spans.__file__))))
    done = subprocess.run(
        [sys.executable, "-X", "no_debug_ranges", str(script)],
        env={**os.environ, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    line = "total = -x"
    assert json.loads(done.stdout) == [14, 14, None, None, line, line, ["total"], "total", []]


# --- the statement -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "text", "targets"),
    [
        ("y = op(\n    x,\n)", "y = op(\n    x,\n)", ("y",)),
        ("if 1:\n    y = op(\n        x,\n    )", "y = op(\n    x,\n)", ("y",)),
        ("a = b = c, *d = -x, 1, 2", "a = b = c, *d = -x, 1, 2", ("a", "b", "c", "d")),
        ("box.h, params['W'] = -x, 1", "box.h, params['W'] = -x, 1", ("box.h", "params['W']")),
        ("z = 1; y = -x; w = 2", "y = -x", ("y",)),
        ("y: int = -x", "y: int = -x", ("y",)),
        ("x += 1", "x += 1", ("x",)),
        ("if x > 1:  # big\n    # then\n    y = 1", "if x > 1:  # big", ()),
        ("if x > 1: y = 1", "if x > 1:", ()),
        ("if 0:\n    pass\nelif (x\n      > 1):\n    y = 1", "elif (x\n      > 1):", ()),
        ("for i, j in [(-x, 1)]:\n    pass", "for i, j in [(-x, 1)]:", ("i", "j")),
        ("import contextlib as c\nwith c.nullcontext(-x) as y:\n    1", None, ("y",)),
        ("def f(a=-x):\n    return a", "def f(a=-x):", ()),
        ("@(type, -x)[0]\nclass A:\n    pass", "@(type, -x)[0]\nclass A:", ()),
        ("def f():\n    return [\n        -x]\nf()", "return [\n    -x]", ()),
        ("match -x:\n    case _:\n        pass", "match -x:", ()),
        ("try:\n    -x\nfinally:\n    pass", "-x", ()),
    ],
)
def test_statement(source, text, targets):
    statement = statement_of(*run(source)[0])
    assert statement.targets == targets
    if text is not None:
        assert statement.text == text
        assert statement.end_line - statement.line == text.count("\n")


# --- names ---------------------------------------------------------------------------------------

NAMES = [
    ("y = -x", ["y"], ...),
    ("def f():\n    y = -x\n    z = -y\nf()", ["y", "z"], ...),
    ("def f():\n    y = -x\n    return -y\nf()", ["y", None], ...),
    ("def f():\n    global y\n    y = -x\nf()", ["y"], ...),
    (
        "def f():\n    y = -x\n    def g():\n        nonlocal y\n        y = -y\n    g()\nf()",
        ["y", "y"],
        ...,
    ),
    ("class A:\n    y = -x", ["y"], ...),
    ("box.h = -x", ["box.h"], ...),
    ("box.inner = box\nbox.inner.h = -x", ["box.inner.h"], ...),
    ("def f(box):\n    box.h = -x\nf(box)", ["box.h"], ...),
    ("params['W'] = -x", ["params['W']"], ...),
    ("def f(params, i):\n    params[i] = -x\nf(params, 1)", ["params[i]"], ...),
    ("params[1, 'a'] = -x", ["params[1, 'a']"], ["params[(1, 'a')]"]),
    ("a = b = -x", ["a"], ...),
    ("def f():\n    a = b = -x\n    return a\nf()", ["a"], ...),
    ("if (y := -x) is None: pass", ["y"], ...),
    ("def f():\n    if (y := -x) is None: pass\nf()", ["y"], ...),
    ("z = x\nz += x", ["z"], ...),
    ("def f(z):\n    z += x\nf(x)", ["z"], ...),
    ("box.h = x\nbox.h += 1", ["box.h"], [None]),
    ("params['W'] = x\nparams['W'] += 1", ["params['W']"], [None]),
    ("y: float = -x", ["y"], ...),
    ("a, b = -x, abs(1)", ["a"], [None]),
    ("a, b = 1, -x", ["b"], ...),
    ("def f():\n    a, b = -x, op(x)\n    return a\nf()", ["a", "b"], [None, "b"]),
    ("def f():\n    a, (b, c) = 1, (op(x), 2)\n    return a\nf()", ["b"], [None]),
    ("a = -x, 1", [None], ...),
    ("a, b = op(x)", [None, None], ...),
    ("*a, b = 1, 2, -x", [None], [None]),
    ("y = -x if 1 else 0", ["y"], ...),
    ("y = 0 if x else 1", [None], ...),
    ("y = None or -x", ["y"], ...),
    ("y = op(x) or 1", [None, None], ...),
    ("a = b, c = -x, 1", ["b"], None),
    ("y = -x + 1", [None, "y"], ...),
    ("y = op(-x)", [None, "y"], ...),
    ("y = 0 < x < 2", [None, None, None], None),
    ("y = [-x]", [None], ...),
    ("y = x.T", ["y"], ...),
    ("y = x.sum()", ["y"], ...),
    ("y = x[0]", ["y"], ...),
    ("y = (\n    x\n    + 1\n)", ["y"], ...),
    ("x[0] = 1.0", ["x"], [None]),
    ("x[0:2] = 1.0", ["x"], [None]),
    ("box.x = x\nbox.x[0] = 1", ["box.x"], [None]),
    ("x[0] += 1.0", [None, "x[0]", "x"], [None, None, None]),
    ("-x", [None], ...),
    ("(lambda: -x)()", [None], ...),
    ("def f():\n    return -x\ny = f()", [None], ...),
    ("for y in [1]:\n    z = op(x)", ["z"], ...),
    ("[(y := op(x)) for i in [1]]", ["y"], ...),
    ("print(-x, end='', file=__import__('io').StringIO())", [None], ...),
]


@pytest.mark.parametrize(("source", "expected", "without_source"), NAMES)
def test_result_name(source, expected, without_source):
    assert names(run(source)) == expected
    if without_source is not None:
        want = expected if without_source is ... else without_source
        assert names(run(source, with_source=False)) == want


def test_loop_variable_is_the_name_of_what_the_iteration_gives():
    class Rows:
        def __iter__(self):
            return self

        def __next__(self):
            frame = sys._getframe(1)
            raise LookupError(result_name(frame.f_code, frame.f_lasti))

    def walk():
        for row in Rows():
            print(row)

    with pytest.raises(LookupError) as caught:
        walk()
    assert caught.value.args == ("row",)


def test_every_instruction_of_a_module_can_be_asked():
    for code in codes_of(textwrap):
        for lasti in range(0, len(code.co_code), 2):
            assert span_of(code, lasti).line >= 1
            name = result_name(code, lasti)
            assert name is None or name.isprintable()
            argument_texts(code, lasti)
            stored_name(code, lasti)


def codes_of(module):
    with open(module.__file__) as file:
        todo = [compile(file.read(), module.__file__, "exec")]
    while todo:
        code = todo.pop()
        yield code
        todo.extend(c for c in code.co_consts if hasattr(c, "co_code"))


# --- operands ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("W = 2; x @ W", ["x", "W"]),
        ("x + (1 * 2)", ["x", "1 * 2"]),
        ("x += 3", ["x", "3"]),
        ("-x", ["x"]),
        ("op(x, 1, key=[2])", ["x", "1", "[2]"]),
        ("y = x; y.reshape(3)", ["y", "3"]),
        ("def f(t):\n    t.reshape(3)\nf(x)", ["t", "3"]),
        ("(x).T.sum()", ["x"]),
        ("x > 0", ["x", "0"]),
        ("x[1:]", ["x", "1:"]),
        ("x[0] = 5", ["x", "0"]),
        ("if x: pass", ["x"]),
        ("a, b = x", ["x"]),
        ("for i in x: break", ["x"]),
    ],
)
def test_argument_texts(source, expected):
    assert argument_texts(*run(source)[0]) == expected


def test_function_of_a_module_is_not_a_method():
    x = Probe()
    name = "<imports>"
    linecache.cache[name] = (1, None, ["m.sin(x)\n", "import numpy as m\n"], name)
    exec(compile("m.sin(x)", name, "exec"), {"x": x, "m": SimpleNamespace(sin=op)})
    assert argument_texts(*x.places[0]) == ["x"]


# --- frames --------------------------------------------------------------------------------------


def test_user_frame_is_the_caller():
    assert user_frame().f_code.co_name == "test_user_frame_is_the_caller"

    def inner():
        return user_frame(2)

    assert inner().f_code.co_name == "test_user_frame_is_the_caller"


def test_user_frame_passes_over_numpy_and_functools():
    found = []

    class Spy:
        def __array_function__(self, function, types, args, kwargs):
            found.append(user_frame(2))
            return 0

        @functools.singledispatchmethod
        def method(self, x):
            found.append(user_frame(2))

    np.apply_along_axis(lambda row: np.sum(Spy()), 0, np.ones((2, 2)))
    Spy().method(1)
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: found.append(user_frame(2)))
    assert {frame.f_code.co_filename for frame in found} == {__file__}


def test_user_frame_where_all_is_machinery(monkeypatch):
    monkeypatch.setattr(spans, "INTERNAL", defaultdict(lambda: True))
    assert user_frame() is None


def test_module_imported_in_another_cell_is_no_operand(monkeypatch):
    module = ModuleType("library")
    module.sin = op
    monkeypatch.setattr(sys.modules["__main__"], "library", module, raising=False)
    name = "<later cell>"
    linecache.cache[name] = (1, None, ["library.sin(x)\n"], name)
    x = Probe()
    exec(compile("library.sin(x)\n", name, "exec"), {"x": x, "library": module})
    assert argument_texts(*x.places[0]) == ["x"]


@pytest.mark.parametrize(
    ("filename", "internal"),
    [
        (spans.__file__, True),
        (os.path.join(os.path.dirname(os.path.dirname(spans.__file__)), "trace", "x.py"), True),
        (os.path.join(os.path.dirname(os.path.dirname(spans.__file__)), "__init__.py"), True),
        (os.path.join(os.path.dirname(os.path.dirname(spans.__file__)), "nn", "x.py"), False),
        (np.linalg.__file__, True),
        (functools.__file__, True),
        (contextlib.__file__, True),
        (json.__file__, False),
        ("<frozen runpy>", True),
        ("<stdin>", False),
        ("<ipython-input-1-abc>", False),
        (__file__, False),
    ],
)
def test_is_internal(filename, internal):
    assert is_internal(filename) is internal
    assert is_internal(filename) is internal


def test_scipy_is_internal():
    scipy = pytest.importorskip("scipy")
    assert is_internal(os.path.join(os.path.dirname(scipy.__file__), "optimize", "_minimize.py"))
