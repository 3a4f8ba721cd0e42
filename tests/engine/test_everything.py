"""Everything-mode of a session, on a scene whose objects are known and on a random model."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from samari.engine.candidates import Thresholds
from samari.engine.everything import planes_of
from samari.engine.everything_plane import grid, stability_of
from samari.engine.frames import FrameRule
from samari.engine.masks import masks_of
from samari.engine.planes import ImagePlanes, PlaneIndex
from samari.engine.predict import Segmenter
from samari.engine.prediction import Prediction
from samari.engine.session import Session
from samari.errors import Cancelled, InputError, LabelsError
from samari.sam import SamConfig

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

SHAPE = (48, 64)
#: Where the logits of a mask are the pixels of the plane.
CONFIG = SamConfig.from_dict(
    {
        "vision_config": {"image_size": 64, "patch_size": 4},
        "prompt_encoder_config": {"image_size": 64, "patch_size": 4, "image_embedding_size": 16},
        "samari": {"pad": False, "upscale": False},
    }
)
LOOSE = {"min_score": 0.0, "min_stability": 0.0, "min_size": 1, "max_size": 64 * 48}


@dataclass
class SceneSegmenter:
    """Finds what is bright: a click in an object gives the object, its core and nothing."""

    model_name: str = "scene"
    model_hash: str = "5ce4e"
    picture_size: int = 1 << 20
    zoom_size: int = 0
    device: str = "cpu"
    model: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(config=CONFIG))
    encoded: int = 0
    largest_batch: int = 0

    def encode_steps(
        self, rgb: NDArray[np.uint8]
    ) -> Generator[tuple[int, int], None, NDArray[np.uint8]]:
        self.encoded += 1
        for block in (1, 2):
            yield block, 2
        return rgb

    def predict_prompts(self, embedding, prompts):
        return self.predict_many(embedding, [prompts], None)[0]

    def predict_many(self, embedding, prompts, multimask):
        self.largest_batch = max(self.largest_batch, len(prompts))
        return [self._answer(embedding[..., 0], prompt) for prompt in prompts]

    @staticmethod
    def _answer(grey: NDArray[np.uint8], prompt) -> Prediction:
        y, x = np.round(prompt.points[0]).astype(int)
        value = grey[y, x]
        whole = (grey == value) & (value > 0)
        core = whole.copy()
        core[1:] &= whole[:-1]
        core[:-1] &= whole[1:]
        logits = np.stack(
            [np.where(mask, 4.0, -4.0) for mask in (core, whole, np.zeros_like(whole))]
        ).astype(np.float32)
        scores = np.array([0.6, value / 255, 0.1], np.float32)
        choice = prompt.choice(0)
        return Prediction.of(logits > 0, scores, logits, 1 if choice is None else choice)


def scene(*corners, side=9):
    """An image (48, 64) with a square of its own brightness, from 255 down, at every corner."""
    image = np.zeros(SHAPE, np.uint8)
    for k, (y, x) in enumerate(corners):
        image[y : y + side, x : x + side] = 255 - 5 * k
    return image


def session_of(image, **options):
    return Session(image, segmenter=SceneSegmenter(), contrast_limits=(0, 255), **options)


def finish(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


MANY = [(y, x) for y in (2, 18, 34) for x in (2, 17, 32, 47)]


@pytest.mark.parametrize("corners", [[], [(5, 5)], MANY])
def test_none_one_and_many_objects_are_found(corners):
    """Trap 18."""
    session = session_of(scene(*corners))
    labels = session.segment_everything(points_per_side=16)
    assert labels == list(range(1, len(corners) + 1))
    expected = np.zeros(SHAPE)
    for k, (y, x) in enumerate(corners, 1):
        expected[y : y + 9, x : x + 9] = k
    np.testing.assert_array_equal(session.labels, expected)
    assert sorted(session.objects) == labels
    assert session.history.can_undo == bool(corners)


def test_labels_that_are_there_are_neither_cleared_nor_overwritten():
    """Trap 27: objects of other tools, accepted objects, hand-painted pixels, pending prompts."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[0:4, 0:20] = 9  # touches the first object
    session = session_of(scene(*MANY), labels=labels)
    session.add_point((20, 20))
    assert session.accept() == [10]
    labels[36, 4:8] = 77  # painted by hand on an object
    session.record_edit(lambda: None, lambda: None)
    session.add_point((45, 60))
    pending, before = session.pending, labels.copy()
    new = session.segment_everything(points_per_side=16)
    assert new == list(range(78, 78 + len(new)))
    assert len(new) >= len(MANY) - 3
    held = before > 0
    np.testing.assert_array_equal(session.labels[held], before[held])
    assert set(np.unique(session.labels[~held])) == {0, *new}
    assert session.pending == pending
    again = session.segment_everything(points_per_side=16)
    assert again == []


