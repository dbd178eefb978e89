"""Starts a run, or joins one: finds out where it is recorded, whose it is, and what surrounds it.

Which run a call of :func:`start_run` means:

- inside another run of the same process: a new one, which names the other as its parent;
- in a process that a run started, or a fork of one: that run (PROML_RUN names its folder; such processes only join);
- with PROML_RUN set to an id by a launcher, or under torchrun: the run of that id, whichever process is the first;
- else a new one.

Outside of any working folder the run is recorded in ``.proml/`` of the current folder, and a warning says so:
`proml init` there, at any later time, takes it over. Nothing is asked for and nothing recorded is lost.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from proml.capture import active, run_folder, sampling
from proml.capture.code import describe_command, describe_git
from proml.capture.environment import describe_environment, distributed_place
from proml.capture.journal import Journal
from proml.capture.run import Membership, Run, describe_exception, status_of
from proml.capture.run_folder import Start
from proml.capture.trouble import Trouble, warn
from proml.capture.values import label, tidy
from proml.config import Folder, find_folder, make_private_folder
from proml.errors import ConfigError, ProMLError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proml.capture.sampling import Sampler

WAITS = ("sent", "confirmed", "final")
_IGNORE = "# Records of runs; `proml init` in the folder above takes them over.\n*\n"
_warned_of: set[Path] = set()
_started_here = 0
_git_seen: dict[Path, tuple[float, dict[str, object] | None]] = {}
_GIT_FRESH_S = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a new run.

    Attributes:
        name: Its name; empty for none.
        folder: Where the search for the working folder begins; None is the current folder.
        strict: Failures of capture raise.
        wait: ``sent``, ``confirmed`` or ``final``: deliver at the end and wait until then; None does not.
        tags: Free facts about the run.
        fsync_s: Write back to the disk every so many seconds.
        command: Command line that the run is about; None for this process.
    """

    name: str = ""
    folder: str | os.PathLike[str] | None = None
    strict: bool = False
    wait: str | None = None
    tags: Mapping[str, object] = field(default_factory=dict)
    fsync_s: float = 0.0
    command: Sequence[str] | None = None


def start_run(
    name: str | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    strict: bool = False,
    wait: str | None = None,
    tags: Mapping[str, object] | None = None,
    fsync_s: float | None = None,
) -> Run:
    """Starts recording a run, or joins the one that this process belongs to.

    Use it as a context manager; without, the run ends with :meth:`Run.close` or when Python exits.

    Args:
        name: What people call the run.
        folder: Where the search for the working folder begins; by default PROML_FOLDER, else the current folder.
        strict: Raise ProMLError when something cannot be recorded. By default one warning says so and the script goes
            on.
        wait: ``sent``, ``confirmed`` or ``final``: when the run ends, deliver it and wait until then. By default
            nothing is sent before `proml sync`.
        tags: Free facts about the run.
        fsync_s: Write observations back to the disk every so many seconds, against loss of power (against the process
            being killed they are always safe); by default PROML_FSYNC_S, else never before the end of the run.

    Returns:
        The run; one that records nothing if PROML_DISABLED is set or recording is not possible.

    Raises:
        ProMLError: Only if ``strict``.
    """
    trouble = Trouble(strict=strict)
    if active.disabled():
        return Run(name or "", Membership(), trouble)
    try:
        wanted = Plan(
            name=label(name) if name else "",
            folder=folder,
            strict=strict,
            wait=_check_wait(wait),
            tags=tags or {},
            fsync_s=fsync_s if fsync_s is not None else float(os.environ.get("PROML_FSYNC_S") or 0),
        )
        return begin(wanted, trouble)
    except Exception as error:  # noqa: BLE001 - whatever it is, the script goes on
        trouble.report("start recording the run", error)
        return Run(name or "", Membership(), trouble)


def begin(plan: Plan, trouble: Trouble) -> Run:
    """Starts or joins a run; raises whatever goes wrong."""
    global _started_here  # noqa: PLW0603 - counts runs, so that ranks find each other's
    previous = next(iter(active.opened()[-1:]), None)
    membership = None
    if previous is not None and previous.is_inherited and previous.folder:
        membership = _join(previous.folder, plan, shared=False)
    elif previous is None:
        membership = _join_by_environment(plan)
    if membership is None:
        membership = _new(plan, previous)
    _started_here += 1
    membership = replace(
        membership, previous=previous, on_closed=_waiter(plan), sampler=_sampler(plan, membership, trouble)
    )
    run = Run(plan.name, membership, trouble)
    os.environ["PROML_RUN"] = str(membership.folder)
    active.enter(run)
    atexit.unregister(_close_open_runs)
    atexit.register(_close_open_runs)
    return run


def _join_by_environment(plan: Plan) -> Membership | None:
    """Joins the run that PROML_RUN or torchrun names; returns None if there is none to join."""
    named = os.environ.get("PROML_RUN", "")
    if os.sep in named:
        folder = Path(named)
        if not (folder / run_folder.START).is_file() or run_folder.is_sealed(folder):
            return None  # what started this process has ended its run
        return _join(folder, plan, shared=False)
    shared = named or _id_under_torchrun()
    return _share(run_folder.check_id(shared), plan) if shared else None


def _join(folder: Path, plan: Plan, *, shared: bool) -> Membership:
    place = distributed_place()
    about = {"name": plan.name, **place, "facts": _facts(plan, folder, git=False)}
    journal = Journal(folder, "member", about, fsync_s=plan.fsync_s)
    # Who waits for delivery cannot wait for ranks that may not record at all.
    expected = 0 if plan.wait else place.get("world_size", 0)
    return Membership(run_folder.read_start(folder).id, folder, journal, shared=shared, expected=expected)


