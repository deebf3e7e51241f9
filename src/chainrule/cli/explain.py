"""``chainrule explain``: a function's gradient, explained on the terminal or as JSON."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.text import Text

from ..explain import Explanation, explain
from ..program.errors import ChainruleError
from .console import Console, for_a_reader
from .target import InputError, Target, UserCodeError, find_target
from .tracebacks import is_from_user
from .values import Values, collect, select


def run(options: argparse.Namespace) -> bool:
    """Explain what the options name; return whether every step is verified.

    Raises
    ------
    InputError
        If the options or the values do not fit.
    UserCodeError
        If the user's code raises.
    """
    with contextlib.redirect_stdout(sys.stderr):  # stdout is for the explanation alone
        target = find_target(options.target)
        values = collect(target, options.arg, options.npz)
        chosen = select(values, options.wrt, target)
        explanation = _explained(target, values, chosen, options.level)
    path = _path(explanation, options.path)
    _say_what_lay_beside(target, values)
    with for_a_reader():
        if options.json:
            names = [list(values.sources)[i] for i in chosen]
            content = _content(explanation, values, names, options.numbers, path)
            print(json.dumps(content, indent=2))
        else:
            _show(explanation, options, path)
    return explanation.verified


def _explained(target: Target, values: Values, chosen: tuple[int, ...], level: str) -> Explanation:
    try:
        return explain(target.function, chosen, level=level)(*values.args, **values.kwargs)
    except (Exception, SystemExit) as error:
        if not isinstance(error, ChainruleError) and not is_from_user(error):
            raise
        raise UserCodeError(f"{target.name} raised {type(error).__name__}") from error


def _path(explanation: Explanation, name: str | None) -> str | None:
    if name is None:
        return None
    try:
        return explanation.path(name)
    except KeyError as error:
        raise InputError(f"--path {name}: {error.args[0]}") from None


def _say_what_lay_beside(target: Target, values: Values) -> None:
    """Name the values that came from files which nobody named."""
    if target.file is None:
        return
    beside = {target.file.with_suffix(suffix).name for suffix in (".npz", ".json")}
    found = [f"{name} from {source}" for name, source in values.sources.items() if source in beside]
    if found:
        print(f"values: {', '.join(found)}", file=sys.stderr)


# --- for people ---------------------------------------------------------------------------------


def _show(explanation: Explanation, options: argparse.Namespace, path: str | None) -> None:
    console = Console(options.no_color, options.width)
    console.print(explanation)
    if options.numbers:
        console.print(Text("\nIn numbers", style="bold"))
        for step in explanation.steps:
            console.print(Text(f"{step.index:2d}  {step.numbers()}"))
    if path is not None:
        console.print(Text(f"\nThe path to {options.path}", style="bold"))
        console.print(Text(f"    {path}"))


# --- for programs -------------------------------------------------------------------------------


def _content(
    explanation: Explanation,
    values: Values,
    names: Sequence[str],
    numbers: bool,
    path: str | None,
) -> dict[str, Any]:
    content = explanation.to_dict()
    gradient = zip(names, explanation.gradient, strict=True)
    content["gradient"] = {name: _plain(part) for name, part in gradient}
    content["values"] = values.sources
    if numbers:
        for entry, step in zip(content["steps"], explanation.steps, strict=True):
            entry["numbers"] = step.numbers()
    if path is not None:
        content["path"] = path
    return content


def _plain(tree: Any) -> Any:
    """Turn a tree of arrays into what JSON knows: objects, lists, numbers."""
    if isinstance(tree, dict):
        return {str(key): _plain(part) for key, part in tree.items()}
    if isinstance(tree, list | tuple):
        return [_plain(part) for part in tree]
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return {f.name: _plain(getattr(tree, f.name)) for f in dataclasses.fields(tree)}
    if tree is None or isinstance(tree, str):
        return tree
    array = np.asarray(tree)
    if array.dtype.kind == "c":
        return {"real": _plain(array.real), "imag": _plain(array.imag)}
    if array.ndim:
        return [_plain(part) for part in array]
    number = array.item()
    if isinstance(number, float) and not math.isfinite(number):
        return repr(number)  # JSON has no NaN and no infinity
    return number
