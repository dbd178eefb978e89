"""Lists of digests that other programs made: OpenSSF Model Signing manifests and signatures, and ``sha256sum`` files.

Signatures are not checked: what such a list says is taken as a statement of whoever hands it in.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from proml.core import shape
from proml.core.canonical import parse_json
from proml.core.manifest import ALGORITHMS, MAX_BYTES, Algorithm
from proml.core.name import show
from proml.core.shards import StatedShards, parse_shards
from proml.errors import InvalidRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_HINT = "ProML takes a Model Signing manifest or signature, or what `sha256sum` writes."
# GNU coreutils: a backslash in front says that the name is escaped; then two blanks, or a blank and an asterisk.
_GNU = re.compile(r"(?P<escaped>\\?)(?P<digest>[0-9a-fA-F]{64}) [ *](?P<name>.+)")
_TAGGED = re.compile(r"(?P<escaped>\\?)(?P<tag>SHA256|BLAKE3) \((?P<name>.+)\) = (?P<digest>[0-9a-fA-F]{64})")
_ESCAPES = {r"\\": "\\", r"\n": "\n", r"\r": "\r"}


@dataclass(frozen=True, slots=True)
class StatedFile:
    """One file of a list.

    Attributes:
        digest: 32 bytes.
        size_bytes: Its length; None if the list does not say.
    """

    digest: bytes
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Stated:
    """A list of digests.

    Attributes:
        algorithm: Of all digests.
        files: By name, as the list has it; a leading ``./`` is taken off.
    """

    algorithm: Algorithm
    files: Mapping[str, StatedFile]


def parse_stated(data: bytes, what: str) -> Stated | StatedShards:
    """Returns the digests that a file lists.

    Args:
        data: A Model Signing predicate, in-toto statement, DSSE envelope or Sigstore bundle, a manifest of ProML, or
            lines of ``sha256sum`` (also ``--tag``, and ``b3sum --tag``).
        what: What is being read, for messages.

    Returns:
        Digests of whole files; or of shards, from which the files' own do not follow.

    Raises:
        InvalidRecord: It is none of these, or is of another algorithm; or has a name twice.
    """
    if data.lstrip()[:1] == b"{":
        return _from_json(parse_json(data, what, max_bytes=MAX_BYTES), what)
    return _from_lines(data, what)


def _from_json(value: object, what: str) -> Stated | StatedShards:
    predicate = _predicate(value, what)
    serialization, resources = predicate.get("serialization"), predicate.get("resources")
    if not isinstance(serialization, dict) or not isinstance(resources, list):
        raise InvalidRecord(f"Expected 'serialization' and 'resources' in {what}, found none.", hint=_HINT)
    method, algorithm = serialization.get("method"), serialization.get("hash_type")
    if method == "shards":
        return parse_shards(predicate, what)
    if method != "files":
        raise InvalidRecord(
            f"Expected digests of files or shards in {what}, found the method {show(str(method))}.", hint=_HINT
        )
    if algorithm not in ALGORITHMS:
        raise InvalidRecord(f"Expected {' or '.join(ALGORITHMS)} digests in {what}, found {show(str(algorithm))}.")
    files: dict[str, StatedFile] = {}
    for number, one in enumerate(resources):
        where = f"$.resources[{number}] of {what}"
        _RESOURCE(one, where)
        if one["algorithm"] != algorithm:
            raise InvalidRecord(f"Expected a {algorithm} digest at {where}, found {show(one['algorithm'])}.")
        _add(files, one["name"], StatedFile(bytes.fromhex(one["digest"]), one.get("size_bytes")), what)
    return _whole(algorithm, files, what)


def _predicate(value: object, what: str) -> Mapping[str, object]:
    """Unwraps a bundle, an envelope and a statement, as far as there are any."""
    fields = cast("dict[str, object]", value)
    if isinstance(fields.get("dsseEnvelope"), dict):
        fields = cast("dict[str, object]", fields["dsseEnvelope"])
    if isinstance(fields.get("payload"), str):
        try:
            payload = base64.b64decode(cast("str", fields["payload"]), validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidRecord(f"The payload in {what} is not in base64: {error}.") from error
        inner = parse_json(payload, f"the payload of {what}", max_bytes=MAX_BYTES)
        fields = cast("dict[str, object]", inner) if isinstance(inner, dict) else {}
    if "predicateType" in fields:
        if fields["predicateType"] != PREDICATE_TYPE:
            found = show(str(fields["predicateType"]))
            raise InvalidRecord(f"Expected the predicate type {PREDICATE_TYPE} in {what}, found {found}.", hint=_HINT)
        predicate = fields.get("predicate")
        fields = cast("dict[str, object]", predicate) if isinstance(predicate, dict) else {}
    return fields


def _from_lines(data: bytes, what: str) -> Stated:
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InvalidRecord(f"Expected text in UTF-8 in {what}, found other bytes.", hint=_HINT) from error
    files: dict[str, StatedFile] = {}
    algorithms = set()
    for number, line in enumerate(lines, 1):
        text = line.removesuffix("\r")
        if not text or text.startswith("#"):
            continue
        match = _TAGGED.fullmatch(text) or _GNU.fullmatch(text)
        if match is None:
            raise InvalidRecord(
                f"Expected a SHA-256 digest and a file name in line {number} of {what}, found {show(text)}.", hint=_HINT
            )
        fields = match.groupdict()
        algorithms.add((fields.get("tag") or "SHA256").lower())
        name = re.sub(r"\\.", _unescape, fields["name"]) if fields["escaped"] else fields["name"]
        _add(files, name, StatedFile(bytes.fromhex(fields["digest"])), what)
    if len(algorithms) > 1:
        raise InvalidRecord(f"Expected digests by one algorithm in {what}, found {' and '.join(sorted(algorithms))}.")
    return _whole(cast("Algorithm", "".join(algorithms)), files, what)


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0], match[0])


def _add(files: dict[str, StatedFile], name: str, file: StatedFile, what: str) -> None:
    short = name if name == "." else name.removeprefix("./")
    if short in files:
        raise InvalidRecord(f"Expected each file once in {what}, found {show(short)} twice.")
    files[short] = file


def _whole(algorithm: Algorithm, files: dict[str, StatedFile], what: str) -> Stated:
    if not files:
        raise InvalidRecord(f"Expected at least one file in {what}, found none.", hint=_HINT)
    return Stated(algorithm, files)


_RESOURCE = shape.structure(
    {"name": shape.text, "algorithm": shape.text, "digest": shape.hex32}, {"size_bytes": shape.integer()}, closed=False
)
