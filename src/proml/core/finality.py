"""When a block counts as final: a rule of the chain's engine, which a workspace file pins."""

from __future__ import annotations

import re
from dataclasses import dataclass

from proml.errors import UsageError

MAX_DEPTH = 1_000_000
_DEPTH = re.compile(r"depth:([1-9][0-9]{0,6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Finality:
    """When a block counts as final.

    Attributes:
        kind: ``immediate`` (QBFT, Snowman and other engines whose blocks are never taken back), ``tag`` (Ethereum's
            proof of stake: the block that the client tags as ``finalized``), or ``depth`` (everything else).
        depth: For ``depth``, how many blocks on top make a block final.
    """

    kind: str
    depth: int = 0

    def __str__(self) -> str:
        """Returns the rule as it is written in files and on the command line."""
        return {"immediate": "immediate", "tag": "finalized"}.get(self.kind) or f"depth:{self.depth}"


def parse_finality(text: str) -> Finality:
    """Returns the rule that ``immediate``, ``finalized`` or ``depth:K`` names.

    Raises:
        UsageError: It is anything else.
    """
    if text in ("immediate", "finalized"):
        return Finality("immediate" if text == "immediate" else "tag")
    found = _DEPTH.fullmatch(text)
    if found is None or int(found[1]) > MAX_DEPTH:
        raise UsageError(
            f"expected when blocks are final as immediate, finalized or depth:K, K from 1 to {MAX_DEPTH}, "
            f"found {text!r:.80}.",
            hint="Ask whoever runs the chain which engine seals its blocks; with n Clique signers it is depth:n//2+1.",
        )
    return Finality("depth", int(found[1]))


def clique_depth(signers: int) -> int:
    """Returns after how many blocks on top a block of Clique (EIP-225) has the seals of a majority of its signers."""
    return signers // 2 + 1