def test_one_undo_takes_all_back_and_redo_brings_all_again():
    session = session_of(np.stack([scene(*MANY)] * 3), axes="ZYX")
    session.add_point((1, 4, 4))
    session.accept()
    before, objects, steps = session.labels.copy(), dict(session.objects), len(session.history)
    new = session.segment_everything(points_per_side=16)
    assert len(new) == 3 * len(MANY) - 1
    after, all_objects = session.labels.copy(), dict(session.objects)
    assert len(session.history) == steps + 1
    session.undo()
    np.testing.assert_array_equal(session.labels, before)
    assert dict(session.objects) == objects
    session.redo()
    np.testing.assert_array_equal(session.labels, after)
    assert dict(session.objects) == all_objects
    session.undo()
    assert session.segment_everything(points_per_side=16) == new


def test_an_object_keeps_the_point_it_was_found_at_and_opens_again():
    """Trap 4."""
    session = session_of(scene((5, 5), (20, 40)))
    session.segment_everything(points_per_side=16)
    record = session.objects[2]
    (part,) = record.parts
    assert (record.model, record.model_hash) == ("scene", "5ce4e")
    assert record.contrast_limits == (0, 255)
    assert part.score == pytest.approx(250 / 255)
    (point,) = part.prompts.points
    y, x = np.round(point).astype(int)
    assert session.labels[y, x] == 2
    before = session.labels.copy()
    session.reopen(2)
    assert session.accept() == [2]
    np.testing.assert_array_equal(session.labels, before)


def test_one_plane_several_and_all_planes_of_a_stack():
    image = np.stack([scene((5, 5)), scene(), scene((5, 5), (20, 20)), scene((30, 30))])
    session = session_of(image, axes="ZYX")
    assert session.segment_everything((2,), points_per_side=16) == [1, 2]
    assert np.unique(np.nonzero(session.labels)[0]).tolist() == [2]
    session.undo()
    planes = [PlaneIndex("YX", (0,)), (3,)]
    assert session.segment_everything(planes, points_per_side=16) == [1, 2]
    assert np.unique(np.nonzero(session.labels)[0]).tolist() == [0, 3]
    session.undo()
    assert session.segment_everything(points_per_side=16) == [1, 2, 3, 4]
    assert [session.objects[k].parts[0].plane.index for k in (1, 2, 3, 4)] == [
        (0,),
        (2,),
        (2,),
        (3,),
    ]


def test_planes_of_another_view_are_segmented_too():
    image = np.zeros((48, 6, 64), np.uint8)
    image[:, 3] = scene((5, 5), (20, 20))
    session = session_of(image, axes="ZYX")
    session.view = "ZX"
    assert session.segment_everything((3,), points_per_side=16) == [1, 2]
    np.testing.assert_array_equal(session.labels > 0, image > 0)


@pytest.mark.parametrize(
    "thresholds",
    [
        {"min_score": 0.5},
        {"min_score": 0.9, "overlap": 0.0},
        {"min_size": 64, "overlap": 1.0},
        {"max_size": 70, "min_score": 0.0},
        {"min_stability": 1.0},
    ],
)
def test_filtering_again_is_as_a_fresh_run_and_asks_no_model(thresholds):
    """Of a scene with wholes and parts, without another look at the image."""
    session = session_of(scene(*MANY))
    found = finish(session.everything_steps(points_per_side=16))
    session.filter_everything(found, Thresholds(**LOOSE))
    model = session.segmenter
    model.predict_many = None
    labels = session.accept_everything(found, Thresholds(**thresholds))
    fresh = session_of(scene(*MANY))
    assert labels == fresh.segment_everything(points_per_side=16, **thresholds)
    np.testing.assert_array_equal(session.labels, fresh.labels)
    assert dict(session.objects) == dict(fresh.objects)


