"""The Outbox port, on the SQLite adapter."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.adapters.clock import ManualClock
from proml.adapters.outbox_sqlite import SqliteOutbox
from proml.errors import ConfigError, ConflictError, LocalStorageError, UnknownName
from proml.ports import Entry, Intent

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = "0x" + "aB" * 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def intent(key: str, artefact: str = "model") -> Intent:
    return Intent(key, "transition", {"action": "train", "n": 1}, artefact)


def test_what_was_added_is_there_after_reopening(path: Path) -> None:
    numbers = SqliteOutbox(path).add([intent("a"), intent("b")])
    found = list(SqliteOutbox(path).entries())
    assert list(numbers) == [1, 2]
    assert [entry.intent for entry in found] == [intent("a"), intent("b")]
    assert {entry.state for entry in found} == {"pending"}


OTHER_PROCESS = """
import sys; from proml.adapters.outbox_sqlite import SqliteOutbox
outbox = SqliteOutbox(sys.argv[1]); print(outbox.count()); outbox.close()
"""


def test_two_outboxes_of_one_process_keep_each_others_locks(path: Path) -> None:
    def seen_elsewhere() -> int:
        ran = subprocess.run([sys.executable, "-c", OTHER_PROCESS, path], capture_output=True, text=True, check=True)
        return int(ran.stdout)

    first = SqliteOutbox(path)
    first.add([intent("a")])
    second = SqliteOutbox(path)
    assert seen_elsewhere() == 1  # and its end must not take the log away from us
    first.add([intent("b")])
    second.add([intent("c")])
    assert seen_elsewhere() == 3


def test_the_version_tells_that_somebody_else_changed_the_outbox(path: Path) -> None:
    mine, theirs = SqliteOutbox(path), SqliteOutbox(path)
    version = mine.version()
    mine.add([intent("a")])
    assert mine.version() == version
    theirs.add([intent("b")])
    changed = mine.version()
    assert changed != version
    theirs.update([replace(theirs.entry(1), state="dropped")])
    assert mine.version() != changed


def test_entries_are_counted_by_state(path: Path) -> None:
    outbox = SqliteOutbox(path)
    outbox.add([intent("a"), intent("b"), intent("c")])
    outbox.update([replace(outbox.entry(2), state="dropped")])
    assert (outbox.count(), outbox.count("pending"), outbox.count("pending", "dropped"), outbox.count("sent")) == (
        3, 2, 3, 0,
    )  # fmt: skip


def test_what_the_details_say_from_the_beginning_is_kept(path: Path) -> None:
    outbox = SqliteOutbox(path)
    first, second = *outbox.add([intent("a")], {"told": True}), *outbox.add([intent("b"), intent("a")])[:1]
    assert outbox.entry(first).detail == {"told": True}
    assert outbox.entry(second).detail == {}


def test_entries_are_found_by_their_keys_in_any_state(path: Path) -> None:
    outbox = SqliteOutbox(path)
    numbers = outbox.add([intent(key) for key in "abc"])
    outbox.update([replace(outbox.entry(numbers[0]), state="confirmed", final=True)])
    assert outbox.find({"c", "a", "nobody's"}) == [numbers[0], numbers[2]]


def test_adding_a_known_key_again_keeps_the_first_entry(path: Path) -> None:
    outbox = SqliteOutbox(path)
    outbox.add([intent("a")])
    first, second = outbox.add([Intent("a", "anchor", {"other": True}), intent("b")])
    assert first == 1 < second
    assert [entry.intent for entry in outbox.entries()] == [intent("a"), intent("b")]


def test_intents_are_added_all_or_none(path: Path) -> None:
    outbox = SqliteOutbox(path)
    broken = Intent("b", None, {}, "x")  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        outbox.add([intent("a"), broken])
    assert list(outbox.entries()) == []


def test_the_time_of_adding_is_kept(path: Path) -> None:
    outbox = SqliteOutbox(path, clock=ManualClock(1_800_000_000))
    outbox.add([intent("a")])
    assert outbox.entry(1).created_ns == 1_800_000_000 * 10**9


def test_updates_are_stored_whole(path: Path) -> None:
    outbox = SqliteOutbox(path)
    outbox.add([intent("a")])
    changed = replace(
        outbox.entry(1),
        state="confirmed",
        raw_transaction=b"\x02raw",
        transaction_hash=b"h" * 32,
        block_number=7,
        block_hash=b"b" * 32,
        gas_used=46_000,
        attempts=2,
        error="it took two",
        confirmed_ns=5,
        detail={"proof": ["0x00"], "nested": {"a": [1, None]}},
        final=True,
    )
    outbox.update([changed])
    assert SqliteOutbox(path).entry(1) == changed


def test_updates_are_all_or_none(path: Path) -> None:
    outbox = SqliteOutbox(path)
    outbox.add([intent("a")])
    first = outbox.entry(1)
    with pytest.raises(UnknownName, match="no entry 99"):
        outbox.update([replace(first, state="sent"), replace(first, number=99)])
    assert outbox.entry(1).state == "pending"


def test_entries_are_filtered_by_state_oldest_first(path: Path) -> None:
    outbox = SqliteOutbox(path)
    outbox.add([intent(str(number)) for number in range(600)])
    outbox.update([replace(entry, state="sent") for entry in outbox.entries() if entry.number % 2])
    assert [entry.number for entry in outbox.entries("sent")] == list(range(1, 601, 2))
    assert sum(1 for _ in outbox.entries("sent", "pending")) == 600


def test_unsettled_leaves_out_what_is_final_or_dropped(path: Path) -> None:
    outbox = SqliteOutbox(path)
    outbox.add([intent(key) for key in "abcd"])
    one, two, three, four = outbox.entries()
    outbox.update(
        [
            replace(one, state="dropped"),
            replace(two, state="confirmed", final=True),
            replace(three, state="confirmed"),
            replace(four, state="refused"),
        ]
    )
    assert [entry.number for entry in outbox.unsettled()] == [3, 4]


def test_an_unknown_entry_is_named(path: Path) -> None:
    with pytest.raises(UnknownName, match="no entry 3"):
        SqliteOutbox(path).entry(3)


@given(body=st.dictionaries(st.text(), st.none() | st.integers(-(2**63), 2**63) | st.text() | st.lists(st.text())))
def test_any_json_body_comes_back_unchanged(tmp_path_factory: pytest.TempPathFactory, body: dict[str, object]) -> None:
    outbox = SqliteOutbox(tmp_path_factory.mktemp("outbox") / "o.sqlite")
    outbox.add([Intent("k", "transition", body, "a")])
    assert outbox.entry(1).intent.body == body
    outbox.close()


# ----------------------------------------------------------------------------------------------------- at once


def _add_some(path: str, worker: int) -> None:
    outbox = SqliteOutbox(path)
    for number in range(5):
        outbox.add([intent(f"{worker}/{number}")])


def test_sixty_four_processes_add_to_a_new_outbox_at_once(path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_add_some, args=(str(path), number)) for number in range(64)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 64
    keys = [entry.intent.key for entry in SqliteOutbox(path).entries()]
    assert len(keys) == len(set(keys)) == 320


def test_an_outbox_that_another_makes_while_it_is_looked_at_is_taken_for_what_it_is(path: Path) -> None:
    class Overtaken(SqliteOutbox):
        def _is_ready(self, connection: Any) -> bool:
            return super()._is_ready(cast("sqlite3.Connection", Slow(connection)))

    class Slow:
        def __init__(self, connection: sqlite3.Connection) -> None:
            self.connection = connection

        def execute(self, statement: str) -> sqlite3.Cursor:
            if "user_version" in statement and not made:
                made.append(SqliteOutbox(path))
                made[0].add([intent("theirs")])
            return self.connection.execute(statement)

    made: list[SqliteOutbox] = []
    ours = Overtaken(path)
    ours.add([intent("ours")])
    assert [entry.intent.key for entry in made[0].entries()] == ["theirs", "ours"]


def test_a_forked_child_can_add_with_the_outbox_it_inherited(path: Path) -> None:
    outbox = SqliteOutbox(path)
    outbox.add([intent("parent")])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            outbox.add([intent("child")])
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    outbox.add([intent("parent again")])
    assert [entry.intent.key for entry in outbox.entries()] == ["parent", "child", "parent again"]


def test_threads_share_one_outbox(path: Path) -> None:
    outbox = SqliteOutbox(path)
    threads = [threading.Thread(target=lambda n=n: outbox.add([intent(str(n))])) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(1 for _ in outbox.entries()) == 8


def test_what_was_added_survives_a_kill_right_after(path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from proml.adapters.outbox_sqlite import SqliteOutbox\n"
        "from proml.ports import Intent\n"
        f"SqliteOutbox({str(path)!r}).add([Intent('k', 'anchor', {{}})])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert SqliteOutbox(path).entry(1).intent.key == "k"


def test_importing_the_outbox_imports_no_ledger_library() -> None:
    program = (
        "import sys, proml.adapters.outbox_sqlite, proml.adapters.store_folder, proml.core.intent\n"
        "heavy = {'web3', 'eth', 'eth_abi', 'sqlalchemy', 'fsspec', 'eth_hash', 'coincurve'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------------------------------------ sender's lock


def _hold_lock(path: str, ready: int, release: int) -> None:
    with SqliteOutbox(path).lock_sender(ACCOUNT, timeout_s=5):
        os.write(ready, b"x")
        os.read(release, 1)


def test_only_one_process_sends(path: Path) -> None:
    SqliteOutbox(path)
    ready, held = os.pipe()
    release, let_go = os.pipe()
    holder = multiprocessing.get_context("fork").Process(target=_hold_lock, args=(str(path), held, release))
    holder.start()
    os.read(ready, 1)
    outbox = SqliteOutbox(path)
    with pytest.raises(ConflictError, match="Another process is sending"):
        outbox.lock_sender(ACCOUNT, timeout_s=0.1)
    with pytest.raises(ConflictError):  # whichever account is quicker takes what is pending
        outbox.lock_sender("0x" + "11" * 20, timeout_s=0.1)
    holder.kill()  # the kernel releases what a dead process held
    holder.join()
    with outbox.lock_sender(ACCOUNT, timeout_s=5):
        pass
    for descriptor in (ready, held, release, let_go):
        os.close(descriptor)


def test_only_one_thread_sends(path: Path) -> None:
    outbox = SqliteOutbox(path)
    refused: list[ConflictError] = []

    def try_it() -> None:
        try:
            outbox.lock_sender(ACCOUNT, timeout_s=0.05)
        except ConflictError as error:
            refused.append(error)

    with outbox.lock_sender(ACCOUNT, timeout_s=1):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert len(refused) == 1
    with outbox.lock_sender(ACCOUNT, timeout_s=0.1):
        pass


def test_a_forked_child_does_not_keep_the_lock(path: Path) -> None:
    outbox = SqliteOutbox(path)
    waiting, done = os.pipe()
    with outbox.lock_sender(ACCOUNT, timeout_s=1):
        child = os.fork()
        if child == 0:
            os.read(waiting, 1)
            os._exit(0)
    with outbox.lock_sender(ACCOUNT, timeout_s=0.5):
        pass
    os.write(done, b"x")
    os.waitpid(child, 0)
    os.close(waiting)
    os.close(done)


# ------------------------------------------------------------------------------------------------- broken files


def test_a_file_that_is_no_database_is_called_damaged_and_kept(path: Path) -> None:
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(ConfigError) as caught:
        SqliteOutbox(path)
    assert str(path) in str(caught.value)
    assert "recover" in str(caught.value)
    assert path.read_bytes().startswith(b"this is not")


def test_an_outbox_with_garbage_in_the_middle_is_called_damaged(path: Path) -> None:
    outbox = SqliteOutbox(path)
    outbox.add([Intent(str(number), "anchor", {"filler": "x" * 400}) for number in range(200)])
    outbox.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40_000)
    with pytest.raises(ConfigError, match="damaged"):
        list(SqliteOutbox(path).entries())


def test_an_entry_whose_json_is_broken_is_named(path: Path) -> None:
    outbox = SqliteOutbox(path)
    outbox.add([intent("a")])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE entry SET body = '{\"cut'")
    connection.close()
    with pytest.raises(ConfigError, match="entry 1 holds no JSON object"):
        outbox.entry(1)


def test_an_entry_with_values_of_other_types_is_named(path: Path) -> None:
    outbox = SqliteOutbox(path)
    outbox.add([intent("a")])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE entry SET block_number = 'nine'")
    connection.close()
    with pytest.raises(ConfigError, match="entry 1 holds values of the wrong type"):
        outbox.entry(1)


def test_another_programs_database_is_not_touched(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(ConfigError, match="not an outbox"):
        SqliteOutbox(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]
    connection.close()


def test_an_outbox_of_a_later_version_is_refused(path: Path) -> None:
    SqliteOutbox(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(ConfigError, match="later version"):
        SqliteOutbox(path)


def test_a_locked_outbox_says_who_may_be_asked(path: Path) -> None:
    outbox = SqliteOutbox(path, busy_timeout_s=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LocalStorageError, match="locked for"):
        outbox.add([intent("a")])
    other.execute("ROLLBACK")
    other.close()
    assert list(outbox.add([intent("a")])) == [1]


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(LocalStorageError, match="No such file or directory"):
        SqliteOutbox(tmp_path / "nowhere" / "outbox.sqlite")


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    with pytest.raises(LocalStorageError, match="directory"):
        SqliteOutbox(tmp_path)


def test_a_full_disk_loses_nothing_and_is_said(path: Path) -> None:
    outbox = SqliteOutbox(path)
    outbox.add([intent("before")])
    assert outbox._connection is not None
    pages = outbox._connection.execute("PRAGMA page_count").fetchone()[0]
    outbox._connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then answers as when the disk is full
    with pytest.raises(LocalStorageError, match="disk is full"):
        outbox.add([Intent(str(n), "anchor", {"filler": "x" * 4000}) for n in range(50)])
    outbox._connection.execute("PRAGMA max_page_count = 100000")
    outbox.add([intent("after")])
    assert [entry.intent.key for entry in outbox.entries()] == ["before", "after"]


def test_nobody_else_may_read_the_outbox(path: Path) -> None:
    SqliteOutbox(path).add([intent("a")])
    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}


def test_closing_twice_is_safe_and_it_opens_again_when_used(path: Path) -> None:
    outbox = SqliteOutbox(path)
    outbox.close()
    outbox.close()
    assert isinstance(outbox.entry(outbox.add([intent("a")])[0]), Entry)
