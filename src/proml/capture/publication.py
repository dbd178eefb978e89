"""What a publication is, where the script leaves it open: the kind of a new artefact, and the action."""

from __future__ import annotations

import os
from pathlib import PurePath

from proml.core import shape
from proml.core.name import check_name
from proml.errors import UnknownName

_MODEL_SUFFIXES = frozenset(
    ".bin .ckpt .cbm .gguf .h5 .hdf5 .joblib .keras .mlmodel .model .onnx .pb .pickle .pkl .pmml .pt .pte .pth "
    ".safetensors .skops .tflite .ubj".split()
)


def describe_publication(
    name: str, path: str | os.PathLike[str], *, kind: str | None, action: str | None
) -> dict[str, str]:
    """Returns name, kind, action and path of a publication, checked.

    Raises:
        InvalidName, InvalidRecord: Name, kind or action is malformed.
        UnknownName: The action was left open and no shipped lifecycle of this kind tells it.
    """
    kind = kind or ("model" if PurePath(os.fsdecode(path)).suffix.lower() in _MODEL_SUFFIXES else "dataset")
    shape.identifier(kind, "kind")
    action = action or first_action(kind)
    shape.identifier(action, "action")
    return {"name": check_name(name), "kind": kind, "action": action}


def first_action(kind: str) -> str:
    """Returns the first action of a kind's shipped lifecycle that brings content to a new artefact.

    Raises:
        UnknownName: None is shipped for this kind.
    """
    from proml.lifecycles import SHIPPED, load_shipped  # noqa: PLC0415 - read only when the action is left open

    if kind in SHIPPED:
        definition = load_shipped()[kind]
        for rule in definition.transitions:
            if "needs-content" in rule.guards and rule.name in definition.actions(definition.initial):
                return rule.name
    raise UnknownName(
        f"expected an action for an artefact of kind {kind!a}; none was given and no shipped lifecycle tells it.",
        hint="Say publish(…, action=…); `proml lifecycle list` shows the kinds and their actions.",
    )
