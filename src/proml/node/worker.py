"""The loop of a node: close runs whose process died, send what waits, follow the chain; whatever fails, it goes on."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proml.capture.recover import recover
from proml.errors import ProMLError, UnreachableError
from proml.submit.turn import AtWork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proml.ports import Block
    from proml.wiring import Participant

    Tell = Callable[[str], None]

_RECOVER_S = 10.0
_REFRESH_S = 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0
_OUTBOX_S = 0.02
_LEAST_S, _MOST_S = 0.03, 1.0
_BETWEEN_S = 1.0
_ROUND_S = 1.0
"""How long until the next round if nothing happens: transactions that no block takes are looked after."""
_LOOKS_A_BLOCK = 30
"""How often it looks while one block comes: a thirtieth of the period is little beside the wait for the block."""


class _Stopped(Exception):
    """The loop was told to stop."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """How the loop is.

    Attributes:
        started: Unix time, in seconds, at which it began.
        rounds: How many rounds it finished.
        finished: Unix time of the last round without an error; 0 before.
        error: What the last round failed with; empty if it did not.
        block_number: Newest block that the read model knows; -1 before.
        finalized: Newest final block.
    """

    started: float
    rounds: int = 0
    finished: float = 0.0
    error: str = ""
    block_number: int = -1
    finalized: int = -1


class Worker:
    """The loop, which runs in a thread of its own.

    Args:
        participant: Whose working folder it serves; used by this loop alone.
        every_s: How often it looks for a new block, in seconds; None is a thirtieth of the time between blocks, but
            from 0.03 to 1 s.
        tell: Is told in a line what an operator should know; each error once, until another follows.
    """

    def __init__(self, participant: Participant, *, every_s: float | None, tell: Tell) -> None:
        self._participant = participant
        self._every_s = every_s
        self._tell = tell
        self._called = threading.Event()
        self._stopped = threading.Event()
        self._recovered = 0.0
        self._followed = b""  # hash of the block up to which the read model was brought
        self._followed_s = 0.0
        self._sent_s = 0.0
        self._blocks: list[Block] = []
        self._told: set[int] = set()  # entries that failed; as many as wait for somebody's decision
        self._thread = threading.Thread(target=self._run, name="proml-node-worker")
        self.pulse = Pulse(time.time())

    def start(self) -> None:
        """Starts the loop."""
        self._thread.start()

    def call(self) -> None:
        """Lets the next round begin at once: there is something to send."""
        self._called.set()

    def stop(self, timeout_s: float | None = None) -> bool:
        """Ends the loop after the round that runs; returns whether it has ended within ``timeout_s``."""
        self._stopped.set()
        self._called.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopped.is_set():
            version = self._version()
            if self._round():
                pause_s, look_s = 0.0, self._every_s or _pause_s(self._blocks)
                self._wait(version, look_s, max(look_s, _ROUND_S))
            else:
                pause_s = min(max(2 * pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
                self._wait(version, pause_s, pause_s)
            self._called.clear()

    def _wait(self, version: int, look_s: float, longest_s: float) -> None:
        """Waits until somebody calls, another process changes the outbox, there is a new block, or it is time.

        Args:
            version: The outbox's before the last round.
            look_s: How often to look for a new block.
            longest_s: When it is time.
        """
        now = time.monotonic()
        ends, look = now + longest_s, now + look_s
        while (now := time.monotonic()) < ends:
            if now >= look:
                if self._has_new_block():
                    return
                look = now + look_s
            if self._called.wait(min(_OUTBOX_S, look - now)) or self._version() != version:
                return

    def _has_new_block(self) -> bool:
        try:
            return self._participant.ledger.newest().hash != self._followed
        except Exception:  # noqa: BLE001 - as for the outbox, and a daemon does not end by a bug: see _round
            return True

    def _version(self) -> int:
        try:
            return self._participant.outbox.version()
        except Exception:  # noqa: BLE001 - the round that follows tells what is wrong with it
            return -1

    def _round(self) -> bool:
        try:
            self._work()
        except _Stopped:
            return True
        except UnreachableError as error:
            self._failed(f"waiting for the ledger: {error.message}")
        except ProMLError as error:
            self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - a daemon that dies of one bug serves nobody; it is told and seen in /health
            self._failed(f"unexpected {type(error).__name__}: {error}")
        else:
            if self.pulse.error:
                self._tell("all is well again")
            self.pulse = replace(self.pulse, rounds=self.pulse.rounds + 1, finished=time.time(), error="")
            return True
        return False

    def _failed(self, error: str) -> None:
        if error != self.pulse.error:
            self._tell(error)
        self.pulse = replace(self.pulse, rounds=self.pulse.rounds + 1, error=error)

    def _work(self) -> None:
        if time.monotonic() - self._recovered > _RECOVER_S:
            recover(self._participant.folder.root)
            self._recovered = time.monotonic()
        if self._participant.outbox.count("pending"):
            self._send()
            self._follow()
        else:
            self._follow()  # whoever asks for what is in the new block waits for this, and not for the outbox
            self._send()

    def _follow(self) -> None:
        participant = self._participant
        newest = participant.ledger.newest()
        self._note(newest)
        # Records may come to a store without a block.
        if self._followed != newest.hash or time.monotonic() - self._followed_s > _REFRESH_S:
            participant.follow(self._between)
            self._followed, self._followed_s = newest.hash, time.monotonic()
            position = participant.model.position()
            self.pulse = replace(self.pulse, block_number=position.block_number, finalized=position.finalized)

    def _send(self) -> None:
        self._sent_s = time.monotonic()
        if next(self._participant.outbox.unsettled(), None) is None:
            return
        try:
            report = self._participant.deliver(wait=None)
        except AtWork:
            return  # a command in the same folder brings it on; what it leaves goes in the next round
        for entry in report.entries:
            if entry.state in ("refused", "conflict") and entry.number not in self._told:
                self._told.add(entry.number)
                self._tell(f"entry {entry.number} ({entry.intent.artefact}): {entry.error}".partition("\n")[0])

    def _between(self, _done: int, _to_do: int) -> None:
        """While a long chain is followed, sends what waits, and ends when it is told to."""
        if self._stopped.is_set():
            raise _Stopped
        if time.monotonic() - self._sent_s > _BETWEEN_S:
            self.pulse = replace(self.pulse, block_number=self._participant.model.position().block_number)
            self._send()

    def _note(self, newest: Block) -> None:
        if not self._blocks or self._blocks[-1].hash != newest.hash:
            self._blocks = [*self._blocks[-_LOOKS_A_BLOCK:], newest]


def _pause_s(blocks: Sequence[Block]) -> float:
    """Returns how long to wait before looking for the next block, by those that came."""
    if len(blocks) < 2 or blocks[-1].number <= blocks[0].number:  # noqa: PLR2004 - two, to tell a time between them
        return _MOST_S
    period_s = (blocks[-1].timestamp - blocks[0].timestamp) / (blocks[-1].number - blocks[0].number)
    return min(max(period_s / _LOOKS_A_BLOCK, _LEAST_S), _MOST_S)