def _share(given: str, plan: Plan) -> Membership:
    """Joins the run of an id given from outside, or makes it; a later use of the id makes ``ID.2`` and so on."""
    runs = _runs_folder(plan)
    number = 1
    while run_folder.is_sealed(runs / _numbered(given, number)):
        number += 1
    folder = runs / _numbered(given, number)
    if not folder.exists():
        # The folder may be deleted and the id used again, so the run's own id has something that is never repeated.
        run_id = f"{folder.name}-{os.urandom(4).hex()}"
        start = Start(run_id, os.urandom(32).hex(), shared=True, started_ns=time.time_ns(), facts=_facts(plan, folder))
        run_folder.make(folder, start)
    return _join(folder, plan, shared=True)


def _numbered(given: str, number: int) -> str:
    return given if number == 1 else f"{given}.{number}"


def _new(plan: Plan, previous: Run | None) -> Membership:
    run_id = run_folder.new_id()
    folder = _runs_folder(plan) / run_id
    facts = _facts(plan, folder) | ({"parent": previous.id} if previous is not None and previous.id else {})
    start = Start(run_id, os.urandom(32).hex(), shared=False, started_ns=time.time_ns(), facts=facts)
    if not run_folder.make(folder, start):
        raise UsageError(f"expected the run id {run_id} to be new; {folder} exists.", hint="Start the run again.")
    return Membership(run_id, folder, Journal(folder, "owner", distributed_place(), fsync_s=plan.fsync_s), owner=True)


def _facts(plan: Plan, folder: Path, *, git: bool = True) -> dict[str, object]:
    """Returns what surrounds the run, as fields of a record's ``run``, with ``name`` and ``tags`` if given."""
    root = folder.parents[2]
    facts = describe_command(sys.orig_argv if plan.command is None else plan.command, root)
    if plan.command is None:
        facts |= describe_environment()
    if git:
        found = _git(root)
        facts |= distributed_place() | ({"git": found} if found else {})
    return facts | {key: value for key, value in (("name", plan.name), ("tags", tidy(plan.tags))) if value}


def _git(root: Path) -> dict[str, object] | None:
    """Describes the working tree; many short runs one after the other ask git only every few seconds."""
    now, here = time.monotonic(), Path.cwd()
    seen = _git_seen.get(here)
    if seen is None or now - seen[0] > _GIT_FRESH_S:
        _git_seen[here] = seen = (now, describe_git(here, Folder(root).dot / "patches"))
    return seen[1]


def _runs_folder(plan: Plan) -> Path:
    try:
        folder = find_folder(plan.folder)
    except ConfigError:
        if plan.strict:
            raise
        folder = _unclaimed_folder(plan)
    make_private_folder(folder.runs_folder)
    return folder.runs_folder


def _unclaimed_folder(plan: Plan) -> Folder:
    folder = Folder(Path(plan.folder or os.environ.get("PROML_FOLDER") or ".").absolute())
    if not (folder.dot / ".gitignore").exists():
        make_private_folder(folder.dot)
        (folder.dot / ".gitignore").write_text(_IGNORE, encoding="ascii")
    if folder.root not in _warned_of:
        _warned_of.add(folder.root)
        warn(f"no working folder here; recording into {folder.dot}. Run `proml init` in {folder.root} to use it.")
    return folder


def _id_under_torchrun() -> str:
    """Returns an id that all ranks of a torchrun job agree on, without a word between them; empty outside of one."""
    if not distributed_place() or "MASTER_PORT" not in os.environ:
        return ""
    names = ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "SLURM_JOB_ID")
    words = [os.environ.get(name, "") for name in names]
    if os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]:
        words.append(str(os.getppid()))  # one agent started all ranks
    digest = hashlib.sha256("\0".join([*words, str(_started_here)]).encode()).hexdigest()
    return f"torchrun-{digest[:16]}"


def _sampler(plan: Plan, membership: Membership, trouble: Trouble) -> Sampler | None:
    """Returns what samples in this process: in the one that started the run, and in all ranks of a job."""
    if membership.journal is None or not (membership.owner or membership.shared):
        return None  # what started this process accounts for it
    scope = sampling.scope(distributed_place(), own=plan.command is None)
    return sampling.sample(membership.folder, membership.journal, scope, trouble)


def _check_wait(wait: str | None) -> str | None:
    if wait is not None and wait not in WAITS:
        raise UsageError(
            f"expected wait to be {', '.join(WAITS)} or None; found {wait!a}.", hint="Choose one of these."
        )
    return wait


def _waiter(plan: Plan) -> _Waiter | None:
    return _Waiter(plan.wait) if plan.wait else None


@dataclass(frozen=True, slots=True)
class _Waiter:
    """Delivers a closed run and waits."""

    until: str

    def __call__(self, folder: Path) -> None:
        import importlib  # noqa: PLC0415 - only when asked to wait

        # Capture knows nothing of ledgers; who asks to wait has them installed.
        importlib.import_module("proml.gate").deliver(folder, until=self.until)


def _close_open_runs() -> None:
    """Closes what is still open when Python exits; the exit status cannot be known then."""
    error = getattr(sys, "last_value", None)
    for run in reversed(active.opened()):
        if not run.is_inherited:
            try:
                run._end(status_of(error) if error else None, describe_exception(error) if error else None)  # noqa: SLF001 - as close()
            except ProMLError as failure:  # a strict run cannot raise into a program that is over
                warn(str(failure))
