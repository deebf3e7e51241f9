"""From ``FILE.py:FUNC`` or ``module.path:FUNC`` to the function itself."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any


class InputError(Exception):
    """What the person at the command line gave does not fit; says what would.

    Parameters
    ----------
    title : str
        What is wrong, in one line.
    help : str
        What to write instead; may have several lines.
    """

    def __init__(self, title: str, help: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.help = help


class UserCodeError(Exception):
    """The user's module or function raised; the cause is what it raised."""


@dataclass(frozen=True)
class Target:
    """A function, and the module that holds it.

    Attributes
    ----------
    function : callable
        The function itself.
    name : str
        Its name within the module: ``loss`` or ``Net.loss``.
    module : ModuleType
        Where expressions for arguments are evaluated.
    file : Path or None
        The module's file, beside which values may lie.
    """

    function: Callable[..., Any]
    name: str
    module: ModuleType
    file: Path | None


def find_target(text: str) -> Target:
    """Import what ``text`` names.

    Raises
    ------
    InputError
        If there is no such file, module or function.
    UserCodeError
        If the module raises while it is imported.

    Examples
    --------
    >>> find_target("math:sqrt").function(9.0)
    3.0
    """
    where, colon, name = text.rpartition(":")
    if not colon or name.endswith(".py"):  # no function, and maybe the colon of a drive
        where, name = text, ""
    if where.endswith(".py") or "/" in where or "\\" in where:
        module = _module_in_file(Path(where), name)
    elif where.strip("."):
        module = _module_by_name(where)
    else:
        raise InputError(
            f"{text!r} names no file", "write FILE.py:FUNCTION or module.path:FUNCTION"
        )
    function = _attribute(module, where, name)
    file = getattr(module, "__file__", None)
    return Target(function, name, module, Path(file) if file else None)


def _module_in_file(path: Path, name: str) -> ModuleType:
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.py")])
        also = f"; there is {path.with_name(near[0])}" if near else ""
        raise InputError(f"there is no file {path}", f"write FILE.py:FUNCTION{also}")
    # As `python FILE.py` has it: modules beside the file can be imported.
    sys.path.insert(0, str(path.resolve().parent))
    stem = path.stem if path.stem not in sys.modules else f"{path.stem}:{path}"
    spec = importlib.util.spec_from_file_location(stem, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file", f"write FILE.py:{name or 'FUNCTION'}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[stem] = module  # dataclasses and pickles look their module up here
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UserCodeError(f"{path} raised while it was imported") from error
    return module


def _module_by_name(where: str) -> ModuleType:
    sys.path.insert(0, "")  # a script has its own folder there, and not the current one
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if where != missing and not where.startswith(missing + "."):
            raise UserCodeError(f"{where} raised while it was imported") from error
        help = "write FILE.py:FUNCTION for a file, or module.path:FUNCTION for an installed module"
        raise InputError(f"there is no module {where}", help) from None
    except (Exception, SystemExit) as error:
        raise UserCodeError(f"{where} raised while it was imported") from error


def _attribute(module: ModuleType, where: str, name: str) -> Callable[..., Any]:
    found: Any = module
    for part in name.split(".") if name else ():
        if not hasattr(found, part):
            raise InputError(f"{where} has no {name}", _suggestion(module, where, name))
        found = getattr(found, part)
    if found is module:
        raise InputError(f"which function of {where}?", _suggestion(module, where, ""))
    if not callable(found):
        kind = type(found).__name__
        raise InputError(
            f"{name} in {where} is a {kind} and no function", _suggestion(module, where, name)
        )
    function: Callable[..., Any] = found
    return function


def _suggestion(module: ModuleType, where: str, name: str) -> str:
    """Name the functions that there are, the likeliest first."""
    own = [
        key
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__
    ]
    near = difflib.get_close_matches(name, own, n=1)
    if near:
        return f"did you mean {where}:{near[0]}?"
    if not own:
        return f"{where} defines no function"
    shown = ", ".join(own[:12]) + (", ..." if len(own) > 12 else "")
    return f"write {where}:{own[0]}; it defines {shown}"
