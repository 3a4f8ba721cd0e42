"""The dock's small widgets: what they show, and that they do not paint in the middle of a call."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtWidgets import QProgressBar

from samari.plugin.dock_widgets import ProgressBar


class Counted(ProgressBar):
    def __init__(self) -> None:
        super().__init__()
        self.paintings = 0

    def paintEvent(self, event: Any) -> None:
        self.paintings += 1
        super().paintEvent(event)


def test_progress_is_painted_with_the_window_and_not_in_the_call(qtbot: Any) -> None:
    bar = Counted()
    qtbot.addWidget(bar)
    bar.show()
    qtbot.waitUntil(lambda: bar.paintings > 0)
    before = bar.paintings
    for done in range(1, 7):
        bar.show_share(done, 6)
    assert bar.paintings == before
    assert bar.updatesEnabled()
    qtbot.waitUntil(lambda: bar.paintings > before)
    before = bar.paintings
    QProgressBar.setValue(bar, 3)
    assert bar.paintings > before, "Qt's own bar waits as well: ours is not needed any more"


@pytest.mark.parametrize(
    ("done", "total", "busy", "shown"),
    [
        (1, 4, True, (1000, 250)),
        (0, 0, True, (0, 0)),
        (3, 4, False, (1, 0)),
        (3_000_000_000, 4_000_000_000, True, (1000, 750)),
    ],
)
def test_a_share_is_shown_of_any_total(
    qtbot: Any, done: int, total: int, busy: bool, shown: tuple[int, int]
) -> None:
    bar = ProgressBar()
    qtbot.addWidget(bar)
    for _ in range(2):
        bar.show_share(done, total, busy)
        assert (bar.maximum(), bar.value()) == shown


def test_the_box_tool_brings_its_layer_and_napari_shows_its_mode(docked: Any, noise: Any) -> None:
    viewer, _, dock = docked(noise(40, 40))
    c = dock.controller
    assert c.shapes not in viewer.layers
    dock.ui.box.click()
    controls = viewer.window._qt_viewer.controls.widgets[c.shapes]
    assert str(c.shapes.mode) == "add_rectangle"
    shown = [b.property("mode") for b in controls.button_group.buttons() if b.isChecked()]
    assert shown == ["rectangle"]
