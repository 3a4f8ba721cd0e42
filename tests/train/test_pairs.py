from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from samari.engine.export import save_labels
from samari.errors import InputError
from samari.train.pairs import load_pairs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    made = tmp_path / "images", tmp_path / "labels"
    for folder in made:
        folder.mkdir()
    return made


def plane(seed: int, shape: tuple[int, ...] = (40, 50)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4000, shape, np.uint16)


def test_files_are_paired_by_name_whatever_tool_named_them(folders: tuple[Path, Path]) -> None:
    images, labels = folders
    truth = np.zeros((40, 50), np.uint16)
    truth[5:20, 5:20] = 7
    for number, name in enumerate(["a.tif", "b_labels.tif", "c_cp_masks.png", "d.ome.tif"]):
        tifffile.imwrite(images / f"{'abcd'[number]}.tif", plane(number))
        if name.endswith(".png"):
            Image.fromarray(truth).save(labels / name)
        else:
            tifffile.imwrite(labels / name, truth)
    tifffile.imwrite(images / "without.tif", plane(9))
    samples = load_pairs(images, labels)
    assert [sample.key for sample in samples] == ["a.tif", "b.tif", "c.tif", "d.tif"]
    for sample in samples:
        assert sample.image.shape == (40, 50, 3)
        assert sample.image.dtype == np.uint8
        np.testing.assert_array_equal(sample.labels > 0, truth > 0)
    # As inference stretches it: most of the range is used.
    assert np.ptp(samples[0].image) > 200


def test_labels_without_a_pixel_are_told_from_names_that_do_not_agree(
    folders: tuple[Path, Path],
) -> None:
    images, labels = folders
    tifffile.imwrite(images / "a.tif", plane(0))
    tifffile.imwrite(labels / "a.tif", np.zeros((40, 50), np.uint16))
    with pytest.raises(InputError, match=r"no label file in .* has a labelled pixel: 1 looked at"):
        load_pairs(images, labels)


def test_a_stack_gives_its_labelled_planes_and_colours_stay(folders: tuple[Path, Path]) -> None:
    images, labels = folders
    stack = plane(0, (3, 40, 50))
    tifffile.imwrite(images / "z.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    truth = np.zeros((3, 40, 50), np.uint16)
    truth[0, 2:12, 3:13] = truth[0, 30:38, 3:13] = 1  # a branch that comes through twice
    truth[2, 5:25, 5:25] = 70_000 % 65_536
    save_labels(labels / "z.tif", truth, axes="ZYX")
    colours = np.random.default_rng(1).integers(0, 255, (40, 50, 3), np.uint8)
    Image.fromarray(colours).save(images / "rgb.png")
    Image.fromarray(truth[0].astype(np.uint8)).save(labels / "rgb.png")
    samples = {sample.key: sample for sample in load_pairs(images, labels)}
    assert sorted(samples) == ["rgb.png", "z.tif/0", "z.tif/2"]
    np.testing.assert_array_equal(samples["rgb.png"].image, colours)
    np.testing.assert_array_equal(samples["z.tif/2"].labels > 0, truth[2] > 0)
    assert sorted(np.unique(samples["z.tif/0"].labels)) == [0, 1, 2]
    assert samples["z.tif/0"].group == samples["z.tif/2"].group == "z.tif"


def test_one_folder_may_hold_both(tmp_path: Path) -> None:
    truth = np.zeros((40, 50), np.uint16)
    truth[5:20, 5:20] = 1
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.tif", plane(1))
        tifffile.imwrite(tmp_path / f"{name}_masks.tif", truth)
    samples = load_pairs(tmp_path, tmp_path)
    assert [sample.key for sample in samples] == ["a.tif", "b.tif"]
    np.testing.assert_array_equal(samples[0].labels, truth)


def test_two_files_of_one_name_are_refused(folders: tuple[Path, Path]) -> None:
    images, labels = folders
    tifffile.imwrite(images / "a.tif", plane(0))
    for name in ("a_labels.tif", "a_masks.tif"):
        tifffile.imwrite(labels / name, np.ones((40, 50), np.uint16))
    with pytest.raises(InputError, match=r"a_labels\.tif and a_masks\.tif"):
        load_pairs(images, labels)


def test_large_numbers_are_kept_apart(folders: tuple[Path, Path]) -> None:
    images, labels = folders
    truth = np.zeros((40, 50), np.uint32)
    truth[5:10, 5:10], truth[20:30, 5:10] = 2**31 + 1, 2**31 + 2
    np.save(images / "a.npy", plane(0))
    tifffile.imwrite(labels / "a.tif", truth)
    (sample,) = load_pairs(images, labels)
    assert len(np.unique(sample.labels)) == 3
    np.testing.assert_array_equal(sample.labels > 0, truth > 0)


def test_what_cannot_be_paired_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    images, labels = folders
    with pytest.raises(InputError, match="no folder"):
        load_pairs(tmp_path / "nowhere", labels)
    tifffile.imwrite(images / "a.tif", plane(0))
    tifffile.imwrite(labels / "b.tif", plane(0))
    with pytest.raises(InputError, match="1 images, 1 label files"):
        load_pairs(images, labels)
    tifffile.imwrite(labels / "a.tif", np.ones((50, 40), np.uint16))
    with pytest.raises(InputError, match=r"a\.tif has the shape \(50, 40\).*\(40, 50\)"):
        load_pairs(images, labels)
    (labels / "a.tif").unlink()
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(labels / "a.png")
    with pytest.raises(InputError, match="colour image"):
        load_pairs(images, labels)


@pytest.mark.parametrize(("ending", "kind"), [("tif", "i2"), ("tif", "f4"), ("npy", "i4")])
def test_labels_below_zero_are_refused_whatever_their_type(
    folders: tuple[Path, Path], ending: str, kind: str
) -> None:
    images, labels = folders
    tifffile.imwrite(images / "a.tif", plane(0))
    truth = np.full((40, 50), -1, kind)
    truth[5:10, 5:10] = 0
    write = np.save if ending == "npy" else tifffile.imwrite
    write(labels / f"a.{ending}", truth)
    message = rf"a\.{ending} holds {truth.dtype} values that are no labels"
    with pytest.raises(InputError, match=message):
        load_pairs(images, labels)
