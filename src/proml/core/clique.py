"""Who may seal blocks under Clique proof of authority, block by block. Pure; source: EIP-225.

With this, nobody but the validators can make blocks that pass, and a block with a majority of seals on top of it can be
forged by a majority only. Everything starts from the genesis block, which a workspace file pins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proml.core.words import checksum_address

if TYPE_CHECKING:
    from proml.core.header import Header

VANITY_BYTES, SEAL_BYTES, ADDRESS_BYTES = 32, 65, 20
_ADMIT, _REMOVE = b"\xff" * 8, b"\x00" * 8
_IN_TURN, _OUT_OF_TURN = 2, 1


class NotSealed(Exception):
    """A block breaks the engine's rules; says how."""


@dataclass(slots=True)
class Clique:
    """The validators as of a block.

    Attributes:
        signers: Who may seal, by address.
        votes: Open votes: by voter and subject, whether to admit.
        recent: Who sealed the newest blocks, by number.
    """

    signers: list[str]
    votes: dict[tuple[str, str], bool] = field(default_factory=dict)
    recent: dict[int, str] = field(default_factory=dict)

    @classmethod
    def from_genesis(cls, genesis: Header) -> Clique | None:
        """Returns the first validators; None if the genesis block is not one of Clique."""
        signers = _signers_in(genesis.extra)
        return cls(signers) if signers else None

    def apply(self, header: Header) -> None:
        """Takes the next block.

        Raises:
            NotSealed: Its signer may not seal it.
        """
        number, signer = header.number, header.signer
        span = len(self.signers) // 2 + 1
        if signer not in self.signers:
            raise NotSealed(f"it is sealed by {signer or 'nobody'}, who is no validator")
        if any(seal == signer and at > number - span for at, seal in self.recent.items()):
            raise NotSealed(f"{signer} sealed one of the {span - 1} blocks before it")
        wanted = _IN_TURN if self.signers[number % len(self.signers)] == signer else _OUT_OF_TURN
        if header.difficulty != wanted:
            raise NotSealed(f"its difficulty is {header.difficulty}, and {wanted} is due to {signer}")
        self.recent[number] = signer
        for old in [at for at in self.recent if at <= number - span]:
            del self.recent[old]
        checkpoint = _signers_in(header.extra)
        if checkpoint:
            if checkpoint != self.signers:
                raise NotSealed("its list of validators is not what the votes made")
            self.votes.clear()
        else:
            self._vote(header)

    def _vote(self, header: Header) -> None:
        subject, admit = header.coinbase, header.nonce == _ADMIT
        self.votes.pop((header.signer, subject), None)
        if header.nonce not in (_ADMIT, _REMOVE) or (subject in self.signers) == admit:
            return
        self.votes[header.signer, subject] = admit
        if sum(about == subject for _, about in self.votes) <= len(self.signers) // 2:
            return
        if admit:
            self.signers = sorted([*self.signers, subject], key=str.lower)
        else:
            self.signers = [one for one in self.signers if one != subject]
        self.votes = {key: vote for key, vote in self.votes.items() if subject not in key}
        span = len(self.signers) // 2 + 1
        for old in [at for at in self.recent if at <= header.number - span]:
            del self.recent[old]


def _signers_in(extra: bytes) -> list[str]:
    """Returns the validators that a checkpoint's extra data lists; empty if it lists none."""
    listed = extra[VANITY_BYTES:-SEAL_BYTES]
    if len(extra) < VANITY_BYTES + SEAL_BYTES or len(listed) % ADDRESS_BYTES:
        return []
    found = [listed[at : at + ADDRESS_BYTES] for at in range(0, len(listed), ADDRESS_BYTES)]
    return [] if found != sorted(found) else [checksum_address(one) for one in found]
