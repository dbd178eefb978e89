"""What ProML says about frames where no library for them is installed; tests/frameworks has the rest."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from proml import frames
from proml.capture.usage import content_of
from proml.errors import ContentError, MissingExtra

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_no_path_and_no_frame_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="found int"):
        content_of(17, tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_a_missing_library_is_named(tmp_path: Path) -> None:
    class Frame:
        def __arrow_c_stream__(self) -> object: ...

    assert frames.is_frame(Frame())
    with pytest.raises(MissingExtra, match=r"pip install 'proml\[pandas\]'"):
        content_of(Frame(), tmp_path)
