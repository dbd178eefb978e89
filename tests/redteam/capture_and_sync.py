"""Captures and syncs until it is killed; a server forks such loops from a warm process and kills them.

Reads lines `DELAY SEED` from standard input: forks a loop, kills it with SIGKILL after DELAY seconds, answers `done`.

    python capture_and_sync.py FOLDER LOG
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import proml
from proml.capture.recover import recover
from proml.wiring import open_participant

if TYPE_CHECKING:
    from proml.ports import Signer

ARTEFACTS = 3


def sync(folder: Path, signer: Signer | None = None) -> Signer:
    """Does what `proml sync` does, with a key that may be unlocked already, and returns the key."""
    recover(folder)
    with open_participant(folder) as participant:
        if signer is not None:
            participant.signer = signer
        participant.deliver()
        return participant.signer


def capture(folder: Path, chance: random.Random) -> str:
    """Records one run, which publishes something two times out of three, and returns its id."""
    with proml.start_run("kill-loop", folder=folder, strict=True) as run:
        run.log_metric("loss", chance.random(), step=1)
        if chance.random() < 2 / 3:
            output = folder / f"output-{run.id}.txt"
            output.write_text(run.id, encoding="utf-8")
            run.publish(f"artefact-{chance.randrange(ARTEFACTS)}", output, kind="code", action="submit")
    return run.id


def loop(folder: Path, log: Path, seed: int, signer: Signer) -> None:
    """Captures, notes durably which run has returned, syncs; never ends by itself."""
    chance = random.Random(seed)
    while True:
        for _ in range(chance.randint(0, 2)):
            done = capture(folder, chance)
            descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(descriptor, f"{done}\n".encode())
            os.fsync(descriptor)
            os.close(descriptor)
        sync(folder, signer)


def serve(folder: Path, log: Path, signer: Signer) -> None:
    """Answers requests on standard input until it ends."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        delay_s, seed = line.split()
        child = os.fork()
        if child == 0:
            try:
                loop(folder, log, int(seed), signer)
            except BaseException as error:  # noqa: BLE001 - a loop that ends by itself is what the test looks for
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
                sys.stderr.flush()
            os._exit(1)
        time.sleep(float(delay_s))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        sys.stdout.write("killed\n" if os.WIFSIGNALED(status) else "ended by itself\n")
        sys.stdout.flush()


if __name__ == "__main__":
    where, noted = Path(sys.argv[1]), Path(sys.argv[2])
    # Once here, so that everything is imported and a child starts with the work itself.
    capture(where, random.Random(1))
    # The key is unlocked once too, as the daemon does: most of a short life would go into that otherwise.
    serve(where, noted, sync(where))
