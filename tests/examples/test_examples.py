"""Every example runs, says what it found, draws its picture and keeps a log file plain."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(script: str, folder: Path) -> tuple[str, str]:
    """Run an example quickly, as from a log file; return what it printed and its progress."""
    outcome = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / script, "--quick", "--out", folder],
        env={**os.environ, "FORCE_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout, outcome.stderr


def found(pattern: str, text: str) -> list[float]:
    match = re.search(pattern, text)
    assert match, f"{pattern!r} is not in\n{text}"
    return [float(number) for number in match.groups()]


def assert_picture(path: Path) -> None:
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 10_000


def assert_plain_lines(log: str, total: int) -> None:
    assert log.isascii()
    assert all(character.isprintable() or character == "\n" for character in log)
    lines = log.splitlines()
    assert f"{total}/{total}" in lines[-1]
    assert len(lines) <= 2 * 11


def test_two_layer_net(tmp_path):
    text, _ = run("two_layer_net.py", tmp_path)
    assert "a2 = 0.871843204787514\n" in text
    for name in ("W1", "b1", "W2", "b2"):
        assert f"d a2 / d {name} = " in text
    (answer,) = found(r"now answers ([\d.]+)", text)
    assert answer == pytest.approx(0.2, abs=1e-3)
    assert_picture(tmp_path / "two_layer_net.png")


@pytest.mark.slow
def test_digits_dense(tmp_path):
    text, log = run("digits_dense.py", tmp_path)
    (accuracy,) = found(r"hold-out accuracy ([\d.]+)%", text)
    assert accuracy > 90
    assert_plain_lines(log, 5)
    assert_picture(tmp_path / "digits_dense.png")


@pytest.mark.slow
def test_digits_conv(tmp_path):
    text, log = run("digits_conv.py", tmp_path)
    accuracies = found(r"convolutional ([\d.]+)%, dense ([\d.]+)%", text)
    assert min(accuracies) > 90
    assert_plain_lines(log, 5)
    assert_picture(tmp_path / "digits_conv.png")


@pytest.mark.slow
def test_rnn_memory(tmp_path):
    text, log = run("rnn_memory.py", tmp_path)
    (share,) = found(r"([\d.]+)% of guessing", text)
    assert share < 20
    first = [float(x) for x in re.findall(r"t =  1 +([\d.]+)", text)]
    assert len(first) == 2, "bars before and after training"
    assert first[1] > 2 * first[0]
    assert_plain_lines(log, 400)
    assert_picture(tmp_path / "rnn_memory.png")
