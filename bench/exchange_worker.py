"""Moves the files of a folder to or from a place once, ours or plainly, and tells how long that took."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import sys
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proml.contents import Contents
    from proml.core.manifest import Manifest

_BLOCK = 1 << 20


def main(wanted: dict[str, Any]) -> None:
    """Does what is wanted, and prints seconds and peak memory in MiB."""
    from proml.hashing import hash_path

    folder = Path(wanted["folder"])
    cache = folder / "manifest.json"
    data = folder / "data"
    if wanted["who"] == "ours":
        from proml.core.manifest import Manifest

        if not cache.exists():
            cache.write_bytes(hash_path(data).bytes)
        manifest = Manifest.from_bytes(cache.read_bytes())
        place = open_place(wanted)
        forget(wanted, manifest)
        before_mb, began = peak_mb(), time.perf_counter()
        ours(wanted, manifest, place, folder)
        seconds = time.perf_counter() - began
        print(json.dumps({"seconds": seconds, "peak_mb": peak_mb() - before_mb}))
        return
    if wanted["kind"] == "node" and wanted["way"] == "push":
        shutil.rmtree(folder / "owner" / ".proml" / "content", ignore_errors=True)
    began = time.perf_counter()
    plain(wanted, folder)
    print(json.dumps({"seconds": time.perf_counter() - began, "peak_mb": 0}))


def open_place(wanted: dict[str, Any]) -> Contents:
    """Opens the place that is measured."""
    if wanted["kind"] == "folder":
        from proml.adapters.content_folder import FolderContents

        return FolderContents(wanted["url"])
    if wanted["kind"] == "node":
        from proml.adapters.content_node import NodeContents

        return NodeContents(wanted["url"], wanted["token"])
    from proml.adapters.content_fsspec import FsspecContents

    return FsspecContents(wanted["url"], {"endpoint_url": wanted["endpoint"]})


def forget(wanted: dict[str, Any], manifest: Manifest) -> None:
    """Empties the place before a push, so that everything is sent each time."""
    if wanted["way"] == "fetch":
        shutil.rmtree(Path(wanted["folder"]) / "fetched", ignore_errors=True)
        return
    if wanted["kind"] == "folder":
        shutil.rmtree(wanted["url"], ignore_errors=True)
    elif wanted["kind"] == "node":
        shutil.rmtree(Path(wanted["folder"]) / "owner" / ".proml" / "content", ignore_errors=True)
    else:
        import s3fs

        files = s3fs.S3FileSystem(endpoint_url=wanted["endpoint"])
        if files.exists(wanted["url"]):
            files.rm(wanted["url"], recursive=True)
    assert manifest.resources


def ours(wanted: dict[str, Any], manifest: Manifest, place: Contents, folder: Path) -> None:
    """Pushes or fetches."""
    if wanted["way"] == "push":
        from proml.adapters.content_files import LocalFiles
        from proml.exchange.pushing import push

        paths = {one.name: str(folder / "data" / one.name) for one in manifest.resources}
        done = push(manifest, [LocalFiles(manifest, paths, "data")], place)
        assert done.sent_bytes >= manifest.size_bytes
    else:
        from proml.exchange.fetching import fetch

        assert fetch(manifest, folder / "fetched", [place]).there == 0
    place.close()


def plain(wanted: dict[str, Any], folder: Path) -> None:
    """Does the same without looking at what it moves."""
    names = [path.name for path in (folder / "data").iterdir()]
    here, back = folder / "data", folder / "plain"
    back.mkdir(exist_ok=True)
    push = wanted["way"] == "push"
    if wanted["kind"] == "folder":
        (folder / "plain-place").mkdir(exist_ok=True)
        source, target = (here, folder / "plain-place") if push else (folder / "plain-place", back)
        in_turn(names, lambda name: copied(source / name, target / name))
    elif wanted["kind"] == "minio":
        import s3fs

        files = s3fs.S3FileSystem(endpoint_url=wanted["endpoint"])
        root = wanted["url"].removeprefix("s3://").partition("/")[0] + "/plain"
        if push:
            files.put([str(here / name) for name in names], [f"{root}/{name}" for name in names])
        else:
            files.get([f"{root}/{name}" for name in names], [str(back / name) for name in names])
            in_turn(names, lambda name: synced(back / name))
    else:
        through_node(wanted, names, here, back)


def in_turn(names: list[str], step: Any) -> None:
    """Does a step for each name, four at once, as ours does."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(step, names))


def copied(source: Path, target: Path) -> None:
    """Copies a file so that it is on disk."""
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target)
    synced(target)


def synced(path: Path) -> None:
    """Has a file on disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def through_node(wanted: dict[str, Any], names: list[str], here: Path, back: Path) -> None:
    """Sends and reads the same requests as ours, without comparing anything on this side."""
    resources = {
        one["name"]: one for one in json.loads((Path(wanted["folder"]) / "manifest.json").read_text())["resources"]
    }
    parts = urllib.parse.urlsplit(wanted["url"])

    def step(name: str) -> None:
        one = resources[name]
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        headers = {"Authorization": f"Bearer {wanted['token']}"}
        if wanted["way"] == "push":
            size = str(one["size_bytes"])
            headers |= {"Upload-Offset": "0", "Upload-Length": size, "Content-Length": size}
            with (here / name).open("rb") as file:
                connection.request("PUT", f"/v1/uploads/sha256/{one['digest']}", file, headers)
                assert connection.getresponse().status == 204
        else:
            connection.request("GET", f"/v1/content/sha256/{one['digest']}", None, headers)
            with (back / name).open("wb") as target:
                shutil.copyfileobj(connection.getresponse(), target, _BLOCK)
            synced(back / name)
        connection.close()

    in_turn(names, step)


def peak_mb() -> float:
    """Returns the most memory that this process had, in MiB; not getrusage's, which counts what it was before."""
    found = re.search(r"VmHWM:\s*([0-9]+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
