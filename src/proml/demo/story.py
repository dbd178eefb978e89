"""The story: a clinic orders a tumour classifier, four other organisations help, and insiders try to cheat.

Every line is a command that a user could type; copy them for your own work.
"""

from __future__ import annotations

import importlib.resources
import shutil
from typing import TYPE_CHECKING, TypeAlias

from proml.demo.stage import Organisation, proml, python

if TYPE_CHECKING:
    from pathlib import Path

    from proml.demo.stage import Stage

Cast: TypeAlias = dict[str, Organisation]

MODEL, DATASET, EVALUATION, SERVICE = "tumour-model", "wdbc", "tumour-evaluation", "tumour-service"
TRAINING_KEY = "training-job"
MESSAGE = "auditor.message.json"
WORKSPACE = "tumour-study.workspace.json"

CAST = (
    ("clinic", "client and operator", "admin+operator+reviewer"),
    ("hospital", "dataset admin", "admin+contributor"),
    ("developer", "model developer", "admin+contributor+reviewer"),
    ("verifier", "model verifier", "admin+verifier"),
    ("auditor", "third-party auditor", "auditor"),
)


def gather(root: Path) -> Cast:
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


def found(stage: Stage, cast: Cast) -> None:
    """Five organisations make keys and found a workspace that no one of them can change alone."""
    stage.heading("Five organisations found a workspace")
    make_keys(stage, cast)
    found_on(stage, cast, "--ledger", f"embedded:{stage.root / 'ledger.sqlite'}", "--store", str(stage.root / "store"))


def make_keys(stage: Stage, cast: Cast) -> None:
    """Each organisation makes its key, and hands out the public part."""
    everyone = list(cast.values())
    stage.run(*(proml(who, "id", "new", who.key) for who in everyone))
    stage.run(*(proml(who, "id", "export", who.key, "-o", f"../{who.key}.identity.json") for who in everyone))


def found_on(stage: Stage, cast: Cast, *places: str) -> None:
    """The clinic founds the workspace on a ledger with a store, and the others join."""
    everyone, (clinic, *others) = list(cast.values()), cast.values()
    members = [word for who in everyone for word in ("--member", f"{who.key}:{who.roles}:../{who.key}.identity.json")]
    stage.run(proml(clinic, "workspace", "new", "--name", "tumour-study", *members, "--quorum", "3", *places))
    stage.run(proml(clinic, "workspace", "file", "-o", f"../{WORKSPACE}"))
    stage.run(*(proml(who, "init", "--workspace", f"../{WORKSPACE}") for who in others))


def prepare_data(stage: Stage, cast: Cast) -> None:
    """The hospital collects and labels; others check the labels and validate what was published."""
    hospital, verifier = cast["hospital"], cast["verifier"]
    stage.heading("The hospital prepares the data, another organisation checks it")
    stage.run(python(hospital, "collect.py"), proml(hospital, "register", DATASET, "--kind", "dataset"))
    stage.run(proml(hospital, "act", DATASET, "collect", "wdbc"))
    stage.run(python(hospital, "label.py"))
    stage.run(proml(hospital, "act", DATASET, "label", "wdbc"))
    stage.tell("The folder is handed to the verifier, who checks that it is the one on record, and then the labels.")
    hand_over("wdbc", hospital, verifier)
    stage.run(proml(verifier, "verify", "wdbc", "--state", "labelled"))
    stage.run(proml(verifier, "act", DATASET, "check-labels", "--note", "50 patients labelled again, no difference"))
    stage.run(proml(hospital, "act", DATASET, "publish"))
    stage.run(proml(verifier, "act", DATASET, "validate"))


def train(stage: Stage, cast: Cast) -> None:
    """The developer trains with a session key that can do no more than this."""
    developer, hospital = cast["developer"], cast["hospital"]
    stage.heading("The developer trains, on a machine that holds only a session key")
    hand_over("wdbc", hospital, developer)
    limits = ("--role", "contributor", "--for", "12h", "--artefact", MODEL)
    stage.run(proml(developer, "id", "session", *limits, "--name", TRAINING_KEY))
    stage.run(python(developer, "train.py", identity=TRAINING_KEY))
    stage.run(proml(developer, "sync", identity=TRAINING_KEY))


def evaluate(stage: Stage, cast: Cast) -> None:
    """The verifier evaluates; its report is an artefact of its own."""
    developer, verifier = cast["developer"], cast["verifier"]
    stage.heading("The verifier evaluates the model")
    hand_over("model.joblib", developer, verifier)
    stage.run(python(verifier, "evaluate.py"))
    stage.run(proml(verifier, "sync"))


def approve(stage: Stage, cast: Cast) -> None:
    """Two organisations other than the developer's endorse; then the model is approved and released."""
    clinic, auditor, developer = cast["clinic"], cast["auditor"], cast["developer"]
    stage.heading("Two other organisations approve, the developer releases")
    stage.tell("The auditor only signs; the clinic sends the message for it, and would pay the gas.")
    vote = ("endorse", MODEL, "approve", "--use", EVALUATION)
    stage.run(proml(clinic, *vote), proml(auditor, *vote, "--sign", f"../{MESSAGE}"))
    stage.run(proml(clinic, "relay", f"../{MESSAGE}"))
    stage.run(proml(clinic, "act", MODEL, "approve", "--use", EVALUATION))
    stage.run(proml(developer, "act", MODEL, "release"))


def deploy(stage: Stage, cast: Cast) -> None:
    """The clinic takes the model through the gate into service."""
    clinic, developer, hospital = cast["clinic"], cast["developer"], cast["hospital"]
    stage.heading("The clinic deploys through the gate")
    hand_over("model.joblib", developer, clinic)
    hand_over("wdbc", hospital, clinic)
    stage.run(proml(clinic, "verify", "model.joblib", "--state", "released"))
    stage.run(proml(clinic, "act", SERVICE, "deploy", "--use", MODEL, "--kind", "deployment"))
    stage.run(python(clinic, "serve.py"), proml(clinic, "lineage", SERVICE))


CHAPTERS = (found, prepare_data, train, evaluate, approve, deploy)
