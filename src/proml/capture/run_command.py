"""Runs any command as a run: what it uses and publishes is declared or observed.

Its output, signals and exit status pass through.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from proml.capture import active
from proml.capture.observed.describing import Known
from proml.capture.observed.observation import Observation, Wanted
from proml.capture.run import Membership, Run
from proml.capture.starting import Plan, begin
from proml.capture.trouble import Trouble
from proml.config import Folder, read_config
from proml.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOT_FOUND = 127
NOT_EXECUTABLE = 126
_KILLED = 128
_LOST_S = 0.25
# What others send a program to make it end or act. Stop signals and the window's size reach it anyway.
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
# Python ignores these, which its children would inherit.
_DEFAULT_IN_CHILD = tuple(getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ") if hasattr(signal, name))


@dataclass(frozen=True, slots=True)
class Declared:
    """What is declared about a command.

    Attributes:
        uses: Paths, or names of artefacts, that it reads.
        publishes: Pairs of an artefact's name and the path that the command writes.
        kind: Kind of the published artefacts, as for :meth:`proml.Run.publish`.
        action: Their transition, as there.
    """

    uses: Sequence[str] = ()
    publishes: Sequence[tuple[str, str]] = ()
    kind: str | None = None
    action: str | None = None


def run_command(
    argv: Sequence[str],
    uses: Sequence[str] = (),
    publishes: Sequence[str | tuple[str, str]] = (),
    *,
    name: str | None = None,
    kind: str | None = None,
    action: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    strict: bool = False,
    wait: str | None = None,
    observe: bool = True,
    watch: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> int:
    """Runs a command and records it; what it is declared to publish is published if it exits with 0.

    The command has this process's standard streams, process group and environment, with PROML_RUN in it, so that Python
    programs which use ProML join the run. To observe it, PROML_OBSERVE is added, and one more folder in PYTHONPATH.
    Call it in the main thread.

    Args:
        argv: The command, program first.
        uses: Paths, or names of artefacts, that it reads; hashed before it starts.
        publishes: ``NAME=PATH`` or pairs of both, for what it writes; hashed when it has ended.
        name: Name of the run; by default the command's, or what a program that joins calls it.
        kind: Kind of new artefacts, as for :meth:`proml.Run.publish`.
        action: Their transition, as there.
        folder: Where the search for the working folder begins.
        strict: Raise when something cannot be recorded, before the command starts or after it ended.
        wait: As for :func:`proml.start_run`.
        observe: Record which files its Python programs read and write.
        watch: Folders in which files that changed are recorded, whatever program wrote them.
        ignore: Patterns of files not to record, see :mod:`proml.capture.observed.filtering`.

    Returns:
        The command's exit status; 128 + N if signal N killed it, 127 if there is no such program, 126 if it cannot be
        run.

    Raises:
        UsageError: There is no command, or a publication is not ``NAME=PATH``.
    """
    if not argv:
        raise UsageError("expected a command after `--`; found none.", hint="Write: proml run -- python train.py")
    declared = Declared(tuple(uses), tuple(_pair(one) for one in publishes), kind, action)
    plan = Plan(name=name or "", folder=folder, strict=strict, wait=wait, command=tuple(argv))
    run = _start(plan)
    observation = _Observing(run, Wanted(observe, tuple(watch), tuple(ignore)))
    for used in declared.uses:
        run.use(used)
    status = _NOT_STARTED
    try:
        status = _run(argv, observation.environment())
        # Before anything is published: what was read is what the publication was made from.
        observation.finish(argv, declared, succeeded=status == 0)
        if status == 0:
            for artefact, path in declared.publishes:
                run.publish(artefact, path, kind=declared.kind, action=declared.action)
    finally:
        run.close(status if status != _NOT_STARTED else None)
    return status


def _start(plan: Plan) -> Run:
    trouble = Trouble(strict=plan.strict)
    if active.disabled():
        return Run(plan.name, Membership(), trouble)
    try:
        return begin(plan, trouble)
    except Exception as error:  # noqa: BLE001 - whatever it is, the command runs
        trouble.report("start recording the run", error)
        return Run(plan.name, Membership(), trouble)


class _Observing:
    """Observes a command on behalf of a run; what goes wrong is the run's trouble, never the command's."""

    def __init__(self, run: Run, wanted: Wanted) -> None:
        self._run = run
        self._observation: Observation | None = None
        self._ignore: tuple[str, ...] = ()
        if run.folder and (wanted.python or wanted.watch):
            folder = run.folder
            run._record_observed(lambda: self._configure(folder))  # noqa: SLF001 - part of the run
            run._record_observed(lambda: self._begin(folder, wanted))  # noqa: SLF001 - as above

    def environment(self) -> Mapping[str, str]:
        return self._observation.environment(os.environ) if self._observation else os.environ

    def finish(self, argv: Sequence[str], declared: Declared, *, succeeded: bool) -> None:
        observation, folder = self._observation, self._run.folder
        if observation and folder:
            published = [path for _, path in declared.publishes] if succeeded else []
            known = Known(folder.parents[1], _real(declared.uses), _real(published))
            self._run._record_observed(lambda: observation.finish(argv, known))  # noqa: SLF001 - as above

    def _configure(self, folder: Path) -> tuple[()]:
        working = Folder(folder.parents[2])
        if working.config_file.exists():  # not where a run found no working folder
            self._ignore = read_config(working).run.ignore
        return ()

    def _begin(self, folder: Path, wanted: Wanted) -> tuple[()]:
        self._observation = Observation(folder, replace(wanted, ignore=(*self._ignore, *wanted.ignore)))
        return ()


def _real(paths: Sequence[str]) -> frozenset[str]:
    return frozenset(os.path.realpath(path) for path in paths if os.path.lexists(path))


_NOT_STARTED = -1


def _pair(publication: str | tuple[str, str]) -> tuple[str, str]:
    name, path = publication.partition("=")[::2] if isinstance(publication, str) else publication
    if not (name and path):
        raise UsageError(f"expected NAME=PATH to publish; found {publication!a}.", hint="Write model=model.joblib.")
    return name, path


def _run(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Starts the program, forwards signals until it has ended, and returns its status."""
    # Signals are held back from before the program starts until it has ended: none is lost, none ends this process.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_FORWARDED, signal.SIGCHLD})
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            ignored = {number for number in _FORWARDED if signal.getsignal(number) == signal.SIG_IGN}
            child = os.posix_spawnp(argv[0], list(argv), environment, setsigmask=before, setsigdef=_DEFAULT_IN_CHILD)
        except OSError as error:
            print(f"proml run: {argv[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201 - as a shell does
            return NOT_EXECUTABLE if Path(argv[0]).exists() else NOT_FOUND
        status = _attend(child, set(_FORWARDED) - ignored)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return status if status >= 0 else _KILLED - status


def _attend(child: int, forwarded: set[signal.Signals]) -> int:
    """Waits for the child; returns its exit status, or minus the signal that killed it."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        number, from_terminal = _next_signal({*forwarded, signal.SIGCHLD})
        # The terminal sends its signals to the whole process group, of which the child is one.
        if number != signal.SIGCHLD and not from_terminal:
            os.kill(child, number)  # not reaped yet, so the number is still the child's


def _next_signal(awaited: set[signal.Signals]) -> tuple[int, bool]:
    if hasattr(signal, "sigtimedwait"):
        # Another thread, which does not hold it back, may have been given the child's signal.
        information = signal.sigtimedwait(awaited, _LOST_S)
        if information is None:
            return signal.SIGCHLD, True
        return information.si_signo, information.si_code > 0  # positive: sent by the kernel
    number = signal.sigwait(awaited)
    return number, number in _FROM_TERMINAL
