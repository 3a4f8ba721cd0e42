"""A stand-in for the model, a workshop that uses it, and controllers on viewers with and without
a window."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from tests.helpers.gui_times import GuiTimes

from samari.engine.prediction import Prediction
from samari.plugin.controller import Controller
from samari.plugin.dock import SamariDock
from samari.plugin.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from samari.engine.prompts import PlanePrompts

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


class Seen(NamedTuple):
    """What stands for an embedding."""

    shape: tuple[int, int]
    key: str
    nbytes: int = 1000


class Keys(set[str]):
    """What stands for the cache of embeddings."""

    max_bytes, nbytes = 1 << 30, 0

    def get(self, key: str) -> None:
        """Do nothing: there is room for all."""


@dataclass
class Discs:
    """Answers with discs of radius 3, 6 and 4.5 around positive points, less those around negative
    ones; a box is filled. `hold` stops the encoder after each block until `let_go`."""

    requested: str = "discs"
    model_name: str = "discs"
    model_hash: str = "d15c"
    picture_size: int = 1 << 20
    zoom_size: int = 0
    where: str = "CPU"
    loaded: bool = True
    blocks: int = 4
    seconds_a_block: float = 0.0
    gate: threading.Event = field(default_factory=threading.Event)
    encoded: list[Any] = field(default_factory=list)
    decoded: list[PlanePrompts] = field(default_factory=list)
    error: Exception | None = None
    cache: Keys = field(default_factory=lambda: Keys())

    def __post_init__(self) -> None:
        self.gate.set()

    def load(self) -> Discs:
        return self

    def hold(self) -> None:
        self.gate.clear()

    def let_go(self) -> None:
        self.gate.set()

    def encode_steps(self, rgb: Any) -> Generator[tuple[int, int], None, Any]:
        seen = Seen(rgb.shape[:2], hashlib.sha256(rgb).hexdigest())
        if any(held is rgb or np.array_equal(held, rgb) for held in self.encoded):
            self.cache.add(seen.key)
            return seen
        for block in range(1, self.blocks + 1):
            time.sleep(self.seconds_a_block)
            while not self.gate.wait(0.01):
                yield block, self.blocks
            if self.error is not None:
                raise self.error
            yield block, self.blocks
        self.encoded.append(rgb)
        self.cache.add(seen.key)
        return seen

    def predict_prompts(self, embedding: Any, prompts: PlanePrompts) -> Prediction:
        self.decoded.append(prompts)
        y, x = np.indices(embedding.shape)
        masks = []
        for radius in (3.0, 6.0, 4.5):
            mask = np.zeros(embedding.shape, bool)
            if prompts.mask is not None:
                mask |= prompts.mask
            elif prompts.box is not None:
                y0, x0, y1, x1 = prompts.box
                mask |= (y >= y0) & (y <= y1) & (x >= x0) & (x <= x1)
            for (py, px), label in zip(prompts.points, prompts.labels, strict=True):
                disc = (y - py) ** 2 + (x - px) ** 2 <= (radius if label else 2.0) ** 2
                mask = mask | disc if label else mask & ~disc
            masks.append(mask)
        scores = np.array([0.5, 0.9, 0.7], np.float32)
        choice = prompts.choice(prompts.n_steps - 1)
        chosen = 1 if choice is None else choice
        return Prediction.of(np.stack(masks), scores, np.zeros((3, 1, 1), np.float32), chosen)


class DiscWorkshop(Workshop):
    """A workshop whose only model is the stand-in."""

    def __init__(self, discs: Discs) -> None:
        super().__init__()
        self.discs = discs

    def segmenter(self, model: Any) -> Any:
        return self.discs


@pytest.fixture(scope="session", autouse=True)
def _torch_is_imported() -> None:
    """Pay for the import once and here, not in the time limit of the first test that waits."""
    import torch  # noqa: F401


@pytest.fixture(autouse=True)
def _settings_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep Preferences of whoever runs the tests out of them."""
    monkeypatch.setattr("samari.plugin.settings.stored", lambda: None)


