"""A real MinIO server on loopback, for the tests of S3; `make minio` builds it. It is no part of the product."""

from __future__ import annotations

import contextlib
import os
import socket
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.processes import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENGINES = Path(os.environ.get("PROML_ENGINES", Path(__file__).parents[1] / ".engines"))
_READY_S = 30
USER, PASSWORD = "proml-tests", "not-a-secret"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": PASSWORD, "AWS_DEFAULT_REGION": "us-east-1"}


def wanted_minio() -> Path:
    """Returns the program; skips the test where there is none, and fails it where none may be missing."""
    found = sorted(_ENGINES.glob("minio-*/minio"))
    if found:
        return found[-1]
    if os.environ.get("CI") == "true":
        pytest.fail("there is no MinIO in .engines; `make minio` builds it")
    pytest.skip("there is no MinIO in .engines; `make minio` builds it")


class Minio(Server):
    """A server's process; it can be killed and started again on the same address and folder.

    Args:
        program: MinIO.
        folder: For its data and its log.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        super().__init__(folder / "minio.log")
        self.program = program
        self.folder = folder
        self.port = 0
        self.bucket = uuid.uuid4().hex

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/content"

    def start(self) -> None:
        if not self.port:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
        # A folder in the data is a bucket.
        (self.folder / "data" / self.bucket).mkdir(parents=True, exist_ok=True)
        command = [self.program, "server", self.folder / "data", "--address", f"127.0.0.1:{self.port}", "--quiet"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "MINIO_ROOT_USER": USER,
                       "MINIO_ROOT_PASSWORD": PASSWORD, "MINIO_BROWSER": "off", "MINIO_CI_CD": "1"}  # fmt: skip
        self.launch(command, environment, self._is_ready, _READY_S)

    def _is_ready(self) -> bool:
        url = f"{self.endpoint}/minio/health/live"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
        return False


@contextlib.contextmanager
def running_minio(folder: Path) -> Iterator[Minio]:
    """Starts a server and ends it, whatever happens."""
    server = Minio(wanted_minio(), folder)
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
