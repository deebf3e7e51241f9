"""Division by zero, overflow and invalid values, as ``np.errstate`` wants them."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest

from chainrule import jit, scan, value_and_grad
from chainrule.compile.emit import floating
from chainrule.compile.emit.floating import DIVIDE, INVALID, Monitor
from chainrule.compile.native import Native

X = np.linspace(-2.0, 2.0, 41)
BIG = np.zeros(200_001)


def native(f: Any, *args: Any) -> Any:
    compiled = jit(f)
    assert type(compiled.lower(*args).native) is Native
    return compiled


BAD = {
    "divide": (lambda x: 1.0 / x, "divide by zero"),
    "over": (lambda x: np.exp(x * 1000.0), "overflow"),
    "invalid": (lambda x: np.sqrt(x), "invalid value"),
}
LOGS = {
    "divide": (lambda x: np.log(np.abs(x)), "divide by zero"),
    "invalid": (lambda x: np.log1p(x - 1.5), "invalid value"),
}
CASES = [(kind, *case) for table in (BAD, LOGS) for kind, case in table.items()]


@pytest.mark.parametrize(("kind", "f", "text"), CASES)
def test_every_mode(kind, f, text):
    compiled = native(f, X)
    with np.errstate(all="ignore"):
        expected = f(X)
        np.testing.assert_allclose(compiled(X), expected, rtol=1e-14)
    with (
        np.errstate(all="ignore", **{kind: "raise"}),
        pytest.raises(FloatingPointError, match=rf"{text} encountered .*\n.*test_floating\.py:\d+"),
    ):
        compiled(X)
    with np.errstate(all="ignore", **{kind: "warn"}):
        for _ in range(3):
            with pytest.warns(RuntimeWarning, match=f"{text} encountered") as seen:
                compiled(X)
            assert seen[0].filename == __file__
    heard: list[Any] = []
    with np.errstate(all="ignore", **{kind: "call"}, call=lambda *what: heard.append(what)):
        compiled(X)
    assert heard[0][0] == text
    out = io.StringIO()
    with np.errstate(all="ignore", **{kind: "log"}, call=out):
        compiled(X)
    assert text in out.getvalue()


def test_print(capsys):
    with np.errstate(all="print"):
        native(BAD["divide"][0], X)(X)
    assert "divide by zero" in capsys.readouterr().out


ORDINARY = np.array([-30.0, -3.0, -0.5, 0.25, 1.0, 7.0, 0.125, 20.0])
QUIET = [
    np.exp,
    np.expm1,
    np.tanh,
    np.sinh,
    np.cosh,
    np.sin,
    np.arctan,
    lambda x: np.log(np.abs(x)),
    lambda x: np.log1p(x * x),
    lambda x: np.abs(x) ** 2.5,
    lambda x: x**2 + x**3 + x**-2,
    lambda x: (x - x[0]) ** 2,
    lambda x: np.logaddexp(x, 0.0),
    lambda x: np.exp(np.where(x > 0, x, -np.inf)),
    lambda x: np.exp(x * 1e9 - 1e11),
    lambda x: np.exp(x - np.max(x)) / np.sum(np.exp(x - np.max(x))),
    lambda x: np.sum(x / (1 + x * x)),
]


@pytest.mark.parametrize("f", QUIET)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_nothing_is_told_where_nothing_happens(f, dtype):
    x = ORDINARY.astype(dtype)
    with np.errstate(all="raise", under="ignore"):
        answer = jit(f).lower(x).native.call(x)
    assert type(answer) is tuple  # not even the processor's flags are up


def test_false_alarms_are_none():
    x = np.array([1.0, np.nan, np.inf, -1.0])
    f = native(lambda x: (np.maximum(x, 0.0) + np.exp(np.minimum(x, 1.0)), x**-3), x)
    with np.errstate(all="raise", under="ignore"):
        for _ in range(20):
            f(x)


def test_on_threads_and_in_loops():
    f = native(lambda x: np.sum(np.tanh(x) * np.log(x) * np.exp(-x * x) + 1.0), BIG)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
        f(BIG)
    loop = lambda x: scan(lambda c, _: (np.exp(c * 2.0), c), x, None, length=8)[0]
    with np.errstate(all="raise", under="ignore"):
        with pytest.raises(FloatingPointError, match="overflow"):
            native(loop, np.ones(3))(np.ones(3))
        quiet = lambda x: scan(lambda c, _: (np.exp(-c), c), x, None, length=8)[0]
        native(quiet, np.ones(3))(np.ones(3))


def test_the_state_of_the_processor_is_left_alone():
    with np.errstate(all="ignore"):
        native(BAD["divide"][0], X)(X)
        np.array([1.0]) / 0.0
    f = native(value_and_grad(lambda x: np.sum(x * x)), X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f(X)


def test_donated_arguments_are_not_looked_at_again():
    f = jit(lambda x: 1.0 / x, donate=(0,))
    with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
        f(np.zeros(3))


def test_false_alarms_are_looked_into_more_and_more_seldom(monkeypatch):
    compiled = jit(lambda x: 1.0 / x)
    ordinary, with_zero = np.ones(3), np.array([1.0, 0.0, 2.0])
    monitor = Monitor(compiled.lower(ordinary).native.program)
    looks = []
    find = floating.find
    monkeypatch.setattr(floating, "find", lambda *args: looks.append(1) or find(*args))
    with np.errstate(divide="warn", over="warn", invalid="warn", under="ignore"):
        for _ in range(100):
            monitor.tell([ordinary], DIVIDE, True)
        assert 1 <= len(looks) <= 8
        # but at once where it could be an exception, and if it is something else
        with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
            monitor.tell([with_zero], DIVIDE, True)
        with np.errstate(all="ignore"):
            monitor.tell([with_zero], DIVIDE, True)
        with pytest.warns(RuntimeWarning, match="divide by zero"):
            monitor.tell([with_zero], DIVIDE | INVALID, True)
