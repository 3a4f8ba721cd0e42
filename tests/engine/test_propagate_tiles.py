"""Through planes larger than the model's picture: in tiles, at the resolution of the planes."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine.bright import Model, ScoredTracker

from samari.engine.predict import Segmenter
from samari.engine.session import Session


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setattr("samari.engine.tracking.Tracker", ScoredTracker)
    return Model(picture_size=32)


def squares(planes: int, *boxes: tuple[int, int, int]) -> np.ndarray:
    """Return a stack (planes, 200, 300) with squares (row, column, side), each as bright."""
    image = np.zeros((planes, 200, 300), np.uint8)
    for number, (row, col, side) in enumerate(boxes):
        image[:, row : row + side, col : col + side] = 200 - 10 * number
    return image


def opened(image: np.ndarray, model: Model, plane: int) -> Session:
    """Return a session in which every object is known on one plane."""
    labels = np.zeros(image.shape, np.uint16)
    for number, value in enumerate(np.unique(image[image > 0]), 1):
        labels[plane][image[plane] == value] = number
    return Session(
        image,
        axes="ZYX",
        contrast_limits=(0, 255),
        labels=labels,
        segmenter=model,  # type: ignore[arg-type]
    )


def test_small_objects_are_followed_in_the_finest_tiles_each_encoded_once(model: Model) -> None:
    image = squares(7, (19, 29, 6), (20, 36, 6), (150, 250, 8))
    session = opened(image, model, 3)
    session.propagate([1, 2, 3])
    np.testing.assert_array_equal(session.labels > 0, image > 0)
    assert len(np.unique(session.labels)) == 4
    # Two of them share a tile on each of the six planes.
    assert model.pictures == [(32, 32)] * 12


def test_of_a_large_plane_only_the_tiles_are_read(model: Model) -> None:
    image = squares(5, (100, 100, 6))
    reads = []

    class Counting:
        shape, dtype, ndim = image.shape, image.dtype, 3

        def __getitem__(self, key):
            part = image[key]
            reads.append(part.size)
            return part

    session = opened(image, model, 2)
    session.planes.image = Counting()
    session.propagate(1)
    np.testing.assert_array_equal(session.labels > 0, image > 0)
    assert set(reads) == {32 * 32}


def test_an_object_that_outgrows_its_tile_is_seen_in_a_coarser_one(model: Model) -> None:
    image = squares(8, (60, 60, 6))
    for plane, side in ((4, 10), (5, 16), (6, 26), (7, 44)):
        image[plane, 60 : 60 + side, 60 : 60 + side] = 200
    session = opened(image, model, 3)
    session.propagate(1)
    np.testing.assert_array_equal(session.labels > 0, image > 0)
    assert (32, 32) in model.pictures
    assert (64, 64) in model.pictures
    assert all(not label for label in session.labels[7, 110:].ravel())


def test_an_object_that_wanders_is_handed_from_tile_to_tile(model: Model) -> None:
    image = np.zeros((30, 200, 300), np.uint8)
    for z in range(30):
        image[z, 90:98, 20 + 2 * z : 30 + 2 * z] = 200
    session = opened(image, model, 0)
    session.propagate(1)
    np.testing.assert_array_equal(session.labels > 0, image > 0)


def test_a_gap_is_filled_though_its_ends_lie_in_different_tiles(model: Model) -> None:
    image = np.zeros((25, 200, 300), np.uint8)
    for z in range(25):
        image[z, 90:98, 20 + 2 * z : 30 + 2 * z] = 200
    labels = np.zeros(image.shape, np.uint16)
    labels[[0, 24]] = image[[0, 24]] > 0
    session = Session(
        image,
        axes="ZYX",
        contrast_limits=(0, 255),
        labels=labels,
        segmenter=model,  # type: ignore[arg-type]
    )
    session.propagate(1)
    np.testing.assert_array_equal(session.labels > 0, image > 0)


def test_the_bundled_model_follows_what_it_could_not_see_in_the_whole_plane() -> None:
    """Discs of 14 pixels on planes of 1100: six pixels in a picture of the whole plane."""
    rng = np.random.default_rng(0)
    truth = np.zeros((3, 1100, 1100), bool)
    y, x = np.indices(truth.shape[1:], dtype=np.float32)
    for z in range(3):
        truth[z] = (y - 700 - z) ** 2 + (x - 900 + z) ** 2 <= 7**2
    noise = rng.normal(0, 6, truth.shape[1:])
    image = np.clip(40 + noise + 120 * truth, 0, 255).astype(np.uint8)
    session = Session(image, axes="ZYX", segmenter=Segmenter("samari-tiny"))
    session.add_box((0, 692.5, 892.5), (0, 707.5, 907.5))
    (label,) = session.accept()
    session.propagate(label)
    ours = session.labels == label
    assert np.count_nonzero(ours & truth) > 0.5 * np.count_nonzero(ours | truth)
