"""What every ledger does, whichever adapter serves it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from tests.ports.ledgers import (
    PROBE_CREATION,
    PROBE_RUNTIME,
    REFUSED,
    STORED,
    Person,
    call_data,
    created_address,
    mined,
    store,
    word,
)

from proml.asking import blocks, estimates, receipts, send_all, tries, views
from proml.core.digest import keccak256
from proml.errors import ConflictError, ProMLError, UsageError
from proml.ports import Block, Fees, Ledger, Log, LogQuery, Receipt, Reverted

if TYPE_CHECKING:
    from collections.abc import Sequence

NOBODY = "0x00000000000000000000000000000000000000AA"


# ------------------------------------------------------------------------------------------------ blocks


def block_at(ledger: Ledger, number: int) -> Block:
    block = ledger.block(number)
    assert block is not None
    return block


def test_block_zero_is_the_genesis_block(ledger: Ledger) -> None:
    genesis = block_at(ledger, 0)
    assert (genesis.number, genesis.hash) == (0, ledger.genesis_hash)


def test_every_block_names_its_parent(ledger: Ledger, person: Person, probe: str) -> None:
    for value in range(3):
        person.transact(probe, store(1, value))
    newest = ledger.newest()
    block = newest
    while block.number > max(0, newest.number - 4):
        parent = block_at(ledger, block.number - 1)
        assert block.parent_hash == parent.hash
        assert block.timestamp >= parent.timestamp
        block = parent


def test_the_newest_block_is_the_one_of_the_last_transaction(ledger: Ledger, person: Person, probe: str) -> None:
    receipt = person.transact(probe, store(1, 2))
    assert ledger.newest().hash == block_at(ledger, receipt.block_number).hash == receipt.block_hash


@pytest.mark.parametrize("number", [10**9, 2**63, 2**70, -1])
def test_a_block_that_is_not_there_is_none(ledger: Ledger, number: int) -> None:
    assert ledger.block(number) is None


def test_with_immediate_finality_the_newest_block_is_final(ledger: Ledger, person: Person, probe: str) -> None:
    assert ledger.finality.kind == "immediate"
    assert ledger.finalized() == ledger.newest().number


# ------------------------------------------------------------------------------------------------ transactions


def test_deploying_tells_the_contract_and_puts_its_code_there(ledger: Ledger, person: Person) -> None:
    receipt = person.transact(None, PROBE_CREATION)
    assert receipt.succeeded
    assert receipt.contract is not None
    assert ledger.code(receipt.contract) == PROBE_RUNTIME


def test_a_contract_made_by_a_contract_has_code(ledger: Ledger, person: Person, probe: str) -> None:
    child = created_address(person.transact(probe, call_data("create(bytes32)", 5)))
    assert ledger.code(child)
    assert ledger.call(child, call_data("answer()")) == word(42)


def test_an_account_without_a_contract_has_no_code(ledger: Ledger, person: Person) -> None:
    assert ledger.code(person.address) == b""


def test_a_transaction_changes_what_calls_see(ledger: Ledger, person: Person, probe: str) -> None:
    person.transact(probe, store(1, 2))
    assert ledger.call(probe, call_data("valueOf(bytes32)", 1)) == word(2)


def test_a_past_block_is_called_as_it_was(ledger: Ledger, person: Person, probe: str) -> None:
    before = person.transact(probe, store(1, 2)).block_number
    person.transact(probe, store(1, 3))
    assert ledger.call(probe, call_data("valueOf(bytes32)", 1), block=before) == word(2)


def test_a_reverted_transaction_is_in_a_block_and_says_so(ledger: Ledger, person: Person, probe: str) -> None:
    receipt = person.transact(probe, call_data("storeThenRefuse(bytes32)", 1))
    assert (receipt.succeeded, receipt.logs, receipt.contract) == (False, (), None)
    assert receipt.gas_used > 21_000
    assert ledger.call(probe, call_data("count()")) == word(0)


def test_a_reverted_deployment_makes_no_contract(ledger: Ledger, person: Person) -> None:
    receipt = person.transact(None, bytes.fromhex("60006000fd"))  # revert(0, 0)
    assert (receipt.succeeded, receipt.contract) == (False, None)


@pytest.mark.parametrize(("size", "succeeds"), [(24_576, True), (24_577, False)])
def test_code_larger_than_eip_170_allows_is_not_deployed(
    ledger: Ledger, person: Person, size: int, *, succeeds: bool
) -> None:
    creation = bytes.fromhex(f"61{size:04x}6000f3")  # return(0, size): that many zero bytes
    assert person.transact(None, creation, gas=10_000_000).succeeded is succeeds


def test_code_that_begins_with_ef_is_not_deployed(ledger: Ledger, person: Person) -> None:
    creation = bytes.fromhex("60ef60005360016000f3")  # EIP-3541
    assert not person.transact(None, creation).succeeded


def test_a_receipt_agrees_with_its_block_and_logs(ledger: Ledger, person: Person, probe: str) -> None:
    receipt = person.transact(probe, call_data("storeThrice(bytes32)", 9))
    assert [log.log_index for log in receipt.logs] == [0, 1, 2, 3]
    assert [log.topics[2] for log in receipt.logs[:3]] == [word(1), word(2), word(3)]
    assert receipt.logs[0].topics == (STORED, word(9), word(1), word(person.address))
    assert (receipt.logs[3].topics, receipt.logs[3].data) == ((), word(3))
    for log in receipt.logs:
        assert (log.block_hash, log.block_number, log.transaction_hash, log.transaction_index, log.address) == (
            receipt.block_hash,
            receipt.block_number,
            receipt.transaction_hash,
            receipt.transaction_index,
            probe,
        )


def test_a_transactions_call_data_can_be_read_back(ledger: Ledger, person: Person, probe: str) -> None:
    data = store(1, 2)
    assert ledger.transaction_input(person.transact(probe, data).transaction_hash) == data
    assert ledger.transaction_input(person.transact(NOBODY, b"").transaction_hash) == b""


def test_an_unknown_transaction_has_neither_receipt_nor_call_data(ledger: Ledger) -> None:
    assert ledger.receipt(b"\x01" * 32) is None
    assert ledger.transaction_input(b"\x01" * 32) is None


def test_a_transaction_without_call_data_or_code_succeeds(ledger: Ledger, person: Person) -> None:
    assert person.transact(NOBODY, b"").gas_used == 21_000


# ------------------------------------------------------------------------------------------------ nonces and sending


def test_the_nonce_counts_the_accounts_transactions(ledger: Ledger, person: Person) -> None:
    assert ledger.nonce(person.address) == 0
    person.deploy()
    assert ledger.nonce(person.address) == 1


def test_a_failed_transaction_uses_its_nonce(ledger: Ledger, person: Person, probe: str) -> None:
    before = ledger.nonce(person.address)
    person.transact(probe, call_data("refuseSilently()"))
    assert ledger.nonce(person.address) == before + 1


def test_the_hash_of_a_transaction_is_that_of_its_bytes(ledger: Ledger, person: Person) -> None:
    raw = person.sign(None, PROBE_CREATION)
    assert ledger.send(raw) == keccak256(raw)


def test_sending_the_same_bytes_again_has_no_effect(ledger: Ledger, person: Person, probe: str) -> None:
    raw = person.sign(probe, store(1, 2))
    first = ledger.send(raw)
    number = mined(ledger, first).block_number
    assert ledger.send(raw) == first
    assert ledger.newest().number == number
    assert ledger.call(probe, call_data("count()")) == word(1)


def test_another_transaction_with_a_used_nonce_is_a_conflict(ledger: Ledger, person: Person, probe: str) -> None:
    used = ledger.nonce(person.address)
    person.transact(probe, store(1, 2))
    with pytest.raises(ConflictError, match="nonce"):
        ledger.send(person.sign(probe, store(1, 3), nonce=used))


def test_a_transaction_of_another_chain_is_refused(ledger: Ledger, person: Person) -> None:
    with pytest.raises(UsageError, match=r"(?i)chain"):
        ledger.send(person.sign(NOBODY, b"", chain_id=ledger.chain_id + 1))


def test_a_transaction_with_too_little_gas_is_refused(ledger: Ledger, person: Person) -> None:
    with pytest.raises(UsageError, match="gas"):
        ledger.send(person.sign(NOBODY, b"", gas=20_999))


@pytest.mark.parametrize("raw", [b"", b"\x02", b"\x02\xc0", b"\xc0", b"\x7f\x01", b"not a transaction", bytes(200)])
def test_bytes_that_are_no_transaction_are_refused(ledger: Ledger, raw: bytes) -> None:
    with pytest.raises(UsageError):
        ledger.send(raw)


def test_a_broken_signature_never_counts_as_the_account(ledger: Ledger, person: Person, probe: str) -> None:
    raw = person.sign(probe, store(1, 2))
    broken = raw[:-1] + bytes([raw[-1] ^ 1])
    nonce = ledger.nonce(person.address)
    with contextlib.suppress(UsageError, ConflictError):  # it recovers to a random account, or to none
        ledger.send(broken)
    assert ledger.nonce(person.address) == nonce


def test_accounts_without_balance_can_send(ledger: Ledger, person: Person) -> None:
    assert ledger.fees() == Fees(0, 0)
    assert Person(ledger).deploy()


# ------------------------------------------------------------------------------------------------ calls and estimates


def test_a_revert_carries_its_data(ledger: Ledger, person: Person, probe: str) -> None:
    with pytest.raises(Reverted) as caught:
        ledger.call(probe, call_data("refuse(uint256)", 7), sender=person.address)
    assert caught.value.data == REFUSED + word(7) + word(person.address)


def test_a_revert_in_words_carries_its_data(ledger: Ledger, person: Person, probe: str) -> None:
    with pytest.raises(Reverted) as caught:
        ledger.call(probe, call_data("refuseInWords()"))
    assert caught.value.data[:4].hex() == "08c379a0"
    assert b"in words" in caught.value.data


@pytest.mark.parametrize("function", ["refuseSilently()", "fail()", "noSuchFunction()"])
def test_a_failure_without_data_is_a_revert_without_data(ledger: Ledger, probe: str, function: str) -> None:
    with pytest.raises(Reverted) as caught:
        ledger.call(probe, call_data(function))
    assert caught.value.data == b""


def test_a_call_leaves_no_trace(ledger: Ledger, person: Person, probe: str) -> None:
    number = ledger.newest().number
    ledger.call(probe, store(1, 2), sender=person.address)
    assert ledger.newest().number == number
    assert ledger.call(probe, call_data("count()")) == word(0)


def test_calling_where_nothing_is_answers_nothing(ledger: Ledger) -> None:
    assert ledger.call(NOBODY, b"\x01\x02\x03\x04") == b""


def test_the_contract_sees_the_chain_it_is_on(ledger: Ledger, person: Person, probe: str) -> None:
    answer = ledger.call(probe, call_data("surroundings()"))
    chain, number, time, parent, fee = (answer[at : at + 32] for at in range(0, 160, 32))
    newest = ledger.newest()
    assert chain == word(ledger.chain_id)
    assert int.from_bytes(number, "big") in (newest.number, newest.number + 1)
    assert int.from_bytes(time, "big") >= newest.timestamp
    assert parent in (newest.hash, newest.parent_hash)
    assert fee == word(0)


@pytest.mark.parametrize(
    "data",
    [
        store(1, 2),
        call_data("storeThrice(bytes32)", 1),
        call_data("erase(bytes32)", 77),
        call_data("create(bytes32)", 1),
        call_data("storeThroughCalls(bytes32,uint256)", 1, 20),
    ],
    ids=["one write", "three writes", "a refund", "a creation", "nested calls"],
)
def test_the_estimated_gas_suffices(ledger: Ledger, person: Person, probe: str, data: bytes) -> None:
    person.transact(probe, store(77, 1))
    gas = ledger.estimate_gas(person.address, probe, data)
    receipt = person.transact(probe, data, gas=gas)
    assert receipt.succeeded
    assert gas <= receipt.gas_used * 1.6


def test_the_estimated_gas_suffices_to_deploy(ledger: Ledger, person: Person) -> None:
    gas = ledger.estimate_gas(person.address, None, PROBE_CREATION)
    assert person.transact(None, PROBE_CREATION, gas=gas).succeeded


def test_a_call_gets_by_with_the_estimated_gas_and_not_with_half_of_it(
    ledger: Ledger, person: Person, probe: str
) -> None:
    data = call_data("storeThrice(bytes32)", 1)
    gas = ledger.estimate_gas(person.address, probe, data)
    assert ledger.call(probe, data, sender=person.address, gas=gas) == b""
    with pytest.raises(Reverted):
        ledger.call(probe, data, sender=person.address, gas=gas // 2)
    with pytest.raises(ProMLError):
        ledger.call(probe, data, sender=person.address, gas=20_000)  # a transaction alone costs 21,000
    done, failed = (
        tries(ledger, person.address, probe, [data, call_data("storeThrice(bytes32)", 2)], gas),
        tries(ledger, person.address, probe, [data], gas // 2),
    )
    assert done == [b"", b""]
    assert [type(one) for one in failed] == [Reverted]


def test_estimating_what_is_refused_raises_its_data(ledger: Ledger, person: Person, probe: str) -> None:
    with pytest.raises(Reverted) as caught:
        ledger.estimate_gas(person.address, probe, call_data("storeThenRefuse(bytes32)", 1))
    assert caught.value.data == REFUSED + word(7) + word(person.address)


@pytest.mark.parametrize("address", ["", "0x", "0x12", "nonsense", "0x" + "1" * 39, "0x" + " 1" * 20])
def test_what_is_no_address_is_refused(ledger: Ledger, address: str) -> None:
    with pytest.raises(UsageError):
        ledger.call(address, b"")
    with pytest.raises(UsageError):
        ledger.code(address)


# ------------------------------------------------------------------------------------------------ logs


@pytest.fixture
def stored(person: Person, probe: str) -> list[Receipt]:
    """Three blocks with one event each: key 1 twice, key 2 once."""
    return [person.transact(probe, store(key, value)) for key, value in [(1, 10), (2, 20), (1, 30)]]


def values(logs: Sequence[Log]) -> list[int]:
    return [int.from_bytes(log.topics[2], "big") for log in logs]


def test_logs_of_a_contract_come_in_chain_order(ledger: Ledger, probe: str, stored: list[Receipt]) -> None:
    assert values(ledger.logs(LogQuery(address=probe))) == [10, 20, 30]


def test_the_logs_are_those_of_the_receipts(ledger: Ledger, probe: str, stored: list[Receipt]) -> None:
    assert list(ledger.logs(LogQuery(address=probe))) == [log for receipt in stored for log in receipt.logs]


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        (((STORED,),), [10, 20, 30]),
        (((STORED,), (word(1),)), [10, 30]),
        (((), (word(2),)), [20]),
        (((), (), (word(30), word(20))), [20, 30]),
        (((), (word(1), word(2)), (word(10),)), [10]),
        (((b"\x01" * 32,),), []),
        (((STORED,), (), (), ()), [10, 20, 30]),
    ],
)
def test_logs_are_found_by_topics(
    ledger: Ledger, probe: str, stored: list[Receipt], topics: tuple[tuple[bytes, ...], ...], expected: list[int]
) -> None:
    assert values(ledger.logs(LogQuery(address=probe, topics=topics))) == expected


def test_logs_are_found_by_their_fourth_topic_without_an_address(
    ledger: Ledger, person: Person, stored: list[Receipt]
) -> None:
    assert values(ledger.logs(LogQuery(topics=((), (), (), (word(person.address),))))) == [10, 20, 30]


def test_logs_are_found_by_range(ledger: Ledger, probe: str, stored: list[Receipt]) -> None:
    second = stored[1].block_number
    assert values(ledger.logs(LogQuery(probe, (), second, second))) == [20]
    assert values(ledger.logs(LogQuery(probe, (), second))) == [20, 30]
    assert values(ledger.logs(LogQuery(probe, (), 0, second))) == [10, 20]


def test_a_range_beyond_the_newest_block_is_empty(ledger: Ledger, probe: str, stored: list[Receipt]) -> None:
    newest = ledger.newest().number
    assert list(ledger.logs(LogQuery(probe, (), newest + 1))) == []
    assert list(ledger.logs(LogQuery(probe, (), 5, 4))) == []


def test_logs_with_fewer_topics_than_asked_for_do_not_match(ledger: Ledger, person: Person, probe: str) -> None:
    person.transact(probe, call_data("storeThrice(bytes32)", 1))
    assert len(ledger.logs(LogQuery(address=probe))) == 4
    assert len(ledger.logs(LogQuery(address=probe, topics=((STORED,),)))) == 3


def test_thousands_of_accepted_words_are_one_query(ledger: Ledger, probe: str, stored: list[Receipt]) -> None:
    accepted = tuple(word(number) for number in range(2500))
    assert values(ledger.logs(LogQuery(probe, ((STORED,), accepted)))) == [10, 20, 30]


def test_more_than_four_topics_are_refused(ledger: Ledger) -> None:
    with pytest.raises(UsageError):
        ledger.logs(LogQuery(topics=((STORED,),) * 5))


def test_another_contracts_logs_are_not_mixed_in(
    ledger: Ledger, person: Person, probe: str, stored: list[Receipt]
) -> None:
    other = person.deploy()
    person.transact(other, store(1, 99))
    assert values(ledger.logs(LogQuery(address=probe))) == [10, 20, 30]


# ------------------------------------------------------------------------------------------------ many at once


def test_questions_together_are_answered_as_they_are_one_by_one(ledger: Ledger, person: Person, probe: str) -> None:
    stored = person.transact(probe, store(1, 2))
    read, refuse = call_data("valueOf(bytes32)", 1), call_data("storeThenRefuse(bytes32)", 1)
    assert views(ledger, probe, [read]) == [word(2)]
    (refused,) = views(ledger, probe, [refuse])
    with pytest.raises(Reverted) as caught:
        ledger.call(probe, refuse)
    assert isinstance(refused, Reverted)
    assert refused.data == caught.value.data
    gas, reverted = estimates(ledger, person.address, probe, [store(1, 3), refuse])
    assert gas == ledger.estimate_gas(person.address, probe, store(1, 3))
    assert isinstance(reverted, Reverted)
    assert receipts(ledger, [stored.transaction_hash, bytes(32)]) == [ledger.receipt(stored.transaction_hash), None]


def outcome(answer: bytes | ProMLError) -> object:
    """Returns what came back; of a revert its data, in a tuple."""
    return (answer.data,) if isinstance(answer, Reverted) else answer


def test_many_views_together_are_answered_as_they_are_one_by_one(ledger: Ledger, person: Person, probe: str) -> None:
    for key in (3, 1_400):
        person.transact(probe, store(key, key + 1))
    read = [call_data("valueOf(bytes32)", key) for key in range(1_500)]
    found = views(ledger, probe, [*read, read[3]])
    assert found == [word(key + 1 if key in {3, 1_400} else 0) for key in [*range(1_500), 3]]
    failing = [call_data(f"{name}()") for name in ("refuseInWords", "refuseSilently", "fail", "noSuchFunction")]
    mixed = [*failing, call_data("count()")] * 10
    alone = [outcome(views(ledger, probe, [one])[0]) for one in mixed[:5]]
    assert alone[1:] == [(b"",), (b"",), (b"",), word(2)]
    assert [outcome(one) for one in views(ledger, probe, mixed)] == alone * 10


def test_views_of_what_is_no_contract_are_empty(ledger: Ledger, person: Person) -> None:
    assert views(ledger, person.address, [call_data("valueOf(bytes32)", key) for key in range(20)]) == [b""] * 20


def test_many_receipts_together_are_those_of_their_transactions(ledger: Ledger, person: Person, probe: str) -> None:
    first = ledger.nonce(person.address)
    # One by one: of many at once, anvil now and then leaves some in its pool until another one comes.
    hashes = [ledger.send(person.sign(probe, store(2, value), nonce=first + value)) for value in range(40)]
    found = {digest: mined(ledger, digest) for digest in hashes}
    assert len(found) == 40
    unknown = [bytes([value]) * 32 for value in range(20)]
    asked = [*unknown[:10], *reversed(found), *unknown[10:]]
    assert receipts(ledger, asked) == [found.get(digest) for digest in asked]
    assert blocks(ledger, [found[asked[10]].block_number, 10**6]) == [
        ledger.block(found[asked[10]].block_number), None
    ]  # fmt: skip


def test_transactions_sent_together_are_mined_in_order_and_known_when_sent_again(
    ledger: Ledger, person: Person, probe: str
) -> None:
    first = ledger.nonce(person.address)
    signed = [person.sign(probe, store(1, value), nonce=first + value) for value in range(5)]
    hashes = [keccak256(raw) for raw in signed]
    assert send_all(ledger, signed) == hashes
    assert all(mined(ledger, one).succeeded for one in hashes)
    assert ledger.call(probe, call_data("valueOf(bytes32)", 1)) == word(4)
    rival = person.sign(probe, store(1, 9), nonce=first)
    again, conflict = send_all(ledger, [signed[0], rival])
    assert again == hashes[0]
    assert isinstance(conflict, ConflictError)


def test_closing_twice_is_fine(ledger: Ledger) -> None:
    ledger.close()
    ledger.close()
