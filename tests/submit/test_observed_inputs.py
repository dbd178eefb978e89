"""What was only seen to be read stands in nobody's way; what was declared does, where the rule says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.worlds import World, single

from proml.core.digest import format_digest
from proml.core.events import InputUsed, decode_event, topic_filter
from proml.core.intent import OBSERVED, TransitionIntent, Use
from proml.core.record import SALT_BYTES, build_record, format_time
from proml.errors import RefusedError
from proml.ports import LEFT_OUT, LogQuery

if TYPE_CHECKING:
    from tests.submit.senders import Sender


def train(sender: Sender, name: str, *uses: Use, kind: str = "model", action: str = "train") -> int:
    """Asks for a training, as a run does that was recorded."""
    told = [
        {"role": use.role, "path": f"{number}.csv", "content": format_digest(use.content or b"")}
        for number, use in enumerate(uses)
    ]
    record = build_record(
        "run", created_ns=0, salt=bytes(SALT_BYTES), run={"id": name, "started": format_time(0)}, uses=told
    )
    wanted = TransitionIntent(
        name, action, sender.store.put(record.bytes), kind, single(f"weights {name}").digest, uses, register=True
    )
    return int(sender.outbox.add([wanted.intent()])[0])


def inputs(world: World, name: str) -> list[bytes]:
    logs = world.ledger.logs(LogQuery(world.file.contract, topic_filter(InputUsed, first=(world.artefact(name),))))
    return [event.input for event in map(decode_event, logs) if isinstance(event, InputUsed)]


def use(text: str, role: str = "input") -> Use:
    return Use(role, content=single(text).digest)


@pytest.fixture
def datasets(world: World, name: str) -> tuple[str, str]:
    """A dataset that is usable, and one that was not labelled, named as their contents are."""
    usable, raw = f"{name}-usable", f"{name}-raw"
    world.dataset(usable)
    world.register("data", raw, "dataset")
    world.act("data", raw, "collect", single(raw))
    return usable, raw


def test_an_observed_input_that_is_not_usable_does_not_stop_a_training(
    sender: Sender, name: str, datasets: tuple[str, str]
) -> None:
    usable, raw = datasets
    number = train(sender, name, use(raw, OBSERVED), use(usable), use(f"raw {usable}", OBSERVED))
    entry = sender.deliver().raise_for(number)
    assert inputs(sender.world, name) == [sender.world.artefact(usable)]
    assert entry.detail[LEFT_OUT] == ["'0.csv'", "'2.csv'"]


def test_an_observed_input_that_is_usable_is_one(sender: Sender, name: str, datasets: tuple[str, str]) -> None:
    number = train(sender, name, use(datasets[0], OBSERVED))
    entry = sender.deliver().raise_for(number)
    assert inputs(sender.world, name) == [sender.world.artefact(datasets[0])]
    assert LEFT_OUT not in entry.detail


def test_a_declared_input_that_is_not_usable_stops_it_also_if_it_was_observed_too(
    sender: Sender, name: str, datasets: tuple[str, str]
) -> None:
    usable, raw = datasets
    number = train(sender, name, use(usable), use(raw), use(raw, OBSERVED))
    with pytest.raises(RefusedError, match="cannot be used"):
        sender.deliver().raise_for(number)


def test_where_nothing_else_was_used_the_refusal_says_what_is_wrong_with_the_observed_input(
    sender: Sender, name: str, datasets: tuple[str, str]
) -> None:
    number = train(sender, name, use(datasets[1], OBSERVED))
    with pytest.raises(RefusedError, match="cannot be used") as caught:
        sender.deliver().raise_for(number)
    assert caught.value.rule == "InputNotUsable"


def test_a_rule_that_does_not_ask_takes_every_input(sender: Sender, name: str, datasets: tuple[str, str]) -> None:
    number = train(sender, name, use(datasets[1], OBSERVED), kind="code", action="submit")
    sender.deliver().raise_for(number)
    assert inputs(sender.world, name) == [sender.world.artefact(datasets[1])]
