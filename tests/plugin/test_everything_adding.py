"""What was found is added in parts of some milliseconds; it is one step all the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from samari.engine.candidates import PlaneCandidates, Thresholds, pack
from samari.engine.commit import Origin
from samari.engine.everything import Everything
from samari.engine.planes import PlaneIndex
from samari.plugin import everything_adding
from samari.plugin.activity import show_activity
from samari.plugin.everything_adding import Adding
from samari.plugin.everything_run import EverythingRun

if TYPE_CHECKING:
    from collections.abc import Callable


def squares(side: int, count: int, index: tuple[int, ...] = ()) -> PlaneCandidates:
    """Candidates on a plane of `side` pixels: `count` squares a row, as many rows, all good."""
    pitch = side // count
    inner = pitch - 2
    corners = [(y * pitch, x * pitch) for y in range(count) for x in range(count)]
    number = len(corners)
    return PlaneCandidates(
        plane=PlaneIndex("YX", index),
        shape=(side, side),
        points=np.array(corners, float) + inner // 2,
        candidates=np.zeros(number, np.int16),
        scores=np.full(number, 0.9, np.float32),
        stabilities=np.full(number, 0.9, np.float32),
        sizes=np.full(number, inner * inner),
        boxes=np.array([(y, x, y + inner, x + inner) for y, x in corners], np.int32),
        packed=(pack(np.ones((inner, inner), bool)),) * number,
    )


@pytest.fixture
def adding(annotated: Any, workshop: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Give `adding(image, *planes)`: a controller, and what adds these candidates to its labels.

    Every part writes a single object, so that there are many.
    """
    monkeypatch.setattr("samari.engine.automatic._PART_SECONDS", 0.0)

    def start(image: Any, *planes: PlaneCandidates) -> tuple[Any, Adding, list[Any]]:
        controller = annotated(image)
        ended: list[Any] = []
        found = Everything(planes, Origin("m", "m1", None, None))
        part = Adding(
            controller.session,
            workshop.inference,
            found,
            Thresholds(),
            lambda done, total: None,
            lambda *result: ended.append(result),
        )
        return controller, part, ended

    return start


def begun(controller: Any, workshop: Any) -> None:
    assert workshop.inference.wait(30, lambda: bool(controller.session.labels.any()))


def test_planes_of_a_stack_are_one_step(adding: Any, workshop: Any, noise: Any) -> None:
    planes = [squares(40, 4, (z,)) for z in range(3)]
    controller, _, ended = adding(noise(3, 40, 40), *planes)
    assert workshop.inference.wait(30, lambda: bool(ended))
    assert ended == [(list(range(1, 49)), None)]
    assert len(np.unique(controller.session.labels)) == 49
    assert len(controller.session.objects) == 48
    controller.undo()
    assert not controller.session.labels.any()
    assert not len(controller.session.objects)


def test_cancelling_takes_back_what_was_added(adding: Any, workshop: Any, noise: Any) -> None:
    """Trap 31."""
    controller, part, ended = adding(noise(64, 64), squares(64, 8))
    begun(controller, workshop)
    part.cancel()
    assert not ended
    assert not controller.session.labels.any()
    assert workshop.inference.wait(0.2)
    assert not controller.session.labels.any()


def test_cancelling_after_another_step_leaves_what_was_added_to_undo(
    adding: Any, workshop: Any, noise: Any
) -> None:
    """What the tooltip of Cancel says."""
    controller, part, _ = adding(noise(64, 64), squares(64, 8))
    begun(controller, workshop)
    controller.session.brush(np.ones((1, 1), bool), 99, (63, 63))
    part.cancel()
    so_far = set(np.unique(controller.session.labels)) - {0, 99}
    assert so_far
    controller.undo()
    assert set(np.unique(controller.session.labels)) - {0} == so_far
    controller.undo()
    assert not controller.session.labels.any()


def test_undo_ends_it(adding: Any, workshop: Any, noise: Any) -> None:
    controller, _, ended = adding(noise(64, 64), squares(64, 8))
    begun(controller, workshop)
    controller.undo()
    assert workshop.inference.wait(30, lambda: bool(ended))
    assert "undone" in str(ended[0][1])
    assert not controller.session.labels.any()


def test_an_object_accepted_meanwhile_is_a_step_of_its_own(
    adding: Any, workshop: Any, noise: Any
) -> None:
    controller, _, ended = adding(noise(64, 64), squares(64, 8))
    begun(controller, workshop)
    controller.session.add_box((40, 40), (58, 58))
    assert controller.wait()
    mine = controller.accept()
    assert mine == [65]
    assert workshop.inference.wait(30, lambda: bool(ended))
    assert ended[0][1] is None
    both = controller.session.labels.copy()
    assert (both == 65).any()
    controller.undo()  # of the object
    assert set(np.unique(controller.session.labels)) <= set(range(65))
    while controller.session.history.can_undo:
        controller.undo()
    assert not controller.session.labels.any()
    while controller.session.history.can_redo:
        controller.redo()
    np.testing.assert_array_equal(controller.session.labels, both)


def test_five_hundred_objects_do_not_stop_the_window(
    annotated: Any, workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 2048 x 2048 pixels; the bound is wide because tests share their machine."""
    controller = annotated(np.zeros((2048, 2048), np.uint8))
    run = EverythingRun(controller.viewer, controller, workshop.inference)
    run._found = Everything((squares(2048, 23),), Origin("m", "m1", None, None))
    run.state = "choosing"
    durations: list[float] = []
    write = everything_adding.Adding._write

    def timed(self: Adding) -> None:
        start = time.perf_counter()
        write(self)
        durations.append(time.perf_counter() - start)

    monkeypatch.setattr(everything_adding.Adding, "_write", timed)
    run.accept()
    assert run.state == "adding"
    assert workshop.inference.wait(60, lambda: run.state == "idle")
    run.close()
    assert run.added == list(range(1, 530))
    assert len(durations) > 5
    assert np.median(durations) < 0.05
    controller.undo()
    assert not controller.session.labels.any()


def test_long_work_is_in_the_activity_dock_and_can_be_cancelled_there(
    annotated: Any, workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samari.plugin.everything_run._SHOW_AFTER", 0.0)
    monkeypatch.setattr("samari.engine.automatic._PART_SECONDS", 0.0)
    shown: list[tuple[str, Any]] = []

    def show(ticks: Any, total: int, text: str, on_abort: Any) -> Any:
        worker = show_activity(ticks, total, text, on_abort)
        shown.append((text, worker))
        return worker

    monkeypatch.setattr("samari.plugin.everything_run.show_activity", show)
    controller = annotated(np.zeros((64, 64), np.uint8))
    run = EverythingRun(controller.viewer, controller, workshop.inference)
    run._found = Everything((squares(64, 8),), Origin("m", "m1", None, None))
    run.state = "choosing"
    run.accept()
    assert workshop.inference.wait(30, lambda: bool(controller.session.labels.any()))
    ((text, worker),) = shown
    assert text == "Samari: adding objects"
    worker.quit()
    assert workshop.inference.wait(30, lambda: run.state == "idle" and not worker.is_running)
    assert not controller.session.labels.any()
    run.close()
