"""How organisations found a network and a workspace, whatever the engine: docs/how-to/run-a-consortium.md."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.network.participants import Consortium, Member

PERIOD_S = 1
_ROLES = ("admin+contributor", "admin+contributor+reviewer", "admin+contributor", "admin+contributor+auditor")


def found(made: Consortium) -> None:
    """Keys, plan, clients, workspace."""
    founder = made.members[0]
    made.at_once(lambda member: make_keys(member, made.engine))
    _write_plan(made)
    assert len(set(made.at_once(write_folder))) == 1, "not all have the same genesis block"
    made.at_once(lambda member: member.start())
    made.begins()
    file = founder.root / "workspace.json"
    _found_workspace(made, file)
    made.until(lambda: all(_joins(member, file) for member in made.members[1:]), "the others join")


def make_keys(member: Member, engine: str) -> None:
    """Makes identity and keys, and hands out the public halves."""
    member("id", "new", member.name)
    member("id", "export", member.name, "-o", member.root / f"{member.name}.json")
    member("consortium", "keys", member.name, "--into", member.network, "--engine", engine)


def write_folder(member: Member) -> str:
    """Writes a participant's folder from the plan; returns the fingerprint of the genesis block."""
    document = member("consortium", "new", member.root / "study.toml", "--only", member.name)
    return str(document["genesis_sha256"])


def _write_plan(made: Consortium) -> None:
    begins = datetime.now(UTC) + timedelta(seconds=made.starts_s)
    time = begins.isoformat(timespec="seconds").replace("+00:00", "Z")
    seats = [f'\n[participants.{m.name}]\nhost = "{made.fabric.address(m.machine)}"\n' for m in made]
    head = f'name = "study"\nengine = "{made.engine}"\nchain_id = 7071\nperiod_s = {PERIOD_S}\ngenesis_time = {time}\n'
    (made.members[0].root / "study.toml").write_text(head + "".join(seats))


def _found_workspace(made: Consortium, file: Path) -> None:
    founder, *others = made.members
    status = founder("consortium", "status", founder.network)
    named = [f"{m.name}:{role}:{m.root / m.name}.json" for m, role in zip(others, _ROLES[1:], strict=False)]
    founder(
        "workspace", "new", "--name", "study", "--quorum", min(2, len(made.members)), "--ledger", status["ledger"],
        "--finality", status["finality"], "--store", founder.root / "store", "--lifecycle", "source",
        "--member", f"{founder.name}:{_ROLES[0]}", *(word for one in named for word in ("--member", one)),
    )  # fmt: skip
    founder("workspace", "file", "-o", file)


def _joins(member: Member, file: Path) -> bool:
    return (member.work / ".proml").exists() or member.ask("init", "--workspace", file).returncode == 0
