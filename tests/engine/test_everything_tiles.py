"""Everything-mode of planes larger than the model's picture: in tiles, joined without seams."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from tests.engine.test_everything import CONFIG, SceneSegmenter

from samari.engine import everything
from samari.engine.everything_plane import Plan, grid
from samari.engine.frames import FrameRule
from samari.engine.prediction import Prediction
from samari.engine.session import Session
from samari.engine.tiles import TilePyramid
from samari.errors import InputError

SHAPE = (150, 200)


@dataclass
class TileSegmenter(SceneSegmenter):
    """Finds what is equally bright in its picture of 64 pixels; keeps their shapes."""

    picture_size: int = 64
    zoom_size: int = 0
    pictures: list[tuple[int, int]] = field(default_factory=list)

    def encode_steps(self, rgb, plane_shape=None):
        self.pictures.append(plane_shape or rgb.shape[:2])
        return (yield from super().encode_steps(rgb))

    def predict_prompts(self, embedding, prompts, multimask=None):
        return self.predict_many(embedding, [prompts], multimask)[0]

    @staticmethod
    def _answer(grey, prompt):
        answer = SceneSegmenter._answer(grey, prompt)
        shape = FrameRule.of(CONFIG).frame(grey.shape).logits_shape
        logits = np.full((3, *shape), 4, np.float32)
        return Prediction(
            answer.crops, answer.boxes, answer.scores, logits, answer.chosen, answer.shape
        )


def session_of(*boxes):
    """Return a session on squares (row, column, side), each of its own brightness."""
    image = np.zeros(SHAPE, np.uint8)
    for number, (row, col, side) in enumerate(boxes):
        image[row : row + side, col : col + side] = 255 - 2 * number
    return Session(image, segmenter=TileSegmenter(), contrast_limits=(0, 255)), image


def test_small_objects_of_a_large_plane_are_found_in_tiles():
    rng = np.random.default_rng(0)
    corners = [(y, x) for y in range(2, 140, 20) for x in range(2, 190, 30)]
    session, image = session_of(*((y, x, int(rng.integers(6, 10))) for y, x in corners))
    labels = session.segment_everything(points_per_side=16)
    assert len(labels) == len(corners)
    np.testing.assert_array_equal(session.labels > 0, image > 0)
    for label in labels:
        assert len(np.unique(image[session.labels == label])) == 1
    # Every tile once; nothing reached an edge of all that hold it, so no coarser one was needed.
    finest = TilePyramid(SHAPE, 64).tiles(0)
    assert session.segmenter.pictures[: len(finest)] == [tile.shape for tile in finest]


def test_an_object_larger_than_its_tile_is_found_whole_and_once():
    session, image = session_of((20, 30, 100), (5, 5, 8))
    assert len(session.segment_everything(points_per_side=16, max_size=20_000)) == 2
    np.testing.assert_array_equal(session.labels > 0, image > 0)
    coarser = [shape for shape in session.segmenter.pictures if shape != (64, 64)]
    assert (128, 128) in coarser


def test_an_object_opens_again_as_it_was_found():
    session, _ = session_of((20, 30, 100), (5, 5, 8), (130, 180, 9), (60, 150, 30))
    labels = session.segment_everything(points_per_side=16, max_size=20_000)
    assert len(labels) == 4
    before = session.labels.copy()
    for label in labels:
        session.reopen(label)
        assert session.accept() == [label]
    np.testing.assert_array_equal(session.labels, before)


def test_progress_rises_to_the_total():
    session, _ = session_of((20, 30, 100), (5, 5, 8))
    reports = list(session.everything_steps(points_per_side=16))
    assert len({total for _, total in reports}) == 1
    done = [done for done, _ in reports]
    assert done == sorted(done)
    assert reports[-1][0] == reports[-1][1]


def test_points_are_as_dense_in_every_tile_and_fewer_on_coarse_levels():
    points, levels = grid((1000, 3000), 16, 500)
    assert len(points) == 32 * 96
    counts = [np.count_nonzero(levels >= level) for level in range(4)]
    assert counts == [3072, 768, 192, 48]
    plan = Plan((1000, 3000), 500, 16)
    assert sum(len(numbers) for _, numbers in plan.rounds) == sum(counts)
    assert len({tile for tile, _ in plan.rounds}) == len(plan.rounds)
    for tile, numbers in plan.rounds:
        low, high = np.array(tile.box[:2]) - 0.5, np.array(tile.box[2:]) - 0.5
        assert np.all((plan.points[numbers] >= low) & (plan.points[numbers] < high))


@pytest.mark.parametrize("shape", [(3, 1000), (1000, 1)])
def test_thin_planes_are_asked_on_every_level(shape):
    """Trap 20."""
    plan = Plan(shape, 64, 8)
    assert {tile.level for tile, _ in plan.rounds} == set(range(plan.pyramid.top + 1))


def test_a_plane_that_cannot_be_chosen_on_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(everything, "MAX_PLANE", 10_000)
    session, _ = session_of((5, 5, 8))
    with pytest.raises(InputError, match=r"150 x 200 pixels .* at most 100 x 100"):
        session.everything_steps()
    assert not session.segmenter.pictures
