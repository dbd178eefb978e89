"""The entries of a delivery, while others have their turn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proml.adapters.outbox_sqlite import SqliteOutbox
from proml.core.intent import TransitionIntent
from proml.submit.book import Book

if TYPE_CHECKING:
    from pathlib import Path


def intent(name: str) -> TransitionIntent:
    return TransitionIntent(name, "submit", bytes(32))


def test_what_others_did_meanwhile_is_taken_over(tmp_path: Path) -> None:
    ours, theirs = (SqliteOutbox(tmp_path / "outbox.sqlite") for _ in range(2))
    numbers = ours.add([intent(name).intent(name) for name in "abc"])
    book = Book(ours)
    told: list[int] = []
    book.progress = lambda _done, _total, entry: told.append(entry.number)
    before = book.revision
    book.refresh()
    assert book.revision == before
    sent, final, dropped = (theirs.entry(number) for number in numbers)
    theirs.update(
        [
            replace(sent, state="sent", transaction_hash=b"\1" * 32, detail={"nonce": 7}),
            replace(final, state="confirmed", final=True),
            replace(dropped, state="dropped"),
        ]
    )
    (new,) = theirs.add([intent("d").intent("d")])
    book.refresh()
    assert book.revision > before
    assert [book.entries[number].state for number in (*numbers, new)] == ["sent", "confirmed", "dropped", "pending"]
    assert list(book.transactions()) == [b"\1" * 32]
    assert told == [numbers[1]]
    assert new not in book.selected
    for outbox in (ours, theirs):
        outbox.close()
