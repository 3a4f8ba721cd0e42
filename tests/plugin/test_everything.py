"""Automatic segmentation in the dock: in the background, filtered live, added only when asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from samari.engine.candidates import Thresholds
from samari.engine.prediction import Prediction
from samari.plugin.dock import SamariDock
from samari.plugin.everything_run import EverythingRun
from samari.sam import SamConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

#: Where the logits of a mask are the pixels of the plane.
CONFIG = SamConfig.from_dict(
    {
        "vision_config": {"image_size": 64, "patch_size": 4},
        "prompt_encoder_config": {"image_size": 64, "patch_size": 4, "image_embedding_size": 16},
        "samari": {"pad": False, "upscale": False},
    }
)


class Embedded(np.ndarray):
    """What stands for an embedding: the picture."""

    key = "embedded"


class NoRoom(dict[str, Any]):
    """A cache that holds nothing."""

    max_bytes = 0


@dataclass
class Finder:
    """Finds what is bright; the score is the brightness. `hold` stops it between two batches."""

    requested: str = "finder"
    model_name: str = "finder"
    model_hash: str = "f1"
    picture_size: int = 1 << 20
    zoom_size: int = 0
    where: str = "CPU"
    device: str = "cpu"
    loaded: bool = True
    asked: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    model: Any = field(default_factory=lambda: SimpleNamespace(config=CONFIG))
    cache: Any = field(default_factory=lambda: NoRoom())

    def __post_init__(self) -> None:
        self.gate.set()

    def load(self) -> Finder:
        return self

    def hold(self) -> None:
        self.gate.clear()

    def let_go(self) -> None:
        self.gate.set()

    def encode_steps(self, rgb: Any) -> Generator[tuple[int, int], None, Any]:
        yield 1, 1
        while not self.gate.wait(0.01):
            yield 1, 1
        return np.asarray(rgb).view(Embedded)

    def predict_prompts(self, embedding: Any, prompts: Any) -> Prediction:
        return self.predict_many(embedding, [prompts], None)[0]

    def predict_many(self, embedding: Any, prompts: Any, multimask: Any) -> list[Prediction]:
        self.asked += 1
        grey, answers = embedding[..., 0], []
        for prompt in prompts:
            value = grey[tuple(np.round(prompt.points[0]).astype(int))]
            logits = np.where((grey == value) & (value > 0), 4, -4).astype(np.float32)[None]
            scores = np.array([value / 255], np.float32)
            answers.append(Prediction.of(logits > 0, scores, logits, 0))
        return answers


@pytest.fixture
def discs() -> Finder:
    """Stand for the model in the workshop of every test here."""
    return Finder()


def cells(*brightness: int) -> Any:
    """An image (32, 64) with squares of 8 x 8 pixels, each of its own brightness."""
    image = np.zeros((32, 64), np.uint8)
    for k, value in enumerate(brightness):
        image[4:12, 3 + 12 * k : 11 + 12 * k] = value
    return image


@pytest.fixture
def started(annotated: Any, workshop: Any) -> Iterator[Callable[..., Any]]:
    """Give `started(image, **start)`: a controller, and a run that has looked at it."""
    runs: list[EverythingRun] = []

    def start(image: Any, labels: Any = None, **options: Any) -> tuple[Any, EverythingRun]:
        controller = annotated(image, contrast_limits=(0, 255), labels=labels)
        run = EverythingRun(controller.viewer, controller, workshop.inference)
        runs.append(run)
        run.start(**options)
        return controller, run

    yield start
    for run in runs:
        run.close()


def settle(run: EverythingRun, workshop: Any) -> None:
    """Wait until what the thresholds choose is on the screen."""
    assert workshop.inference.wait(
        30, lambda: run.state != "looking" and not run._timer.isActive() and not run._choosing
    )


def added(run: EverythingRun, workshop: Any) -> list[int]:
    """Accept what is chosen, and wait until it is in the labels."""
    run.accept()
    assert workshop.inference.wait(30, lambda: run.state == "idle")
    return run.added


def test_nothing_is_added_before_it_is_accepted(started: Any, workshop: Any) -> None:
    controller, run = started(cells(250, 200, 150))
    layers = list(controller.viewer.layers)
    active = controller.viewer.layers.selection.active
    assert run.state == "looking"
    settle(run, workshop)
    assert (run.state, run.count) == ("choosing", 3)
    assert run.layer is not None
    assert list(controller.viewer.layers) == [*layers, run.layer]
    assert controller.viewer.layers.selection.active == active
    assert not controller.session.labels.any()
    shown = np.array(run.layer.data)
    assert added(run, workshop) == [1, 2, 3]
    np.testing.assert_array_equal(controller.session.labels, shown)
    assert list(controller.viewer.layers) == layers
    controller.undo()
    assert not controller.session.labels.any()


def test_thresholds_filter_what_is_shown_without_the_model(
    started: Any, workshop: Any, discs: Finder
) -> None:
    controller, run = started(cells(250, 200, 150))
    settle(run, workshop)
    asked = discs.asked
    for score, count in ((0.7, 2), (0.9, 1), (1.1, 0), (0.1, 3), (0.7, 2)):
        run.filter(Thresholds(min_score=score))
        settle(run, workshop)
        assert run.count == count
        assert run.layer.data.max() == count
    assert discs.asked == asked
    assert added(run, workshop) == [1, 2]
    assert controller.session.labels.max() == 2


def test_labels_that_are_there_stay_as_they_are(started: Any, workshop: Any) -> None:
    """Trap 27: of another tool, accepted, and painted while the choice is on the screen."""
    controller, run = started(cells(250, 200, 150))
    settle(run, workshop)
    controller.session.add_point((8, 6))
    assert controller.wait()
    controller.accept()
    settle(run, workshop)
    assert run.count == 2
    labels = controller.session.labels
    labels[5, 16:22] = 40
    before = labels.copy()
    assert added(run, workshop) == [2]  # not what is painted on
    held = before > 0
    np.testing.assert_array_equal(controller.session.labels[held], before[held])
    assert set(np.unique(controller.session.labels[~held])) == {0, 2}


def test_cancelling_changes_nothing_and_another_run_works(
    started: Any, workshop: Any, discs: Finder
) -> None:
    """Trap 31."""
    discs.hold()
    controller, run = started(cells(250, 200))
    layers = list(controller.viewer.layers)
    run.drop()
    assert run.state == "idle"
    discs.let_go()
    assert workshop.inference.wait(30)
    assert run.state == "idle"
    assert not controller.session.labels.any()
    assert list(controller.viewer.layers) == layers
    run.start()
    settle(run, workshop)
    assert run.count == 2


def test_a_click_is_answered_while_it_looks(started: Any, workshop: Any, discs: Finder) -> None:
    controller, run = started(np.stack([cells(250, 200)] * 20), all_planes=True)
    controller.session.add_point((0, 8, 6))
    while controller.session.requests():
        assert workshop.inference.wait(0.02) or run.state == "looking"
    assert run.state == "looking"
    assert controller.accept() == [1]


def test_all_planes_of_a_stack_are_shown_one_by_one(started: Any, workshop: Any) -> None:
    image = np.stack([cells(250), cells(250, 200), cells()])
    controller, run = started(image, all_planes=True)
    settle(run, workshop)
    for z, count in ((1, 2), (2, 0), (0, 1)):
        controller.viewer.dims.set_point(0, z)
        settle(run, workshop)
        assert run.count == count
        assert run.layer.data_to_world((0, 0, 0))[0] == z
    assert added(run, workshop) == [1, 2, 3]
    counts = [len(np.unique(plane)) - 1 for plane in controller.session.labels]
    assert counts == [1, 2, 0]


def test_a_plane_that_was_not_looked_at_shows_nothing(started: Any, workshop: Any) -> None:
    controller, run = started(np.stack([cells(250), cells(250, 200)]))
    settle(run, workshop)
    looked = controller.session.planes.plane_at((0, 0, 0)).index[0]
    assert run.count is not None
    current = int(controller.viewer.dims.point[0])
    controller.viewer.dims.set_point(0, 1 - current)
    settle(run, workshop)
    assert run.count is None
    assert not run.layer.data.any()
    assert looked == 0


def test_the_dock_finds_filters_and_adds(
    make_napari_viewer: Any, discs: Finder, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    monkeypatch.setattr("samari.plugin.workshop.Workshop.segmenter", lambda self, model: discs)
    viewer = make_napari_viewer()
    image = viewer.add_image(cells(250, 200, 150), name="cells", contrast_limits=(0, 255))
    dock = SamariDock(viewer)
    viewer.window.add_dock_widget(dock, name="Samari", area="right")
    qtbot.waitUntil(lambda: dock.controller is not None, timeout=30_000)
    panel = dock.everything
    assert not panel.all_planes.isVisibleTo(dock)
    panel.find.click()
    assert panel.cancel.isVisibleTo(dock)
    assert "undo" in panel.cancel.toolTip(), "what another step lies above is not taken back"
    qtbot.waitUntil(lambda: panel.count.text() == "3 objects on this plane", timeout=30_000)
    assert panel.layer.name not in [
        dock.ui.labels.itemText(i) for i in range(dock.ui.labels.count())
    ]
    panel.score.setValue(0.9)
    qtbot.waitUntil(lambda: panel.count.text() == "1 object on this plane", timeout=30_000)
    panel.add.click()
    qtbot.waitUntil(lambda: dock.everything.run.state == "idle", timeout=30_000)
    labels = dock.controller.session.labels
    np.testing.assert_array_equal(labels > 0, image.data == 250)
    assert not panel.add.isVisibleTo(dock)
    panel.find.click()
    qtbot.waitUntil(lambda: panel.count.text() == "0 objects on this plane", timeout=30_000)
    panel.score.setValue(0.5)
    qtbot.waitUntil(lambda: panel.count.text() == "2 objects on this plane", timeout=30_000)
    viewer.layers.remove(image)  # in the middle of it: nothing of the run is left
    qtbot.waitUntil(lambda: dock.controller is None, timeout=30_000)
    assert panel.layer is None
    qtbot.waitUntil(
        lambda: [layer.name for layer in viewer.layers] == ["cells objects"], timeout=5000
    )
    dock.shut_down()
