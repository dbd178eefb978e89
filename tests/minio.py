"""A real MinIO server on loopback, for the tests of S3; `make minio` builds it. It is no part of the product."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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


@dataclass
class Minio:
    """A server's process; it can be killed and started again on the same address and folder."""

    program: Path
    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    bucket: str = field(default_factory=lambda: uuid.uuid4().hex)

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
        with (self.folder / "minio.log").open("ab") as log:
            self.process = subprocess.Popen(list(map(str, command)), env=environment, stdout=log, stderr=log)
        self._until_ready()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def _until_ready(self) -> None:
        ends = time.monotonic() + _READY_S
        while True:
            url = f"{self.endpoint}/minio/health/live"
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "minio.log").read_text()
            assert time.monotonic() < ends, (self.folder / "minio.log").read_text()
            time.sleep(0.05)


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
        if server.process is not None:
            server.kill()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
