"""What an explanation looks like: in a terminal, in a notebook, as data."""

import io
import json
import os
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from chainrule.explain import explain
from chainrule.explain.text import abridged, columns, wrap


def loss(w, x):
    z = x @ w
    a = np.tanh(z)
    return np.mean((a - 1) ** 2)


@pytest.fixture(scope="module")
def explanation():
    return explain(loss)(np.array([0.5, -1.0]), np.array([[1.0, 2.0], [3.0, 4.0]]))


def test_terminal_shows_the_same_words(explanation):
    rich = pytest.importorskip("rich.console")
    out = io.StringIO()
    rich.Console(file=out, width=100, color_system=None).print(explanation)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines == explanation.to_text(100).splitlines()


def test_colour_is_only_an_addition(explanation):
    rich = pytest.importorskip("rich.console")
    out = io.StringIO()
    rich.Console(file=out, width=100, force_terminal=True, color_system="standard").print(
        explanation
    )
    assert "\x1b[" in out.getvalue()
    plain = io.StringIO()
    rich.Console(file=plain, width=100, color_system=None).print(explanation)
    import re

    assert re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()) == plain.getvalue()


def test_columns_of_terminal(monkeypatch, explanation):
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(columns, str(explanation).splitlines())) <= 60


@pytest.mark.parametrize("width", [20, 24, 40, 72, 200])
def test_no_line_is_too_long_and_no_formula_is_lost(explanation, width):
    text = explanation.to_text(width)
    assert max(map(columns, text.splitlines())) <= width
    if width >= 40:
        assert "xᵀ @ ∂L/∂z" in text


def test_wide_characters_take_two_columns():
    assert columns("梯度") == 4
    assert columns("e\u0301") == 1
    assert wrap("梯度梯度", 4) == ["梯度", "梯度"]
    assert wrap("a bb ccc", 4) == ["a bb", "ccc"]
    assert wrap("", 4) == [""]


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.open, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_html_is_whole_and_needs_nothing_else(explanation):
    reader = _Reader()
    reader.feed(explanation.to_html())
    assert not reader.open
    assert not {tag for tag, _ in reader.tags} & {"script", "link", "img", "iframe"}
    assert sum(tag == "tr" for tag, _ in reader.tags) == 1 + len(explanation.steps)
    assert "xᵀ @ ∂L/∂z" in reader.text


def test_html_escapes_what_the_user_wrote():
    scope = {"np": np}
    exec("def f(p):\n    return np.sum(p['<script>alert(1)</script>'] ** 2)\n", scope)
    html = explain(scope["f"])({"<script>alert(1)</script>": np.ones(2)}).to_html()
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_notebook_gets_text_and_html(explanation):
    bundle = explanation._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == explanation.to_text(100)


def test_data_survives_json(explanation):
    data = json.loads(json.dumps(explanation.to_dict(), allow_nan=False))
    assert data["function"] == "loss"
    assert data["verified"] is True
    step = data["steps"][-1]
    assert step["symbol"] == "∂L/∂w"
    assert step["formula"] == "xᵀ @ ∂L/∂z"
    assert step["source"] == "z = x @ w"
    assert step["gain"] is None
    np.testing.assert_array_equal(step["gradient"], explanation.gradient)


def test_large_gradients_are_left_out_of_data():
    data = explain(lambda x: np.sum(x * x))(np.ones((40, 40))).to_dict()
    assert data["steps"][0]["gradient"] is None


def test_complex_gradients_become_pairs():
    data = explain(lambda z: np.sum(np.abs(z) ** 2))(np.array([1 + 2j])).to_dict()
    assert data["steps"][-1]["gradient"] == {"real": [2.0], "imag": [4.0]}


def test_numbers_of_chosen_elements(explanation):
    assert explanation.step("w").numbers((1,)).startswith("∂L/∂w[1] = xᵀ @ ∂L/∂z = 2·")
    assert explanation.step("z").numbers((1,)).startswith("∂L/∂z[1] = ∂L/∂a ⊙ (1−a²) = ")


def test_abridging_keeps_every_step_that_differs():
    class Fake:
        def __init__(self, index, kind):
            self.index, self.kind = index, kind

    steps = [Fake(i, kind) for i, kind in enumerate(["a", *["b", "c"] * 9, "d"], 1)]
    kept = list(abridged(steps, 6))
    assert [k if isinstance(k, tuple) else k.index for k in kept] == [
        1, 2, 3, 4, 5, (6, 17), 18, 19, 20,
    ]  # fmt: skip
    assert list(abridged(steps, None)) == steps


IMPORTS = [
    "import chainrule; chainrule.explain(f)(2.0)",
    "from chainrule import explain; explain(f)(2.0)",
    "from chainrule.explain import explain, Explanation; explain(f)(2.0)",
    "import chainrule.explain; chainrule.explain(f)(2.0)",
    "from chainrule.explain import Explanation; import chainrule; chainrule.explain(f)(2.0)",
    "import chainrule; from chainrule.explain import explain; chainrule.explain(f)(2.0)",
]


@pytest.mark.parametrize("code", IMPORTS)
def test_import_in_any_order_and_without_rich(code):
    program = (
        f"import sys\nf = lambda x: x * x\n{code}\nassert 'rich' not in sys.modules\n"
        "assert callable(chainrule.explain) if 'chainrule' in globals() else True"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ.copy())
