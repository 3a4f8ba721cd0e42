"""Someone who does one thing at a time, whatever the model is doing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from account import State, cut, plain
from stopped_model import STAGES
from world import World

#: What a user does, and how often.
RULES = {
    "point": 12, "negative": 3, "box": 5, "choose": 3, "accept": 9, "discard": 2, "undo": 6,
    "redo": 4, "delete": 2, "join": 2, "reopen": 4, "paint": 4, "brush_mask": 2, "slice": 5,
    "turn": 2, "three_d": 1, "hide": 1, "hover": 5, "stop": 8, "let_go": 4, "settle": 2,
    "cancel": 3, "other_model": 2, "target": 2, "image": 2, "tool": 1, "overwrite": 1,
    "contrast": 1, "new_data": 1, "delete_points": 1, "delete_shapes": 1, "delete_labels": 1,
    "delete_preview": 1, "delete_image": 0.7, "reopen_dock": 0.7, "new_viewer": 0.2,
}  # fmt: skip
#: What may break what is under way.
HARSH = (
    "undo", "cancel", "slice", "turn", "other_model", "target", "image", "new_data",
    "delete_points", "delete_shapes", "delete_labels", "delete_preview", "delete_image",
    "reopen_dock", "new_viewer",
)  # fmt: skip


class User(World):
    """Does one thing at a time; the account is told what must come of it."""

    def step(self, rule: str) -> None:
        self.trail.append(f"{rule} ({self.gate.held or 'free'})")
        self.met[rule, self.gate.held] += 1
        getattr(self, rule)()
        self.catch_up()
        self.check()
        self.run()
        self.check()

    @property
    def c(self) -> Any:
        return self.controller

    # Prompts

    def point(self, label: int = 1, *, new: bool = False) -> None:
        if self.c is None:
            return
        if self.here() is None:
            self.c.points.add([1.0] * self.c.image.ndim)  # refused, and taken away again
            return
        position, flat = self.spot(new=new)
        self.c.points.add(position)
        self.account.prompt(
            self.here(),
            lambda part: part.changed(points=(*part.points, flat), labels=(*part.labels, label)),
            region=False,
        )

    def negative(self) -> None:
        if self.c is not None:
            self.c.toggle_polarity()
            self.point(0)
            self.c.toggle_polarity()

    def box(self) -> None:
        if self.c is None or self.here() is None:
            return
        position, (y, x) = self.spot()
        rows, cols = (self.account.axes.index(letter) for letter in self.here()[0])
        sides = self.c.session.labels.shape[rows], self.c.session.labels.shape[cols]
        high = min(y + 9.0, sides[0] - 1.0), min(x + 7.0, sides[1] - 1.0)
        corners = np.array([position] * 4, dtype=float)
        corners[2:, rows], corners[1:3, cols] = high[0], high[1]
        self.c.shapes.add(corners, shape_type="rectangle")
        if max(high[0] - y, high[1] - x) < 1:
            return  # a slip of the mouse
        self.account.prompt(self.here(), lambda part: part.changed(box=(y, x, *high)), region=True)

    def choose(self) -> None:
        if self.c is None or self.c.candidates is None:
            return
        newest = self.c.session.pending[-1].newest.plane
        plane = newest.view, tuple(newest.index)
        self.c.next_candidate()
        things = self.account.state.things
        part = things[-1].part(plane)
        chosen = part.changed(choice=(part.chosen + 1) % 3, painted=part.painted)
        self.account.pending((*things[:-1], things[-1].with_part(plane, chosen)))

    def brush_mask(self) -> None:
        if self.c is None:
            return
        self.c.brush()
        if self.c.brushing:
            layer = self.c.brush_layer
            inside = np.argwhere(layer.data)
            if len(inside):
                layer.brush_size = 3
                layer.paint(tuple(inside[0]), int(self.rng.integers(0, 2)))
            self.adopt()
            if self.rng.random() < 0.5:
                self.c.brush()

    def adopt(self) -> None:
        """Believe what the session says is pending, where that is another test's business."""
        self.account.pending(plain(self.c.session.pending))

    # Objects

    def accept(self) -> None:
        if self.c is None:
            return
        things = self.account.state.things
        later = bool(self.c.session.requests()) or bool(self.account.queue)
        self.c.accept()
        if not things:
            return
        if not later:
            self.account.accept(self.model, self.overwriting)
        elif not self.account.queue or self.account.queue[-1]:
            self.account.queue.append(())

    def discard(self) -> None:
        if self.c is None:
            return
        brushing = self.c.brushing
        self.c.discard()
        if brushing:
            self.adopt()
        else:
            self.account.queue.clear()
            self.account.pending(())

    def undo(self) -> None:
        if self.c is None:
            return
        self.account.queue.clear()
        could = self.c.session.history.can_undo
        self.c.undo()
        if not self.account.undo() and could:
            # A step of an earlier session on these labels, which its journal brought back.
            session = self.c.session
            labels, highest = np.array(session.labels, np.int64), session.store.next_label() - 1
            self.account.older(State(labels, plain(session.pending), highest))

    def redo(self) -> None:
        if self.c is None:
            return
        could = self.c.session.history.can_redo
        if could:
            self.account.queue.clear()
        self.c.redo()
        assert self.account.redo() == could

    def label(self) -> int:
        labels = np.unique(self.account.state.labels)
        return int(self.rng.choice(labels[1:])) if len(labels) > 1 else 0

    def delete(self) -> None:
        label = self.label() if self.c is not None else 0
        if label:
            self.c.delete(label)
            if not self.account.queue:
                self.account.delete(label)

    def join(self) -> None:
        a, b = (self.label(), self.label()) if self.c is not None else (0, 0)
        if a != b:
            self.c.join(a, into=b)
            if not self.account.queue:
                self.account.join(a, into=b)

    def reopen(self) -> None:
        label = self.label() if self.c is not None else 0
        if not label:
            return
        steps = len(self.c.session.history)
        self.c.reopen(label)
        if len(self.c.session.history) == steps:
            return
        before = self.account.state.things
        self.adopt()
        *same, last = self.account.state.things
        assert tuple(same) == before
        assert last.replaces == label
        for plane, part in last.parts:
            if part.outline is not None and not part.points:
                pixels = cut(self.account.state.labels, plane, self.account.axes)
                assert (pixels == label).tobytes() == part.outline

    def paint(self) -> None:
        if self.c is None or self.here() is None or not self.c._labels.is_shown():
            return
        layer, position = self.c.labels_layer, self.spot()[0]
        layer.brush_size = 3
        before = np.array(layer.data, np.int64)
        layer.paint(position, int(self.rng.integers(0, 6)))
        after = np.array(layer.data, np.int64)
        near = np.abs(np.argwhere(before != after) - np.array(position)) <= 3
        assert near.all()
        if len(self.c.session.history) > self.account.steps:
            self.account.paint(after)
        self.same(after, self.account.state.labels)

    # The view

    def slice(self) -> None:
        highest = [limit.stop for limit in self.viewer.dims.range]
        self.viewer.dims.point = self.rng.uniform(0, highest)

    def turn(self) -> None:
        axes = self.rng.permutation(self.viewer.dims.ndim)
        self.viewer.dims.order = tuple(int(axis) for axis in axes)

    def three_d(self) -> None:
        self.viewer.dims.ndisplay = 5 - self.viewer.dims.ndisplay

    def hide(self) -> None:
        if self.c is not None:
            self.c.image.visible = not self.c.image.visible

    def hover(self) -> None:
        if self.c is None or self.here() is None:
            return
        position, flat = self.spot()
        self.hovered = [*self.hovered[-1:], (self.here(), flat)]
        self.viewer.cursor.position = self.c.points.data_to_world(position)
        for moved in list(self.viewer.mouse_move_callbacks):
            moved(self.viewer, None)

    def tool(self) -> None:
        if self.c is not None:
            self.c.toggle_tool()

    # The model

    def stop(self, stage: str = "") -> None:
        """Stop the model at a stage, by asking for what leads there."""
        stage = stage or str(self.rng.choice(STAGES))
        self.settle()
        if self.c is None or self.c.session.planes.label_axes not in ("YX", "ZYX"):
            return
        self.see()
        self.gate.close_at(stage)
        if stage in ("encoded", "decode"):
            self.point(new=True)
        else:
            self.other_model()
        self.until(lambda: self.gate.held == stage)

    def see(self) -> None:
        """Turn the view so that the image shows a plane."""
        self.viewer.dims.ndisplay = 2
        self.c.image.visible = True
        if self.here() is None:
            self.viewer.dims.order = tuple(range(self.viewer.dims.ndim))
            self.viewer.dims.point = [0] * self.viewer.dims.ndim
        self.c._watch.settle()

    def let_go(self) -> None:
        self.gate.open()

    def settle(self) -> None:
        """Let the model answer everything; then nothing is due any more."""
        self.gate.open()
        if self.controller is None and self.dock is not None:
            self.until(lambda: self.dock._ready and not self.dock._soon.isActive())
        if self.c is not None:
            self.until(lambda: self.dock._ready and not self.dock._soon.isActive())
            assert self.c.wait(60)
            self.catch_up()
            assert not self.account.queue

    def cancel(self) -> None:
        if self.c is not None:
            self.c.cancel()
            assert not self.c.busy
            self.account.queue.clear()

    def other_model(self) -> None:
        self.dock.ui.model._use("square" if self.model == "round" else "round")

    # The dock

    def target(self) -> None:
        choice = self.dock.ui.target
        index = int(self.rng.integers(len(choice._layers)))
        if self.c is not None:
            choice.combo.setCurrentIndex(index)
            choice.combo.activated.emit(index)

    def image(self) -> None:
        images = self.dock.ui.image.choices
        if images:
            self.dock.ui.image.value = images[self.rng.integers(len(images))]

    def overwrite(self) -> None:
        self.dock.ui.target.overwrite.toggle()

    def contrast(self) -> None:
        if self.c is not None:
            self.c.image.contrast_limits = (int(self.rng.integers(9)), 200)
            self.dock.ui.renew.click()

    def new_data(self) -> None:
        if self.c is not None:
            shape = self.c.image.data.shape
            self.c.image.data = self.rng.integers(0, 255, shape, np.uint8)

    def remove(self, layer: Any) -> bool:
        there = layer in self.viewer.layers
        if there:
            self.viewer.layers.remove(layer)
        return there

    def delete_points(self) -> None:
        if self.c is not None and self.remove(self.c.points):
            self.account.lose("points")

    def delete_shapes(self) -> None:
        if self.c is not None and self.remove(self.c.shapes):
            self.account.lose("shapes")

    def delete_labels(self) -> None:
        if self.c is not None:
            self.remove(self.c.labels_layer)

    def delete_preview(self) -> None:
        if self.c is not None:
            self.remove(self.c.preview)

    def delete_image(self) -> None:
        if self.c is not None:
            shape = self.c.image.data.shape
            self.remove(self.c.image)
            self.add_image(shape)

    def reopen_dock(self) -> None:
        self.close_dock()
        self.open_dock()

    def close_dock(self) -> None:
        own = () if self.c is None else (self.c.points, self.c.shapes, self.c.preview)
        self.viewer.window.remove_dock_widget(self.holder)
        assert self.dock.controller is None
        self.follow()
        assert not any(layer in self.viewer.layers for layer in own)
        assert self.callbacks() == Counter()
        for layer, labels in self.shelf.items():
            self.same(layer.data, labels)

    def new_viewer(self) -> None:
        self.viewer.close()
        self.bury()
        for layer, labels in self.shelf.items():
            self.same(layer.data, labels)
        self.open_viewer()
