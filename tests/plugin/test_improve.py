"""The model learns from the user's labels while the user goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.helpers.domes import domes

from samari.engine.model_list import added
from samari.engine.predict import Segmenter
from samari.engine.session import Session
from samari.engine.steps import result_of
from samari.errors import InputError, ModelError
from samari.plugin import improve_panel
from samari.plugin.improve_panel import ImprovePanel, planes_of
from samari.plugin.jobs import Priority
from samari.plugin.workshop import Workshop
from samari.train.improve import free_name, samples_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def labelled(
    annotated: Any, workshop: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[Any, ImprovePanel]]:
    """Give a controller on 24 labelled domes with the bundled model, and a panel that uses it."""
    monkeypatch.setenv("SAMARI_MODELS", str(tmp_path))
    monkeypatch.setattr(workshop, "segmenter", Workshop().segmenter)
    monkeypatch.setattr(improve_panel, "_STEPS", 40)
    monkeypatch.setattr("samari.train.finetune.METHODS", {"decoder": 2e-3})
    picture = domes(0, (192, 288))
    from napari.components import ViewerModel

    viewer = ViewerModel()
    target = viewer.add_labels(picture.labels.copy(), name="mine")
    c = annotated(picture.image[..., 0], viewer=viewer, labels=target, name="my cells (1)")
    assert c.wait(60)
    panel = ImprovePanel(workshop.inference, workshop.files)
    panel.use(c)
    yield c, panel
    panel.close()


def test_it_learns_while_clicks_are_answered_and_is_taken_when_asked(
    labelled: tuple[Any, ImprovePanel], qtbot: Any
) -> None:
    c, panel = labelled
    before = c.labels_layer.data.copy()
    taken: list[str] = []
    panel.taken.connect(taken.append)
    panel.start.click()
    assert panel.running
    assert not panel.start.isEnabled()
    assert not c.busy  # nobody waits for it
    qtbot.waitUntil(lambda: "Held out" in panel.note.text(), timeout=120_000)
    assert panel.running
    c.points.add([24, 24])
    assert c.wait(30)
    assert c.candidates is not None
    assert panel.running  # the click overtook it
    c.accept()
    assert c.wait(30)
    qtbot.waitUntil(lambda: not panel.running, timeout=240_000)
    assert "→" in panel.note.text(), panel.note.text()
    assert not added()
    assert c.session.segmenter.requested == "samari-tiny"
    panel.take.click()
    qtbot.waitUntil(lambda: taken != [], timeout=60_000)
    assert taken == ["samari-tiny-my-cells-1"] == added()
    # What was accepted in the meantime is there, and nothing else changed.
    changed = c.labels_layer.data != before
    assert changed.any()
    assert not changed[60:].any()
    truth = domes(7, (96, 96))
    scores = [
        np.mean([iou(segmenter, truth, number) for number in (1, 2, 3, 4)])
        for segmenter in (Segmenter("samari-tiny"), Segmenter(taken[0]))
    ]
    assert scores[1] > scores[0] + 0.05
    assert free_name("samari-tiny", "my cells (1)") == "samari-tiny-my-cells-1-2"


def iou(segmenter: Segmenter, truth: Any, number: int) -> float:
    mask = truth.labels == number
    row, col = (round(values.mean()) for values in np.nonzero(mask))
    guess = segmenter.predict(truth.image, points=[(row, col)], rgb=True).best
    return float((guess & mask).sum() / (guess | mask).sum())


def test_cancel_leaves_everything_as_it_was(
    labelled: tuple[Any, ImprovePanel], qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(improve_panel, "_STEPS", 10_000)
    c, panel = labelled
    name = c.session.segmenter.model_hash
    panel.start.click()
    qtbot.waitUntil(lambda: bool(panel._newest), timeout=120_000)
    panel.cancel.click()
    qtbot.waitUntil(lambda: not panel.running, timeout=60_000)
    assert "Stopped" in panel.note.text()
    assert panel.start.isEnabled()
    assert not panel.take.isVisibleTo(panel)
    assert not added()
    assert c.session.segmenter.model_hash == name
    panel.start.click()
    assert panel.running


def test_without_a_gain_nothing_is_offered(
    labelled: tuple[Any, ImprovePanel], qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samari.train.finetune.METHODS", {"decoder": 1e-12})
    monkeypatch.setattr(improve_panel, "_STEPS", 2)
    _c, panel = labelled
    panel.start.click()
    qtbot.waitUntil(lambda: not panel.running, timeout=120_000)
    assert "Nothing gained" in panel.note.text()
    assert not panel.take.isVisibleTo(panel)


def test_too_few_labels_are_told(
    labelled: tuple[Any, ImprovePanel], qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[BaseException] = []
    monkeypatch.setattr("samari.plugin.notices.tell_error", told.append)
    c, panel = labelled
    c.labels_layer.data[60:] = 0
    panel.start.click()
    qtbot.waitUntil(lambda: not panel.running, timeout=60_000)
    assert len(told) == 1
    assert "too few objects to learn from" in str(told[0])
    assert panel.start.isEnabled()


def test_without_an_image_there_is_nothing_to_start(workshop: Any) -> None:
    panel = ImprovePanel(workshop.inference, workshop.files)
    assert not panel.start.isEnabled()
    panel.start.click()
    assert not panel.running


def test_the_dock_goes_on_with_the_model_that_is_taken(docked: Any, monkeypatch: Any) -> None:
    _viewer, _hand, dock = docked(np.zeros((64, 64), np.uint8))
    chosen: list[str] = []
    monkeypatch.setattr(dock.controller, "set_model", chosen.append)
    dock.improve.taken.emit("samari-tiny-mine")
    assert chosen == ["samari-tiny-mine"]
    assert dock.ui.model.model == "samari-tiny-mine"


def test_planes_somebody_worked_on_are_learnt_from_with_all_their_labels(
    tiny_model_folder: Path,
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (6, 40, 50), np.uint8)
    session = Session(image, "ZYX", segmenter=Segmenter(tiny_model_folder))
    session.brush(np.ones((1, 12, 12), bool), 5, (2, 20, 20))
    session.brush(np.ones((1, 9, 9), bool), 9, (2, 2, 2))
    session.add_box((4, 5, 5), (4, 20, 20))
    session.accept()
    visible = session.planes.plane_at((2, 0, 0), "YX")
    planes = planes_of(session, visible)
    assert [plane.index for plane in planes] == [(2,), (4,)]
    samples = result_of(samples_of(session, planes))
    assert len(samples) == 2
    assert sorted(np.unique(samples[0].labels)) == [0, 1, 2]
    np.testing.assert_array_equal(samples[0].labels > 0, session.labels[2] > 0)
    np.testing.assert_array_equal(samples[0].image, session.planes.rgb_plane(visible))
    assert [plane.index for plane in planes_of(session, None)] == [(4,)]
    # Of one image: the plane above what is held out must not be trained on.
    assert samples[0].group == samples[1].group


def test_of_very_many_pixels_some_planes_are_taken_and_one_too_large_is_refused(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (9, 30, 40), np.uint8)
    session = Session(image, "ZYX", segmenter=Segmenter(tiny_model_folder))
    session.brush(np.ones((9, 12, 12), bool), 5, (0, 10, 10))
    planes = [session.planes.plane_at((z, 0, 0), "YX") for z in range(9)]
    monkeypatch.setattr("samari.train.improve._PIXELS", 3 * 30 * 40)
    assert [one.key for one in result_of(samples_of(session, planes))] == [
        "YX(0,)", "YX(4,)", "YX(8,)"
    ]  # fmt: skip
    monkeypatch.setattr("samari.train.improve._PIXELS", 1000)
    with pytest.raises(InputError, match="1200 pixels is too large"):
        result_of(samples_of(session, planes))


def test_a_model_that_cannot_be_kept_can_be_kept_later(
    labelled: tuple[Any, ImprovePanel], qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[BaseException] = []
    monkeypatch.setattr("samari.plugin.notices.tell_error", told.append)
    monkeypatch.setattr(improve_panel, "_STEPS", 30)
    _c, panel = labelled
    panel.start.click()
    qtbot.waitUntil(lambda: not panel.running, timeout=240_000)
    assert panel.take.isVisibleTo(panel)
    # What was gained is not lost to another beginning.
    assert not panel.start.isEnabled()

    def full(*_: Any) -> str:
        raise ModelError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr("samari.train.improve.keep", full)
        panel.take.click()
        # Nothing else may be begun as long as it is being kept.
        assert not any(one.isEnabled() for one in (panel.start, panel.take, panel.drop))
        qtbot.waitUntil(lambda: told != [], timeout=30_000)
    assert panel.take.isEnabled()
    assert not added()
    panel.take.click()
    qtbot.waitUntil(lambda: added() != [], timeout=30_000)


def test_neighbours_are_encoded_before_anything_is_learnt() -> None:
    assert Priority.LEARNING < Priority.IDLE < Priority.REST
