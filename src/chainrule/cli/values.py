"""Values for the arguments of a function, from the command line and from files."""

from __future__ import annotations

import inspect
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import tree
from .target import InputError, Target

_Parameters = Mapping[str, inspect.Parameter]
_NOT_FLOATING = "a derivative is by real numbers: write 2.0 for 2, or np.array(..., dtype=float)"


@dataclass(frozen=True)
class Values:
    """The arguments of one call.

    Attributes
    ----------
    args, kwargs
        For the call itself.
    sources : dict
        Where each value comes from, by parameter.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    sources: dict[str, str]

    def by_name(self) -> dict[str, Any]:
        """Return all values, by parameter."""
        return dict(zip(self.sources, (*self.args, *self.kwargs.values()), strict=True))


def collect(target: Target, given: Sequence[str], npz: Path | None) -> Values:
    """Find a value for each parameter of a function.

    The first that has one wins: ``--arg``, ``--npz``, the files ``NAME.npz`` and ``NAME.json``
    beside ``NAME.py``, the parameter's default.

    Parameters
    ----------
    target : Target
        The function.
    given : sequence of str
        What ``--arg`` gave: ``"name=expression"``.
    npz : Path or None
        What ``--npz`` gave.

    Raises
    ------
    InputError
        If a parameter has no value, or a value has no parameter.
    """
    parameters = _parameters(target)
    layers = [("--arg", _evaluated(given, target, parameters))]
    if npz is not None:
        layers.append((str(npz), _checked_npz(npz, target, parameters)))
    layers += _beside(target)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, parameter in parameters.items():
        for source, layer in layers:
            if name in layer:
                values[name], sources[name] = layer[name], source
                break
        else:
            if parameter.default is not parameter.empty:
                values[name], sources[name] = parameter.default, "default"
    missing = [name for name in parameters if name not in values]
    if missing:
        raise _missing(missing, target)
    return _arranged(parameters, values, sources)


def _arranged(parameters: _Parameters, values: dict[str, Any], sources: dict[str, str]) -> Values:
    by_keyword = {k for k, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    args = tuple(value for name, value in values.items() if name not in by_keyword)
    kwargs = {name: value for name, value in values.items() if name in by_keyword}
    return Values(args, kwargs, sources)


def select(values: Values, wanted: str | None, target: Target) -> tuple[int, ...]:
    """Return the positions of the arguments to differentiate by.

    Without a wish these are all that hold floating-point numbers.

    Raises
    ------
    InputError
        If there is none, or the wish names no argument.
    """
    names = list(values.sources)[: len(values.args)]
    if wanted is None:
        chosen = [i for i, value in enumerate(values.args) if _is_floating(value)]
        if not chosen:
            raise InputError(
                f"no argument of {target.name} holds floating-point numbers",
                _NOT_FLOATING,
            )
        return tuple(chosen)
    chosen = []
    for word in (word.strip() for word in wanted.split(",")):
        if word in names:
            chosen.append(names.index(word))
        elif word.isdecimal() and int(word) < len(names):
            chosen.append(int(word))
        else:
            has = ", ".join(names) or "none"
            raise InputError(
                f"{target.name} has no argument {word!r} to differentiate by",
                f"its positional arguments are: {has}",
            )
    for i in chosen:
        if not _is_floating(values.args[i]):
            raise InputError(
                f"the argument {names[i]} does not hold floating-point numbers", _NOT_FLOATING
            )
    return tuple(dict.fromkeys(chosen))


def _is_floating(value: Any) -> bool:
    leaves = [np.asarray(leaf) for leaf in tree.leaves(value) if not isinstance(leaf, str)]
    return bool(leaves) and all(leaf.dtype.kind in "fc" for leaf in leaves)


# --- where values come from ---------------------------------------------------------------------


def _parameters(target: Target) -> dict[str, inspect.Parameter]:
    try:
        signature = inspect.signature(target.function)
    except (TypeError, ValueError):
        raise InputError(
            f"the arguments of {target.name} are not known: it is not written in Python",
            "wrap it: `def f(x): return ...`",
        ) from None
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {k: p for k, p in signature.parameters.items() if p.kind not in variadic}


def _evaluated(given: Sequence[str], target: Target, parameters: _Parameters) -> dict[str, Any]:
    """Evaluate ``name=expression``, each with NumPy, the user's module and what came before."""
    found: dict[str, Any] = {}
    for text in given:
        name, equals, expression = text.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise InputError(f"--arg {text}: this is no name=value", "write --arg 'x=[0.5, 0.3]'")
        if name not in parameters:
            has = ", ".join(parameters) or "none"
            raise InputError(
                f"--arg {text}: {target.name} has no argument {name}", f"its arguments are: {has}"
            )
        try:
            # The person's own expression, for their own file, on their own machine.
            value = eval(expression, {"np": np, **vars(target.module), **found})
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise InputError(
                f"--arg {text}: {what}",
                f"the value is a Python expression; it may use np and all names of "
                f"{target.module.__name__.partition(':')[0]}",
            ) from None
        found[name] = _as_array(value)
    return found