@pytest.fixture(autouse=True)
def _nothing_is_encoded_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests count what is encoded; those of the prefetch set it as they need it."""
    monkeypatch.setattr("samari.plugin.prefetch.REACH", 0)


@pytest.fixture
def discs() -> Discs:
    return Discs()


@pytest.fixture
def workshop(qapp: Any, discs: Discs) -> Iterator[DiscWorkshop]:
    """Give a workshop; afterwards its threads must have ended."""
    shop = DiscWorkshop(discs)
    yield shop
    discs.let_go()
    shop.close()
    assert shop.inference.join(30)
    assert shop.files.join(30)


@pytest.fixture
def said() -> Iterator[list[str]]:
    """Collect what is shown as a notification."""
    messages: list[str] = []

    def note(notification: Any) -> None:
        messages.append(str(notification.message))

    notification_manager.notification_ready.connect(note)
    yield messages
    notification_manager.notification_ready.disconnect(note)


@pytest.fixture
def annotated(workshop: DiscWorkshop) -> Iterator[Callable[..., Controller]]:
    """Give `annotated(image, viewer=..., **layer)`: a controller, closed afterwards.

    By default on a viewer without a window, which takes milliseconds.
    """
    opened: list[Controller] = []

    def open_image(image: Any, viewer: Any = None, labels: Any = None, **layer: Any) -> Controller:
        viewer = ViewerModel() if viewer is None else viewer
        shown = viewer.add_image(image, name=layer.pop("name", "cells"), **layer)
        controller = Controller(viewer, shown, labels=labels, workshop=workshop)
        controller.viewer = viewer  # type: ignore[attr-defined]  # for the tests
        opened.append(controller)
        return controller

    yield open_image
    for controller in opened:
        controller.close()


@pytest.fixture
def noise() -> Callable[..., Any]:
    """Give `noise(*shape)`: an image of uint8 noise, the same for the same shape."""

    def image(*shape: int) -> Any:
        return np.random.default_rng(0).integers(0, 255, shape, np.uint8)

    return image


class Hand:
    """A mouse and a keyboard on the canvas of a viewer, aimed at data points of a layer."""

    def __init__(self, viewer: Any, layer: Any) -> None:
        self.viewer, self.layer = viewer, layer
        self.canvas = viewer.window._qt_viewer.canvas
        self.native = self.canvas.native

    def at(self, point: Any) -> QPoint:
        world = self.layer.data_to_world(point)
        row, col = (world[axis] for axis in self.viewer.dims.displayed)
        transform = self.canvas.view.transform * self.canvas.view.scene.transform
        x, y, _, w = transform.map([col, row, 0, 1])
        return QPoint(round(x / w), round(y / w))

    def click(self, point: Any, button: Any = LEFT, modifiers: Any = NONE) -> None:
        QTest.mouseMove(self.native, self.at(point))
        QTest.mouseClick(self.native, button, modifiers, self.at(point))

    def double_click(self, point: Any) -> None:
        """As Qt tells two quick clicks: press, release, double click, release."""
        QTest.mouseClick(self.native, LEFT, NONE, self.at(point))
        QTest.mouseDClick(self.native, LEFT, NONE, self.at(point))

    def move(self, point: Any, wait: int = 15) -> None:
        """Move with no button pressed, also if the cursor of the screen is there already."""
        if wait:
            QTest.qWait(wait)  # vispy drops moves within 10 ms of the last one
        self._send_move(QPointF(self.at(point)), Qt.MouseButton.NoButton)

    def _send_move(self, place: QPointF, buttons: Any) -> None:
        everywhere = QPointF(self.native.mapToGlobal(place.toPoint()))
        move = QMouseEvent(
            QEvent.Type.MouseMove, place, everywhere, Qt.MouseButton.NoButton, buttons, NONE
        )
        QApplication.sendEvent(self.native, move)

    def drag(self, start: Any, end: Any, pressed: Callable[[], object] = lambda: None) -> None:
        """Drag; `pressed` is called when the button is down and the mouse has moved at first."""
        a, b = self.at(start), self.at(end)
        QTest.mouseMove(self.native, a)
        QTest.mousePress(self.native, LEFT, NONE, a)
        self._send_move(QPointF(a + (b - a) * 0.15), LEFT)
        pressed()
        for fraction in (0.3, 0.7, 1.0):
            # QTest's own moves say that no button is pressed.
            self._send_move(QPointF(a + (b - a) * fraction), LEFT)
            QTest.qWait(20)  # vispy drops moves within 10 ms of the last one
        QTest.mouseRelease(self.native, LEFT, NONE, b)

    def key(self, key: Any, modifiers: Any = NONE) -> None:
        QTest.keyClick(self.native, key, modifiers)


@pytest.fixture
def window(make_napari_viewer: Any, qtbot: Any) -> Callable[..., Any]:
    """Give `window(image, **layer)`: a viewer on screen with one image, and a hand."""

    def open_window(image: Any, **layer: Any) -> tuple[Any, Hand]:
        viewer = make_napari_viewer(show=True)
        viewer.window.resize(900, 650)
        shown = viewer.add_image(image, name="cells", **layer)
        qtbot.wait(50)
        viewer.reset_view()
        qtbot.wait(50)
        return viewer, Hand(viewer, shown)

    return open_window


@pytest.fixture
def docked(window: Any, qtbot: Any, discs: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give `docked(image, **layer)`: the same with the dock open and the plane encoded."""
    monkeypatch.setattr("samari.plugin.workshop.Workshop.segmenter", lambda self, model: discs)
    docks: list[SamariDock] = []

    def open_dock(image: Any, **layer: Any) -> tuple[Any, Hand, SamariDock]:
        viewer, hand = window(image, **layer)
        dock = SamariDock(viewer)
        docks.append(dock)
        viewer.window.add_dock_widget(dock, name="Samari", area="right")
        qtbot.waitUntil(lambda: dock.controller is not None, timeout=30_000)
        viewer.reset_view()
        qtbot.wait(50)
        return viewer, hand, dock

    yield open_dock
    for dock in docks:
        with contextlib.suppress(RuntimeError):  # closed together with its window
            dock.shut_down()


@pytest.fixture
def gui_times(qapp: Any, monkeypatch: pytest.MonkeyPatch) -> GuiTimes:
    """Time our callbacks from here on; ask for it before anything of the plugin is made."""
    times = GuiTimes()
    times.install(monkeypatch)
    return times
