"""The command as a person runs it: what it prints where, and its exit codes."""

import json
import subprocess
import sys

import numpy as np
import pytest

import chainrule

VALUES = ("--arg", "w=np.ones((2, 3))", "--arg", "x=GRID")


def test_version_starts_light(run):
    result = run("--version")
    assert (result.code, result.out.strip()) == (0, f"chainrule {chainrule.__version__}")
    program = (
        "import sys\n"
        "from chainrule.cli.main import main\n"
        "try:\n    main(['--version'])\n"
        "except SystemExit:\n    pass\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"scipy", "sklearn", "matplotlib", "rich"} & set(loaded)


def test_without_a_command_it_says_what_there_is(run):
    result = run()
    assert result.code == 0
    assert "explain" in result.out
    assert "demo" in result.out


def test_help_documents_the_exit_codes(run):
    result = run("explain", "--help")
    assert result.code == 0
    for line in ("0  every step is verified", "1  a step is not", "2  the command line", "3  your"):
        assert line in result.out


# --- 0: verified --------------------------------------------------------------------------------


def test_an_explanation_goes_to_stdout_and_nothing_to_stderr(run):
    result = run("explain", "net.py:loss", *VALUES)
    assert (result.code, result.err) == (0, "")
    for text in ("∂L/∂w", "net.py", "✓"):
        assert text in result.out
    assert "\x1b" not in result.out


def test_a_module_path_works_like_a_file(run):
    by_file = run("explain", "net.py:loss", *VALUES)
    by_module = run("explain", "net:loss", *VALUES)
    assert (by_module.code, by_module.out) == (0, by_file.out)


def test_a_method_is_explained(run):
    result = run("explain", "net.py:Net.energy", "--arg", "self=Net()", "--arg", "x=2.0", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["gradient"] == {"x": 12.0}


def test_values_beside_the_file_are_found_and_named(run, folder):
    np.savez(folder / "net.npz", w=np.ones((2, 3)))
    (folder / "net.json").write_text('{"x": [0.0, 0.5, 1.0], "w": 3.0}')
    result = run("explain", "net.py:loss")
    assert result.code == 0
    assert result.out == run("explain", "net.py:loss", *VALUES).out
    assert result.err == "values: w from net.npz, x from net.json\n"


def test_an_npz_may_be_named(run, folder):
    np.savez(folder / "other.npz", w=np.ones((2, 3)), x=np.linspace(0.0, 1.0, 3))
    result = run("explain", "net.py:loss", "--npz", "other.npz")
    assert result.out == run("explain", "net.py:loss", *VALUES).out


def test_json_has_everything_a_program_needs(run):
    result = run("explain", "net.py:loss", *VALUES, "--wrt", "x,w", "--json")
    assert (result.code, result.err) == (0, "")
    content = json.loads(result.out)
    w, x, y = np.ones((2, 3)), np.linspace(0.0, 1.0, 3), 1.0
    gradient = chainrule.grad(lambda w, x: np.mean((w @ x - y) ** 2), (1, 0))(w, x)
    assert content["value"] == pytest.approx(np.mean((w @ x - y) ** 2))
    assert list(content["gradient"]) == ["x", "w"]
    np.testing.assert_allclose(content["gradient"]["x"], gradient[0])
    np.testing.assert_allclose(content["gradient"]["w"], gradient[1])
    assert content["verified"] is True
    assert content["values"] == {"w": "--arg", "x": "--arg", "y": "default"}
    assert content["function"] == "loss"
    assert content["steps"]


def test_what_the_function_prints_stays_out_of_stdout(run):
    result = run("explain", "net.py:talkative", "--json")
    assert result.code == 0
    assert json.loads(result.out)["gradient"] == {"x": 4.0}
    assert "the user's own words" in result.err


def test_levels_numbers_path_and_width(run):
    plain = run("explain", "net.py:loss", *VALUES)
    counts = {}
    for level in ("statement", "primitive"):
        result = run("explain", "net.py:loss", *VALUES, "--level", level, "--json")
        assert result.code == 0
        counts[level] = len(json.loads(result.out)["steps"])
    assert counts["statement"] < counts["primitive"]
    numbers = run("explain", "net.py:loss", *VALUES, "--numbers")
    assert numbers.code == 0
    assert len(numbers.out) > len(plain.out)
    path = run("explain", "net.py:loss", *VALUES, "--path", "w")
    assert path.code == 0
    assert "∂L/∂w" in path.out
    for width in (60, 80, 120):
        narrow = run("explain", "net.py:loss", *VALUES, "--width", width)
        assert max(map(len, narrow.out.splitlines())) <= width


def test_a_long_loop_is_shortened(run):
    result = run("explain", "net.py:recurrence")
    assert result.code == 0, result.err
    assert len(result.out.splitlines()) < 20
    assert len(json.loads(run("explain", "net.py:recurrence", "--json").out)["steps"]) == 50


def test_colors_can_be_had_and_left_out(run):
    color = {"FORCE_COLOR": "1", "NO_COLOR": ""}
    assert "\x1b[" in run("explain", "net.py:loss", *VALUES, **color).out
    plain = run("explain", "net.py:loss", *VALUES, "--no-color", **color)
    assert "\x1b[3" not in plain.out


def test_a_reader_that_stops_early_is_no_error(run, folder):
    run("--version")  # writes the user's file
    command = [sys.executable, "-m", "chainrule", "explain", "net.py:loss", *VALUES]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 0


# --- 1: not verified ----------------------------------------------------------------------------


def test_a_step_that_cannot_be_verified_is_told_by_the_exit_code(run):
    # The slope of the square root at 0 is infinite: no difference quotient agrees.
    result = run("explain", "net.py:steep")
    assert result.code == 1
    assert "∂L/∂x" in result.out
    as_json = run("explain", "net.py:steep", "--json")
    assert as_json.code == 1
    assert json.loads(as_json.out)["verified"] is False


# --- 2: the input does not fit ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("explain",), "FILE.py:FUNC"),
        (("explain", "net.py:lss"), "did you mean net.py:loss"),
        (("explain", "nett.py:loss"), "there is net.py"),
        (("explain", "net.py:loss", "--arg", "w=1.0"), "no value for argument x of loss"),
        (("explain", "net.py:loss", *VALUES, "--wrt", "v"), "no argument 'v'"),
        (("explain", "net.py:loss", *VALUES, "--path", "nothing"), "nothing"),
        (("explain", "net.py:loss", *VALUES, "--width", "ten"), "--width"),
        (("explain", "net.py:loss", *VALUES, "--width", "10"), "at least 40"),
        (("explain", "net.py:loss", *VALUES, "--npz", "nowhere.npz"), "no file nowhere.npz"),
        (("explain", "net.py:broken", "--arg", "x=2", "--wrt", "x"), "floating"),
        (("what",), "what"),
    ],
)
def test_input_that_does_not_fit_is_named_on_stderr(run, arguments, message):
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "Traceback" not in result.err


