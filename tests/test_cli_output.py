"""Outputs that the commands refuse before they read the image."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from skimage import io

from samari.cli import main
from samari.engine.journal_file import JournalFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Write a PNG."""
    io.imsave(tmp_path / "picture.png", np.zeros((48, 64), np.uint8), check_contrast=False)
    return tmp_path / "picture.png"


@pytest.fixture
def segment(tmp_path: Path) -> Callable[..., int]:
    """Run ``samari segment``; give the exit code."""

    def run(*words: object, output: str = "labels.tif") -> int:
        return main(["segment", *map(str, words), "-o", str(tmp_path / output)])

    return run


@pytest.mark.parametrize("refused", ["folder", "file"])
def test_an_output_that_cannot_be_written_is_refused_before_the_image_is_read(
    picture: Path,
    segment: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    refused: str,
) -> None:
    """Trap 41."""
    output = picture.with_name("labels.tif")
    output.write_bytes(b"mine")
    locked = output if refused == "file" else output.parent
    allowed = os.access
    # The permissions themselves mean nothing to who runs the tests as root.
    monkeypatch.setattr(os, "access", lambda path, mode: path != locked and allowed(path, mode))
    monkeypatch.setattr("samari.engine.images.read_image", None)
    assert segment(picture, "--point", 15, 20, "--overwrite") == 1
    error = capsys.readouterr().err
    assert f"no permission to write to {locked}" in error
    assert output.read_bytes() == b"mine"


def test_a_folder_and_a_journal_in_use_are_no_output(
    picture: Path,
    segment: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("samari.engine.images.read_image", None)
    (picture.parent / "folder.tif").mkdir()
    words = (picture, "--point", 15, 20, "--overwrite")
    assert segment(*words, output="folder.tif") == 1
    assert "folder.tif is a folder" in capsys.readouterr().err
    journal = JournalFile(picture.parent / "labels.tif.samari.jsonl")
    journal.open()
    assert segment(*words) == 1
    assert "labels.tif.samari.jsonl is in use by another session" in capsys.readouterr().err
    journal.close()
