"""The model's side of a propagation: the bundled model on a generated stack."""

from __future__ import annotations

import numpy as np
import pytest

from samari.engine.planes import ImagePlanes, PlaneIndex
from samari.engine.predict import Segmenter
from samari.engine.regions import Region
from samari.engine.scenes import Scenes
from samari.engine.session import Session
from samari.engine.steps import result_of
from samari.engine.tracking import Tracker


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter("samari-tiny")


@pytest.fixture(scope="module")
def stack() -> tuple[np.ndarray, np.ndarray]:
    """A ball and an egg on noise, and the truth."""
    rng = np.random.default_rng(0)
    z, y, x = np.indices((9, 64, 96))
    truth = np.zeros(z.shape, np.uint8)
    truth[((z - 4) / 3.4) ** 2 + ((y - 30) / 14) ** 2 + ((x - 26) / 14) ** 2 <= 1] = 1
    truth[((z - 4) / 4.0) ** 2 + ((y - 34) / 11) ** 2 + ((x - 68) / 17) ** 2 <= 1] = 2
    image = 30 + 120 * (truth > 0) + rng.normal(0, 6, truth.shape)
    return np.clip(image, 0, 255).astype(np.uint8), truth


def test_each_object_of_many_is_followed_as_if_it_were_alone(
    segmenter: Segmenter, stack: tuple[np.ndarray, np.ndarray]
) -> None:
    """Trap 15."""
    image, truth = stack
    scenes = Scenes(ImagePlanes(image, "ZYX"), segmenter, "YX")
    here, there = PlaneIndex("YX", (4,)), PlaneIndex("YX", (5,))
    tile = scenes.pyramid.whole
    scene = result_of(scenes.encoded(there, tile, hold=False))
    tracker = Tracker(segmenter)
    steps = [
        tracker.start(region, scenes.contrast(here, tile, region), tile)
        for label in (1, 2)
        if (region := Region.of(truth[4] == label)) is not None
    ]
    together = tracker.follow(scene, [*steps, *steps, steps[0]])
    for label, step, found in zip(
        (1, 2, 1, 2, 1), [*steps, *steps, steps[0]], together, strict=True
    ):
        (alone,) = tracker.follow(scene, [step])
        assert found is not None
        assert alone is not None
        assert found.region.overlap(alone.region) > 0.99
        wanted = Region.of(truth[5] == label)
        assert wanted is not None
        assert found.region.overlap(wanted) > 0.7
        assert found.contrast.difference > 50


def test_the_bundled_model_finds_round_objects_from_one_box_each(
    segmenter: Segmenter, stack: tuple[np.ndarray, np.ndarray]
) -> None:
    image, truth = stack
    session = Session(image, axes="ZYX", segmenter=segmenter)
    for y0, x0, y1, x1 in ((15.5, 11.5, 44.5, 40.5), (22.5, 50.5, 45.5, 85.5)):
        session.add_box((4, y0, x0), (4, y1, x1))
        session.accept()
    report = session.propagate([1, 2])
    for label in (1, 2):
        ours, wanted = session.labels == label, truth == label
        assert np.count_nonzero(ours & wanted) > 0.7 * np.count_nonzero(ours | wanted)
        assert all(0 < value <= 1 for value in report.confidence[label].values())
        assert session.objects[label].score == min(
            *report.confidence[label].values(), session.objects[label].parts[0].score
        )
