"""The line that says how far a command is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from skimage import io

from samari.cli import main
from samari.cli_image import fetch_model
from samari.errors import DownloadError
from samari.terminal import megabytes, progress_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def read_along(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[str]]:
    """Let standard error be a terminal; give the lines that were left standing on it."""
    # pytest makes another stream of this class for the test itself.
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda stream: True)

    def lines() -> list[str]:
        printed = capsys.readouterr().err
        assert printed.endswith("\n") or not printed, "the line was not ended"
        return [line.rpartition("\r")[2] for line in printed.split("\n")[:-1]]

    return lines


def test_the_line_is_kept_up_to_date_and_ended(read_along: Callable[[], list[str]]) -> None:
    with progress_line("counting") as progress:
        assert progress is not None
        for done in (1, 2, 3):
            progress(done, 3)
    assert read_along() == ["counting: 100 %"]


def test_a_shorter_line_covers_a_longer_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress_line("loading", lambda done, total: "9" * done) as progress:
        assert progress is not None
        progress(3, 3)
        progress(3, 3)
        progress(1, 3)
    assert capsys.readouterr().err == "\rloading: 999\rloading: 9  \n"


def test_where_nobody_reads_along_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_line("counting") as progress:
        assert progress is None
    assert capsys.readouterr().err == ""


def test_a_line_that_was_never_begun_leaves_none(read_along: Callable[[], list[str]]) -> None:
    with progress_line("counting"):
        pass
    assert read_along() == []


@pytest.mark.parametrize(
    ("done", "total", "said"),
    [
        (3_400_000, 375_000_000, "3 MB of 375 MB, 0 %"),
        (375_000_000, 375_000_000, "375 MB of 375 MB, 100 %"),
        (3_400_000, 0, "3 MB"),
    ],
)
def test_downloads_are_told_in_megabytes(done: int, total: int, said: str) -> None:
    assert megabytes(done, total) == said


def _broken(name: str, progress: Callable[[int, int], None] | None) -> Path:
    if progress is not None:
        progress(2_000_000, 8_000_000)
    raise DownloadError("the connection broke")


def test_the_error_of_a_download_has_a_line_of_its_own(
    tmp_path: Path, read_along: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samari.zoo.resolve", _broken)
    monkeypatch.setattr("samari.zoo.available", lambda name: False)
    io.imsave(tmp_path / "picture.png", np.zeros((9, 9), np.uint8), check_contrast=False)
    words = ["segment", str(tmp_path / "picture.png"), "--point", "1", "1"]
    assert main([*words, "-o", str(tmp_path / "a.tif"), "--model", "vit_b_lm"]) == 1
    assert read_along() == [
        "downloading vit_b_lm: 2 MB of 8 MB, 25 %",
        "samari: the connection broke",
    ]


def test_a_download_prints_nothing_into_a_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samari.zoo.resolve", _broken)
    monkeypatch.setattr("samari.zoo.available", lambda name: False)
    with pytest.raises(DownloadError):
        fetch_model("vit_b_lm")
    assert capsys.readouterr().err == ""
