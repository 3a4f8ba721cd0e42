"""``samari embed``: what it keeps, what the other commands find, and where it stops."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from samari.cli import main
from samari.engine.embedding import EmbeddingCache
from samari.engine.embedding_files import EmbeddingFiles, embeddings_dir
from samari.engine.export import read_labels
from samari.engine.predict import Segmenter
from samari.engine.session import Session
from samari.sam.vision_encoder import SamVisionEncoder

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """Write a TIFF of 6 planes."""
    image = np.random.default_rng(0).integers(0, 4000, (6, 40, 56)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "stack.ome.tif", image, metadata={"axes": "ZYX"})
    return tmp_path / "stack.ome.tif"


@pytest.fixture
def embed(tiny_model_folder: Path) -> Callable[..., int]:
    """Run ``samari embed`` with the tiny model."""

    def run(*words: object) -> int:
        model = ["--model", str(tiny_model_folder), "--device", "cpu"]
        return main(["embed", *map(str, words), *model])

    return run


def test_a_second_run_and_a_session_encode_nothing(
    stack: Path,
    embed: Callable[..., int],
    tiny_model_folder: Path,
    encodings: list[Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert embed(stack) == 0
    assert capsys.readouterr().out == f"{embeddings_dir()}: 6 encoded, 0 were there already\n"
    assert embed(stack) == 0
    assert capsys.readouterr().out == f"{embeddings_dir()}: 0 encoded, 6 were there already\n"
    cache = EmbeddingCache(files=EmbeddingFiles())
    segmenter = Segmenter(tiny_model_folder, device="cpu", cache=cache)
    session = Session(tifffile.imread(stack), segmenter=segmenter, axes="ZYX")
    for z in range(6):
        session.add_point((z, 20, 30))
        session.accept()
    assert len(encodings) == 6


@pytest.mark.parametrize(("here", "there"), [(True, False), (False, True)])
def test_it_does_not_matter_which_processor_has_bfloat16(
    stack: Path,
    embed: Callable[..., int],
    tiny_model_folder: Path,
    encodings: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    here: bool,
    there: bool,
) -> None:
    monkeypatch.setattr("samari.engine.devices.has_bfloat16", lambda: here)
    assert embed(stack) == 0
    monkeypatch.setattr("samari.engine.devices.has_bfloat16", lambda: there)
    cache = EmbeddingCache(files=EmbeddingFiles())
    segmenter = Segmenter(tiny_model_folder, device="cpu", cache=cache)
    assert segmenter.dtype == ("bfloat16" if there else "float32")
    session = Session(tifffile.imread(stack), segmenter=segmenter, axes="ZYX")
    session.add_point((3, 20, 30))
    assert len(encodings) == 6


def test_other_commands_use_the_folder_that_is_named(
    stack: Path,
    tmp_path: Path,
    embed: Callable[..., int],
    tiny_model_folder: Path,
    encodings: list[Any],
) -> None:
    assert embed(stack, "--cache", tmp_path / "encoded") == 0
    words = ["segment", str(stack), "--plane", "3", "--point", "20", "30", "--device", "cpu"]
    words += ["--model", str(tiny_model_folder)]
    assert main([*words, "-o", str(tmp_path / "a.tif"), "--cache", str(tmp_path / "encoded")]) == 0
    assert len(encodings) == 6
    assert main([*words, "-o", str(tmp_path / "b.tif")]) == 0
    assert len(encodings) == 7, "without the option nothing is read from the disk, or written"
    assert not embeddings_dir().exists()
    first, second = (read_labels(tmp_path / name).labels for name in ("a.tif", "b.tif"))
    np.testing.assert_array_equal(first, second)


def test_ctrl_c_keeps_what_is_done_and_the_next_run_goes_on(
    stack: Path,
    embed: Callable[..., int],
    encodings: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    counted = SamVisionEncoder.steps

    def interrupted(self: Any, pixels: Any) -> Any:
        steps = counted(self, pixels)
        yield next(steps)
        if len(encodings) == 3:
            raise KeyboardInterrupt
        return (yield from steps)

    with monkeypatch.context() as patch:
        patch.setattr(SamVisionEncoder, "steps", interrupted)
        assert embed(stack) == 130
    assert capsys.readouterr().err == "samari: interrupted\n"
    assert len(EmbeddingFiles()) == 2
    assert embed(stack) == 0
    assert "4 encoded, 2 were there already" in capsys.readouterr().out


def test_half_precision_halves_the_files(stack: Path, tmp_path: Path, embed: Any) -> None:
    assert embed(stack, "--cache", tmp_path / "whole") == 0
    assert embed(stack, "--cache", tmp_path / "half", "--float16") == 0
    whole, half = (EmbeddingFiles(tmp_path / name) for name in ("whole", "half"))
    header = 1000 * len(half)
    assert len(half) == 6
    assert abs(whole.nbytes / 2 - half.nbytes) < header


def test_every_tile_of_a_large_plane_is_encoded(
    tmp_path: Path, embed: Any, tiny_model_folder: Path, encodings: list[Any]
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (150, 200)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "large.tif", image)
    assert embed(tmp_path / "large.tif") == 0
    done = len(encodings)
    assert done > 20
    cache = EmbeddingCache(files=EmbeddingFiles())
    session = Session(image, segmenter=Segmenter(tiny_model_folder, device="cpu", cache=cache))
    for y in range(5, 150, 24):
        for x in range(5, 200, 24):
            session.add_point((y, x))
            assert session.candidates is not None
            session.discard()
    session.add_box((20, 20), (120, 170))
    assert session.candidates is not None
    assert len(encodings) == done


def test_what_does_not_fit_is_refused_after_the_first(
    stack: Path, embed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embed(stack, "--max-gb", "0.00002") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "give --max-gb 1, or --float16" in line
    for size in ("-1", "1e300"):
        assert embed(stack, "--max-gb", size) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "--max-gb is " in line


def test_a_folder_that_cannot_be_written_is_one_line_and_code_1(
    stack: Path, tmp_path: Path, embed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trap 41."""
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    assert embed(stack, "--cache", tmp_path / "file" / "sub") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be kept on the disk" in line


def test_other_views_and_channels_are_other_planes(
    stack: Path, embed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embed(stack, "--view", "ZX") == 0
    assert "40 encoded" in capsys.readouterr().out
    assert embed(stack, "--axes", "CYX", "--channel", "1") == 0
    assert "1 encoded" in capsys.readouterr().out
    assert embed(stack, "--view", "ZQ") == 1


def test_the_options_are_documented() -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "samari", "embed", "--help"], capture_output=True, text=True,
        env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip
    options = set(re.findall(r"(--[a-z0-9-]+)", done.stdout)) - {"--help"}
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert {"--cache", "--float16", "--max-gb", "--view"} <= options
    assert {option for option in options if option not in page} == set()
