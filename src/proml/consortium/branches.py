"""Leaves a branch of the chain for the others', when two of equal weight stand against each other.

That ends Clique (EIP-3436): no client leaves its own branch, and neither has enough validators to go on. Owners do it
by hand with :func:`step_back`, or let :class:`Watch` do it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proml.config import write_atomically
from proml.consortium import client, process
from proml.consortium.asking import administer
from proml.consortium.engines import engine_of
from proml.core.canonical import parse_json
from proml.core.finality import parse_finality
from proml.errors import ConfigError, ConflictError, InvalidRecord, ProMLError, UnreachableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from proml.consortium.client import ClientStatus
    from proml.consortium.engines import Engine
    from proml.consortium.folder import Network

TURN_S = 30
"""How long each client has for leaving its branch, in seconds: enough for starting again and for a block or two."""
_MOST_DOUBLED = 6
WATCH_FILE = "watch.json"


def step_back(network: Network) -> tuple[ClientStatus, int]:
    """Sends a client that stands back to before its branch began, and starts it again: it takes the others' branch.

    A branch has at most one block of each validator on top of what all have, so that twice as many are enough. Nothing
    is lost: the blocks that all have come again from the others, and what was only in the branch that is left is
    handed in again by whoever recorded it.

    Returns:
        How it was before, and the number of the block that it was sent back to.

    Raises:
        UsageError: With this engine there are no branches.
        ConflictError: Blocks come, so there is nothing to leave.
        UnreachableError: The client does not answer, or reaches no other.
    """
    engine = _engine_with_branches(network)
    before = client.status(network)
    if before.validators is None:
        raise UnreachableError(
            f"the client of {network.participant} does not answer.", hint="Start it: `proml consortium start`."
        )
    if not before.standing_s:
        raise ConflictError(
            f"the client of {network.participant} has had a block {int(time.time()) - before.block_time} s ago: it "
            "does not stand, and was not sent back.",
            hint="Wait for `proml consortium status` to warn that no block comes.",
        )
    if not before.peers:
        raise UnreachableError(
            f"the client of {network.participant} reaches no other client, from which it would take a branch.",
            hint="See to the connection first; blocks may then come by themselves.",
        )
    number = max(0, before.block_number - 2 * len(before.validators))
    _send_back(network, engine, number)
    return before, number


def _engine_with_branches(network: Network) -> Engine:
    engine = engine_of(network.engine)
    if engine.no_branches:
        raise UsageError(engine.no_branches, hint="See how the clients are: `proml consortium status`.")
    return engine


def _send_back(network: Network, engine: Engine, number: int) -> None:
    pid = process.check_restart(network)
    with administer(network, engine) as ask:
        engine.step_back(ask, number)
    if not pid:
        raise ConflictError(
            f"the client of {network.participant} is back at block {number}, and has to be started again.",
            hint="It is no process that this folder knows: start it again where it runs, such as in its container.",
        )
    process.restart(network, pid)


@dataclass(frozen=True, slots=True)
class Tie:
    """Whether a client may be in a tie, and whose turn it is to leave.

    Attributes:
        leaver: Address of the validator whose turn it is.
        is_early: Whether enough of the turn is left.
        turn: Which turn it is, counted from the newest block.
    """

    leaver: str
    is_early: bool
    turn: int


def tie_of(found: ClientStatus) -> Tie | None:
    """Tells whose turn it is to leave, if this client stands though it reaches enough others to go on; else None.

    All stand since about the same moment, so that each knows it from its newest block's time without a word to others:
    the validators have a turn each, in the order of their addresses, over and over. Not two at once, as those who left
    each other's branch would stand against each other as before.
    """
    if not (found.standing_s and found.validators and found.peers) or found.peers + 1 < found.votes_needed:
        return None
    order = sorted(found.validators)
    turn, into_s = divmod(found.standing_s, TURN_S)
    return Tie(order[turn % len(order)], into_s < TURN_S // 2, turn)


class Watch:
    """Looks after one client: leaves its branch when it stands in a tie and has its turn, back to its last final block.

    What was final when a branch was left is not gone behind, also when one is left again from there; the folder keeps
    which block that is. A client takes the heaviest branch that others show it, whatever it left. So one that holds
    another block at that height, which takes half of the validators to make, is told of and left alone.

    Args:
        network: The participant's folder.
        tell: Is told what happens, a line each time that something changes.
        now_s: A clock that nobody sets. Where the machine's own is ahead, every block looks as if none had come since.

    Raises:
        UsageError: With this engine there are no branches.
    """

    def __init__(
        self, network: Network, tell: Callable[[str], None], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = _engine_with_branches(network)
        self._depth = parse_finality(network.finality).depth
        self._network = network
        self._mine = network.validators[network.participant]
        self._tell = tell
        self._now_s = now_s
        self._newest, self._newest_since_s = b"", 0.0
        self._said = ""
        self._stood_at = 0  # the highest block after which none came
        self._rests_until = -1  # the turn before which it does not leave again
        self._times_left = 0

    def look(self) -> None:
        """Looks once, and does what is to be done."""
        try:
            self._see_to(client.answer(self._network))
        except ProMLError as error:
            self._say(str(error))
        except OSError as error:
            self._say(f"the client cannot be looked after: {error}")

    def _see_to(self, found: ClientStatus) -> None:
        if found.validators is None:
            self._say("the client does not answer")
            if process.is_cut_off(self._network):
                process.start(self._network)
        elif not found.standing_s:
            # One that was sent back may seal a block by itself, which is no end of the stand.
            if found.block_number > self._stood_at:
                self._rests_until, self._times_left = -1, 0
                self._say("blocks come")
        elif self._has_seen_it_stand(found):
            self._stood_at = max(self._stood_at, found.block_number)
            self._end_stand(found)

    def _has_seen_it_stand(self, found: ClientStatus) -> bool:
        now_s = self._now_s()
        if found.block_hash != self._newest:
            self._newest, self._newest_since_s = found.block_hash, now_s
        return now_s - self._newest_since_s >= client.stands_after_s(self._network)

    def _end_stand(self, found: ClientStatus) -> None:
        final, digest = _read_final(self._network)
        if final >= 0 and client.block_hash(self._network, final) not in (digest, b""):
            self._say(
                f"block {final} is another than was final when a branch was left, which takes half of the validators "
                f"to make: talk to the other owners. No branch is left as long as {WATCH_FILE} is here"
            )
            return
        tie = tie_of(found)
        if tie is None:
            self._say(
                f"no block comes after {found.block_number}: too few others are reached, {found.peers} of the "
                f"{found.votes_needed - 1} that are needed"
            )
            return
        self._say(f"no block comes after {found.block_number}: two branches of equal weight, or others do not seal")
        if tie.leaver == self._mine and tie.is_early and tie.turn >= self._rests_until:
            # Where others do not seal it helps nothing, so ever more seldom.
            self._rests_until = tie.turn + len(found.validators or ()) * 2**self._times_left
            self._times_left = min(self._times_left + 1, _MOST_DOUBLED)
            self._leave(found, final)

    def _leave(self, found: ClientStatus, before: int) -> None:
        final = max(before, found.block_number - self._depth, 0)
        if final >= found.block_number:
            self._say(f"no block comes after {found.block_number}, which is final: the branch is not left")
            return
        if final != before:
            _write_final(self._network, final, client.block_hash(self._network, final))
        _send_back(self._network, self._engine, final)
        self._say(f"left the branch at block {found.block_number}, back to {final}, to take the others'")

    def _say(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._tell(line)


def _write_final(network: Network, number: int, digest: bytes) -> None:
    document = {"final_block": number, "final_hash": f"0x{digest.hex()}"}
    write_atomically(network.root / WATCH_FILE, json.dumps(document).encode(), mode=0o644)


def _read_final(network: Network) -> tuple[int, bytes]:
    """Returns number and hash of the highest block that was final when a branch was left; -1 if none ever was."""
    path = network.root / WATCH_FILE
    try:
        found: Any = parse_json(path.read_bytes(), str(path))
        number, digest = found["final_block"], found["final_hash"]
        if type(number) is int and isinstance(digest, str):
            return number, bytes.fromhex(digest.removeprefix("0x"))
    except FileNotFoundError:
        return -1, b""
    except (OSError, InvalidRecord, ValueError, TypeError, KeyError):
        pass
    raise ConfigError(
        f"expected number and hash of a final block in {path}, found something else; the branch is not left.",
        hint="Remove it, if the client's newest block is the others' too or higher.",
    )
