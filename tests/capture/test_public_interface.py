from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import proml

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = (
    "sqlite3",
    "subprocess",
    "importlib.metadata",
    "click",
    "json",
    "re",
    "typing",
    "dataclasses",
    "logging",
    "psutil",
)
HEAVY_FOR_RUNS = (
    "click",
    "psutil",
    "importlib.metadata",
    "eth",
    "web3",
    "sqlalchemy",
    "fsspec",
    "proml.wiring",
    "proml.capture.observed.describing",
    "logging",
)


def loaded_after(code: str) -> set[str]:
    show = f"{code}\nimport sys; print(*sys.modules)"
    script = f"import sys; sys.path[:0] = {sys.path!r}\n{show}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_proml_loads_nothing_else() -> None:
    loaded = loaded_after("import proml")
    assert not loaded & set(HEAVY)
    assert {name for name in loaded if name.startswith("proml")} == {"proml"}


def test_a_run_loads_no_ledger_library(tmp_path: Path) -> None:
    code = f"import os; os.chdir({str(tmp_path)!r}); os.mkdir('.proml'); open('.proml/config.toml', 'w').close()\n"
    code += "import proml\nwith proml.start_run() as run: run.log_metric('a', 1)"
    assert not loaded_after(code) & set(HEAVY_FOR_RUNS)


def test_every_public_name_is_there_and_documented() -> None:
    for name in proml.__all__:
        value = getattr(proml, name)
        if name not in {"__version__", "run"}:
            assert value.__doc__, name
    assert set(proml.__all__) <= set(dir(proml))
    with pytest.raises(AttributeError, match="nothing"):
        _ = proml.nothing


def test_verify_is_a_function_also_after_its_package_was_imported() -> None:
    import proml.verify.report  # noqa: PLC0415 - the point of the test
    from proml.verify import report  # noqa: PLC0415 - as above

    assert callable(proml.verify)
    assert proml.verify.report is report  # type: ignore[attr-defined]  # both a function and a package


def test_verified_refuses_what_is_not_there() -> None:
    with pytest.raises(proml.VerificationError, match=r"no no-such\.file"):
        proml.verified("no-such.file")


def test_without_a_run_nothing_is_recorded_and_one_warning_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proml.capture.active._warned", False)
    proml.log_metric("loss", 1)
    proml.log_params({"a": 1})
    assert proml.use("x").path == "x"
    assert proml.publish("a", "x") == ""
    assert proml.run is None
    assert caplog.text.count("no active run") == 1
