"""The entry point of ``chainrule``: its options, and what its exit codes mean."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..program.errors import ChainruleError
from .target import InputError, UserCodeError
from .tracebacks import describe

OK, NOT_VERIFIED, BAD_INPUT, USER_CODE, INTERNAL = 0, 1, 2, 3, 4

_EXPLAIN = """\
values for the arguments, the first that has one wins:
  --arg NAME=EXPR          a Python expression; np and the names of FILE.py may be used in it
  --npz VALUES.npz         arrays by name, as np.savez(file, x=..., W=...) writes them
  FILE.npz, FILE.json      the same beside FILE.py, found by itself; JSON: {"x": [0.5, 0.3]}
  def loss(x=...)          the default in the function

exit codes:
  0  every step is verified
  1  a step is not verified
  2  the command line or a file of values does not fit
  3  your code raised, or does something that has no derivative here
  4  chainrule itself failed

FILE.py is imported, and EXPR is evaluated: both run as your own code.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command ``chainrule`` and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line, by default the one of the process.

    Examples
    --------
    >>> main(["explain", "nowhere.py:f"])  # the message goes to stderr
    2
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run is None:
        parser.print_help()
        return OK
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without ∂ shows a ? in its place
            stream.reconfigure(errors="replace")
    try:
        code: int = options.run(options)
        return code
    except InputError as error:
        _complain(str(error), error.help)
        return BAD_INPUT
    except UserCodeError as error:
        _show_user_error(error, options)
        return USER_CODE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception:
        import traceback

        traceback.print_exc()
        _complain("chainrule itself failed here", "this is a bug in chainrule: please report it")
        return INTERNAL


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chainrule",
        description="Gradients of plain NumPy code, explained step by step.",
        epilog="chainrule explain --help and chainrule demo --help say more.",
    )
    parser.add_argument("--version", action="version", version=f"chainrule {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_explain(commands)
    _add_demo(commands)
    _add_view(commands)
    return parser


def _add_explain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "explain",
        help="show the chain rule at work on a function of yours, every step checked",
        description="Show the chain rule at work on a function, and check every step.",
        epilog=_EXPLAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "target",
        metavar="FILE.py:FUNC",
        help="the function; also module.path:FUNC or :Class.method",
    )
    add("--arg", action="append", default=[], metavar="NAME=EXPR", help="a value for an argument")
    add("--npz", type=Path, metavar="FILE", help="values for arguments, by name")
    add(
        "--wrt",
        "--argnums",
        metavar="NAME,...",
        help="the arguments to differentiate by, by name or position "
        "(default: all that hold floating-point numbers)",
    )
    add(
        "--level",
        choices=("statement", "primitive"),
        default="statement",
        help="one step per statement of your code (default) or per operation",
    )
    add("--numbers", action="store_true", help="show each step in numbers")
    add("--path", metavar="NAME", help="show the whole product that leads to this variable")
    add("--json", action="store_true", help="machine-readable, on stdout alone")
    add("--width", type=_columns, metavar="N", help="columns to use (default: the terminal's)")
    add(
        "--no-color",
        action="store_true",
        help="plain text; NO_COLOR in the environment also does it",
    )
    add("--traceback", action="store_true", help="show chainrule's own frames in tracebacks too")
    parser.set_defaults(run=_explain)


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "demo",
        help="differentiate, explain and train on real data, in under a minute",
        description="Explain a small network, check its gradient, train a digit classifier "
        "on real images, and write a report.",
    )
    add = parser.add_argument
    add(
        "--out",
        type=Path,
        default=Path("chainrule-demo"),
        metavar="DIR",
        help="where files go (default: %(default)s)",
    )
    add("--quick", action="store_true", help="fewer steps of training")
    add("--no-color", action="store_true", help="plain text")
    parser.set_defaults(run=_demo, traceback=True)


def _add_view(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "view",
        help="show a training run in the browser, also while it goes on",
        description="Show a training run in the browser, to this machine alone, until Ctrl-C; "
        "or write the same page as one file.",
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="the folder of the run, with events.jsonl")
    add("--output", type=Path, metavar="FILE.html", help="write one file and serve nothing")
    add("--port", type=_port, metavar="N", help="default: the port of the last time, or any free")
    add("--open", action="store_true", help="open the page in a browser")
    parser.set_defaults(run=_view)


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return port


def _columns(text: str) -> int:
    width = int(text)
    if width < 40:
        raise argparse.ArgumentTypeError("at least 40 columns are needed")
    return width


def _explain(options: argparse.Namespace) -> int:
    from .explain import run  # imported at use: `chainrule --version` starts light

    return OK if run(options) else NOT_VERIFIED


def _demo(options: argparse.Namespace) -> int:
    from .console import for_a_reader
    from .demo import run

    with for_a_reader():
        return OK if run(options) else NOT_VERIFIED
    return NOT_VERIFIED  # not seen to the end


def _view(options: argparse.Namespace) -> int:
    from .view import run

    run(options)
    return OK


def _complain(title: str, help: str = "") -> None:
    print(f"error: {title}", file=sys.stderr)
    if help:
        print("  = help: " + help.replace("\n", "\n          "), file=sys.stderr)


def _show_user_error(error: UserCodeError, options: argparse.Namespace) -> None:
    cause = error.__cause__
    if isinstance(cause, ChainruleError) and not options.traceback:
        _complain(str(cause))
        return
    assert cause is not None
    print(describe(cause, everything=options.traceback), end="", file=sys.stderr)
    _complain(str(error))
