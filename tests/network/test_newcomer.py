"""An organisation that was not in the plan at the beginning joins the running network, and leaves it again."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import pytest
from tests.network.founding import make_keys, write_folder
from tests.network.newcomer import admit, announce
from tests.network.participants import Member

if TYPE_CHECKING:
    from tests.network.participants import Consortium

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_newcomer_follows_is_given_coins_records_and_is_voted_in(study: Consortium) -> None:
    clinic = study["clinic"]
    newcomer = dataclasses.replace(clinic, name="hospital", machine=len(study.members), written=[])
    make_keys(newcomer, study.engine)
    announce(newcomer)
    fingerprints = study.at_once(write_folder, [*study, newcomer])
    assert len(set(fingerprints)) == 1, "the genesis block is another one"
    study.at_once(Member.restart)  # clients let in whom the plan names
    newcomer.start()
    try:
        study.until(lambda: newcomer.newest() >= clinic.newest() > 0, "the newcomer has all blocks")
        assert not newcomer("consortium", "status", newcomer.network)["is_validator"]
        newcomer("consortium", "add-validator", "hospital", newcomer.network, code=2)
        admit(study, newcomer)
        for admitted, command in ((True, "add-validator"), (False, "remove-validator")):
            study.at_once(functools.partial(_vote, command), study.members[:3])
            study.until(functools.partial(_is, newcomer, admitted), f"hospital: {command}")
    finally:
        newcomer("consortium", "stop", newcomer.network)
    study.grows()
    study.check()


def _vote(command: str, voter: Member) -> None:
    voter("consortium", command, "hospital", voter.network)


def _is(member: Member, validator: bool) -> bool:  # noqa: FBT001
    return member("consortium", "status", member.network)["is_validator"] is validator
