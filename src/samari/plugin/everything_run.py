"""Looks for everything in the background, shows what thresholds choose of it, and accepts that."""

from __future__ import annotations

import queue
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal

from samari.engine.candidates import Thresholds
from samari.errors import SamariError
from samari.plugin import notices
from samari.plugin.activity import show_activity
from samari.plugin.everything_adding import Adding, choose_steps, labels_on
from samari.plugin.jobs import Job, Priority
from samari.plugin.placement import PLACE, lay
from samari.plugin.removal import take_away

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from samari.engine.candidates import PlaneCandidates, Selection
    from samari.engine.events import SessionEvent
    from samari.engine.everything import Everything
    from samari.engine.planes import PlaneIndex
    from samari.plugin.controller import Controller
    from samari.plugin.worker import JobThread

    Shown = tuple[Selection, NDArray[np.integer]]

#: Milliseconds without a further change after which the choice is made anew.
_REST_MS = 20
#: Work that takes longer than this many seconds, as it seems, is shown in napari's activity dock.
_SHOW_AFTER = 0.5


class EverythingRun(QObject):
    """Automatic segmentation of one controller's image: look, choose, accept or drop.

    Nothing is written before `accept`. Looking and choosing run on the inference thread; a click
    goes first.

    Parameters
    ----------
    viewer : napari viewer
    controller : Controller
    thread : JobThread
        The inference thread.

    Attributes
    ----------
    changed : Signal
        Emitted when state, progress or count changed.
    state : str
        "idle", "looking", "choosing" or "adding".
    progress : (int, int) or None
        Parts done and in all, while looking or adding.
    added : list of int
        Labels that the last `accept` appended.
    count : int or None
        Objects chosen on the plane on screen; None if it was not looked at, or not yet known.
    layer : Labels or None
        Shows what is chosen.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, controller: Controller, thread: JobThread) -> None:
        super().__init__()
        self.state = "idle"
        self.progress: tuple[int, int] | None = None
        self.count: int | None = None
        self.layer: Labels | None = None
        self.added: list[int] = []
        self._ticks: queue.SimpleQueue[tuple[int, int] | None] | None = None
        self._adding: Adding | None = None
        self._began = 0.0
        self._viewer, self._thread = viewer, thread
        self._session = controller.session
        self._source = controller.source
        self._thresholds = Thresholds()
        self._found: Everything | None = None
        self._looking: Job | None = None
        self._choosing: Job | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST_MS)
        self._timer.timeout.connect(self._choose)
        moves = [getattr(controller.image.events, name) for name in PLACE]
        self._views = [viewer.dims.events.point, viewer.dims.events.order, *moves]
        for emitter in self._views:
            emitter.connect(self._on_view)
        self._session.connect(self._on_session)

    @property
    def is_stack(self) -> bool:
        """Whether the image has more than one plane."""
        return len(self._session.planes.label_axes) > 2

    def start(self, all_planes: bool = False) -> None:
        """Look for everything on the plane on screen, or on all planes of this view."""
        self.drop()
        try:
            plane = self._visible()
            steps = self._session.everything_steps(None if all_planes else plane)
        except SamariError as error:
            notices.tell_error(error)
            return
        self.state, self.progress = "looking", None
        self._began = time.monotonic()
        self._looking = Job(
            lambda job: steps,
            Priority.REST,
            done=self._on_found,
            failed=self._on_failed,
            progress=self._on_progress,
        )
        self._thread.submit(self._looking)
        self.changed.emit()

    def filter(self, thresholds: Thresholds) -> None:
        """Choose by other thresholds; the model is not asked."""
        self._thresholds = thresholds
        if self.state == "choosing":
            self._timer.start()

    def accept(self) -> None:
        """Append what the thresholds choose to the labels, as one step of the history.

        A few milliseconds at a time; `added` and the state "idle" tell when it is done.
        """
        if self._found is None or self.state != "choosing":
            return
        self._forget(self._choosing)
        self._choosing = None
        self._timer.stop()
        self.state, self.progress, self.added = "adding", None, []
        self._began = time.monotonic()
        self._adding = Adding(
            self._session,
            self._thread,
            self._found,
            self._thresholds,
            partial(self._on_progress, None),
            self._on_added,
        )
        self.changed.emit()

    def drop(self) -> None:
        """Stop, and forget what was found.

        Objects that were being added are taken back, unless something else was done since.
        """
        adding, self._adding = self._adding, None
        if adding is not None:
            adding.cancel()
        self._end_activity()
        for job in (self._looking, self._choosing):
            self._forget(job)
        self._looking = self._choosing = self._found = None
        self._timer.stop()
        self.state, self.progress, self.count = "idle", None, None
        layer, self.layer = self.layer, None
        if layer is not None:
            take_away(self._viewer, layer)
        self.changed.emit()

    def close(self) -> None:
        """Drop everything and let the viewer go."""
        self.drop()
        for emitter in self._views:
            emitter.disconnect(self._on_view)
        self._views.clear()
        self._session.disconnect(self._on_session)

    def _on_progress(self, job: Job | None, done: int, total: int) -> None:
        spent = time.monotonic() - self._began
        if self._ticks is None and spent * total > _SHOW_AFTER * max(done, 1):
            self._ticks = queue.SimpleQueue()
            text = "Samari: adding objects" if self._adding else "Samari: finding everything"
            show_activity(self._ticks, total, text, self.drop)
        if self._ticks is not None:
            self._ticks.put((done, total))
        self.progress = (done, total)
        self.changed.emit()

    def _end_activity(self) -> None:
        if self._ticks is not None:
            self._ticks.put(None)
            self._ticks = None

    def _on_added(self, labels: list[int], error: BaseException | None) -> None:
        self._adding, self.added = None, labels
        if error is not None:
            notices.tell_error(error)
        self.drop()

    def _on_found(self, job: Job, found: Everything) -> None:
        self._looking, self._found = None, found
        self._end_activity()
        self.state, self.progress = "choosing", None
        self._choose()
        self.changed.emit()

    def _on_failed(self, job: Job, error: BaseException) -> None:
        notices.tell_error(error)
        self.drop()

    def _on_view(self, event: Any = None) -> None:
        if self.state == "choosing":
            self._timer.start()

    def _on_session(self, event: SessionEvent) -> None:
        if event.kind == "labels" and self.state == "choosing":
            self._timer.start()

    def _choose(self) -> None:
        """Choose on the plane on screen, in the background; the newest thresholds win."""
        self._forget(self._choosing)
        self._choosing = None
        candidates = self._candidates()
        if candidates is None:
            self._show(None)
            return
        taken = labels_on(self._session, candidates.plane)
        self._choosing = Job(
            partial(_select_steps, candidates, self._thresholds, taken),
            Priority.CLICK,
            done=self._on_chosen,
            failed=self._on_failed,
        )
        self._thread.submit(self._choosing)

    def _on_chosen(self, job: Job, shown: Shown) -> None:
        self._choosing = None
        self._show(shown)

    def _candidates(self) -> PlaneCandidates | None:
        """Return what was found on the plane on screen, None if it was not looked at."""
        plane = self._source.shown_plane(self._viewer, self._session.planes)
        found = () if self._found is None else self._found.planes
        return next((candidates for candidates in found if candidates.plane == plane), None)

    def _visible(self) -> PlaneIndex:
        view, point = self._source.visible_plane(self._viewer)
        return self._session.planes.plane_at(point, view)

    def _show(self, shown: Shown | None) -> None:
        """Draw what is chosen on the plane on screen, nothing for None."""
        self.count = None if shown is None else len(shown[0])
        if shown is not None:
            selection, picture = shown
            self._draw(selection.plane, picture)
        elif self.layer is not None:
            self.layer.data[...] = 0
            self.layer.refresh(extent=False)
        self.changed.emit()

    def _draw(self, plane: PlaneIndex, picture: NDArray[np.integer]) -> None:
        shape = [1] * self._source.layer.ndim
        for letter, length in zip(plane.view, picture.shape, strict=True):
            shape[self._source.axes.index(letter)] = length
        if self.layer is None or self.layer not in self._viewer.layers:
            self._add_layer()
        assert self.layer is not None
        corner = self._source.to_layer(self._session.planes.to_volume((0, 0), plane))
        lay(self.layer, self._source.transform(corner))
        data = self.layer.data
        if (data.shape, data.dtype) == (tuple(shape), picture.dtype):
            # In place: another array takes napari ten times as long.
            data[...] = picture.reshape(shape)
            self.layer.refresh(extent=False)
        else:
            self.layer.data = picture.reshape(shape)

    def _add_layer(self) -> None:
        """Add the layer without making it the active one."""
        # Known before it is added: the dock must not offer it as a target.
        self.layer = layer = Labels(
            np.zeros((1,) * self._source.layer.ndim, np.uint16),
            name=f"{self._source.layer.name} found",
            opacity=0.6,
            **self._source.transform(),
        )
        layer.editable = False
        selection = self._viewer.layers.selection
        before, active = set(selection), selection.active
        self._viewer.add_layer(layer)
        selection.clear()
        selection.update(before)
        if active is not None:
            selection.active = active

    def _forget(self, job: Job | None) -> None:
        if job is not None:
            job.done = job.failed = job.progress = None
            self._thread.cancel(job)


def _select_steps(
    candidates: PlaneCandidates, thresholds: Thresholds, taken: NDArray[Any], job: Job
) -> Generator[tuple[int, int], None, Shown]:
    """Choose, and draw what was chosen, as a job of one step."""
    selection = yield from choose_steps(candidates, thresholds, taken)
    return selection, selection.draw()
