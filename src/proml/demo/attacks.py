"""The attacks: insiders of every organisation try to cheat.

Each is really performed, and what stopped it is what the command says.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from proml.demo.story import DATASET, MESSAGE, MODEL, hand_over

if TYPE_CHECKING:
    from pathlib import Path

    from proml.demo.stage import Organisation, Stage

Cast = dict[str, "Organisation"]
VERIFICATION_FAILED, REFUSED, CONFLICT = 4, 3, 6
RELEASE_BY_OWNER = "5"  # the rule's number: `proml lifecycle show model` lists them in order
SECOND, SECOND_EVALUATION = "second-model", "second-evaluation"


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
    stage.attack(
        developer, "proml", "verify", "wdbc", title="one bit of the data flipped", wanted=[VERIFICATION_FAILED]
    )
    hand_over("wdbc", cast["hospital"], developer)


def swap_the_model(stage: Stage, cast: Cast) -> None:
    """On the way to the clinic the model file is exchanged for another; the service must not even load it."""
    clinic, developer = cast["clinic"], cast["developer"]
    stage.heading("Attack: the model file is swapped at hand-over")
    flip_one_bit(clinic.folder / "model.joblib")
    stage.attack(
        clinic, "proml", "verify", "model.joblib", "--state", "released", title="model file swapped",
        wanted=[VERIFICATION_FAILED],
    )  # fmt: skip
    stage.attack(clinic, "python", "serve.py", title="swapped model served", wanted=[VERIFICATION_FAILED])
    hand_over("model.joblib", developer, clinic)


def approve_oneself(stage: Stage, cast: Cast) -> None:
    """The developer trains a second model and tries to vote for it itself, then to release it unapproved."""
    developer, verifier = cast["developer"], cast["verifier"]
    stage.heading("Attack: the developer approves its own model, and skips a step")
    shutil.copy2(developer.folder / "model.joblib", developer.folder / "second.joblib")
    with (developer.folder / "second.joblib").open("ab") as file:
        file.write(b"\0")
    stage.proml(developer, "act", SECOND, "train", "second.joblib", "--use", DATASET, "--kind", "model")
    stage.proml(
        verifier, "act", SECOND_EVALUATION, "report", "evaluation.json", "--use", SECOND, "--kind", "evaluation"
    )
    stage.attack(
        developer, "proml", "endorse", SECOND, "approve", "--use", SECOND_EVALUATION,
        title="developer approves its own model", wanted=[REFUSED],
    )  # fmt: skip
    stage.attack(developer, "proml", "act", SECOND, "release", title="a step skipped", wanted=[REFUSED])
    stage.tell("An insider does not have to use our commands: it can go straight to the contract.")
    stage.attack(
        developer, "python", "insider.py", "skip", SECOND, RELEASE_BY_OWNER,
        title="a step skipped, straight to the contract", wanted=[REFUSED],
    )  # fmt: skip


def reuse_stale_approvals(stage: Stage, cast: Cast) -> None:
    """Two organisations endorse; the developer then exchanges the content and hopes that the approvals still count."""
    clinic, auditor, developer = cast["clinic"], cast["auditor"], cast["developer"]
    stage.heading("Attack: the content changes after it was approved")
    for organisation in (clinic, auditor):
        stage.proml(organisation, "endorse", SECOND, "approve", "--use", SECOND_EVALUATION)
    with (developer.folder / "second.joblib").open("ab") as file:
        file.write(b"backdoor")
    stage.proml(developer, "act", SECOND, "train", "second.joblib", "--use", DATASET)
    stage.attack(
        clinic, "proml", "act", SECOND, "approve", "--use", SECOND_EVALUATION,
        title="stale approval after the content changed", wanted=[REFUSED],
    )  # fmt: skip


def replay_a_message(stage: Stage, cast: Cast) -> None:
    """The clinic's node was handed a signed message to send for the auditor; it sends it once more."""
    clinic, again = cast["clinic"], f"../{MESSAGE}"
    stage.heading("Attack: a signed message is sent a second time")
    stage.attack(clinic, "proml", "relay", again, title="a message replayed", wanted=[REFUSED, CONFLICT])
    stage.attack(
        clinic,
        "python",
        "insider.py",
        "replay",
        again,
        title="a replay, straight to the contract",
        wanted=[REFUSED, CONFLICT],
    )


def revoke_the_dataset(stage: Stage, cast: Cast) -> None:
    """The hospital finds that its data is wrong, after the model has been released and deployed."""
    clinic, hospital = cast["clinic"], cast["hospital"]
    stage.heading("The dataset is revoked after release: the gate closes")
    stage.proml(hospital, "act", DATASET, "revoke", "--note", "consent of 12 patients was withdrawn")
    stage.attack(
        clinic, "proml", "verify", "model.joblib", "--state", "released", title="dataset revoked after release",
        wanted=[VERIFICATION_FAILED],
    )  # fmt: skip
    stage.attack(clinic, "python", "serve.py", title="tainted model served", wanted=[VERIFICATION_FAILED])
    stage.proml(clinic, "status", MODEL)


ATTACKS = (
    tamper_with_data,
    swap_the_model,
    approve_oneself,
    reuse_stale_approvals,
    replay_a_message,
    revoke_the_dataset,
)