# --- 3: the user's code ------------------------------------------------------------------------


def test_a_traceback_ends_at_the_users_line(run):
    result = run("explain", "net.py:broken", "--json")
    assert (result.code, result.out) == (3, "")
    assert 'return x * table["nothing"]' in result.err
    assert "KeyError: 'nothing'" in result.err
    assert "chainrule/" not in result.err
    assert "chainrule/" in run("explain", "net.py:broken", "--traceback").err


def test_a_refusal_is_a_picture_of_the_users_line(run):
    result = run("explain", "net.py:refused")
    assert (result.code, result.out) == (3, "")
    assert "return float(x) * 2.0" in result.err
    assert "^^^^^^^^" in result.err
    assert "help:" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(x)\n    return x\n", "SyntaxError"),
        ("import nothing_of_this_name\n", "ModuleNotFoundError"),
        ("raise RuntimeError('while imported')\n", "RuntimeError: while imported"),
        ("import sys\nsys.exit(0)\n", "SystemExit"),
    ],
)
def test_a_file_that_cannot_be_imported_is_the_users_code_too(run, folder, source, message):
    (folder / "bad.py").write_text(source)
    for target in ("bad.py:f", "bad:f"):
        result = run("explain", target)
        assert (result.code, result.out) == (3, "")
        assert message in result.err
        assert "chainrule/" not in result.err
