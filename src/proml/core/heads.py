"""The hash chains: what a head, a vote chain, an anchor chain and the ids commit to, by formula.

A head commits to an artefact's whole history and to nothing that a signer does not know when it signs, so a client can
sign ahead while offline, and anyone with the events can recompute it (:mod:`proml.core.replay`). Every formula is
``keccak256(abi.encode(…))`` of static words, except where said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proml.core.digest import keccak256
from proml.core.operation import ZERO, Anchor, Endorsement, Input, Proposal, Registration, Transition
from proml.core.words import address_word, bytes_word, number_word, word_number

if TYPE_CHECKING:
    from collections.abc import Sequence

_VOTE_CHAIN_BITS = 184
_ANCHOR_CHAIN_BITS = 224


def genesis_head(chain_id: int, contract: str, registration: Registration, key: str) -> bytes:
    """Returns the head of an artefact that has just been registered.

    Args:
        chain_id: The chain's EIP-155 id.
        contract: Address of the workspace.
        registration: What was registered.
        key: The account that signed: the owner or its session key.
    """
    return keccak256(
        number_word(chain_id)
        + address_word(contract)
        + bytes_word(registration.artefact)
        + number_word(registration.lifecycle)
        + address_word(key)
        + bytes_word(registration.record)
    )


def next_head(
    change: Transition, *, from_state: int, to_state: int, seq: int, key: str, votes_commitment: bytes = ZERO
) -> bytes:
    """Returns an artefact's head after a transition.

    Args:
        change: The transition; its ``expected_head`` is the head before.
        from_state: State that the artefact is in before.
        to_state: State that it is in after.
        seq: Sequence number after: 1 for the first transition.
        key: The account that signs: the member or its session key.
        votes_commitment: The ballot's vote chain if the rule has a quorum, else zero.
    """
    return keccak256(
        bytes_word(change.expected_head)
        + number_word(change.rule)
        + number_word(from_state)
        + number_word(to_state)
        + number_word(seq)
        + address_word(key)
        + bytes_word(change.content)
        + bytes_word(change.record)
        + inputs_commitment(change.inputs)
        + bytes_word(votes_commitment)
    )


def inputs_commitment(inputs: Sequence[Input]) -> bytes:
    """Returns the commitment to a version's inputs, in order: zero if there are none."""
    if not inputs:
        return ZERO
    # abi.encode of one dynamic array: its offset, its length, its elements.
    encoded = number_word(32) + number_word(len(inputs))
    return keccak256(
        encoded + b"".join(address_word(i.workspace) + bytes_word(i.artefact) + bytes_word(i.head) for i in inputs)
    )


def ballot_id(artefact: bytes, expected_head: bytes, rule: int, content: bytes, inputs: bytes) -> bytes:
    """Returns the id of what is voted on: exactly this head, rule, content and inputs' commitment."""
    return keccak256(
        bytes_word(artefact) + bytes_word(expected_head) + number_word(rule) + bytes_word(content) + bytes_word(inputs)
    )


def ballot_of(operation: Transition | Endorsement) -> bytes:
    """Returns the ballot that a vote is cast on, or that a transition draws its votes from."""
    o = operation
    inputs = inputs_commitment(o.inputs) if isinstance(o, Transition) else o.inputs
    return ballot_id(o.artefact, o.expected_head, o.rule, o.content, inputs)


def vote_commitment(
    previous: bytes, ballot: bytes, *, key: str, organisation: int, approve: bool, record: bytes
) -> bytes:
    """Returns a ballot's vote chain after one more vote: the low 184 bits of a hash, as a word.

    Args:
        previous: The chain before; zero for the first vote.
        ballot: See :func:`ballot_of`.
        key: The account that signed the vote.
        organisation: The voter's organisation.
        approve: False for a rejection.
        record: SHA-256 of the vote's record.
    """
    whole = keccak256(
        bytes_word(previous)
        + bytes_word(ballot)
        + address_word(key)
        + number_word(organisation)
        + number_word(approve)
        + bytes_word(record)
    )
    # The contract keeps the chain in one word with the count and the bitmap of organisations, hence 184 bits.
    return _low_bits(whole, _VOTE_CHAIN_BITS)


def anchor_head(anchor: Anchor, key: str) -> bytes:
    """Returns a member's anchor chain after one more anchor: the low 224 bits of a hash, as a word.

    Args:
        anchor: What was anchored; its ``expected_head`` is the chain before.
        key: The account that signed: the member or its session key.
    """
    whole = keccak256(
        bytes_word(anchor.expected_head) + bytes_word(anchor.root) + number_word(anchor.leaves) + address_word(key)
    )
    # The chain shares one word with the member's organisation and roles, hence 224 bits.
    return _low_bits(whole, _ANCHOR_CHAIN_BITS)


def proposal_id(epoch: int, proposal: Proposal) -> bytes:
    """Returns the id that approvals of a proposal are counted under in this epoch of governance."""
    return keccak256(
        number_word(epoch) + number_word(proposal.action) + bytes_word(proposal.salt) + keccak256(proposal.data)
    )


def _low_bits(whole: bytes, bits: int) -> bytes:
    return number_word(word_number(whole) % 2**bits)
