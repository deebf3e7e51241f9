"""Classes that hold named values: what ``dataclass`` gives, for modules that a first call imports.

``dataclass`` writes the methods of each class as source code and has Python compile it, which takes
half a millisecond, or a whole one if the class is frozen. With some thirty classes that was a tenth
of the time that a first call of a compiled function took. Here all classes share the same methods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, field
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(eq_default=False, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Give a class the methods of a dataclass, for the attributes that are annotated in it.

    As its objects may change, each of them equals itself alone.

    Examples
    --------
    >>> @record
    ... class Point:
    ...     x: float
    ...     y: float = 0.0
    >>> Point(1.0)
    Point(x=1.0, y=0.0)
    """
    _prepare(cls)
    return cls


@dataclass_transform(field_specifiers=(field,), frozen_default=True)
def frozen_record(cls: type[T]) -> type[T]:
    """Give a class the methods of a frozen dataclass: its objects do not change, and have a hash.

    Examples
    --------
    >>> @frozen_record
    ... class Size:
    ...     width: int
    >>> len({Size(1), Size(1)})
    1
    """
    _prepare(cls)
    made: Any = cls
    made.__eq__, made.__hash__ = _equal, _hash
    made.__setattr__ = made.__delattr__ = _refuse
    return cls


def replaced(value: T, **changes: Any) -> T:
    """Return a record with some of its attributes changed.

    Examples
    --------
    >>> @frozen_record
    ... class Size:
    ...     width: int
    ...     height: int
    >>> replaced(Size(1, 2), height=3)
    Size(width=1, height=3)
    """
    return type(value)(**{**dict(zip(_names(value), _values(value), strict=True)), **changes})


def _prepare(cls: Any) -> None:
    names = tuple(cls.__annotations__)
    defaults: dict[str, Callable[[], Any]] = {}
    for name in names:
        default = vars(cls).get(name, MISSING)
        if isinstance(default, Field):
            assert default.default_factory is not MISSING
            defaults[name] = default.default_factory
            delattr(cls, name)
        elif default is not MISSING:
            defaults[name] = lambda default=default: default  # type: ignore[misc]
    cls._record = names, defaults
    cls.__init__ = _initialiser(names, defaults, "__post_init__" in vars(cls))
    cls.__repr__ = _repr


def _initialiser(
    names: tuple[str, ...], defaults: dict[str, Callable[[], Any]], has_more: bool
) -> Callable[..., None]:
    count, known, put = len(names), frozenset(names), object.__setattr__

    def initialise(self: Any, *given: Any, **named: Any) -> None:
        values = dict(zip(names, given, strict=False))
        wrong = len(given) > count
        if named:
            wrong = wrong or any(n in values or n not in known for n in named)
            values.update(named)
        if len(values) < count:
            values.update((n, make()) for n, make in defaults.items() if n not in values)
        if wrong or len(values) != count:
            raise _misused(self, names, given, named, values)
        # one by one: attributes of an object that was asked for its dictionary are slower to read
        for name in names:
            put(self, name, values[name])
        if has_more:
            self.__post_init__()

    return initialise


def _misused(
    self: Any, names: tuple[str, ...], given: Any, named: Any, values: dict[str, Any]
) -> TypeError:
    taken = [*names[: len(given)], *named]
    unknown = [n for n in named if n not in names]
    twice = [n for n in named if n in names[: len(given)]]
    missing = [n for n in names if n not in taken and n not in values]
    return TypeError(
        f"{type(self).__name__} has the attributes {', '.join(names)}: {len(given)} are given by "
        f"position; missing {missing}, unknown {unknown}, given twice {twice}"
    )


def _names(self: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = type(self)._record[0]
    return names


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in _names(self)])


def _equal(self: Any, other: Any) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return _values(self) == _values(other)


def _hash(self: Any) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    parts = [f"{n}={v!r}" for n, v in zip(_names(self), _values(self), strict=True)]
    return f"{type(self).__name__}({', '.join(parts)})"


def _refuse(self: Any, name: str, *value: Any) -> None:
    raise FrozenInstanceError(f"a {type(self).__name__} does not change: {name!r}")
