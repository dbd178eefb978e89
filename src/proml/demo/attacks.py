"""The attacks: insiders of every organisation try to cheat.

Each is really performed, and what stopped it is what the command says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proml.demo.stage import attack, proml, python
from proml.demo.story import DATASET, MESSAGE, MODEL, hand_over

if TYPE_CHECKING:
    from pathlib import Path

    from proml.demo.stage import Stage
    from proml.demo.story import Cast

FAILED, REFUSED, CONFLICT = 4, 3, 6
RELEASE_BY_OWNER = "5"  # the rule's number: `proml lifecycle show model` lists them in order
SECOND, SECOND_EVALUATION = "second-model", "second-evaluation"
APPROVE_SECOND = (SECOND, "approve", "--use", SECOND_EVALUATION)
GATE = ("verify", "model.joblib", "--state", "released")


def change(model: Path, other: Path, addition: bytes) -> None:
    """Writes another model: the first one's bytes with some more, which do not change what it computes."""
    other.write_bytes(model.read_bytes() + b"\0" + addition)


def flip_one_bit(path: Path) -> None:
    """Turns one bit in the middle of a file round."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def tamper_with_data(stage: Stage, cast: Cast) -> None:
    """Somebody at the developer's site changes one bit of the training data after publication."""
    developer = cast["developer"]
    stage.heading("Attack: one bit of the data is flipped")
    flip_one_bit(developer.folder / "wdbc" / "measurements.csv")
    stage.run(attack("one bit of the data flipped", proml(developer, "verify", "wdbc"), FAILED))
    hand_over("wdbc", cast["hospital"], developer)


def swap_the_model(stage: Stage, cast: Cast) -> None:
    """On the way to the clinic the model file is exchanged for another; the service must not even load it."""
    clinic, developer = cast["clinic"], cast["developer"]
    stage.heading("Attack: the model file is swapped at hand-over")
    flip_one_bit(clinic.folder / "model.joblib")
    stage.run(
        attack("model file swapped", proml(clinic, *GATE), FAILED),
        attack("swapped model served", python(clinic, "serve.py"), FAILED),
    )
    hand_over("model.joblib", developer, clinic)


def approve_oneself(stage: Stage, cast: Cast) -> None:
    """The developer trains a second model and tries to vote for it itself, then to release it unapproved."""
    developer, verifier = cast["developer"], cast["verifier"]
    stage.heading("Attack: the developer approves its own model, and skips a step")
    change(developer.folder / "model.joblib", developer.folder / "second.joblib", b"")
    stage.run(proml(developer, "act", SECOND, "train", "second.joblib", "--use", DATASET, "--kind", "model"))
    report = ("report", "evaluation.json", "--use", SECOND, "--kind", "evaluation")
    stage.run(proml(verifier, "act", SECOND_EVALUATION, *report))
    stage.tell("An insider does not have to use our commands: insider.py goes straight to the contract.")
    skipped = python(developer, "insider.py", "skip", SECOND, RELEASE_BY_OWNER)
    stage.run(
        attack("developer approves its own model", proml(developer, "endorse", *APPROVE_SECOND), REFUSED),
        attack("a step skipped", proml(developer, "act", SECOND, "release"), REFUSED),
        attack("a step skipped, straight to the contract", skipped, REFUSED),
    )


def reuse_stale_approvals(stage: Stage, cast: Cast) -> None:
    """Two organisations endorse; the developer then exchanges the content and hopes that the approvals still count."""
    clinic, auditor, developer = cast["clinic"], cast["auditor"], cast["developer"]
    stage.heading("Attack: the content changes after it was approved")
    stage.run(proml(clinic, "endorse", *APPROVE_SECOND), proml(auditor, "endorse", *APPROVE_SECOND))
    change(developer.folder / "model.joblib", developer.folder / "second.joblib", b"backdoor")
    stage.run(proml(developer, "act", SECOND, "train", "second.joblib", "--use", DATASET))
    stage.run(attack("stale approval after the content changed", proml(clinic, "act", *APPROVE_SECOND), REFUSED))


def replay_a_message(stage: Stage, cast: Cast) -> None:
    """The clinic's node was handed a signed message to send for the auditor; it sends it once more."""
    clinic, message = cast["clinic"], f"../{MESSAGE}"
    stage.heading("Attack: a signed message is sent a second time")
    past = python(clinic, "insider.py", "replay", message)
    stage.run(
        attack("a message replayed", proml(clinic, "relay", message), REFUSED, CONFLICT),
        attack("a message replayed, straight to the contract", past, REFUSED, CONFLICT),
    )


def revoke_the_dataset(stage: Stage, cast: Cast) -> None:
    """The hospital finds that its data is wrong, after the model has been released and deployed."""
    clinic, hospital = cast["clinic"], cast["hospital"]
    stage.heading("The dataset is revoked after release: the gate closes")
    stage.run(proml(hospital, "act", DATASET, "revoke", "--note", "consent of 12 patients was withdrawn"))
    stage.run(
        attack("dataset revoked after release", proml(clinic, *GATE), FAILED),
        attack("tainted model served", python(clinic, "serve.py"), FAILED),
    )
    stage.run(proml(clinic, "status", MODEL))


ATTACKS = (
    tamper_with_data,
    swap_the_model,
    approve_oneself,
    reuse_stale_approvals,
    replay_a_message,
    revoke_the_dataset,
)
