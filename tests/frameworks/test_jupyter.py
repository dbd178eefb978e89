"""A real kernel, driven as a notebook does."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

from proml.core.digest import format_digest
from proml.core.record import validate_record
from proml.hashing import hash_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.capture.conftest import Recorded


class Notebook:
    """Cells run one after the other."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def run(self, cell: str) -> tuple[str, str]:
        """Returns the reply's status and everything that the cell printed or showed."""
        shown: list[str] = []

        def hook(message: Any) -> None:
            content = message["content"]
            shown.append(content.get("text") or content.get("data", {}).get("text/plain") or content.get("ename") or "")

        reply = self._client.execute_interactive(cell, timeout=60, output_hook=hook)
        return reply["content"]["status"], "\n".join(shown).strip()


@pytest.fixture
def notebook(here: Recorded) -> Iterator[Notebook]:
    manager, client = start_new_kernel(cwd=str(here.root))
    try:
        made = Notebook(client)
        assert made.run("%load_ext proml.integrations.jupyter")[0] == "ok"
        yield made
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def digest_of(here: Recorded, source: str) -> str:
    path = here.root / f"{hashlib.sha256(source.encode()).hexdigest()[:8]}.py"
    path.write_text(source, encoding="utf-8")
    return format_digest(hash_path(path).digest)


def test_a_marked_cell_is_a_run_with_its_source_as_input(here: Recorded, notebook: Notebook) -> None:
    body = "import proml\nproml.log_metric('loss', 0.5, step=1)\n6 * 7"
    status, shown = notebook.run(f"%%proml first try\n{body}")
    assert status == "ok"
    assert "proml: run " in shown
    assert shown.endswith("42")
    record = here.record
    validate_record(record)
    assert record["run"]["name"] == "first try"
    assert record["run"]["exit_status"] == 0
    assert record["metrics"]["loss"]["last"] == 0.5
    (used,) = record["uses"]
    assert (used["role"], used["content"]) == ("cell", digest_of(here, body))
    assert "6 * 7" not in str(record)


def test_an_error_in_a_marked_cell_shows_as_ever_and_ends_its_run(here: Recorded, notebook: Notebook) -> None:
    status, shown = notebook.run("%%proml\n1 / 0")
    assert status == "error"
    assert shown.count("ZeroDivisionError") == 1
    assert here.record["run"]["exception"]["type"] == "ZeroDivisionError"
    assert notebook.run("import proml; proml.run is None") == ("ok", "True")


def test_cells_that_await_can_be_marked(here: Recorded, notebook: Notebook) -> None:
    assert notebook.run("%%proml\nimport asyncio\nawait asyncio.sleep(0, 'done')")[1].endswith("'done'")
    assert here.record["run"]["exit_status"] == 0


def test_a_run_of_many_cells_has_all_their_sources(here: Recorded, notebook: Notebook) -> None:
    cells = ["import proml", "proml.log_param('depth', 3)", "open('model.txt', 'w').write('m'); print(proml.run.name)"]
    notebook.run("%proml_run many")
    shown = [notebook.run(cell)[1] for cell in cells]
    assert shown[-1].strip() == "many"
    notebook.run("proml.publish('model', 'model.txt', kind='model', action='train')")
    notebook.run("%proml_end")
    record = here.record
    assert [use["content"] for use in record["uses"]][:3] == [digest_of(here, cell) for cell in cells]
    assert record["parameters"] == {"depth": 3}
    assert record["artefact"]["name"] == "model"


def test_the_extension_can_be_taken_out(here: Recorded, notebook: Notebook) -> None:
    notebook.run("%proml_run open")
    assert notebook.run("%unload_ext proml.integrations.jupyter")[0] == "ok"
    assert here.record["run"]["name"] == "open"
    assert "not found" in notebook.run("%proml_run again")[1]
    assert "not found" in notebook.run("%%proml\n1")[1]
