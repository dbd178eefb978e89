"""Moves several objects at once, each from the first place that has it unharmed, and remembers which places failed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from proml.contents import SourceFault
from proml.errors import NotAvailable, ProMLError, UnreachableError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from proml.contents import Chunks, Contents, ObjectName, OpenAt, Piece
    from proml.hashing import Progress

THREADS = 4
"""How many objects are moved at once where nobody says otherwise."""
_MOST_SILENCES = 2
_SHOWN_FAULTS = 5

Job = TypeVar("Job")


class _Stopped(BaseException):
    """Another thread failed; not an error of this one."""


class Tally:
    """Counts bytes that many threads move; stops them at their next ones.

    Args:
        total_bytes: All that is to be moved.
        progress: Is told how far it is.
    """

    def __init__(self, total_bytes: int, progress: Progress | None = None) -> None:
        self._total_bytes = total_bytes
        self._progress = progress
        self._lock = threading.Lock()
        self.stopped = threading.Event()
        self.done_bytes = 0

    def told(self, count: int) -> None:
        """Takes note of more bytes, or of fewer."""
        with self._lock:
            self.done_bytes += count
            if self._progress is not None:
                self._progress(self.done_bytes, self._total_bytes)
        if self.stopped.is_set() and count > 0:
            raise _Stopped


def in_parallel(jobs: Iterable[Job], work: Callable[[Job], None], tally: Tally, threads: int = THREADS) -> None:
    """Does the jobs, several at once; the first that raises stops all others, and its error is raised."""
    waiting, lock = iter(jobs), threading.Lock()

    def drain() -> None:
        try:
            while not tally.stopped.is_set():
                with lock:
                    job = next(waiting, None)
                if job is None:
                    return
                work(job)
        except _Stopped:
            return
        except BaseException:
            tally.stopped.set()
            raise

    pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="proml-exchange")
    is_interrupted = False
    try:
        for future in [pool.submit(drain) for _ in range(max(1, threads))]:
            future.result()
    except BaseException as error:
        tally.stopped.set()
        is_interrupted = isinstance(error, KeyboardInterrupt)
        raise
    finally:
        # After Ctrl-C, the caller closes the places; only that ends threads which wait for an answer.
        pool.shutdown(wait=not is_interrupted, cancel_futures=True)


class Sources:
    """Places that may have what is wanted, in order; one that failed is asked last, one that is silent no more.

    Args:
        places: The first is asked first.
    """

    def __init__(self, places: Sequence[Contents]) -> None:
        self._places = tuple(places)
        self._lock = threading.Lock()
        self._faults: dict[str, list[ProMLError]] = {}
        self.given: dict[str, int] = {}

    def take(self, piece: Piece, receive: Callable[[OpenAt], None]) -> None:
        """Has an object received from the first place that gives it whole.

        Args:
            piece: Which object.
            receive: Takes it from what it is given, and checks it; as :meth:`proml.contents.Contents.put`.

        Raises:
            VerificationError: No place gives it, and at least one gives other bytes.
            NotAvailable: All places answer, and none has it.
            UnreachableError: No place that answers has it.
        """
        faults: list[tuple[str, ProMLError]] = []
        for place in self._in_order():
            try:
                receive(partial(_reading, place, piece.name))
            except SourceFault as fault:
                error = fault.error
            except VerificationError as wrong:
                error = wrong
            else:
                with self._lock:
                    self.given[place.where] = self.given.get(place.where, 0) + 1
                return
            with self._lock:
                self._faults.setdefault(place.where, []).append(error)
            faults.append((place.where, error))
        raise _nobody(piece, faults or [(where, errors[-1]) for where, errors in self._faults.items()])

    def faults(self) -> dict[str, list[str]]:
        """Returns what places did wrong, not that they lacked something: the first few of each, in words."""
        with self._lock:
            told = {
                where: [error.message for error in errors if not isinstance(error, NotAvailable)][:_SHOWN_FAULTS]
                for where, errors in self._faults.items()
            }
        return {where: messages for where, messages in told.items() if messages}

    def _in_order(self) -> list[Contents]:
        with self._lock:

            def trouble(place: Contents) -> int:
                return sum(not isinstance(error, NotAvailable) for error in self._faults.get(place.where, []))

            asked = [place for place in self._places if not self._is_silent(place.where)]
            return sorted(asked, key=trouble)

    def _is_silent(self, where: str) -> bool:
        silent = [e for e in self._faults.get(where, []) if not isinstance(e, NotAvailable | VerificationError)]
        return len(silent) >= _MOST_SILENCES


def _reading(place: Contents, name: ObjectName, offset: int) -> Chunks:
    """Reads from a source, so that its errors are known from those of what the bytes are written to."""
    with closing(place.read(name, offset)) as chunks:
        while True:
            try:
                chunk = next(chunks, None)
            except ProMLError as error:
                raise SourceFault(error.message, error=error) from error
            if chunk is None:
                return
            yield chunk


def _nobody(piece: Piece, faults: Sequence[tuple[str, ProMLError]]) -> ProMLError:
    if not faults:
        return NotAvailable(
            f"there is no place to take {piece.name} from.",
            hint="Name one with --from, or make it known: `proml content place add NAME URL`.",
        )
    told = "; ".join(f"{where}: {error.message}" for where, error in faults)
    message = f"{piece.name} ({piece.size_bytes} bytes) could be had from nowhere: {told}"
    errors = [error for _, error in faults]
    if any(isinstance(error, VerificationError) for error in errors):
        return VerificationError(message, hint="Do not use what came from there. Ask others for the original.")
    if all(isinstance(error, NotAvailable) for error in errors):
        return NotAvailable(message, hint="Ask its owner to push it: `proml content push`.")
    return UnreachableError(message, hint="Repeat the command when they answer: what arrived is kept.")
