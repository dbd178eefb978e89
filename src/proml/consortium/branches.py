"""Leaves a branch of the chain for the others', when two of equal weight stand against each other.

That ends Clique (EIP-3436): no client leaves its own branch, and neither has enough validators to go on. Owners do it
by hand with :func:`step_back`, or let :class:`Watch` do it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.config import write_atomically
from proml.consortium import client
from proml.consortium.engines import engine_of
from proml.core.finality import parse_finality
from proml.errors import ConfigError, ConflictError, ProMLError, UnreachableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from proml.consortium.client import ClientStatus
    from proml.consortium.engines import Engine
    from proml.consortium.folder import Network

TURN_S = 30
"""How long each client has for leaving its branch, in seconds: enough for starting again and for a block or two."""
_SEEN_S = 20
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
    pid = client.check_restart(network)
    with client.administer(network, engine) as ask:
        engine.step_back(ask, number)
    if not pid:
        raise ConflictError(
            f"the client of {network.participant} is back at block {number}, and has to be started again.",
            hint="It is no process that this folder knows: start it again where it runs, such as in its container.",
        )
    client.restart(network, pid)


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
    if not found.standing_s or not found.validators or found.peers + 1 < found.votes_needed:
        return None
    order = sorted(found.validators)
    turn, into_s = divmod(found.standing_s, TURN_S)
    return Tie(order[turn % len(order)], into_s < TURN_S // 2, turn)


class Watch:
    """Looks after one client: leaves its branch when it stands in a tie and has its turn, and never a final block.

    Insiders who stop sealing make others' clients stand too. If these went back as far as owners may by hand, blocks
    that were final could be replaced with the insiders' help. So what was final when a branch was left stays, also
    when one is left again from there; the folder keeps which block that is.

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
        self._network = network
        self._tell = tell
        self._now_s = now_s
        self._newest, self._newest_since_s = b"", 0.0
        self._said = ""
        self._stood_at = -1  # the highest block after which none came
        self._rests_until = -1  # the turn before which it does not leave again
        self._times_left = 0
        self._has_ended_it = False

    def look(self) -> None:
        """Looks once, and does what is to be done."""
        try:
            self._see_to(client.status(self._network))
        except ProMLError as error:
            self._say(str(error))

    def _see_to(self, found: ClientStatus) -> None:
        if found.validators is None:
            self._say("the client does not answer")
            if self._has_ended_it and not client.running(self._network):
                client.start(self._network)
            return
        self._has_ended_it = False
        if not found.standing_s:
            # One that was sent back may seal a block by itself, which is no end of the stand.
            if found.block_number > self._stood_at:
                self._rests_until, self._times_left = -1, 0
                self._say("blocks come")
            return
        if not self._has_seen_it_stand(found):
            return
        self._stood_at = max(self._stood_at, found.block_number)
        tie = tie_of(found)
        if tie is None:
            self._say(
                f"no block comes after {found.block_number}: too few others are reached, {found.peers} of the "
                f"{found.votes_needed - 1} that are needed"
            )
            return
        self._say(f"no block comes after {found.block_number}: two branches of equal weight, or others do not seal")
        if tie.leaver == self._mine and tie.is_early and tie.turn >= self._rests_until:
            self._leave(found)
            # Where others do not seal it helps nothing, so ever more seldom.
            self._rests_until = tie.turn + len(found.validators) * 2**self._times_left
            self._times_left = min(self._times_left + 1, _MOST_DOUBLED)

    def _has_seen_it_stand(self, found: ClientStatus) -> bool:
        now_s = self._now_s()
        if found.block_hash != self._newest:
            self._newest, self._newest_since_s = found.block_hash, now_s
        return now_s - self._newest_since_s >= _SEEN_S

    @property
    def _mine(self) -> str:
        return self._network.validators[self._network.participant]

    def _leave(self, found: ClientStatus) -> None:
        final = max(_read_final(self._network), found.block_number - parse_finality(self._network.finality).depth)
        if final >= found.block_number:
            self._say(f"no block comes after {found.block_number}, which is final: the branch is not left")
            return
        write_atomically(self._network.root / WATCH_FILE, json.dumps({"final_block": final}).encode(), mode=0o644)
        self._has_ended_it = client.check_restart(self._network) > 0
        _send_back(self._network, self._engine, final)
        self._say(f"left the branch at block {found.block_number}, back to {final}, to take the others'")

    def _say(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._tell(line)


def _read_final(network: Network) -> int:
    """Returns the highest block that was final when a branch was left; -1 if none ever was."""
    path = network.root / WATCH_FILE
    try:
        found = json.loads(path.read_bytes())["final_block"]
    except FileNotFoundError:
        return -1
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        found = None
    if type(found) is not int:
        raise ConfigError(
            f"expected the number of a final block in {path}, found something else; the branch is not left.",
            hint="Remove it, if the client's newest block is the others' too or higher.",
        )
    return found
