"""What only the embedded ledger does: its file, its clock, its limits."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from eth_account import Account
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rlp.codec import decode as rlp_decode
from tests.adapters.embedded_writers import assert_whole
from tests.ports.ledgers import Person, call_data, store, word
from trie.hexary import HexaryTrie

from proml.adapters.clock import ManualClock
from proml.adapters.embedded import EmbeddedLedger
from proml.errors import ConfigError, ConflictError, LocalStorageError, ProMLError, UnreachableError, UsageError
from proml.ports import LogQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY_USER = 65534
decoded_rlp: Callable[[bytes], Any] = rlp_decode


_OPENED: list[EmbeddedLedger] = []


def create(path: Path, **options: Any) -> EmbeddedLedger:
    """Creates a ledger that is closed when the test ends."""
    _OPENED.append(EmbeddedLedger.create(path, **options))
    return _OPENED[-1]


def reopen(path: Path, **options: Any) -> EmbeddedLedger:
    """Opens a ledger that is closed when the test ends."""
    _OPENED.append(EmbeddedLedger.open(path, **options))
    return _OPENED[-1]


@pytest.fixture(autouse=True)
def _close_what_was_opened() -> Iterator[None]:
    yield
    while _OPENED:
        _OPENED.pop().close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chain.sqlite"


@pytest.fixture
def ledger(path: Path) -> EmbeddedLedger:
    return create(path)


@pytest.fixture
def person(ledger: EmbeddedLedger) -> Person:
    return Person(ledger)


@pytest.fixture
def probe(person: Person) -> str:
    return person.deploy()


# ------------------------------------------------------------------------------------------------ creating and opening


def test_what_was_written_is_there_after_reopening(ledger: EmbeddedLedger, path: Path, person: Person) -> None:
    probe = person.deploy()
    receipt = person.transact(probe, store(1, 2))
    ledger.close()
    again = reopen(path)
    assert (again.chain_id, again.genesis_hash) == (ledger.chain_id, ledger.genesis_hash)
    assert again.receipt(receipt.transaction_hash) == receipt
    assert again.call(probe, call_data("valueOf(bytes32)", 1)) == word(2)
    again.close()


def test_ledgers_differ_by_chain_id_and_genesis(tmp_path: Path) -> None:
    ledgers = [create(tmp_path / str(number)) for number in range(3)]
    assert len({ledger.chain_id for ledger in ledgers}) == len({ledger.genesis_hash for ledger in ledgers}) == 3


def test_ledgers_of_equal_chain_id_differ_by_genesis(tmp_path: Path) -> None:
    one, other = (create(tmp_path / name, chain_id=7) for name in "ab")
    assert one.chain_id == other.chain_id == 7
    assert one.genesis_hash != other.genesis_hash


@pytest.mark.parametrize("chain_id", [0, -1, 2**63])
def test_a_chain_id_out_of_range_is_refused(path: Path, chain_id: int) -> None:
    with pytest.raises(UsageError):
        create(path, chain_id=chain_id)
    assert not path.exists()


def test_creating_over_a_ledger_is_refused_and_leaves_it(ledger: EmbeddedLedger, path: Path) -> None:
    with pytest.raises(ConfigError, match="found one"):
        create(path)
    assert reopen(path).genesis_hash == ledger.genesis_hash


def test_a_creation_that_was_cut_short_can_be_repeated(path: Path) -> None:
    path.touch()
    assert create(path).newest().number == 0


def test_opening_nothing_says_so_and_makes_nothing(path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing"):
        reopen(path)
    assert not path.exists()


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folder"):
        reopen(tmp_path)
    with pytest.raises(ConfigError, match="folder"):
        create(tmp_path)


def test_another_database_is_no_ledger(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(ConfigError, match="another"):
        reopen(path)
    with pytest.raises(ConfigError):
        create(path)


def test_a_ledger_of_a_later_format_is_refused(ledger: EmbeddedLedger, path: Path) -> None:
    ledger.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="version"):
        reopen(path)


@pytest.mark.parametrize("content", [b"", b"x", b"not a database" * 500, b"SQLite format 3\0" + bytes(4080)])
def test_other_bytes_are_no_ledger(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        reopen(path)
    assert path.read_bytes() == content


# ---------------------------------------------------------------------------------------------- broken files and disks


def test_a_damaged_file_is_a_configuration_error_wherever_it_is_damaged(path: Path) -> None:
    ledger = create(path)
    person = Person(ledger)
    probe = person.deploy()
    digest = person.transact(probe, store(1, 2)).transaction_hash
    raw = person.sign(probe, store(1, 3))
    ledger.close()
    whole = path.read_bytes()
    page = 4096
    uses: list[Callable[[EmbeddedLedger], object]] = [
        lambda damaged: damaged.newest(),
        lambda damaged: damaged.receipt(digest),
        lambda damaged: damaged.logs(LogQuery(probe)),
        lambda damaged: damaged.call(probe, store(1, 2)),
        lambda damaged: damaged.send(raw),
    ]
    refused = 0
    for start in range(0, len(whole), page):
        path.write_bytes(whole[:start] + b"\xa5" * page + whole[start + page :])
        for use in uses:
            try:
                damaged = reopen(path)
                use(damaged)
                damaged.close()
            except ConfigError:
                refused += 1
    assert refused > 5


def _send_until(error: type[ProMLError], words: str, person: Person, probe: str) -> int:
    """Sends transactions until one fails as expected; returns how many did not."""
    for number in range(1000):
        try:
            person.transact(probe, store(number, 1))
        except error as caught:
            if words not in caught.message:
                raise
            return number
    raise AssertionError(f"no {error.__name__} in a thousand transactions")


def test_a_full_disk_is_said_and_loses_nothing(path: Path) -> None:
    ledger = create(path)
    person = Person(ledger)
    probe = person.deploy()
    with ledger._file.reading() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    sent = _send_until(LocalStorageError, "room", person, probe)
    before = ledger.newest().number
    assert before == sent + 1
    with ledger._file.reading() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    person.transact(probe, store(5, 6))
    ledger.close()
    assert len(assert_whole(path, probe)) == before + 1


@contextlib.contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Permissions do not bind the superuser, as whom containers often run tests."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY_USER)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_written_is_said() -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own folder is closed to other users
    try:
        path = folder / "chain.sqlite"
        create(path).close()
        folder.chmod(0o755)
        path.chmod(0o444)
        with as_ordinary_user(), pytest.raises(LocalStorageError, match="permission"):
            reopen(path).send(b"\x02")
        folder.chmod(0o555)
        with as_ordinary_user(), pytest.raises(LocalStorageError):
            create(folder / "new.sqlite")
    finally:
        shutil.rmtree(folder)


def test_waiting_for_another_writer_ends(ledger: EmbeddedLedger, path: Path, person: Person, probe: str) -> None:
    impatient = reopen(path, busy_timeout_s=0.1)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnreachableError, match="locked"):
            impatient.send(person.sign(probe, store(1, 2)))
        assert impatient.newest().number == 1, "reading goes on"
    impatient.close()


def test_a_closed_ledger_says_so(ledger: EmbeddedLedger) -> None:
    ledger.close()
    with pytest.raises(UnreachableError, match="closed"):
        ledger.newest()


# ------------------------------------------------------------------------------------------------ time


def test_blocks_take_their_time_from_the_clock(path: Path) -> None:
    clock = ManualClock(1_800_000_000)
    ledger = create(path, clock=clock)
    person = Person(ledger)
    person.deploy()
    assert ledger.newest().timestamp == 1_800_000_000
    clock.advance(60)
    person.deploy()
    assert ledger.newest().timestamp == 1_800_000_060


def test_time_stands_still_rather_than_going_back_or_ahead(path: Path) -> None:
    clock = ManualClock(1_800_000_000)
    ledger = create(path, clock=clock)
    person = Person(ledger)
    for _ in range(3):
        person.deploy()
    assert ledger.newest().timestamp == 1_800_000_000
    clock.advance(-500)
    person.deploy()
    assert ledger.newest().timestamp == 1_800_000_000


def test_a_call_sees_that_time_has_passed_though_no_block_came(path: Path) -> None:
    clock = ManualClock(1_800_000_000)
    ledger = create(path, clock=clock)
    probe = Person(ledger).deploy()
    clock.advance(3600)
    _, number, time = (ledger.call(probe, call_data("surroundings()"))[at : at + 32] for at in (0, 32, 64))
    assert (number, time) == (word(2), word(1_800_003_600))


def test_a_call_on_a_block_that_is_not_there_is_refused(ledger: EmbeddedLedger, probe: str) -> None:
    with pytest.raises(UsageError, match="block"):
        ledger.call(probe, b"", block=9)


# ------------------------------------------------------------------------------------------------ transactions


def test_a_nonce_too_high_names_the_expected_one(person: Person, ledger: EmbeddedLedger, probe: str) -> None:
    with pytest.raises(ConflictError, match=r"expected nonce 1 .* found 5"):
        ledger.send(person.sign(probe, store(1, 2), nonce=5))


def test_more_gas_than_a_transaction_may_use_is_refused(person: Person, ledger: EmbeddedLedger, probe: str) -> None:
    with pytest.raises(UsageError, match="gas"):
        ledger.send(person.sign(probe, store(1, 2), gas=2**40))


def test_value_that_nobody_has_is_refused(ledger: EmbeddedLedger, probe: str) -> None:
    account = Account.create()
    fields = {"chainId": ledger.chain_id, "nonce": 0, "to": probe, "gas": 50_000, "gasPrice": 0, "value": 1}
    with pytest.raises(UsageError):
        ledger.send(bytes(account.sign_transaction(fields).raw_transaction))


@pytest.mark.parametrize(
    "kind", [{"gasPrice": 0}, {"gasPrice": 0, "type": 1, "accessList": []}], ids=["legacy", "2930"]
)
def test_older_kinds_of_transactions_are_taken(ledger: EmbeddedLedger, probe: str, kind: dict[str, Any]) -> None:
    account = Account.create()
    fields = {
        "chainId": ledger.chain_id,
        "nonce": 0,
        "to": probe,
        "gas": 200_000,
        "value": 0,
        "data": store(1, 2),
        **kind,
    }
    receipt = ledger.receipt(ledger.send(bytes(account.sign_transaction(fields).raw_transaction)))
    assert receipt is not None
    assert receipt.succeeded
    assert receipt.logs[0].topics[3] == word(account.address)


def test_a_transaction_valid_on_every_chain_is_refused(ledger: EmbeddedLedger, probe: str) -> None:
    account = Account.create()
    fields = {"nonce": 0, "to": probe, "gas": 50_000, "gasPrice": 0, "value": 0}  # before EIP-155: without chain id
    with pytest.raises(UsageError, match="chain"):
        ledger.send(bytes(account.sign_transaction(fields).raw_transaction))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_transaction_raises_our_errors_or_is_anothers(
    ledger: EmbeddedLedger, person: Person, data: st.DataObject
) -> None:
    """Law: no bytes make ``send`` raise anything foreign, nor act for the account that signed other bytes."""
    raw = bytearray(person.sign(None, b"\x00" * 40))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    changed = bytes(raw if data.draw(st.booleans()) else raw[:cut])
    if changed == person.sign(None, b"\x00" * 40):
        return
    with contextlib.suppress(ProMLError):
        ledger.send(changed)
    assert ledger.nonce(person.address) == 0


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=300))
def test_any_bytes_raise_our_errors(ledger: EmbeddedLedger, raw: bytes) -> None:
    with pytest.raises(UsageError):
        ledger.send(raw)


def test_the_base_fee_stays_zero(ledger: EmbeddedLedger, path: Path, person: Person, probe: str) -> None:
    for number in range(3):
        person.transact(probe, store(number, 1))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        headers = [decoded_rlp(header) for (header,) in connection.execute("SELECT header FROM block")]
    assert {header[15] for header in headers} == {b""}


def test_the_state_is_what_a_trie_built_anew_commits_to(
    ledger: EmbeddedLedger, path: Path, person: Person, probe: str
) -> None:
    """Inserting, changing and deleting must lead to the one trie of the remaining content (Yellow Paper, app. D)."""
    for number in range(20):
        person.transact(probe, store(number, number + 1))
    for number in range(0, 20, 2):
        person.transact(probe, call_data("erase(bytes32)", number))
    person.transact(probe, store(3, 99))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        nodes = dict(connection.execute("SELECT key, value FROM node"))
        (root,) = connection.execute("SELECT state_root FROM block ORDER BY number DESC LIMIT 1").fetchone()
    accounts = leaves(nodes, root)
    assert rebuilt(accounts) == root
    storage_roots = [decoded_rlp(account)[2] for account in accounts.values()]
    storages = [leaves(nodes, storage_root) for storage_root in storage_roots if storage_root in nodes]
    assert [len(storage) for storage in storages] == [11], "ten values and the counter"
    assert rebuilt(storages[0]) in storage_roots


def leaves(nodes: dict[bytes, bytes], node: Any, nibbles: str = "") -> dict[bytes, bytes]:
    """Returns the content of a trie, by its hashed keys."""
    if isinstance(node, bytes):
        node = decoded_rlp(nodes[node])
    if len(node) == 17:
        found: dict[bytes, bytes] = {}
        for digit, child in zip("0123456789abcdef", node[:16], strict=True):
            if child:
                found |= leaves(nodes, child, nibbles + digit)
        return found
    path = node[0].hex()
    nibbles += path[1:] if path[0] in "13" else path[2:]
    return {bytes.fromhex(nibbles): node[1]} if path[0] in "23" else leaves(nodes, node[1], nibbles)


def rebuilt(content: dict[bytes, bytes]) -> bytes:
    trie = HexaryTrie({})
    for key, value in content.items():
        trie[key] = value
    return bytes(trie.root_hash)


# ------------------------------------------------------------------------------------------------ sharing and lightness


def test_two_handles_see_each_others_blocks(ledger: EmbeddedLedger, path: Path, person: Person, probe: str) -> None:
    other = Person(reopen(path))
    for number in range(5):
        person.transact(probe, store(number, 1))
        other.transact(probe, store(number, 2))
        assert ledger.call(probe, call_data("valueOf(bytes32)", number)) == word(2)
    assert other.ledger.call(probe, call_data("count()")) == word(10)
    other.ledger.close()


def test_threads_share_a_ledger(ledger: EmbeddedLedger, path: Path, probe: str) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            person = Person(ledger)
            for number in range(10):
                person.transact(probe, store(number, 1))
                ledger.call(probe, call_data("count()"))
        except BaseException as error:  # noqa: BLE001  (shown by the assertion below)
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    ledger.close()
    assert len(assert_whole(path, probe)) == 41


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_writes_to_its_parents_ledger(path: Path) -> None:
    program = f"""
