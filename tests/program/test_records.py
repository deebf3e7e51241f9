"""Records behave as dataclasses do."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, field

import pytest

from chainrule.program.records import frozen_record, record, replaced


@record
class Basket:
    """Things that change."""

    name: str
    items: list[int] = field(default_factory=list)
    weight: float = 0.0


@frozen_record
class Point:
    """Two numbers that do not change."""

    x: float
    y: float = 0.0

    @property
    def size(self) -> float:
        """The sum of both."""
        return self.x + self.y


@record
class Checked:
    """A number, and its double."""

    n: int

    def __post_init__(self) -> None:
        self.double = 2 * self.n


def test_values_are_given_by_position_by_name_and_by_default() -> None:
    basket = Basket("fruit", weight=2.0)
    assert (basket.name, basket.items, basket.weight) == ("fruit", [], 2.0)
    assert repr(basket) == "Basket(name='fruit', items=[], weight=2.0)"
    assert Basket("a").items is not Basket("b").items


def test_what_is_said_of_a_class_comes_last() -> None:
    assert Checked(3).double == 6


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ((), {}),
        ((1.0, 2.0, 3.0), {}),
        ((1.0,), {"x": 2.0}),
        ((1.0,), {"z": 2.0}),
        ((), {"z": 2.0, "y": 1.0}),
        ((), {"z": 2.0}),
    ],
)
def test_missing_and_unknown_values_are_refused(given: tuple[float, ...], named: dict) -> None:
    with pytest.raises(TypeError, match="Point has the attributes x, y"):
        Point(*given, **named)


def test_frozen_records_have_a_hash_and_do_not_change() -> None:
    point = Point(1.0)
    assert point == Point(1.0, 0.0) != Point(1.0, 1.0)
    assert point != (1.0, 0.0)
    assert len({point, Point(1.0), Point(2.0)}) == 2
    with pytest.raises(FrozenInstanceError):
        point.x = 2.0  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x
    changed = replaced(point, y=2.0)
    assert (changed, changed.size, point.y) == (Point(1.0, 2.0), 3.0, 0.0)


def test_other_records_equal_themselves_alone() -> None:
    one, other = Basket("a"), Basket("a")
    assert one == one != other
    assert len({one, other}) == 2


def test_records_are_copied_and_pickled() -> None:
    for point in (copy.copy(Point(1.0)), pickle.loads(pickle.dumps(Point(1.0)))):
        assert point == Point(1.0)
    assert copy.deepcopy(Basket("a", [1])).items == [1]
