"""Mask prompts on a plane of 50,000 x 50,000 pixels cost what they cost on a small one."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from samari.engine.journal import read_journal
from samari.engine.labels import LabelStore
from samari.engine.planes import PlaneIndex
from samari.engine.prediction import Prediction
from samari.engine.prompts import PlanePrompts
from samari.engine.session import Session
from samari.engine.tiles import TilePyramid

if TYPE_CHECKING:
    from samari.engine.plane_mask import PlaneMask

SIDE = 50_000
#: Where an object of a plane of 400 pixels lies on the large one.
AWAY = (31_000, 42_500)
OUTLINE = np.array([(100.5, 120.25), (98, 180), (160, 170.5), (130, 150), (150, 110)])
#: Memory at most, in MB; the plane of a mask would take 2500.
LITTLE = 8


@dataclass
class Echo:
    """Answers with the mask prompt itself, as the decoder takes it: on the tile."""

    model_name: str = "echo"
    model_hash: str = "ec40"
    picture_size: int = 512
    zoom_size: int = 0
    asked: list[PlanePrompts] = field(default_factory=list)

    def encode_steps(self, rgb, plane_shape=None):
        yield 1, 1
        return plane_shape or rgb.shape[:2]

    def predict_prompts(self, embedding, prompts, multimask=None):
        self.asked.append(prompts)
        prompts.check_fits(embedding)
        masks = np.asarray(prompts.mask)[None]
        return Prediction.of(masks, np.ones(1, np.float32), np.zeros((1, 1, 1), np.float32), 0)


def session_of(side: int, **options) -> Session:
    image = np.broadcast_to(np.uint8(7), (side, side))
    return Session(image, segmenter=Echo(), contrast_limits=(0, 255), **options)


@pytest.fixture
def large():
    """Return a session on the large plane; its labels are on disk."""
    pytest.importorskip("zarr")
    return session_of(SIDE)


@pytest.fixture
def little(figure):
    """Call a function; fail if that takes much memory at any time. Return what it returns."""

    def call(name, function, *arguments):
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            result = function(*arguments)
            peak = (tracemalloc.get_traced_memory()[1] - before) / 1e6
        finally:
            tracemalloc.stop()
        figure(f"memory of {name}", peak, "MB")
        assert peak < LITTLE
        return result

    return call


def prompts_of(session: Session) -> PlanePrompts:
    return session.pending[-1].newest.prompts


def moved(box: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(value - AWAY[i % 2] for i, value in enumerate(box))


def same_elsewhere(far: PlaneMask, near: PlaneMask) -> None:
    assert far.shape == (SIDE, SIDE)
    assert moved(far.box) == near.box
    np.testing.assert_array_equal(far.crop, near.crop)


def test_a_polygon_is_asked_and_answered_as_on_a_small_plane(large, little):
    small = session_of(400)
    small.add_polygon(OUTLINE)
    little("a polygon", large.add_polygon, OUTLINE + AWAY)
    same_elsewhere(prompts_of(large).mask, prompts_of(small).mask)
    assert moved(prompts_of(large).box) == prompts_of(small).box
    far, near = little("its answer", lambda: large.candidates), small.candidates
    assert moved(far.bbox(0)) == near.bbox(0)
    np.testing.assert_array_equal(far.crops[0], near.crops[0])
    assert far.tile.shape == (512, 512)
    assert little("accepting it", large.accept) == [1]


def test_an_outline_without_a_pixel_centre_and_a_polygon_over_the_edge(large, little):
    little("a thin outline", large.add_polygon, [(9e3, 9e3), (9e3 + 0.1, 9e3), (9e3, 9e3 + 0.1)])
    assert prompts_of(large).mask.box == (9000, 9000, 9001, 9001)
    corner = SIDE - 20
    little("one at the edge", large.add_polygon, [(corner, corner), (corner, 2e5), (2e5, corner)])
    assert prompts_of(large).mask.box == (corner, corner, SIDE, SIDE)


@pytest.mark.parametrize("view", ["whole", "named plane"])
def test_an_object_without_prompts_is_reopened_from_its_mask(large, little, view):
    small = session_of(400)
    drawn = np.random.default_rng(3).random((40, 60)) < 0.4
    plane = None if view == "whole" else PlaneIndex("YX")
    for session, corner in ((small, (100, 120)), (large, np.add((100, 120), AWAY))):
        session.brush(np.ones((50, 50), bool), 1, np.subtract(corner, 60))
        session.brush(drawn, 5, corner)
    small.reopen(5, plane)
    little("reopening", large.reopen, 5, plane)
    same_elsewhere(prompts_of(large).mask, prompts_of(small).mask)
    assert moved(prompts_of(large).box) == prompts_of(small).box
    assert little("accepting it", large.accept) == small.accept() == [5]
    y, x = AWAY
    np.testing.assert_array_equal(large.labels[y : y + 400, x : x + 400], small.labels[:])


def test_a_journal_and_a_script_hold_it_in_little_memory(tmp_path, little):
    pytest.importorskip("zarr")
    session = session_of(SIDE, journal=tmp_path / "a.jsonl")
    session.add_polygon(OUTLINE + AWAY)
    asked = prompts_of(session)
    little("accepting with a journal", session.accept)
    log = little("reading the journal", read_journal, tmp_path / "a.jsonl")
    ((_, step),) = log.entries
    assert step.objects[1].parts[0].prompts == asked
    assert step.pending[0].newest.prompts.mask == asked.mask
    image = np.broadcast_to(np.uint8(7), (SIDE, SIDE))
    again = Session.restore(tmp_path / "a.jsonl", image, segmenter=Echo(), resume=False)
    assert not isinstance(again.labels, np.ndarray)
    where = tuple(slice(at, at + 400) for at in AWAY)
    np.testing.assert_array_equal(again.labels[where], session.labels[where])
    assert (again.labels[where] == 1).any()
    script = little("the script", session.to_script)
    (line,) = (line for line in script.splitlines() if "PlaneMask(" in line)
    names = {}
    for imported in (one for one in script.splitlines() if one.startswith("from samari.engine")):
        exec(imported, names)
    obj = little("what it says", eval, line.strip().rstrip(","), names)
    assert obj.newest.prompts == asked


def test_the_tile_and_its_prompts_cost_little(little):
    prompts = PlanePrompts().with_polygon(OUTLINE + AWAY, (SIDE, SIDE))
    pyramid = TilePyramid((SIDE, SIDE), 512)
    tile = little("the tile", lambda: next(pyramid.for_prompts(prompts)))
    assert tile.shape == (512, 512)
    part = little("its part", prompts.within, tile.box)
    assert part.mask.shape == (512, 512)
    assert np.count_nonzero(part.mask.crop) == np.count_nonzero(prompts.mask.crop)
    top, left, _, _ = tile.box
    cut = prompts.within((AWAY[0] + 130, AWAY[1] + 140, SIDE, SIDE))
    assert cut.mask.box[:2] == (0, 0)
    assert part.mask.corner == (prompts.mask.corner[0] - top, prompts.mask.corner[1] - left)


def test_an_object_that_nobody_counted_is_looked_for_a_part_at_a_time(monkeypatch, little):
    monkeypatch.setattr("samari.engine.labels._SCAN_BYTES", 1 << 18)

    class Stack:
        """One plane of a stack, made when it is read."""

        shape, dtype, ndim = (3, 2000, 3000), np.dtype(np.uint16), 3

        def __getitem__(self, key):
            index = [np.arange(n)[k] for n, k in zip(self.shape, key, strict=True)]
            z, y, x = np.ix_(*index)
            return ((z == 1) & (abs(y - 700) < 9) & (abs(x - 900) < 5)).astype(np.uint16) * 6

        def __setitem__(self, key, value):
            raise AssertionError

    store = LabelStore(Stack())
    box = (slice(1, 2), slice(692, 709), slice(896, 905))
    assert little("searching a plane", store.extent, 6, (1,)) == box
    assert store.extent(6, (2,)) is None
    assert store.extent(6, (slice(None), slice(700, 2000))) == (box[0], slice(700, 709), box[2])
