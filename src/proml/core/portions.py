"""Cuts a sequence into parts that fit in a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")


def portions(
    items: Iterable[Item], size: Callable[[Item], int], *, most_items: int, most_size: int
) -> Iterator[list[Item]]:
    """Yields the items in order, in lists that are as long as the limits let them be; none is empty.

    Args:
        items: What is to be cut.
        size: Size of one item, in whatever unit. One that is larger than the limit has a list of its own.
        most_items: How many items a list may have.
        most_size: How large all of a list together may be.
    """
    some: list[Item] = []
    total = 0
    for item in items:
        own = size(item)
        if some and (len(some) == most_items or total + own > most_size):
            yield some
            some, total = [], 0
        some.append(item)
        total += own
    if some:
        yield some
