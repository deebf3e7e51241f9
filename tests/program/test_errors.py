"""An error is a picture of the source with one place underlined."""

import linecache
import os
import pickle
import textwrap
import unicodedata

import pytest

from chainrule.program import errors
from chainrule.program.errors import (
    ChainruleError,
    GradientError,
    ShapeError,
    TraceError,
    UnsupportedError,
    picture,
)
from chainrule.program.spans import Span


def span_in(lines, text, file="<cell>", line=1, function="loss", end_line=None):
    """Span of a text in the lines of a cell."""
    linecache.cache[file] = (1, None, [part + "\n" for part in lines], file)
    col = lines[line - 1].index(text)
    end = col + len(text)
    return Span(file, function, line, end_line or line, col, end, text, None)


def underlined(shown):
    """What a reader sees above the marks, by columns of the terminal."""
    source, marks = shown.splitlines()[2:4]
    start, end = marks.index("^"), marks.rindex("^") + 1
    column, seen = 0, ""
    for char in source:
        if start <= column < end:
            seen += char
        column += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return seen


def test_the_whole_picture():
    lines = ["def loss(t):"] * 11 + ["    buf[0] = float(t)"]
    error = TraceError(
        "float() needs a plain number, but `t` is being traced",
        span=span_in(lines, "float(t)", line=12),
        label="this value carries a derivative",
        why="a Python float would be cut off from the gradient (a silent zero)",
        help="keep it an array: `buf[0] = t`",
    )
    assert str(error) == textwrap.dedent(
        """\
        float() needs a plain number, but `t` is being traced
           --> <cell>:12:14 in loss
         12 |     buf[0] = float(t)
            |              ^^^^^^^^ this value carries a derivative
            = why:  a Python float would be cut off from the gradient (a silent zero)
            = help: keep it an array: `buf[0] = t`"""
    )


def test_title_alone():
    assert picture("nothing else is known", None) == "nothing else is known"


def test_remarks_without_a_span():
    shown = picture("title", None, why="one\ntwo", help="three", notes=["four", "five"])
    assert shown.splitlines() == [
        "title",
        "  = why:  one",
        "          two",
        "  = help: three",
        "  = note: four",
        "  = note: five",
    ]


def test_span_without_source_keeps_its_label():
    span = Span("<gone>", "f", 3, 3, 4, 6, "", None)
    assert picture("title", span, "the label", help="do this").splitlines() == [
        "title",
        "  --> <gone>:3:5 in f",
        "   = help: do this",
        "   = note: the label",
    ]


def test_span_without_columns_marks_the_line():
    linecache.cache["<cell>"] = (1, None, ["    y = f(x)  \n"], "<cell>")
    shown = picture("title", Span("<cell>", "<module>", 1, 1, None, None, "", None))
    assert shown.splitlines() == [
        "title",
        "  --> <cell>:1",
        " 1 |     y = f(x)",
        "   |     ^^^^^^^^",
    ]


def test_span_of_several_lines_marks_the_first_and_says_so():
    span = span_in(["y = f(", "    x)"], "f(", end_line=2)
    assert picture("title", span, "label").splitlines()[2:] == [
        " 1 | y = f(",
        "   |     ^^ label (goes on to line 2)",
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("y = op(x)", "op(x)"),
        ("\ty\t=\top(x)\t# z", "op(x)"),
        ("größe = '日本語'; y = op(x) + 1", "op(x)"),
        ("y = f('日本語', x) + 1", "f('日本語', x)"),
        ("y = 'e\u0301'; z = op(x)", "op(x)"),
        ("x" * 300 + " = op(x)" + " + 1" * 100, "op(x)"),
        ("y = op(x)" + " + 1" * 100, "op(x)"),
        ("y = 1 + " * 40 + "op(x)", "op(x)"),
    ],
)
def test_marks_stand_below_the_span(line, text):
    shown = picture("title", span_in([line], text))
    without_accents = "".join(c for c in shown if not unicodedata.combining(c))
    assert underlined(without_accents) == text


def test_long_line_is_clipped_on_both_sides():
    line = "a + " * 100 + "op(x)" + " + b" * 100
    source = picture("title", span_in([line], "op(x)")).splitlines()[2]
    assert source.startswith(" 1 | …")
    assert source.endswith("…")
    assert len(source) <= errors._WIDTH + 10


def test_long_span_is_clipped_too():
    line = "y = " + "f(" + "a, " * 100 + ")"
    source, marks = picture("title", span_in([line], line[4:]), "label").splitlines()[2:]
    assert marks.index("^") == source.index("f(")
    assert marks.rindex("^") < len(source)
    assert marks.endswith(" label")


def test_control_characters_of_a_source_do_not_reach_the_terminal():
    line = "y = '\x1b[31m\u202e\x7f' + op(x)"
    shown = picture("title", span_in([line], "op(x)"))
    assert "y = '␛[31m\ufffd␡' + op(x)" in shown
    assert underlined(shown) == "op(x)"


def test_paths(tmp_path, monkeypatch):
    below, beside = tmp_path / "work" / "model.py", tmp_path / "library" / "layer.py"
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for path, shown in [(below, "model.py"), (beside, os.path.join("library", "layer.py"))]:
        span = Span(str(path), "Model.loss.<locals>.<lambda>", 1, 1, 0, 1, "", None)
        assert picture("title", span).splitlines()[1] == f"  --> {shown}:1:1 in Model.loss.<lambda>"


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (TraceError, TypeError),
        (ShapeError, ValueError),
        (GradientError, ValueError),
        (UnsupportedError, NotImplementedError),
    ],
)
def test_classes_are_also_the_errors_that_python_would_raise(cls, base):
    span = span_in(["op(x)"], "op(x)")
    facts = {"span": span, "label": "l", "why": "w", "help": "h", "notes": ("n",)}
    error = cls("title", **facts)
    assert isinstance(error, ChainruleError)
    assert isinstance(error, base)
    assert {name: getattr(error, name) for name in facts} == facts
    assert (error.title, error.args) == ("title", ("title",))
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is cls
    assert str(twin) == str(error)
