"""What an organisation that joins later does, and what the others do for it, whatever the engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.network.participants import Consortium, Member


def announce(newcomer: Member) -> None:
    """Adds it to the plan that all share."""
    with (newcomer.root / "study.toml").open("a") as plan:
        host = newcomer.fabric.address(newcomer.machine)
        plan.write(f'\n[participants.{newcomer.name}]\nhost = "{host}"\nfounder = false\n')


def admit(study: Consortium, newcomer: Member) -> None:
    """Makes it a member, lets it find out that it has no coins, gives it some, and lets it record."""
    clinic, lab = study["clinic"], study["lab"]
    export = newcomer.root / f"{newcomer.name}.json"
    proposed = clinic("workspace", "propose", "set-member", f"{newcomer.name}:contributor:{export}")
    lab("workspace", "approve", proposed["proposal"]["proposal"])
    newcomer("init", "--workspace", newcomer.root / "workspace.json")
    name = newcomer.write(f"from-{newcomer.name}", "1")
    assert "insufficient funds" in json.dumps(newcomer("sync", code=2))
    clinic("consortium", "fund", export)
    with_coins = clinic.newest()
    study.until(lambda: newcomer.newest() >= with_coins, "the newcomer's client has the block with its coins")
    study.sends(newcomer, "--final")
    clinic.written.append(name)  # it is no member of `study`, which checks what its members wrote