import os, sys
from proml.adapters.embedded import EmbeddedLedger
from tests.ports.ledgers import Person, store
ledger = EmbeddedLedger.create({str(path)!r})
person = Person(ledger)
probe = person.deploy()
child = os.fork()
if child == 0:
    Person(ledger).transact(probe, store(1, 1))
    os._exit(0)
_, status = os.waitpid(child, 0)
person.transact(probe, store(2, 2))
assert status == 0 and ledger.newest().number == 3, (status, ledger.newest())
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_reading_does_not_load_the_evm(ledger: EmbeddedLedger, path: Path, person: Person, probe: str) -> None:
    digest = person.transact(probe, store(1, 2)).transaction_hash
    program = f"""
import sys
from proml.adapters.embedded import EmbeddedLedger
from proml.ports import LogQuery
ledger = EmbeddedLedger.open({str(path)!r})
digest = bytes.fromhex({digest.hex()!r})
assert ledger.newest().number == 2 and ledger.block(1) and ledger.finalized() == 2
assert ledger.receipt(digest).succeeded and ledger.transaction_input(digest) and ledger.logs(LogQuery())
assert ledger.code({probe!r}) and ledger.nonce({person.address!r}) == 2 and ledger.fees().max_fee == 0
assert not {{"eth", "web3", "eth_account", "rlp", "eth_utils"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    "query",
    [
        LogQuery(address="0x" + "11" * 20),
        LogQuery(topics=((b"\1" * 32,),)),
        LogQuery(topics=((b"\1" * 32,), (b"\2" * 32, b"\3" * 32)), first_block=3, last_block=9),
        LogQuery(address="0x" + "11" * 20, topics=((), (), (), (b"\4" * 32,))),
    ],
)
def test_logs_are_found_by_an_index(ledger: EmbeddedLedger, query: LogQuery) -> None:
    plans: list[str] = []
    with ledger._file.reading() as connection:

        def note(statement: str) -> None:
            if statement.startswith("SELECT"):
                plans.append(statement)

        connection.set_trace_callback(note)
        ledger.logs(query)
        connection.set_trace_callback(None)
        steps = [row[3] for statement in plans for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert any("SEARCH log USING INDEX log_" in step for step in steps), steps
    assert not any(step.startswith("SCAN log") for step in steps), steps
