"""The demonstration: what it shows, what it leaves behind, and what it needs."""

import base64
import os
import re
import sys

import numpy as np
import pytest

from chainrule import grad
from chainrule.cli import worked_example
from chainrule.cli.digits import WEIGHTS, load_digits, loss, train
from chainrule.cli.report import Report


def test_quick_demo_holds_and_leaves_a_report_and_a_picture(run, folder):
    result = run("demo", "--quick", "--out", "result", COLUMNS="100")
    assert (result.code, result.err) == (0, "")
    assert "every check holds" in result.out
    assert "✗" not in result.out
    assert "0.871843204787514" in result.out
    assert "\x1b" not in result.out
    accuracy = float(re.search(r"never seen: ([\d.]+)%", result.out)[1])
    assert accuracy >= 90
    losses = [float(loss) for loss in re.findall(r"epoch +\d+/6 +loss ([\d.]+)", result.out)]
    assert len(losses) == 6
    assert losses[-1] < losses[0] / 3
    assert max(map(len, result.out.splitlines())) <= 100

    picture = (folder / "result" / "curves.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    page = (folder / "result" / "report.html").read_text(encoding="utf-8")
    assert "∂L/∂W1" in page
    assert base64.b64encode(picture).decode() in page
    assert not re.search(r"<script|https?:|src=\"(?!data:)", page)
    for file in ("curves.png", "report.html"):
        assert str(folder / "result" / file) in result.out or f"result/{file}" in result.out


def test_without_its_extra_it_shows_what_the_core_can(run, folder):
    for name in ("matplotlib", "sklearn"):
        blocker = folder / name / "__init__.py"
        blocker.parent.mkdir()
        blocker.write_text("raise ImportError('not here')")
    hide = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "hidden = ('matplotlib', 'sklearn')\n"
        "importlib.util.find_spec = lambda n, *a: None if n in hidden else find(n, *a)\n"
    )
    (folder / "sitecustomize.py").write_text(hide)
    result = run("demo", "--out", "result", PYTHONPATH=_with_path(folder))
    assert result.code == 0, result.err
    assert "pip install 'chainrule[demo]'" in result.out
    assert "∂L/∂W1" in result.out
    assert (folder / "result" / "report.html").is_file()
    assert not (folder / "result" / "curves.png").exists()


def _with_path(folder):
    return os.pathsep.join([str(folder), *filter(None, sys.path)])


def test_a_folder_that_cannot_be_made_is_named(run, folder):
    (folder / "file").write_text("")
    result = run("demo", "--out", "file/below")
    assert (result.code, result.out) == (2, "")
    assert "file/below" in result.err


def test_the_complex_step_judges_the_worked_example():
    args = (*worked_example.PARAMETERS, worked_example.X)
    for position in range(4):
        expected = worked_example.complex_step(worked_example.network, args, position)
        actual = grad(worked_example.network, position)(*args)
        np.testing.assert_allclose(actual, expected, rtol=1e-14)


def test_the_worked_example_gives_its_output_to_the_last_digit():
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(50):
        number = lambda x: mpmath.mpf(repr(float(x)))
        sigmoid = lambda z: 1 / (1 + mpmath.exp(-z))
        x, W1, b1 = worked_example.X, worked_example.W1, worked_example.B1
        W2, b2 = worked_example.W2, worked_example.B2
        a1 = [
            sigmoid(sum(number(w) * number(t) for w, t in zip(row, x, strict=True)) + number(b))
            for row, b in zip(W1, b1, strict=True)
        ]
        a2 = sigmoid(sum(number(w) * a for w, a in zip(W2, a1, strict=True)) + number(b2))
        assert mpmath.nstr(a2, 15) == repr(worked_example.OUTPUT)


def test_training_the_digits_is_the_same_each_time_and_learns():
    data = load_digits()
    assert len(data.train_y) + len(data.test_y) == 1797
    first, second = (list(train(data, 3)) for _ in range(2))
    assert [e.loss for e in first] == [e.loss for e in second]
    assert first[-1].loss < first[0].loss / 2
    assert first[-1].accuracy > 0.9
    gradient = grad(loss, WEIGHTS)(*first[-1].parameters, data.test_x, data.test_y)
    assert {part.dtype for part in gradient} == {np.dtype(np.float32)}


def test_a_report_escapes_all_that_it_shows(tmp_path):
    evil = "<script>alert('&')</script>"
    report = Report(evil)
    report.heading(evil)
    report.paragraph(evil)
    report.listing(evil)
    report.table([evil], [[evil]])
    picture = tmp_path / "p.png"
    picture.write_bytes(b"\x89PNG")
    report.picture(picture, '"><script>')
    page = report.html()
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") == 8
