"""Through a stack: a stand-in for the model that finds what is as bright as the prompted place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.engine.bright import Model, ScoredTracker, stack

from samari.engine.objects import ObjectPart
from samari.engine.planes import PlaneIndex
from samari.engine.prompts import PlanePrompts
from samari.engine.propagate import Limits
from samari.engine.session import Session
from samari.errors import Cancelled, InputError


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setattr("samari.engine.tracking.Tracker", ScoredTracker)
    return Model()


def opened(image: Any, model: Model, *masks: tuple[int, int, slice, slice]) -> Session:
    """A session with labels drawn by (label, plane, rows, columns)."""
    labels = np.zeros(image.shape, np.uint16)
    for label, index, rows, columns in masks:
        labels[index, rows, columns] = label
    return Session(
        image,
        axes="TZYX"[-image.ndim :],
        contrast_limits=(0, 255),
        labels=labels,
        segmenter=model,  # type: ignore[arg-type]
    )


LEFT, RIGHT, ROWS = slice(4, 12), slice(18, 26), slice(4, 12)


def planes_of(session: Session, label: int) -> list[int]:
    return np.flatnonzero((session.labels == label).any(axis=(1, 2))).tolist()


def test_an_object_is_followed_both_ways_until_it_ends(model: Model) -> None:
    session = opened(stack(), model, (1, 5, ROWS, LEFT))
    report = session.propagate(1)
    np.testing.assert_array_equal(session.labels == 1, stack() == 200)
    assert sorted(report.confidence[1]) == [2, 3, 4, 6, 7, 8, 9]
    assert all(value == pytest.approx(0.9) for value in report.confidence[1].values())
    assert report.ended[1] == {1: "lost", 10: "lost"}
    assert report.planes == 7
    parts = session.objects[1].parts
    assert [part.plane.index for part in parts] == [(2,), (3,), (4,), (6,), (7,), (8,), (9,)]
    session.undo()
    assert planes_of(session, 1) == [5]
    assert 1 not in session.objects
    session.redo()
    np.testing.assert_array_equal(session.labels == 1, stack() == 200)


def test_every_plane_is_encoded_once_however_many_objects(model: Model) -> None:
    image = stack()
    session = opened(image, model, (1, 5, ROWS, LEFT), (2, 3, ROWS, RIGHT))
    session.propagate([1, 2])
    np.testing.assert_array_equal(session.labels == 1, image == 200)
    np.testing.assert_array_equal(session.labels == 2, image == 100)
    assert sorted(model.encoded) == list(range(1, 11))


def test_a_plane_that_objects_are_known_on_is_read_once_for_all(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(stack(), model, (1, 5, ROWS, LEFT), (2, 5, ROWS, RIGHT))
    read: list[int] = []
    whole = session.planes.rgb_plane
    monkeypatch.setattr(
        session.planes,
        "rgb_plane",
        lambda plane, *part: (read.append(plane.index[0]), whole(plane, *part))[1],
    )
    session.propagate([1, 2])
    assert sorted(read) == list(range(1, 11))


def test_only_planes_on_the_way_are_read_and_the_range_is_kept(model: Model) -> None:
    session = opened(stack(), model, (1, 5, ROWS, LEFT))
    session.propagate(1, range=(4, 8))
    assert planes_of(session, 1) == [4, 5, 6, 7]
    assert sorted(model.encoded) == [4, 6, 7]
    session.propagate(1, range=range(2, 5))
    assert planes_of(session, 1) == [2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("change", "reason"),
    [("score", "score"), ("area", "area"), ("overlap", "overlap"), ("contrast", "contrast")],
)
def test_it_stops_by_score_area_and_overlap(model: Model, change: str, reason: str) -> None:
    image = stack()
    if change == "score":
        model.scores[7] = 0.05
    elif change == "area":
        image[7, 4:23, 4:16] = 200
    elif change == "contrast":
        image[7] = 170
        image[7, 4:12, 4:12] = 200
        image[7, 0, 0] = 7
    else:
        image[7] = 0
        image[7, 6:14, 6:14] = 200
        image[7, 0, 0] = 7
    session = opened(image, model, (1, 5, ROWS, LEFT))
    report = session.propagate(1, limits=Limits(min_overlap=0.5))
    assert planes_of(session, 1) == [2, 3, 4, 5, 6]
    assert report.ended[1][7] == reason


def test_a_lone_negative_point_is_a_stop_sign(model: Model) -> None:
    session = opened(stack(), model, (1, 5, ROWS, LEFT))
    session.propagate(1)
    sign = ObjectPart(PlaneIndex("YX", (8,)), PlanePrompts(((6, 6),), (0,)), 0, 0.0)
    with session._change("test") as change:
        record = session.objects[1]
        kept = tuple(part for part in record.parts if part.plane != sign.plane)
        change.records[1] = replace(record, parts=(*kept, sign))
        change.relabel(1, 0, (8,))
    report = session.propagate(1)
    assert report.ended[1][8] == "stop sign"
    assert planes_of(session, 1) == [2, 3, 4, 5, 6, 7]


def test_a_gap_is_filled_from_both_ends(model: Model) -> None:
    """A slanted column: what comes from either end is joined, and the ends stay as they are."""
    image = np.zeros((9, 24, 40), np.uint8)
    for z in range(9):
        image[z, 4:12, 4 + 2 * z : 14 + 2 * z] = 200
        image[z, 0, 0] = z
    session = opened(image, model, (1, 1, ROWS, slice(6, 16)), (1, 7, ROWS, slice(18, 28)))
    report = session.propagate(1, range=(1, 8))
    np.testing.assert_array_equal(session.labels[1:8] == 1, image[1:8] == 200)
    assert sorted(report.confidence[1]) == [2, 3, 4, 5, 6]
    assert sorted(model.encoded) == [2, 3, 4, 5, 6]


def test_what_only_one_end_reaches_in_a_gap_is_filled_too(model: Model) -> None:
    image = stack()
    image[7] = 0  # seen from neither side
    image[7, 0, 0] = 7
    session = opened(image, model, (1, 4, ROWS, LEFT), (1, 9, ROWS, LEFT))
    session.propagate(1)
    assert planes_of(session, 1) == [2, 3, 4, 5, 6, 8, 9]


def test_painted_planes_are_anchors_and_stay_as_they_are(model: Model) -> None:
    session = opened(stack(), model, (1, 5, ROWS, LEFT))
    session.propagate(1)
    erased = np.zeros((1, 24, 32), bool)
    erased[0, 4:8] = True
    session.brush(erased & (session.labels[7:8] == 1), 0, (7, 0, 0))
    painted = session.labels[7].copy()
    session.propagate(1)
    np.testing.assert_array_equal(session.labels[7], painted)
    assert planes_of(session, 1) == list(range(2, 10))


def test_an_object_without_its_anchor_is_to_be_prompted_or_painted_first(model: Model) -> None:
    session = opened(stack(), model, (1, 5, ROWS, LEFT))
    session.propagate(1)
    whole = np.ones((1, 24, 32), bool)
    session.brush(whole, 0, (5, 0, 0))
    with pytest.raises(InputError, match=r"object 1 has no plane to start from.*prompt or paint"):
        session.propagate(1)
    session.brush(session.labels[6:7] == 1, 0, (6, 0, 0))
    session.brush(np.ones((1, 12, 8), bool), 1, (6, 6, 4))
    session.propagate(1)
    assert 6 in planes_of(session, 1)


def test_planes_that_are_not_reached_any_more_are_given_back(model: Model) -> None:
    session = opened(stack(), model, (1, 5, ROWS, LEFT))
    session.propagate(1)
    model.scores[8] = 0.0
    session.propagate(1)
    assert planes_of(session, 1) == [2, 3, 4, 5, 6, 7]
    session.undo()
    assert planes_of(session, 1) == list(range(2, 10))


def test_other_labels_keep_their_pixels(model: Model) -> None:
    session = opened(stack(), model, (1, 5, ROWS, LEFT), (7, 6, slice(4, 8), LEFT))
    session.propagate(1)
    assert (session.labels[6, 4:8, LEFT] == 7).all()
    assert (session.labels[6, 8:12, LEFT] == 1).all()


def test_cancelling_keeps_what_is_done_and_one_undo_takes_it_back(model: Model) -> None:
    """Trap 31."""
    session = opened(stack(), model, (1, 5, ROWS, LEFT))
    report = session.propagate(1, cancel=lambda: 7 in model.encoded)
    assert report.cancelled
    assert planes_of(session, 1) == [5, 6, 7]
    assert [part.plane.index for part in session.objects[1].parts] == [(6,), (7,)]
    report = session.propagate(1)
    assert planes_of(session, 1) == list(range(2, 10))
    session.undo()
    session.undo()
    assert planes_of(session, 1) == [5]


def test_undoing_it_while_it_runs_ends_it(model: Model) -> None:
    session = opened(stack(), model, (1, 5, ROWS, LEFT))
    run = session.plan_propagation(1)
    steps = session.propagation_steps(run)
    while not session.take_propagated(run):
        next(steps)
    session.undo()
    for _ in steps:
        pass
    with pytest.raises(Cancelled):
        session.take_propagated(run)
    assert session.finish_propagation(run).cancelled
    assert planes_of(session, 1) == [5]


def test_what_the_user_does_meanwhile_stays_a_step_of_its_own(model: Model) -> None:
    session = opened(stack(), model, (1, 5, ROWS, LEFT))
    run = session.plan_propagation(1)
    steps = session.propagation_steps(run)
    while not session.take_propagated(run):
        next(steps)
    session.brush(np.ones((1, 2, 2), bool), 9, (0, 20, 20))
    for _ in steps:
        session.take_propagated(run)
    session.finish_propagation(run)
    assert planes_of(session, 1) == list(range(2, 10))
    session.undo()
    assert planes_of(session, 9) == []
    assert planes_of(session, 1) == list(range(2, 10))
    session.undo()
    assert planes_of(session, 1) == [5]


def test_an_object_deleted_meanwhile_does_not_come_back(model: Model) -> None:
    session = opened(stack(), model, (1, 5, ROWS, LEFT))
    run = session.plan_propagation(1)
    steps = session.propagation_steps(run)
    while not session.take_propagated(run):
        next(steps)
    session.delete(1)
    for _ in steps:
        session.take_propagated(run)
    session.finish_propagation(run)
    assert planes_of(session, 1) == []


@pytest.mark.parametrize(("axis", "view"), [("Z", "YX"), ("Y", "ZX"), ("X", "ZY")])
def test_every_axis_can_be_gone_along(model: Model, axis: str, view: str) -> None:
    image = np.zeros((20, 22, 24), np.uint8)
    image[4:14, 5:15, 6:16] = 200
    session = opened(image, model)
    place = {"Z": 9, "Y": 10, "X": 11}
    index = tuple(place[a] if a == axis else slice(None) for a in "ZYX")
    session.labels[index][image[index] == 200] = 3
    session = Session(
        image, axes="ZYX", contrast_limits=(0, 255), labels=session.labels, segmenter=model
    )
    report = session.propagate(3, axis=axis)
    np.testing.assert_array_equal(session.labels == 3, image == 200)
    assert {part.plane.view for part in session.objects[3].parts} == {view}
    assert report.planes == 9


def test_a_time_series_of_stacks_is_gone_through_stack_by_stack(model: Model) -> None:
    image = np.stack([stack(), np.zeros_like(stack()), stack()])
    image[1, :, 0, 0] = np.arange(12)
    labels = np.zeros(image.shape, np.uint16)
    labels[0, 5, ROWS, LEFT] = labels[2, 4, ROWS, LEFT] = 1
    session = Session(image, axes="TZYX", contrast_limits=(0, 255), labels=labels, segmenter=model)
    session.propagate(1)
    np.testing.assert_array_equal(session.labels == 1, image == 200)
    told = [part.plane.index for part in session.objects[1].parts]
    assert told == [(0, z) for z in (2, 3, 4, 6, 7, 8, 9)] + [(2, z) for z in (2, 3, 5, 6, 7, 8, 9)]


def test_a_window_writes_and_finishes_it_in_small_parts(model: Model) -> None:
    image = stack()
    session = opened(image, model, (1, 5, ROWS, LEFT), (2, 5, ROWS, RIGHT))
    run = session.plan_propagation([1, 2])
    for _ in session.propagation_steps(run):
        pass
    assert len(run.arrived) == 14
    assert session.take_propagated(run, 0.0) == 1
    parts = sum(1 for _ in session.finishing_steps(run, 0.0))
    assert parts == 13
    np.testing.assert_array_equal(session.labels, (image == 200) + 2 * (image == 100))
    assert len(session.history) == 1
    session.undo()
    assert planes_of(session, 1) == planes_of(session, 2) == [5]


def test_what_does_not_fit_is_refused_by_name(model: Model) -> None:
    session = opened(stack(), model, (1, 5, ROWS, LEFT))
    with pytest.raises(InputError, match="no object 4"):
        session.propagate([1, 4])
    with pytest.raises(InputError, match="axis 'T' is not one of the axes of ZYX"):
        session.propagate(1, axis="T")
    for wanted in ((5, 5), (3, 40), range(0)):
        with pytest.raises(InputError, match="planes 0 to 11"):
            session.propagate(1, range=wanted)
    for wanted in (3, (1, 2, 3), "Z"):
        with pytest.raises(InputError, match=r"the one after the last, e\.g\. \(0, 12\)"):
            session.propagate(1, range=wanted)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"of the range must be a whole number, not 0\.5"):
        session.propagate(1, range=(0.5, 4))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="labels must be a sequence, not None"):
        session.propagate(None)  # type: ignore[arg-type]
    assert not session.history.can_undo


def test_two_objects_that_want_the_same_pixels_share_them(model: Model) -> None:
    image = stack()
    image[6:10, 4:12, 4:26] = 200  # the two run into one
    session = opened(image, model, (1, 5, ROWS, LEFT), (2, 5, ROWS, RIGHT))
    session.propagate([1, 2], limits=Limits(max_growth=10, min_overlap=0.1))
    assert not ((session.labels[6] == 1) & (session.labels[6] == 2)).any()
    assert (session.labels[6] > 0).sum() == 8 * 22


@pytest.mark.parametrize("axes", ["CZYX", "TCZYX"])
def test_only_the_chosen_channel_is_followed(model: Model, axes: str) -> None:
    """Trap 10."""
    image = np.stack([np.zeros_like(stack()), stack()])
    if "T" in axes:
        image = np.stack([np.zeros_like(image), image])
    bare = axes.replace("C", "")
    labels = np.zeros((*image.shape[: len(axes) - 4], *image.shape[-3:]), np.uint16)
    labels[(1, 5) if "T" in axes else 5][ROWS, LEFT] = 1
    session = Session(
        image, axes=axes, channel=1, contrast_limits=(0, 255), labels=labels, segmenter=model
    )
    session.propagate(1)
    found = session.labels[1] if "T" in axes else session.labels
    np.testing.assert_array_equal(found == 1, stack() == 200)
    assert np.count_nonzero(session.labels) == np.count_nonzero(found)
    assert session.planes.label_axes == bare
    assert session.objects[1].channel == 1