def test_filtering_again_is_as_a_fresh_run_with_a_network(tiny_model_folder):
    image = np.random.default_rng(2).random((40, 56))
    segmenter = Segmenter(tiny_model_folder, device="cpu")
    session = Session(image, segmenter=segmenter)
    found = finish(session.everything_steps(points_per_side=6))
    scores = found.planes[0].scores
    counts = set()
    for min_score in (0.0, *np.quantile(scores, [0.3, 0.8]).tolist()):
        limits = {**LOOSE, "min_score": min_score, "overlap": 0.3}
        session.accept_everything(found, Thresholds(**limits))
        fresh = Session(image, segmenter=segmenter)
        fresh.segment_everything(points_per_side=6, **limits)
        np.testing.assert_array_equal(session.labels, fresh.labels)
        counts.add(len(fresh.objects))
        session.undo()
    assert len(counts) > 1


def test_what_is_shown_is_what_is_accepted():
    session = session_of(scene(*MANY))
    found = finish(session.everything_steps(points_per_side=16))
    (selection,) = session.filter_everything(found, Thresholds(min_score=0.9))
    session.accept_everything(found, Thresholds(min_score=0.9))
    np.testing.assert_array_equal(session.labels, selection.draw())
    assert 0 < len(selection) < len(MANY)


def test_cancelling_changes_nothing_and_the_session_goes_on():
    """Trap 31: in the encoder, between the points and on a later plane."""
    session = session_of(np.stack([scene(*MANY)] * 2), axes="ZYX")
    reports = []
    session.segment_everything(points_per_side=8, progress=lambda *step: reports.append(step))
    session.undo()
    for stop in (1, 4, len(reports) - 2):
        asked = iter(range(1, len(reports) + 1))
        with pytest.raises(Cancelled, match="nothing was changed"):
            session.segment_everything(
                points_per_side=8, cancel=lambda n=asked, s=stop: next(n) == s
            )
        assert not session.labels.any()
        assert len(session.history) == 0
    session.add_point((0, 4, 4))
    assert session.accept() == [1]
    assert len(session.segment_everything(points_per_side=16)) == 2 * len(MANY) - 1


def test_steps_that_are_dropped_half_way_leave_the_session_usable():
    session = session_of(scene((5, 5)))
    steps = session.everything_steps(points_per_side=8)
    next(steps)
    steps.close()
    assert session.segment_everything(points_per_side=16) == [1]


def test_progress_rises_to_the_total():
    session = session_of(np.stack([scene((5, 5))] * 2), axes="ZYX")
    reports = list(session.everything_steps(points_per_side=8))
    totals = {total for _, total in reports}
    assert len(totals) == 1
    assert [done for done, _ in reports] == sorted({done for done, _ in reports})
    assert reports[-1][0] == totals.pop()


def test_hundreds_of_points_go_through_the_decoder_few_at_a_time():
    session = session_of(scene(*MANY))
    finish(session.everything_steps(points_per_side=32))
    assert 0 < session.segmenter.largest_batch <= 64


def test_a_model_changed_meanwhile_is_not_named_as_the_origin():
    session = session_of(scene((5, 5)))
    found = finish(session.everything_steps(points_per_side=16))
    session.segmenter = SceneSegmenter(model_name="another")
    assert session.accept_everything(found) == [1]
    assert session.objects[1].model == "scene"


