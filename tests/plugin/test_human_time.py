"""Issue of human time: a simulated annotator with a real mouse and keyboard on the canvas.

It clicks on the middle of a nucleus, corrects by clicks in the deepest error until the pending mask
agrees with the truth, and presses Enter. ``pytest --data FOLDER`` under soak takes nuclei of
validation images; without a folder it takes the generated ones.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from samari.plugin.dock import SamariDock
from samari.plugin.sample_data import nuclei_stack
from samari.train.data import load_samples
from samari.train.evaluate import objects_of
from samari.train.measures import iou
from samari.train.prompts import centre_click, correction_click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Picture = tuple[NDArray[Any], NDArray[np.int32]]

ENOUGH, MOST_CLICKS = 0.8, 10


@dataclass
class ModelTime:
    """Seconds that the inference thread spent in the model."""

    total: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def measured(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                with self.lock:
                    self.total += time.perf_counter() - start

        return timed


@pytest.fixture
def model_time(monkeypatch: pytest.MonkeyPatch) -> ModelTime:
    """Time every answer of the model; encodings happen before the annotator starts."""
    from samari.engine.predict import Segmenter

    spent = ModelTime()
    monkeypatch.setattr(Segmenter, "predict_prompts", spent.measured(Segmenter.predict_prompts))
    return spent


def pictures(folder: Path | None, objects: int) -> Iterator[Picture]:
    """Give images with their truth until ``objects`` nuclei are on them."""
    if folder is None:
        image, labels = nuclei_stack()
        middle = len(image) // 2
        yield image[middle], labels[middle].astype(np.int32)
        return
    samples = load_samples(folder, "val", ["dsb2018"])
    order = np.random.default_rng(0).permutation(len(samples))
    seen = 0
    for number in order:
        yield samples[number].image, samples[number].labels
        seen += min(len(objects_of(samples[number].labels)), 20)
        if seen >= objects:
            return


def annotate(hand: Any, controller: Any, truth: NDArray[np.bool_]) -> tuple[int, float]:
    """Click until the pending mask is good enough, accept; return clicks and IoU."""
    place, label = centre_click(truth), 1
    clicks, guess = 0, np.zeros_like(truth)
    while clicks < MOST_CLICKS:
        clicks += 1
        hand.click(place, Qt.MouseButton.LeftButton if label else Qt.MouseButton.RightButton)
        assert controller.wait(30)
        QApplication.processEvents()
        guess = controller.candidates.best
        correction = correction_click(truth, guess)
        if iou(guess, truth) >= ENOUGH or correction is None:
            break
        place, label = correction
    hand.key(Qt.Key.Key_Return if guess.any() else Qt.Key.Key_Escape)
    QApplication.processEvents()
    return clicks, iou(guess, truth)


@pytest.mark.timeout(3600)  # 200 nuclei under soak
def test_a_simulated_annotator_works_through_the_nuclei(
    window: Any,
    qtbot: Any,
    gui_times: Any,
    model_time: ModelTime,
    soak: Callable[[int, int], int],
    figure: Callable[[str, float, str], None],
    request: pytest.FixtureRequest,
) -> None:
    folder = request.config.getoption("--data") if soak(0, 1) else None
    wanted = soak(3, 200)
    clicks: list[int] = []
    quality: list[float] = []
    seconds = np.zeros(3)  # all, model, plugin
    for image, labels in pictures(folder and Path(folder), wanted):
        viewer, hand = window(image, rgb=image.ndim == 3)
        dock = SamariDock(viewer)
        viewer.window.add_dock_widget(dock, name="Samari", area="right")
        qtbot.waitUntil(lambda dock=dock: dock.controller is not None, timeout=30_000)
        controller = dock.controller
        viewer.reset_view()
        assert controller.wait(120)
        masks = objects_of(labels)[: 20 if folder else None]
        for truth in masks[: wanted - len(clicks)]:
            before = np.array([time.perf_counter(), model_time.total, gui_times.total])
            count, value = annotate(hand, controller, truth)
            after = np.array([time.perf_counter(), model_time.total, gui_times.total])
            seconds += after - before
            clicks.append(count)
            quality.append(value)
        assert len(controller.session.objects) > 0
        dock.shut_down()
        viewer.close()
    n = len(clicks)
    assert n >= 3
    everything, model, plugin = seconds / n
    for name, value, unit in (
        ("nuclei", n, ""),
        ("clicks an object", float(np.mean(clicks)), ""),
        (f"share of objects that reached IoU {ENOUGH}", np.mean(np.array(quality) >= ENOUGH), ""),
        ("seconds an object", everything, "s"),
        ("of these in the model", model, "s"),
        ("in the plugin's callbacks", plugin, "s"),
        ("in napari and the canvas", everything - model - plugin, "s"),
    ):
        figure(name, float(value), unit)
