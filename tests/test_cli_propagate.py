"""`samari propagate`: from a stack and a file of prompts to a label TIFF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from samari.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """Two bright columns in planes 1 to 3 of 5."""
    rng = np.random.default_rng(0)
    image = rng.normal(40, 4, (5, 48, 64))
    image[1:4, 10:30, 8:26] += 150
    image[1:4, 14:36, 38:58] += 150
    path = tmp_path / "stack.ome.tif"
    tifffile.imwrite(path, np.clip(image, 0, 255).astype(np.uint8), metadata={"axes": "ZYX"})
    return path


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.csv"
    path.write_text("object,z,y0,x0,y1,x1\nleft,2,9.5,7.5,29.5,25.5\nright,2,13.5,37.5,35.5,57.5\n")
    return path


def test_prompted_objects_are_followed_and_saved(
    stack: Path, prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "labels.ome.tif"
    assert main(["propagate", str(stack), "--prompts", str(prompts), "-o", str(output)]) == 0
    labels = tifffile.imread(output)
    assert labels.shape == (5, 48, 64)
    for plane in labels[1:4]:
        assert np.count_nonzero(plane == 1) > 150
        assert np.count_nonzero(plane == 2) > 150
    printed = capsys.readouterr().out
    assert "object left: label 1" in printed
    assert "label 1: " in printed
    assert "lowest confidence 0." in printed
    assert "2 objects in (5, 48, 64) ZYX" in printed


def test_channels_of_a_stack_are_named_and_one_is_chosen(
    stack: Path, prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trap 10: four axes are a time series unless somebody says that they are channels."""
    image = tifffile.imread(stack)
    bare, output = tmp_path / "bare.tif", tmp_path / "labels.ome.tif"
    tifffile.imwrite(bare, np.stack([np.zeros_like(image), image]), photometric="minisblack")
    command = ["propagate", str(bare), "--prompts", str(prompts), "-o", str(output)]
    assert main(command) == 1
    assert "TZYX" in capsys.readouterr().err
    assert main([*command, "--axes", "CZYX", "--channel", "1"]) == 0
    labels = tifffile.imread(output)
    assert labels.shape == (5, 48, 64)
    assert all(np.count_nonzero(plane == 1) > 150 for plane in labels[1:4])


def test_planes_beyond_the_range_are_left_alone(stack: Path, prompts: Path, tmp_path: Path) -> None:
    output = tmp_path / "labels.tif"
    command = ["propagate", str(stack), "--prompts", str(prompts), "-o", str(output)]
    assert main([*command, "--range", "2", "3"]) == 0
    labels = tifffile.imread(output)
    assert labels[3].any()
    assert not labels[:2].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--axis", "T"], "the image has axes ZYX: there is no axis T to go"),
        (["--range", "3", "9"], "the range from plane 3 to 9 must lie within the planes 0 to 4"),
        (["--prompts", "none.csv"], "there is no prompt file none.csv"),
    ],
)
def test_what_does_not_fit_is_one_line_and_code_1(
    stack: Path,
    prompts: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    output = tmp_path / "labels.tif"
    command = ["propagate", str(stack), "--prompts", str(prompts), "-o", str(output)]
    assert main([*command, *options]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not output.exists()
