"""What an input or a publication is, as far as the script says it: names, contents, kinds, actions; all checked."""

from __future__ import annotations

import os
import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from proml.adapters.digest_cache import open_digest_cache, wrong_digest
from proml.capture.trouble import warn
from proml.capture.values import shown
from proml.core import shape
from proml.core.digest import format_digest
from proml.core.name import check_name, parse_reference
from proml.errors import ContentError, UnknownName, UsageError
from proml.hashing import Hashed, hash_content

if TYPE_CHECKING:
    from pathlib import Path

_MODEL_SUFFIXES = frozenset(
    (
        ".bin",
        ".ckpt",
        ".cbm",
        ".gguf",
        ".h5",
        ".hdf5",
        ".joblib",
        ".keras",
        ".mlmodel",
        ".model",
        ".onnx",
        ".pb",
        ".pickle",
        ".pkl",
        ".pmml",
        ".pt",
        ".pte",
        ".pth",
        ".safetensors",
        ".skops",
        ".tflite",
        ".ubj",
    )
)

_FILE_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,9}$")


def describe_use(path_or_name: object, dot: Path, *, name: str | None, version: str | int | None) -> dict[str, object]:
    """Returns content, size, name and version of an input, as far as there are any.

    Args:
        path_or_name: A path; where there is none, the name of an artefact.
        dot: ``.proml/`` of the working folder, whose cache of digests is used.
        name: Name of the artefact, if it was said.
        version: Its version, if it was said.

    Raises:
        ContentError: There is neither such a path nor can there be such an artefact, or it cannot be read.
        InvalidName: Name or version is malformed.
    """
    fact: dict[str, object] = {}
    reference = check_name(name) if name else ""
    wanted = str(version) if version is not None else ""
    if not isinstance(path_or_name, str) or name or _is_path(path_or_name):
        hashed = content_of(path_or_name, dot)
        fact = {"content": format_digest(hashed.manifest.digest), "size_bytes": hashed.manifest.size_bytes}
        fact |= hashed.mark()
    else:
        reference, in_name = _name_of_missing(path_or_name)
        wanted = wanted or in_name
    if wanted:
        parse_reference(f"{reference or 'any'}@{wanted}")
    return fact | {key: value for key, value in (("name", reference), ("version", wanted)) if value}


def content_of(path: object, dot: Path, stated: str | os.PathLike[str] | None = None) -> Hashed:
    """Returns the content of a file, a folder or a data frame.

    Args:
        path: What holds it.
        dot: ``.proml/`` of the working folder, whose cache of digests is used; if it was wrong, a warning says so.
        stated: A list of digests, which are taken instead of hashing.

    Raises:
        ContentError: It cannot be read, or is none of these.
        MissingExtra: What reads frames is not installed.
    """
    if isinstance(path, str | os.PathLike):
        return _content_of_path(path, dot, stated)
    from proml import frames  # noqa: PLC0415 - frames are rare

    if not frames.is_frame(path):
        raise ContentError(
            f"expected a path, an artefact's name or a data frame; found {type(path).__name__}.", hint="Name a path."
        )
    if stated is not None:
        raise ContentError("expected a path with the manifest, found a data frame.", hint="Leave manifest= out.")
    manifest = frames.manifest(path)
    return Hashed(manifest, read=len(manifest.resources))


def _content_of_path(path: str | os.PathLike[str], dot: Path, stated: str | os.PathLike[str] | None) -> Hashed:
    if stated is not None:
        from proml.stating import state_content  # noqa: PLC0415 - rarely used

        return state_content(path, stated)
    hashed = hash_content(path, cache=open_digest_cache(dot))
    if hashed.wrong:
        warn(wrong_digest(hashed.wrong))
    return hashed


def describe_publication(name: str, path: object, *, kind: str | None, action: str | None) -> dict[str, str]:
    """Returns name, kind, action and path of a publication, checked.

    Raises:
        InvalidName, InvalidRecord: Name, kind or action is malformed.
        UnknownName: The action was left open and no shipped lifecycle of this kind tells it.
    """
    kind = kind or ("model" if PurePath(shown(path)).suffix.lower() in _MODEL_SUFFIXES else "dataset")
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


def _is_path(path_or_name: str) -> bool:
    """Tells a path from a name; what ends like a file's name is a path even if it is missing (``data/train.csv``)."""
    if os.path.lexists(path_or_name):
        return True
    return _FILE_SUFFIX.search(path_or_name) is not None


def _name_of_missing(given: str) -> tuple[str, str]:
    """Returns name and version of an artefact given by name, or says that there is no such path."""
    try:
        name, version = parse_reference(given)
    except UsageError as error:
        raise ContentError(
            f"expected a file, a folder or an artefact's name; there is no {given!a}.", hint="Check the path."
        ) from error
    return name, version or ""