def _checked_npz(path: Path, target: Target, parameters: _Parameters) -> dict[str, Any]:
    arrays = _from_npz(path)
    if parameters and not arrays.keys() & parameters.keys():
        raise InputError(
            f"{path} holds no argument of {target.name}",
            f"it holds: {', '.join(arrays) or 'nothing'}\n"
            f"the arguments are: {', '.join(parameters)}",
        )
    return arrays


def _beside(target: Target) -> list[tuple[str, dict[str, Any]]]:
    """Read the files that lie beside the user's file and bear its name."""
    if target.file is None:
        return []
    readers = {".npz": _from_npz, ".json": _from_json}
    files = [(target.file.with_suffix(suffix), read) for suffix, read in readers.items()]
    return [(file.name, read(file)) for file, read in files if file.is_file()]


def _from_npz(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise InputError(
                    f"{path} holds a single array without a name",
                    f"write np.savez('{path.stem}.npz', x=..., y=...) with the arguments' names",
                )
            # An array without axes comes back as the number that went in.
            return {name: archive[name][()] for name in archive.files}
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read: {error}",
            "an .npz file of plain arrays is needed: np.savez(file, x=..., y=...)",
        ) from None


def _from_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read: {error}", 'write {"x": [0.5, 0.3], "y": 1.0}'
        ) from None
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds no object",
            'write {"x": [0.5, 0.3], "y": 1.0}: a value for each argument',
        )
    return {name: _as_array(value) for name, value in content.items()}


def _as_array(value: Any) -> Any:
    """Make an array of a list of numbers, at any depth; leave all else alone."""
    if isinstance(value, dict):
        return {key: _as_array(part) for key, part in value.items()}
    if not isinstance(value, list):
        return value
    try:
        array = np.array(value)
    except ValueError:  # rows of different lengths
        return [_as_array(part) for part in value]
    if array.dtype.kind in "biufc" and not any(isinstance(x, np.ndarray) for x in value):
        return array
    return [_as_array(part) for part in value]


def _missing(names: Sequence[str], target: Target) -> InputError:
    first = names[0]
    owner, _, function = target.name.rpartition(".")
    example = f"{owner}()" if owner and first == "self" else "np.array([0.5, 0.3])"
    stem = target.file.stem if target.file is not None else "NAME"
    plural = "arguments" if len(names) > 1 else "argument"
    return InputError(
        f"no value for {plural} {', '.join(names)} of {target.name}",
        f"give it on the command line:  --arg '{first}={example}'\n"
        f"or in a file of arrays:        --npz values.npz   "
        f"(from np.savez('values.npz', {first}=...))\n"
        f"or beside the function:        {stem}.npz or {stem}.json, or a default: "
        f"def {function}(..., {first}=...)",
    )
