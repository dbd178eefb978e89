"""Reads every few seconds what a run uses, in a thread of its own, and writes the sum so far into the journal.

Never in the way: the run's start reads two clocks and starts a thread; what takes long to import is imported by the
thread, after a second; the thread takes no signals; a fork never happens in the middle of a reading, and does not see a
process with several threads if there are none but this one. Whatever fails ends the sampling and nothing else.

The process that started a run accounts for itself and all that it starts. Ranks of a job account for themselves, and
the first of each machine for the machine. Processes that join the run of one that started them are in its account.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import weakref
from typing import TYPE_CHECKING

from proml.capture.resources import LONGEST_S, Account, Scope
from proml.capture.run_folder import is_sealed
from proml.config import SAMPLE_S, Folder, read_config
from proml.errors import ProMLError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from proml.capture.journal import Journal
    from proml.capture.trouble import Trouble

_LEAST_S = 0.1
_FIRST_S = 1.0  # what ends sooner needs nothing that takes long to import
_PATIENCE_S = 1.0  # for a reading that does not end, such as that of a driver that hangs
_VANISHING_S = 0.01
_THREADS = "/proc/self/task"

_DOING = "sample what the run uses (PROML_SAMPLE_S=0 switches that off)"

_samplers: weakref.WeakSet[Sampler] = weakref.WeakSet()


class Sampler:
    """Samples for one run, from :meth:`start` to :meth:`finish`.

    Args:
        folder: The run's folder.
        journal: This process's part of its journal.
        period_s: Seconds from one reading to the next.
        scope: What is accounted for.
        trouble: What goes wrong is said here.
    """

    def __init__(self, folder: Path, journal: Journal, period_s: float, scope: Scope, trouble: Trouble) -> None:
        self._folder = folder
        self._journal = journal
        self._trouble = trouble
        self._period_s = period_s
        self._account = Account(scope, period_s)
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_over = False
        self._next = time.monotonic() + min(_FIRST_S, period_s)
        self._held = False

    @property
    def has_thread(self) -> bool:
        """Whether the thread runs now."""
        return self._thread is not None

    def start(self) -> None:
        """Starts the thread; returns at once."""
        _samplers.add(self)
        self._resume()

    def finish(self) -> None:
        """Reads for the last time and writes it down; the thread is gone when this returns."""
        _samplers.discard(self)
        self._pause()
        if self._lock.acquire(timeout=_PATIENCE_S):
            try:
                self._take(full=False)
                self._end()
            finally:
                self._lock.release()

    def before_fork(self) -> None:
        """Waits until no reading is under way; a process with no other threads has none then."""
        if self.has_thread and _threads() == 1 + sum(one.has_thread for one in _samplers):
            thread = self._thread.native_id if self._thread else None
            self._pause()
            deadline = time.monotonic() + _VANISHING_S
            while _is_there(thread) and time.monotonic() < deadline:
                time.sleep(_VANISHING_S / 100)  # Python 3.12 says that it has ended before it has
            self._journal.wake(self._resume)
        self._held = self._lock.acquire(timeout=_PATIENCE_S)

    def after_fork(self, *, in_child: bool) -> None:
        """Goes on in the parent; in the child there is no thread, and nothing is its to account for."""
        if in_child:
            self._lock, self._is_over = threading.RLock(), True
        elif self._held:
            self._lock.release()

    def _resume(self) -> None:
        if not self._lock.acquire(timeout=_PATIENCE_S):
            return
        try:
            if not self._is_over and self._thread is None:
                self._start_thread()
        finally:
            self._lock.release()

    def _start_thread(self) -> None:
        self._stop = threading.Event()
        thread = threading.Thread(target=self._work, args=(self._stop,), name="proml-sampling", daemon=True)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # the thread inherits it
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the program is ending: the last reading is left
            self._trouble.mention(_DOING, error)
        else:
            self._thread = thread
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _pause(self) -> None:
        thread, self._thread = self._thread, None
        self._stop.set()
        if thread is not None:
            thread.join(_PATIENCE_S)

    def _work(self, stop: threading.Event) -> None:
        while not stop.wait(max(0.0, self._next - time.monotonic())):
            self._next = time.monotonic() + self._period_s
            with self._lock:
                if not stop.is_set():
                    self._take(full=True)
                if self._is_over:
                    return

    def _take(self, *, full: bool) -> None:
        if self._is_over:
            return
        try:
            self._account.sample(full=full)
            if is_sealed(self._folder):
                self._end()
                return
            self._journal.write("resources", {"journal": self._journal.token, **self._account.summary()})
        except UsageError:
            self._end()  # the run ended meanwhile
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
            self._end()
            self._trouble.mention(_DOING, error)

    def _end(self) -> None:
        self._is_over = True
        self._stop.set()
        with contextlib.suppress(Exception):
            self._account.close()


def sample(folder: Path, journal: Journal, scope: Scope, trouble: Trouble) -> Sampler | None:
    """Starts sampling for a run; returns None if that is switched off. Never raises.

    Args:
        folder: The run's folder, in a working folder whose configuration counts.
        journal: Where to write.
        scope: What is accounted for.
        trouble: What goes wrong is said here, but never raised.
    """
    try:
        seconds = period_s(Folder(folder.parents[2]))
        if not seconds:
            return None
        sampler = Sampler(folder, journal, seconds, scope, trouble)
        sampler.start()
    except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
        trouble.mention(_DOING, error)
        return None
    return sampler


def period_s(folder: Folder) -> float:
    """Returns how many seconds lie between readings; 0 if there are to be none.

    Raises:
        UsageError: PROML_SAMPLE_S is no number.
    """
    given = os.environ.get("PROML_SAMPLE_S")
    if given:
        try:
            seconds = float(given)
        except ValueError as error:
            raise UsageError(
                f"expected a number of seconds in PROML_SAMPLE_S; found {given!a}. Nothing is sampled.",
                hint="Set it to 10, for example, or to 0 for none.",
            ) from error
    else:
        seconds = SAMPLE_S
        with contextlib.suppress(ProMLError):  # there is none, or it is broken: for others to say, who need it
            seconds = read_config(folder).run.sample_s
    return min(max(seconds, _LEAST_S), LONGEST_S) if seconds > 0 else 0.0


def scope(place: dict[str, int], *, own: bool) -> Scope:
    """Returns what this process accounts for.

    Args:
        place: Its rank and the world's size, in a distributed job.
        own: Whether itself, or only what it starts.
    """
    rank = place.get("rank")
    is_first = os.environ.get("LOCAL_RANK", "0" if rank in {None, 0} else "") == "0"
    return Scope(own=own, machine=is_first, rank=rank)


def _threads() -> int:
    """Returns how many threads this process has, those of other languages included."""
    try:
        return len(os.listdir(_THREADS))  # noqa: PTH208 - names only, before every fork
    except OSError:
        return threading.active_count()


def _is_there(thread: int | None) -> bool:
    return os.path.exists(f"{_THREADS}/{thread}")  # noqa: PTH110 - in a loop that waits for it


def _before_fork() -> None:
    for sampler in list(_samplers):
        with contextlib.suppress(Exception):
            sampler.before_fork()


def _after_fork(*, in_child: bool) -> None:
    for sampler in list(_samplers):
        with contextlib.suppress(Exception):
            sampler.after_fork(in_child=in_child)


os.register_at_fork(
    before=_before_fork,
    after_in_parent=lambda: _after_fork(in_child=False),
    after_in_child=lambda: _after_fork(in_child=True),
)
