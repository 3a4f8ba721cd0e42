"""``samari everything`` from its words to the file it writes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from samari.cli import main
from samari.engine.export import read_labels
from samari.engine.predict import Segmenter
from samari.engine.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
#: What the random model finds is far from stable.
LOOSE = ["--min-score", "-1", "--min-stability", "0", "--min-size", "5", "--max-size", "3000"]


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """Write a TIFF of 3 planes with a voxel size."""
    image = np.random.default_rng(0).integers(0, 4000, (3, 40, 56)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "stack.ome.tif",
        image,
        metadata={"axes": "ZYX", "PhysicalSizeZ": 2.0, "PhysicalSizeZUnit": "µm"},
    )
    return tmp_path / "stack.ome.tif"


@pytest.fixture
def everything(tiny_model_folder: Path, tmp_path: Path) -> Callable[..., tuple[int, Path]]:
    """Run ``samari everything`` with the tiny model; give the exit code and the output."""

    def run(*words: object) -> tuple[int, Path]:
        path = tmp_path / "labels.tif"
        model = ["--model", str(tiny_model_folder), "--device", "cpu", "--points-per-side", "4"]
        return main(["everything", *map(str, words), "-o", str(path), *model]), path

    return run


def test_the_file_has_what_a_session_finds(
    stack: Path,
    everything: Callable[..., tuple[int, Path]],
    tiny_model_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, output = everything(stack, "--all-planes", *LOOSE, "--overlap", 1)
    written = read_labels(output)
    session = Session(
        tifffile.imread(stack), segmenter=Segmenter(tiny_model_folder, device="cpu"), axes="ZYX"
    )
    labels = session.segment_everything(
        points_per_side=4, min_score=-1, min_stability=0, min_size=5, max_size=3000, overlap=1
    )
    assert code == 0
    assert len(labels) > 3
    assert f"{len(labels)} objects in (3, 40, 56) ZYX" in capsys.readouterr().out
    np.testing.assert_array_equal(written.labels, session.labels)
    assert written.scale[0] == 2.0


def test_one_plane_of_a_stack(stack: Path, everything: Callable[..., tuple[int, Path]]) -> None:
    code, output = everything(stack, "--plane", 1, *LOOSE, "--overlap", 1)
    assert code == 0
    assert np.flatnonzero(read_labels(output).labels.any(axis=(1, 2))).tolist() == [1]


def test_nothing_found_is_a_file_without_objects(
    stack: Path, everything: Callable[..., tuple[int, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Trap 18: 0 masks."""
    code, output = everything(stack, "--plane", 1, "--min-score", 2)
    assert code == 0
    assert not read_labels(output).labels.any()
    printed = capsys.readouterr()
    assert "0 objects in" in printed.out
    (line,) = printed.err.splitlines()
    assert line.startswith("samari: no mask was within the thresholds; lower --min-score")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--plane Z, or --all-planes"),
        (["--plane", "3"], "z from 0 to 2"),
        (["--plane", "1", "--overlap", "2"], "overlap=2"),
        (["--plane", "1", "--points-per-side", "0"], "points_per_side=0"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_no_file(
    stack: Path,
    everything: Callable[..., tuple[int, Path]],
    tiny_model_folder: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    output = stack.with_name("labels.tif")
    model = ["--model", str(tiny_model_folder), "--device", "cpu"]
    assert main(["everything", str(stack), "-o", str(output), *model, *words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not output.exists()


def test_an_existing_output_is_kept_unless_told_otherwise(
    stack: Path, everything: Callable[..., tuple[int, Path]]
) -> None:
    output = stack.with_name("labels.tif")
    output.write_bytes(b"mine")
    assert everything(stack, "--plane", 1)[0] == 1
    assert output.read_bytes() == b"mine"
    assert everything(stack, "--plane", 1, "--overwrite")[0] == 0
    assert read_labels(output).labels.shape == (3, 40, 56)


def test_ctrl_c_writes_nothing(
    stack: Path, everything: Callable[..., tuple[int, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Segmenter, "predict_many", interrupted)
    code, output = everything(stack, "--all-planes")
    assert code == 130
    assert not output.exists()


def test_the_options_are_documented() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "samari", "everything", "--help"], capture_output=True, text=True
    )
    options = set(re.findall(r"(--[a-z-]+)", done.stdout)) - {"--help", "--output"}
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert len(options) > 12
    assert {option for option in options if option not in page} == set()
