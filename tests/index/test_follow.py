"""Following the ledger: completeness, forks, lies, broken files, several processes, records that come late."""

from __future__ import annotations

import dataclasses
import sqlite3
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sql
from tests.worlds import Relaying, World, copy_world, make_world, single

from proml.adapters.clock import SystemClock
from proml.core.events import Registered, Transitioned, topic_of
from proml.core.operation import Registration
from proml.errors import UnreachableError, VerificationError
from proml.index import follow as follow_module
from proml.index import schema
from proml.index.follow import rebuild
from proml.index.onchain import artefact_state
from proml.index.schema import open_index, reading, writing
from proml.submit.single import Transaction, transact

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

DEEP = 1_000
"""More blocks than there are: none is final."""
CHAIN_TABLES = (*schema.EVENT_TABLES, schema.blocks)


def rows(engine: Engine, tables: Any = schema.EVENT_TABLES) -> dict[str, list[tuple[Any, ...]]]:
    with reading(engine) as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sql.select(table).order_by(*table.primary_key))]
            for table in tables
        }


def followed_anew(world: World, folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    engine = open_index(str(folder / "anew.sqlite"))
    world.follow(engine=engine)
    found = rows(engine)
    engine.dispose()
    return found


def test_every_artefact_has_the_head_state_and_owner_that_the_contract_says(world: World) -> None:
    world.follow()
    for view in world.model.artefacts():
        state = artefact_state(world.ledger, world.file.contract, view.id)
        assert state is not None
        assert (view.head, view.state_number, view.flags, view.seq, view.owner) == (
            state.head,
            state.state,
            state.flags,
            state.seq,
            state.owner,
        )
        assert view.changed_at == state.changed_at
    assert [view.name for view in world.model.artefacts()] == ["d", "e", "m"]


def test_following_again_reads_no_logs_and_changes_nothing(world: World) -> None:
    ledger = Relaying(world.ledger)
    world.follow(ledger=ledger)
    before = rows(world.engine, CHAIN_TABLES)
    searches = ledger.searches
    report = world.follow(ledger=ledger)
    assert (report.logs, report.transitions, report.rolled_back_to) == (0, 0, None)
    assert ledger.searches == searches
    assert rows(world.engine, CHAIN_TABLES) == before


def test_following_block_by_block_gives_what_following_at_once_gives(world: World, tmp_path: Path) -> None:
    ledger = Relaying(world.ledger)
    for number in range(world.file.first_block, world.ledger.newest().number + 1):
        ledger.until = number
        world.follow(ledger=ledger)
    assert rows(world.engine) == followed_anew(world, tmp_path)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_blocks_full_of_logs_are_followed_in_parts(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    expected = followed_anew(world, tmp_path)
    monkeypatch.setattr(follow_module, "_RANGE_LOGS", most)
    seen: list[int] = []

    def tell(_done: int, _to_do: int) -> None:
        with reading(world.engine) as connection:
            seen.append(connection.execute(sql.select(sql.func.count()).select_from(schema.transitions)).scalar() or 0)

    world.follow(progress=tell)
    assert rows(world.engine) == expected
    assert len(set(seen)) > 3
    assert seen == sorted(seen)


def test_a_follow_that_is_ended_in_the_middle_goes_on_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = followed_anew(world, tmp_path)
    monkeypatch.setattr(follow_module, "_RANGE_LOGS", 3)

    def end(done: int, to_do: int) -> None:
        if done < to_do:
            raise InterruptedError

    ended = 0
    while ended < 100:
        try:
            world.follow(progress=end)
            break
        except InterruptedError:
            ended += 1
    assert 3 < ended < 100
    assert rows(world.engine) == expected


def test_a_reorganisation_leaves_nothing_of_the_other_branch(world: World, tmp_path: Path) -> None:
    world.ledger.close()
    (tmp_path / "b").mkdir()
    other = copy_world(world, tmp_path / "b")
    world.ledger = type(other.ledger).open(tmp_path / "chain.sqlite")  # type: ignore[attr-defined]
    world.act("developer", "m", "revoke")
    world.dataset("only-here")
    other.act("data", "d", "revoke")
    other.dataset("only-there")
    other.dataset("there-too")
    ledger = Relaying(world.ledger)
    ledger.depth = DEEP
    world.follow(ledger=ledger)
    assert world.model.artefact("m").revoked

    ledger.real = other.ledger
    world.store = other.store
    report = world.follow(ledger=ledger)
    assert report.rolled_back_to is not None
    assert rows(world.engine) == followed_anew(other, tmp_path)
    assert world.model.artefact("d").revoked
    assert not world.model.artefact("m").revoked

    ledger.real = world.ledger
    world.follow(ledger=ledger)
    assert world.model.artefact("m").revoked
    other.close()


def test_a_reorganisation_while_logs_are_read_is_noticed(world: World, tmp_path: Path) -> None:
    world.ledger.close()
    (tmp_path / "b").mkdir()
    other = copy_world(world, tmp_path / "b")
    world.ledger = type(other.ledger).open(tmp_path / "chain.sqlite")  # type: ignore[attr-defined]
    world.act("developer", "m", "revoke")
    other.act("data", "d", "revoke")
    ledger = Relaying(world.ledger)
    ledger.before_logs.append(lambda relaying: setattr(relaying, "real", other.ledger))
    world.follow(ledger=ledger)
    assert rows(world.engine) == followed_anew(other, tmp_path)
    other.close()


def test_blocks_with_nothing_are_forgotten_once_they_are_final(world: World) -> None:
    for _ in range(3):
        empty_block(world)
    world.act("data", "d", "revoke")
    empty_block(world)
    ledger = Relaying(world.ledger)
    newest = world.ledger.newest().number
    named = set()
    for number in range(world.file.first_block, newest + 1):
        ledger.until = number
        world.follow(ledger=ledger)
        stored = [row[0] for row in rows(world.engine, [schema.blocks])["blocks"]]
        named |= {row[0] for table in rows(world.engine).values() for row in table}
        assert set(stored) == named | {number}


def empty_block(world: World) -> None:
    """Makes a block in which there is nothing of the workspace."""
    somebody = "0x" + "11" * 20
    transact(world.ledger, world.people["data"], SystemClock(), Transaction(somebody, b"", "nothing"))


def test_a_range_is_not_added_to_what_another_process_changed_meanwhile(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Relaying(world.ledger)
    ledger.depth, ledger.until = DEEP, world.ledger.newest().number - 2
    world.follow(ledger=ledger)
    real, asked = follow_module._has, []

    def interfered(ledger: Any, stored: Any) -> bool:
        asked.append(stored.number)
        if len(asked) == 2:  # after the range was read, before it is written
            with writing(world.engine) as connection:
                newest = schema.blocks.c.number == stored.number
                connection.execute(schema.blocks.update().where(newest).values(hash=bytes(32)))
        return real(ledger, stored)

    monkeypatch.setattr(follow_module, "_has", interfered)
    world.follow()
    assert len(asked) > 2
    engine = open_index(str(tmp_path / "anew.sqlite"))
    world.follow(engine=engine)
    assert rows(world.engine, CHAIN_TABLES) == rows(engine, CHAIN_TABLES)
    engine.dispose()


def test_a_fork_is_found_among_many_blocks(world: World) -> None:
    ledger = Relaying(world.ledger)
    ledger.depth = DEEP
    newest = world.ledger.newest().number
    for number in range(world.file.first_block, newest + 1):
        ledger.until = number
        world.follow(ledger=ledger)
    for lost in (1, 5, newest - world.file.first_block - 1):
        with writing(world.engine) as connection:
            changed = schema.blocks.update().where(schema.blocks.c.number > newest - lost).values(hash=bytes(32))
            connection.execute(changed)
        report = world.follow(ledger=ledger)
        assert report.rolled_back_to == newest - lost
        assert report.last_block == newest


def test_the_index_is_free_while_the_ledger_is_asked(world: World, tmp_path: Path) -> None:
    busy: list[str] = []

    class Asked(Relaying):
        def __getattribute__(self, name: str) -> Any:
            if name in ("block", "call", "logs", "newest", "finalized"):
                other = sqlite3.connect(tmp_path / "index.sqlite", timeout=0)
                try:
                    other.execute("BEGIN IMMEDIATE")
                    other.execute("ROLLBACK")
                except sqlite3.OperationalError:
                    busy.append(name)
                other.close()
            return super().__getattribute__(name)

    engine = open_index(str(tmp_path / "index.sqlite"))
    for until in (world.ledger.newest().number - 1, world.ledger.newest().number):
        ledger = Asked(world.ledger)
        ledger.until = until
        world.follow(ledger=ledger, engine=engine)
    engine.dispose()
    assert busy == []


def test_a_chain_that_lost_its_newest_blocks_takes_the_index_back(world: World) -> None:
    ledger = Relaying(world.ledger)
    ledger.depth = 1
    world.follow(ledger=ledger)
    ledger.until = world.ledger.newest().number - 1  # the release
    report = world.follow(ledger=ledger)
    assert report.rolled_back_to is not None
    assert world.model.artefact("m").state == "approved"
    world.follow()
    assert world.model.artefact("m").state == "released"


def test_a_ledger_that_is_behind_what_was_final_takes_nothing_back(world: World) -> None:
    ledger = Relaying(world.ledger)
    ledger.depth = 1
    world.follow(ledger=ledger)
    before = rows(world.engine, CHAIN_TABLES)
    ledger.until = world.ledger.newest().number - 2
    with pytest.raises(UnreachableError, match="is behind"):
        world.follow(ledger=ledger)
    assert rows(world.engine, CHAIN_TABLES) == before
    ledger.until = None
    assert world.follow(ledger=ledger).rolled_back_to is None


def test_a_chain_with_another_block_where_one_was_final_is_refused_until_it_is_asked_for(
    world: World, tmp_path: Path
) -> None:
    world.ledger.close()
    (tmp_path / "b").mkdir()
    other = copy_world(world, tmp_path / "b")
    world.ledger = type(other.ledger).open(tmp_path / "chain.sqlite")  # type: ignore[attr-defined]
    world.dataset("only-here")
    other.dataset("only-there")
    other.dataset("there-too")
    world.follow()
    before = rows(world.engine, CHAIN_TABLES)
    with pytest.raises(VerificationError, match=r"was final as 0x.*the ledger has 0x") as caught:
        world.follow(ledger=other.ledger)
    assert "sync --rebuild" in caught.value.hint
    assert rows(world.engine, CHAIN_TABLES) == before
    world.follow()
    rebuild(other.ledger, world.file, other.store, world.engine)
    assert rows(world.engine) == followed_anew(other, tmp_path)
    other.close()


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("chain_id", 1, "chain id"),
        ("genesis_hash", bytes(32), "genesis"),
        ("code_hash", bytes(32), "code"),
        ("contract", "0x" + "11" * 20, "no code"),
    ],
)
def test_another_ledger_than_the_pinned_one_is_refused_and_nothing_is_written(
    world: World, field: str, value: Any, named: str
) -> None:
    file = dataclasses.replace(world.file, **{field: value})
    with pytest.raises(VerificationError, match=named):
        world.follow(workspace=file)
    assert not any(rows(world.engine, (schema.meta, *CHAIN_TABLES)).values())


@pytest.mark.parametrize("kind", [Transitioned, Registered])
def test_an_end_point_that_leaves_an_event_out_is_refused(world: World, kind: type) -> None:
    ledger = Relaying(world.ledger)
    topic = topic_of(kind)
    first = next(log for log in _all_logs(world) if log.topics[0] == topic)
    ledger.drop = lambda log: log == first
    with pytest.raises(VerificationError, match="do not fit together"):
        world.follow(ledger=ledger)
    assert not any(rows(world.engine).values())


def test_an_end_point_that_alters_a_record_digest_is_refused(world: World) -> None:
    ledger = Relaying(world.ledger)
    topic = topic_of(Transitioned)

    def forge(log: Any) -> Any:
        if log.topics[0] != topic:
            return log
        return dataclasses.replace(log, data=log.data[:-64] + bytes(32) + log.data[-32:])

    ledger.change = forge
    with pytest.raises(VerificationError, match="head"):
        world.follow(ledger=ledger)


def test_an_event_left_out_later_is_refused_by_what_the_index_knows(world: World) -> None:
    world.follow()
    world.act("developer", "m", "retire")
    world.act("data", "d", "revise", single("other"))
    world.act("data", "d", "label", single("other, labelled"))
    ledger = Relaying(world.ledger)
    newest = world.ledger.newest().number
    ledger.drop = lambda log: log.block_number == newest - 1
    with pytest.raises(VerificationError, match="do not fit together"):
        world.follow(ledger=ledger)
    assert world.model.artefact("m").state == "released"
    world.follow()
    assert world.model.artefact("m").state == "retired"


def _all_logs(world: World) -> Any:
    from proml.ports import LogQuery  # noqa: PLC0415

    return world.ledger.logs(LogQuery(world.file.contract))


@pytest.mark.parametrize("damage", ["garbage", "middle", "schema", "columns", "empty"])
def test_a_broken_or_old_index_is_made_anew(world: World, tmp_path: Path, damage: str) -> None:
    world.follow()
    expected = rows(world.engine)
    world.engine.dispose()
    path = tmp_path / "index.sqlite"
    if damage == "garbage":
        path.write_bytes(b"this is no database" * 1000)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "middle":
        data = bytearray(path.read_bytes())
        data[4096 : len(data) - 4096] = b"\xee" * (len(data) - 8192)
        path.write_bytes(data)
    else:
        with sqlite3.connect(path) as connection:
            change = "UPDATE meta SET schema = 0" if damage == "schema" else "ALTER TABLE meta RENAME finalized TO x"
            connection.execute(change)
        connection.close()
    world.engine = open_index(str(path))
    world.follow()
    assert rows(world.engine) == expected


def test_an_index_of_another_workspace_is_emptied_first(world: World, tmp_path: Path) -> None:
    world.follow()
    (tmp_path / "other").mkdir()
    other = make_world(tmp_path / "other")
    assert other.follow(engine=world.engine).rebuilt
    assert not rows(world.engine, [schema.registrations])["registrations"]
    other.close()


def test_rebuild_gives_the_same_index(world: World) -> None:
    world.follow()
    expected = rows(world.engine)
    assert rebuild(world.ledger, world.file, world.store, world.engine).rebuilt
    assert rows(world.engine) == expected


def test_another_process_that_follows_first_is_not_followed_twice(world: World, tmp_path: Path) -> None:
    ledger = Relaying(world.ledger)
    second = open_index(str(tmp_path / "index.sqlite"))
    ledger.before_logs.append(lambda _: world.follow(engine=second))
    world.follow(ledger=ledger)
    assert rows(world.engine) == followed_anew(world, tmp_path)
    second.dispose()


def test_many_followers_of_one_file_agree(world: World, tmp_path: Path) -> None:
    path = tmp_path / "shared.sqlite"
    failures: list[BaseException] = []

    def one() -> None:
        engine = open_index(str(path))
        try:
            world.follow(engine=engine)
        except BaseException as error:  # noqa: BLE001 - reported by the assertion
            failures.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    engine = open_index(str(path))
    assert rows(engine) == followed_anew(world, tmp_path)
    engine.dispose()


def test_only_the_owner_may_read_the_index(world: World, tmp_path: Path) -> None:
    world.follow()
    assert stat.S_IMODE((tmp_path / "index.sqlite").stat().st_mode) == 0o600


def test_a_record_that_no_store_has_is_fetched_once_one_has_it(empty: World) -> None:
    empty.register("data", "d", "dataset")
    change = empty.transition("d", "collect", single("x"), publish=False)
    empty.send("data", change)
    assert empty.follow().records_missing == 1
    step = empty.model.history("d")[-1]
    assert (step.record, step.record_state) == (None, "missing")
    assert empty.model.status().missing_records == 1

    body = _rebuilt_record(empty, "d", "collect")
    assert empty.store.put(body) == change.record
    assert empty.follow().records_fetched == 1
    assert empty.model.history("d")[-1].record_state == "available"


def _rebuilt_record(world: World, name: str, action: str) -> bytes:
    from proml.core.record import build_record  # noqa: PLC0415

    number = next(world._salts) - 1
    record = build_record(
        "transition",
        created_ns=number * 10**9,
        salt=number.to_bytes(16, "big"),
        artefact={"name": name, "kind": "dataset"},
        action=action,
        content=single("x").to_record_field(),
    )
    return record.bytes


def test_a_registration_record_names_no_artefact_but_the_one_its_name_hashes_to(empty: World) -> None:
    record = empty.record("registration", artefact={"name": "famous-model", "kind": "dataset"})
    empty.send("data", Registration(empty.artefact("something-else"), 2, record))
    empty.follow()
    (view,) = empty.model.artefacts()
    assert view.name is None
    assert empty.model.artefact("something-else").id == view.id
    assert empty.model.history(view.id)[0].record_state == "foreign"


def test_without_definitions_numbers_are_shown_and_names_once_they_come(world: World) -> None:
    world.follow(store=None)
    assert world.model.artefact("m").kind.startswith("lifecycle ")
    assert world.model.artefact("m").state.startswith("state ")
    world.follow()
    assert (world.model.artefact("m").kind, world.model.artefact("m").state) == ("model", "released")


def test_progress_ends_at_all_blocks(world: World) -> None:
    seen: list[tuple[int, int]] = []
    world.follow(progress=lambda done, of: seen.append((done, of)))
    assert seen
    assert seen[-1][0] == seen[-1][1]
