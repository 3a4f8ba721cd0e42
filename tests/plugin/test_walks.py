"""Random walks over everything a user can do, at any moment of encoding and decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QCoreApplication

from samari.plugin.layers import read_points, read_shapes

if TYPE_CHECKING:
    from collections.abc import Callable

ACTIONS = (
    "point", "point", "point", "negative", "box", "polygon", "accept", "accept", "discard", "undo",
    "undo", "redo", "next", "slice", "view", "hold", "let_go", "let_go", "wait", "cancel", "paint",
    "delete_points", "delete_shapes", "delete_labels", "delete_preview", "tool", "move", "hide",
)  # fmt: skip


class Walk:
    """One seeded walk on one controller."""

    def __init__(self, controller: Any, discs: Any, seed: int) -> None:
        self.c, self.discs = controller, discs
        self.rng = np.random.default_rng(seed)
        self.shape = controller.session.labels.shape

    def step(self, action: str) -> None:
        getattr(self, action)()
        for _ in range(int(self.rng.integers(0, 3))):
            QCoreApplication.processEvents()
        self.check()

    def place(self) -> Any:
        here = np.round(self.c.image.world_to_data(self.c.viewer.dims.point))
        shown = list(self.c.viewer.dims.displayed)
        here[shown] = self.rng.uniform(2, np.array(self.shape)[shown] - 3)
        return here

    def point(self) -> None:
        self.c.points.add(self.place())

    def negative(self) -> None:
        self.c.toggle_polarity()
        self.point()
        self.c.toggle_polarity()

    def outline(self, kind: str) -> None:
        a, b = self.place(), self.place()
        rows, cols = self.c.viewer.dims.displayed
        corners = np.array([a, a, b, b])
        corners[1, cols], corners[3, cols] = b[cols], a[cols]
        corners[1, rows], corners[3, rows] = a[rows], b[rows]
        self.c.shapes.add(corners, shape_type=kind)

    def box(self) -> None:
        self.outline("rectangle")

    def polygon(self) -> None:
        self.outline("polygon")

    def accept(self) -> None:
        self.c.accept()

    def discard(self) -> None:
        self.c.discard()

    def undo(self) -> None:
        self.c.undo()

    def redo(self) -> None:
        self.c.redo()

    def next(self) -> None:
        self.c.next_candidate()

    def slice(self) -> None:
        self.c.viewer.dims.point = self.rng.uniform(0, np.array(self.shape) - 1)

    def view(self) -> None:
        self.c.viewer.dims.order = tuple(int(i) for i in self.rng.permutation(len(self.shape)))

    def hold(self) -> None:
        self.discs.hold()

    def let_go(self) -> None:
        self.discs.let_go()

    def wait(self) -> None:
        self.discs.let_go()
        assert self.c.wait()

    def cancel(self) -> None:
        self.c.cancel()

    def paint(self) -> None:
        layer = self.c.labels_layer
        if layer in self.c.viewer.layers:
            layer.brush_size = 3
            layer.paint(self.place(), int(self.rng.integers(1, 5)))

    def delete(self, layer: Any) -> None:
        if layer in self.c.viewer.layers:
            self.c.viewer.layers.remove(layer)

    def delete_points(self) -> None:
        self.delete(self.c.points)

    def delete_shapes(self) -> None:
        self.delete(self.c.shapes)

    def delete_labels(self) -> None:
        self.delete(self.c.labels_layer)

    def delete_preview(self) -> None:
        self.delete(self.c.preview)

    def tool(self) -> None:
        self.c.toggle_tool()

    def move(self) -> None:
        if len(self.c.points.data):
            moved = self.c.points.data.copy()
            moved[0] = self.place()
            self.c.points.data = moved

    def hide(self) -> None:
        self.c.image.visible = not self.c.image.visible

    def check(self) -> None:
        c = self.c
        np.testing.assert_array_equal(c.labels_layer.data, c.session.labels)
        if c._prompts.sealed or not c._prompts.settled:
            return
        count = sum(len(part.prompts.points) for obj in c.session.pending for part in obj.parts)
        regions = sum(part.has_region for obj in c.session.pending for part in obj.parts)
        assert len(read_points(c.points)) == count
        assert len(read_shapes(c.shapes)) == regions


@pytest.mark.parametrize("seed", range(3))
def test_a_random_walk_breaks_nothing(
    annotated: Callable[..., Any], noise: Callable[..., Any], discs: Any, qtbot: Any, seed: int,
    soak: Callable[[int, int], int],
) -> None:  # fmt: skip
    """Trap 28, 30 and 34: whatever is done when, layers and session agree, and undo leads back."""
    c = annotated(noise(6, 30, 40))
    walk = Walk(c, discs, seed)
    with qtbot.captureExceptions() as errors:
        for _ in range(soak(60, 600)):
            walk.step(str(walk.rng.choice(ACTIONS)))
        assert not errors, errors
        discs.let_go()
        c.image.visible = True
        assert c.wait()
        walk.check()
        before = c.session.labels.copy()
        steps = 0
        while c.session.history.can_undo:
            c.undo()
            steps += 1
        walk.check()
        assert c.session.labels.max() == 0
        assert c.session.pending == ()
        for _ in range(steps):
            c.redo()
        walk.check()
        np.testing.assert_array_equal(c.session.labels, before)
    assert not errors, errors
