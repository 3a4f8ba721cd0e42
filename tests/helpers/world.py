"""A window with the dock in it, and what must be true of it after every step of a machine."""

from __future__ import annotations

import weakref
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from account import Account, State, cut, plain
from qtpy.QtCore import QCoreApplication
from stopped_model import Gate, Part

from samari.plugin.dock import SamariDock
from samari.plugin.layers import HOVER_EDGE, read_points, read_shapes

if TYPE_CHECKING:
    from collections.abc import Callable

SCALES = {2: (1, 1.5), 3: (2, 1, 1)}
PLACES = [(8, 8), (8, 26), (20, 12), (22, 30), (30, 8), (12.25, 17.5), (2, 2)]


class World:
    """A window with two images and labels of the user's, the dock, and what must be true of it."""

    def __init__(self, gate: Gate, make_viewer: Callable[..., Any], qtbot: Any, seed: int) -> None:
        self.gate, self.make_viewer, self.qtbot = gate, make_viewer, qtbot
        self.rng = np.random.default_rng(seed)
        self.trail: list[str] = []
        self.met: Counter[tuple[str, str]] = Counter()
        self.graves: list[weakref.ref[Any]] = []
        self.controller: Any = None
        self.dock: Any = None
        self.hovered: list[Any] = []
        self.open_viewer()

    # The window

    def open_viewer(self) -> None:
        self.viewer = self.make_viewer()
        self.viewer.window.resize(420, 320)
        #: Every labels layer there ever was, and its pixels as they must be.
        self.shelf: dict[Any, Any] = {}
        self.add_image((4, 34, 36))
        self.add_image((34, 40))
        self.add_user_labels("mine", (4, 34, 36), np.uint8, 252)
        self.add_user_labels("hers", (34, 40), np.int32, 7)
        self.open_dock()

    def add_image(self, shape: tuple[int, ...]) -> None:
        image = self.rng.integers(0, 255, shape, np.uint8)
        self.viewer.add_image(image, name=f"{len(shape)}D", scale=SCALES[len(shape)])

    def add_user_labels(self, name: str, shape: tuple[int, ...], dtype: Any, highest: int) -> None:
        labels = np.zeros(shape, dtype)
        labels[..., 1:5, 14:20], labels[..., 25:30, 20:24] = 3, highest
        layer = self.viewer.add_labels(labels, name=name, scale=SCALES[len(shape)])
        self.shelf[layer] = labels.astype(np.int64)

    def open_dock(self) -> None:
        self.dock = SamariDock(self.viewer, model="round")
        self.holder = self.viewer.window.add_dock_widget(self.dock, name="Samari", area="right")
        self.qtbot.waitUntil(
            lambda: self.dock.controller is not None or self.gate.held == "load", timeout=60_000
        )
        self.follow()

    def follow(self) -> None:
        """Take note of a controller that has come or gone."""
        c = self.dock.controller
        if c is self.controller:
            return
        old = self.controller
        if old is not None:
            assert not old.is_open
        self.bury()
        self.controller = c
        if c is None:
            return
        layer = c.labels_layer
        before = self.shelf.get(layer)
        labels = np.array(c.session.labels, np.int64)
        self.same(labels, np.zeros_like(labels) if before is None else before)
        things = ()
        if old is not None and old.image is c.image:
            # Another target, or a new look at the same image: what is pending goes on there.
            things = self.account.state.things
            if layer is not self.target_layer:
                things = tuple(replace(t, replaces=None, scope=frozenset()) for t in things)
        state = State(labels, (), c.session.store.next_label() - 1)
        assert state.highest >= labels.max()
        steps = len(c.session.history)
        self.account = Account(state, steps - bool(things), c.session.planes.label_axes)
        self.account.pending(things)
        self.hovered, self.target_layer = [], layer
        self.fresh = self.callbacks()

    def bury(self) -> None:
        """Forget the controller; nobody else may hold it."""
        if self.controller is not None:
            self.graves.append(weakref.ref(self.controller))
        self.controller = None

    # What happens by itself

    def run(self) -> None:
        for _ in range(int(self.rng.integers(0, 3))):
            QCoreApplication.processEvents()
        self.catch_up()

    def until(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=60_000)
        self.catch_up()

    def catch_up(self) -> None:
        """Do what a due Enter does, if it has come true."""
        self.follow()
        c = self.controller
        if c is None:
            return
        account = self.account
        while account.queue:
            if len(c.session.history) > account.steps:
                assert account.accept(self.model, self.overwriting)
                account.release()
            elif not c._prompts.sealed:
                assert account.state.accepted(account.axes, self.model, self.overwriting) is None
                account.queue.clear()
            else:
                break
        self.shelf[c.labels_layer] = account.state.labels

    @property
    def overwriting(self) -> bool:
        return bool(self.dock.ui.target.overwrite.isChecked())

    @property
    def model(self) -> str:
        return str(self.dock.ui.model.model)

    def here(self) -> Any:
        """Return the plane on screen as (view, index), None if the image shows none."""
        c, dims = self.controller, self.viewer.dims
        if c is None or not c.image.visible or dims.ndisplay == 3:
            return None
        skipped = dims.ndim - c.image.ndim
        shown = [axis - skipped for axis in dims.displayed]
        if min(shown) < 0:
            return None
        axes, point = self.account.axes, c.image.world_to_data(dims.point)
        view = "".join(letter for i, letter in enumerate(axes) if i in shown)
        index = [int(np.floor(point[i] + 0.5)) for i in range(len(axes)) if i not in shown]
        sides = [side for i, side in enumerate(c.session.labels.shape) if i not in shown]
        inside = all(0 <= at < side for at, side in zip(index, sides, strict=True))
        return (view, tuple(index)) if inside else None

    def spot(self, *, new: bool = False) -> tuple[Any, tuple[float, float]]:
        """Return a place of the plane on screen: in data coordinates, and in the plane.

        One of a few, so that the same is asked again; or one that was never asked before.
        """
        view, index = self.here()
        place = self.rng.uniform(1, 33, 2) if new else PLACES[self.rng.integers(len(PLACES))]
        axes = self.account.axes
        shape = self.controller.session.labels.shape
        in_view = [shape[axes.index(letter)] for letter in view]
        flat = tuple(float(min(at, size - 1)) for at, size in zip(place, in_view, strict=True))
        across, along = iter(index), iter(flat)
        return [next(along) if letter in view else next(across) for letter in axes], flat

    # What must be true

    def same(self, found: Any, wanted: Any) -> None:
        np.testing.assert_array_equal(np.asarray(found), wanted)

    def check(self) -> None:
        for layer, labels in self.shelf.items():
            self.same(layer.data, labels)
        live = self.dock._workshop.inference._loop.jobs() if self.dock else []
        c = self.controller
        if c is None:
            assert self.callbacks() == Counter()
            return
        account, state = self.account, self.account.state
        self.same(c.session.labels, state.labels)
        assert len(c.session.history) == account.steps
        assert plain(c.session.pending) == state.things
        assert c._prompts.sealed == bool(account.queue)
        asked = c._inference
        ours = [asked._loading, asked.ahead._job, *asked._encodings.values()]
        ours += [*asked._asked.values(), *(asked.prefetch._job or ())]
        # One whose encoding was cancelled ends by itself.
        assert all(job in ours for job in live if not job.hopeless)
        if c._prompts.settled:
            things = [*state.things, *(thing for held in account.queue for thing in held)]
            parts = [part for thing in things for _, part in thing.parts]
            assert len(read_points(c.points)) == sum(len(part.points) for part in parts)
            assert len(read_shapes(c.shapes)) == sum(bool(p.box or p.outline) for p in parts)
        for thing in c.session.pending:
            for part in thing.parts:
                answer = c.session.prediction(part)
                if answer is not None:
                    mask = Part.of(part.prompts).mask(answer.mask.shape, self.model)
                    self.same(answer.mask, mask)
        self.check_preview()
        if not c.brushing:
            assert self.callbacks() == self.fresh

    def check_preview(self) -> None:
        """Nothing of another plane, model or prompt list is on screen."""
        c, here = self.controller, self.here()
        if c.preview not in self.viewer.layers:
            return
        picture = np.zeros(c.image.data.shape, np.uint8)
        found = np.argwhere(c.preview.data)
        for at in found:
            voxel = c.image.world_to_data(c.preview.data_to_world(at))
            picture[tuple(int(v) for v in np.round(voxel))] = c.preview.data[tuple(at)]
        if here is None:
            assert not picture.any()
            return
        plane = cut(picture, here, self.account.axes)
        assert np.count_nonzero(plane) == np.count_nonzero(picture)
        if c.session.pending:
            parts = [(obj.part_on(p), p) for obj in c.session.pending for p in obj.planes]
            here_now = [part for part, p in parts if (p.view, tuple(p.index)) == here]
            if all(c.session.prediction(part) is not None for part in here_now):
                wanted = np.zeros(plane.shape, bool)
                for part in here_now:
                    wanted |= Part.of(part.prompts).mask(plane.shape, self.model)
                self.same(plane > 0, wanted)
        elif plane.any():
            assert plane.max() >= HOVER_EDGE == 251
            if HOVER_EDGE in plane:
                # That of the move before stays until the answer to the newest has come.
                clicks = [Part((at,), (1,)) for place, at in self.hovered if place == here]
                masks = [click.mask(plane.shape, self.model) for click in clicks]
                assert any(mask[plane > 0].all() for mask in masks)
            else:
                labels = cut(self.account.state.labels, here, self.account.axes)
                self.same(plane > 0, labels == c.hovered)

    def callbacks(self) -> Counter[str]:
        """Count what Samari has connected to the viewer and to layers that it did not make."""
        found: Counter[str] = Counter()
        c, v = self.controller, self.viewer
        holders = {"viewer": v, "dims": v.dims, "layers": v.layers, "cursor": v.cursor}
        holders |= {"selection": v.layers.selection, "camera": v.scene.camera}
        known: tuple[Any, ...] = ()
        if c is not None:
            holders |= {"image": c.image, "labels": c.labels_layer}
            known = (c.image, c.labels_layer, c.points, c.shapes, c.preview, c.brush_layer)
        others = [layer for layer in v.layers if layer not in known]
        holders |= {f"other {layer.name}": layer for layer in others}
        for name, holder in holders.items():
            for event, emitter in holder.events.emitters.items():
                for callback in emitter.callbacks:
                    owner = callback[0]() if isinstance(callback, tuple) else callback
                    what = callback[1] if isinstance(callback, tuple) else ""
                    # napari itself keeps this one of docks that it has removed.
                    if _ours(owner) and what != "reset_choices":
                        found[f"{name}.{event} {type(owner).__name__}.{what}"] += 1
            for kind in ("mouse_move_callbacks", "mouse_drag_callbacks"):
                for callback in getattr(holder, kind, ()):
                    found[f"{name}.{kind}"] += _ours(callback)
            for callback in getattr(holder, "keymap", {}).values():
                found[f"{name} keys"] += _ours(callback)
        return +found


def _ours(thing: Any) -> bool:
    owner = getattr(thing, "__self__", thing)
    module = getattr(owner, "__module__", None) or type(owner).__module__
    return str(module).startswith("samari.")