def test_ids_outgrow_the_dtype_or_nothing_is_changed(tmp_path):
    """Trap 23: twelve objects beside label 250."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[47, 63] = 250
    session = session_of(scene(*MANY), labels=labels)
    assert session.segment_everything(points_per_side=16)[-1] == 262
    assert session.labels.dtype == np.uint16
    on_disk = np.memmap(tmp_path / "labels", np.uint8, "w+", shape=SHAPE)
    on_disk[47, 63] = 250
    before = np.array(on_disk)
    refused = session_of(scene(*MANY), labels=on_disk)
    with pytest.raises(LabelsError, match="256"):
        refused.segment_everything(points_per_side=16)
    np.testing.assert_array_equal(on_disk, before)
    assert len(refused.objects) == 0


def test_listeners_hear_of_many_objects_once():
    session = session_of(np.stack([scene(*MANY)] * 3), axes="ZYX")
    events = []
    session.connect(events.append)
    session.segment_everything(points_per_side=16)
    assert [event.kind for event in events] == ["labels", "objects", "history"]
    assert events[0].slices == (slice(0, 3), slice(2, 43), slice(2, 56))


def test_planes_that_are_not_there_are_refused():
    session = session_of(np.zeros((3, *SHAPE), np.uint8), axes="ZYX")
    with pytest.raises(InputError, match="z from 0 to 2"):
        session.segment_everything((3,))
    with pytest.raises(InputError, match="z from 0 to 2"):
        session.segment_everything([])
    with pytest.raises(InputError, match="z from 0 to 2"):
        session.segment_everything(3)
    with pytest.raises(InputError, match=r"whole number, not 0\.5"):
        session.segment_everything(0.5)
    with pytest.raises(InputError, match="points_per_side=0"):
        session.segment_everything(points_per_side=0)
    assert session.segmenter.encoded == 0


def test_a_series_of_stacks_has_a_plane_for_every_index():
    planes = ImagePlanes(np.zeros((2, 3, 8, 8)), "TZYX")
    every = planes_of(planes, "YX", None)
    assert [plane.index for plane in every] == [(t, z) for t in (0, 1) for z in (0, 1, 2)]
    assert [p.index for p in planes_of(planes, "YX", [(1, 2), (1, 2), (0, 0)])] == [(1, 2), (0, 0)]
    with pytest.raises(InputError, match="t from 0 to 1, z from 0 to 2"):
        planes_of(planes, "YX", 1)


@pytest.mark.parametrize("number", [1, np.int64(1)])
def test_a_plane_of_a_stack_is_named_by_its_number(number):
    image = np.stack([scene(), scene((5, 5)), scene((20, 30))])
    session = session_of(image, axes="ZYX")
    (label,) = session.segment_everything(number, points_per_side=16)
    assert session.objects[label].parts[0].plane == PlaneIndex("YX", (1,))
    found = finish(session.everything_steps(number, points_per_side=16))
    assert [len(each.shape) for each in session.filter_everything(found, plane=number)] == [2]
    assert session.filter_everything(found, plane=(2,)) == []


def test_points_lie_evenly_on_the_plane():
    points, levels = grid((6, 12), 3)
    assert not levels.any()
    assert sorted(set(points[:, 0])) == [0.5, 2.5, 4.5]
    assert sorted(set(points[:, 1])) == [1.5, 5.5, 9.5]
    np.testing.assert_array_equal(points[0], [0.5, 1.5])


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (1, 1), (5, 3)])
def test_a_thin_plane_has_no_more_than_a_point_a_pixel(shape, tiny_model_folder):
    """Trap 20."""
    points, _ = grid(shape, 4)
    assert len(points) == min(4, shape[0]) * min(4, shape[1])
    session = Session(np.zeros(shape), segmenter=Segmenter(tiny_model_folder, device="cpu"))
    session.segment_everything(points_per_side=4, **{**LOOSE, "max_size": 99})
    assert session.labels.shape == shape


def test_stability_is_that_of_the_reference_in_full_size():
    torch = pytest.importorskip("torch")
    from samari.sam.masks import stability_scores

    frame = FrameRule(64, 8).frame((100, 60))
    rng = np.random.default_rng(3)
    for _ in range(5):
        logits = rng.normal(0, 2, frame.logits_shape).astype(np.float32)
        assert masks_of(logits[None], frame)[1] != [None]
        full = torch.nn.functional.interpolate(
            torch.from_numpy(logits)[None, None], frame.padded_shape, mode="bilinear"
        )[..., : frame.input_shape[0], : frame.input_shape[1]]
        full = torch.nn.functional.interpolate(full, frame.plane_shape, mode="bilinear")
        wanted = float(stability_scores(full[0, 0], 0.0, 1.0))
        assert stability_of(logits, frame) == pytest.approx(wanted, abs=2e-3)
