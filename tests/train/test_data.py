from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from samari.errors import InputError
from samari.train.data import (
    CropSampler,
    Sample,
    augment_intensity,
    connected_parts,
    cut,
    load_samples,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    items = []
    for name, split, dataset in [("a", "train", "one"), ("b", "val", "one"), ("c", "train", "two")]:
        labels = np.zeros((40, 50), np.uint16)
        labels[5:15, 5:15] = 1
        Image.fromarray(rng.integers(0, 40, (40, 50)).astype(np.uint8)).save(
            tmp_path / f"{name}.png"
        )
        Image.fromarray(labels).save(tmp_path / f"{name}_label.png")
        items.append(
            {
                "id": name,
                "image": f"{name}.png",
                "label": f"{name}_label.png",
                "split": split,
                "dataset": dataset,
                "modality": "fluorescence",
            }
        )
    volume = np.zeros((4, 20, 20), np.uint16)
    volume[:, 2:6, 2:6] = volume[:, 12:16, 12:16] = 7
    np.savez(tmp_path / "v.npz", image=(volume * 30).astype(np.uint8), labels=volume)
    items.append(
        {
            "id": "v",
            "volume": "v.npz",
            "split": "train",
            "dataset": "em",
            "modality": "em_fibsem",
        }
    )
    (tmp_path / "index.json").write_text(json.dumps({"items": items}))
    return tmp_path


def test_validation_samples_never_come_with_the_training_split(folder: Path) -> None:
    train, val = load_samples(folder, "train"), load_samples(folder, "val")
    assert {sample.key.split("/")[1] for sample in train} == {"a", "c", "v"}
    assert {sample.key.split("/")[1] for sample in val} == {"b"}


def test_images_are_stretched_to_the_full_range(folder: Path) -> None:
    image = load_samples(folder, "train", ["one"])[0].image
    assert image.min() == 0
    assert image.max() == 255


def test_planes_of_a_volume_have_their_connected_parts_as_objects(folder: Path) -> None:
    planes = load_samples(folder, "train", ["em"], plane_step=2)
    assert len(planes) == 2
    assert planes[0].labels.max() == 2


def test_a_folder_without_index_and_an_unknown_set_are_refused_by_name(folder: Path) -> None:
    with pytest.raises(InputError, match=r"no index\.json"):
        load_samples(folder / "nowhere", "train")
    with pytest.raises(InputError, match="three"):
        load_samples(folder, "train", ["three"])


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("{", "is no index"),
        ("{}", "is no index"),
        ("[]", "is no index"),
        ('{"items": [{"id": "a", "split": "train", "dataset": "one"}]}', "'modality'"),
    ],
)
def test_a_damaged_index_is_named_with_what_is_wrong(folder: Path, index: str, said: str) -> None:
    (folder / "index.json").write_text(index)
    with pytest.raises(InputError, match=rf"index\.json.*{said}"):
        load_samples(folder, "train")


def test_files_that_are_not_what_the_index_says_are_named(folder: Path) -> None:
    (folder / "v.npz").write_text("not a volume")
    with pytest.raises(InputError, match="item 'v' cannot be read"):
        load_samples(folder, "train", ["em"])
    (folder / "c.png").unlink()
    with pytest.raises(InputError, match=r"item 'c' cannot be read: .*c\.png"):
        load_samples(folder, "train", ["two"])
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(folder / "a_label.png")
    with pytest.raises(InputError, match=r"a_label\.png has the shape \(9, 9\)"):
        load_samples(folder, "train", ["one"])


def test_connected_parts_separate_touching_labels_and_scattered_pieces() -> None:
    labels = np.array([[1, 1, 2], [0, 0, 2], [1, 0, 2]])
    assert connected_parts(labels).max() == 3


def _bright_square() -> Sample:
    labels = np.zeros((60, 80), np.int32)
    labels[20:40, 30:50] = 3
    image = np.repeat(np.where(labels > 0, 220, 20).astype(np.uint8)[..., None], 3, axis=2)
    return Sample(image, labels, "one", "square", "one/0", "one/0")


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_image_and_labels_are_cut_and_turned_together(scale: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        crop = cut(_bright_square(), 48, scale, rng)
        assert crop.image.shape == (48, 48, 3)
        assert crop.labels.shape == (48, 48)
        bright = crop.image[..., 0] > 120
        assert np.count_nonzero(bright != (crop.labels == 3)) <= 0.06 * bright.size


def test_intensity_changes_keep_shape_dtype_and_grey_images_grey() -> None:
    sample = _bright_square()
    rng = np.random.default_rng(2)
    outs = [augment_intensity(sample.image, rng) for _ in range(20)]
    assert all(out.shape == sample.image.shape and out.dtype == np.uint8 for out in outs)
    assert all((out[..., 0] == out[..., 2]).all() for out in outs)
    assert any(not np.array_equal(out, sample.image) for out in outs)


def test_sets_are_drawn_by_their_weights() -> None:
    flat = [
        Sample(
            np.full((30, 30, 3), value, np.uint8), np.ones((30, 30), np.int32), name, name, "", ""
        )
        for value, name in [(0, "rare"), (255, "common"), (100, "left out")]
    ]
    sampler = CropSampler(flat, {"rare": 1, "common": 9})
    rng = np.random.default_rng(0)
    drawn = [sampler.draw(rng, 24) for _ in range(5)]
    assert all(crop.labels.all() for crop in drawn)
    with pytest.raises(InputError, match="weight above 0"):
        CropSampler(flat, {"other": 1.0})
