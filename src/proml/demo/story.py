"""The story: a clinic orders a tumour classifier, four other organisations help, and insiders try to cheat.

Every line is a command that a user could type; copy them for your own work.
"""

from __future__ import annotations

import importlib.resources
import shutil
from typing import TYPE_CHECKING

from proml.demo.stage import Organisation, Stage

if TYPE_CHECKING:
    from pathlib import Path

MODEL, DATASET, EVALUATION, SERVICE = "tumour-model", "wdbc", "tumour-evaluation", "tumour-service"
TRAINING_KEY = "training-job"
MESSAGE = "auditor.message.json"

CAST = (
    ("clinic", "client and operator", "admin+operator+reviewer"),
    ("hospital", "dataset admin", "admin+contributor"),
    ("developer", "model developer", "admin+contributor+reviewer"),
    ("verifier", "model verifier", "admin+verifier"),
    ("auditor", "third-party auditor", "auditor"),
)


def gather(root: Path) -> dict[str, Organisation]:
    """Makes a folder for each organisation, with the scripts it works with, and returns the organisations by key."""
    scripts = importlib.resources.files("proml.demo") / "scripts"
    organisations = {key: Organisation(key, title, roles, root) for key, title, roles in CAST}
    for organisation in organisations.values():
        organisation.home.mkdir(parents=True)
        for script in scripts.iterdir():
            if script.name.endswith(".py"):
                (organisation.folder / script.name).write_bytes(script.read_bytes())
    return organisations


def hand_over(name: str, giver: Organisation, taker: Organisation) -> None:
    """Copies a file or folder from one organisation to another, outside ProML, as people do."""
    source, target = giver.folder / name, taker.folder / name
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def found(stage: Stage, cast: dict[str, Organisation]) -> None:
    """Five organisations make keys and found a workspace that no one of them can change alone."""
    stage.heading("Five organisations found a workspace")
    stage.each(cast.values(), lambda who: ["id", "new", who.key])
    stage.each(cast.values(), lambda who: ["id", "export", who.key, "-o", f"../{who.key}.identity.json"])
    members = [
        word
        for organisation in cast.values()
        for word in ("--member", f"{organisation.key}:{organisation.roles}:../{organisation.key}.identity.json")
    ]
    ledger, store = stage.root / "ledger.sqlite", stage.root / "store"
    stage.proml(
        cast["clinic"], "workspace", "new", "--name", "tumour-study", *members, "--quorum", "3",
        "--ledger", f"embedded:{ledger}", "--store", str(store), title="found the workspace",
    )  # fmt: skip
    stage.proml(cast["clinic"], "workspace", "file", "-o", "../tumour-study.workspace.json")
    stage.each(list(cast.values())[1:], lambda _: ["init", "--workspace", "../tumour-study.workspace.json"])


def prepare_data(stage: Stage, cast: dict[str, Organisation]) -> None:
    """The hospital collects and labels; others check the labels and validate what was published."""
    hospital, verifier = cast["hospital"], cast["verifier"]
    stage.heading("The hospital prepares the data, another organisation checks it")
    stage.python(hospital, "collect.py")
    stage.proml(hospital, "register", DATASET, "--kind", "dataset", title="register the dataset")
    stage.proml(hospital, "act", DATASET, "collect", "wdbc", title="collect")
    stage.python(hospital, "label.py")
    stage.proml(hospital, "act", DATASET, "label", "wdbc", title="add the labelled batch")
    stage.tell("The folder is handed to the verifier, who checks that it is the one on record, and then the labels.")
    hand_over("wdbc", hospital, verifier)
    stage.proml(verifier, "verify", "wdbc", "--state", "labelled")
    stage.proml(
        verifier, "act", DATASET, "check-labels", "--note", "50 patients labelled again, no difference",
        title="check the labels",
    )  # fmt: skip
    stage.proml(hospital, "act", DATASET, "publish", title="publish the dataset")
    stage.proml(verifier, "act", DATASET, "validate", title="validate the dataset")


def train(stage: Stage, cast: dict[str, Organisation]) -> None:
    """The developer trains with a session key that can do no more than this."""
    developer, hospital = cast["developer"], cast["hospital"]
    stage.heading("The developer trains, on a machine that holds only a session key")
    hand_over("wdbc", hospital, developer)
    stage.proml(
        developer, "id", "session", "--role", "contributor", "--for", "12h", "--artefact", MODEL,
        "--name", TRAINING_KEY, title="grant a session key",
    )  # fmt: skip
    stage.python(developer, "train.py", identity=TRAINING_KEY, title="")
    stage.proml(developer, "sync", identity=TRAINING_KEY, title="register and train the model")


def evaluate(stage: Stage, cast: dict[str, Organisation]) -> None:
    """The verifier evaluates; its report is an artefact of its own."""
    developer, verifier = cast["developer"], cast["verifier"]
    stage.heading("The verifier evaluates the model")
    hand_over("model.joblib", developer, verifier)
    stage.python(verifier, "evaluate.py")
    stage.proml(verifier, "sync", title="register and report the evaluation")


def approve(stage: Stage, cast: dict[str, Organisation]) -> None:
    """Two organisations other than the developer's endorse; then the model is approved and released."""
    clinic, auditor, developer = cast["clinic"], cast["auditor"], cast["developer"]
    stage.heading("Two other organisations approve, the developer releases")
    stage.proml(clinic, "endorse", MODEL, "approve", "--use", EVALUATION, title="endorse (clinic)")
    stage.tell("The auditor only signs; the clinic sends the message for it and would pay the gas.")
    stage.proml(auditor, "endorse", MODEL, "approve", "--use", EVALUATION, "--sign", f"../{MESSAGE}")
    stage.proml(clinic, "relay", f"../{MESSAGE}", title="endorse (auditor, relayed)")
    stage.proml(clinic, "act", MODEL, "approve", "--use", EVALUATION, title="approve the model")
    stage.proml(developer, "act", MODEL, "release", title="release the model")


def deploy(stage: Stage, cast: dict[str, Organisation]) -> None:
    """The clinic takes the model through the gate into service."""
    clinic, developer, hospital = cast["clinic"], cast["developer"], cast["hospital"]
    stage.heading("The clinic deploys through the gate")
    hand_over("model.joblib", developer, clinic)
    hand_over("wdbc", hospital, clinic)
    stage.proml(clinic, "verify", "model.joblib", "--state", "released", title="")
    stage.proml(clinic, "register", SERVICE, "--kind", "deployment", title="register the service")
    stage.proml(clinic, "act", SERVICE, "deploy", "--use", MODEL, title="deploy")
    stage.python(clinic, "serve.py")
    stage.proml(clinic, "lineage", SERVICE)


CHAPTERS = (found, prepare_data, train, evaluate, approve, deploy)
