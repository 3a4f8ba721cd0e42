"""Labels of planes too large for one layer: a part that follows the view, over an overview.

A graphics card draws no more than 16384 pixels a side, and the labels of such a plane may be larger
than the memory. The session's labels stay where they are. An ordinary labels layer of limited size
shows the part of them that is in the middle of the screen, at full resolution: what is painted
there goes into the session's labels and its history. Below it lies an overview of the whole.
"""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QTimer

from samari.engine.label_arrays import common_part, seen_from
from samari.plugin import notices, painting
from samari.plugin.labels_overview import LabelsOverview
from samari.plugin.labels_sync import LabelsSync
from samari.plugin.large_labels import KEY, LargeLabels, lengths
from samari.plugin.placement import lay
from samari.plugin.strokes import Stroke, read_stroke

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from samari.engine.events import SessionEvent
    from samari.engine.planes import ImagePlanes, PlaneIndex
    from samari.engine.session import Session
    from samari.plugin.source import ImageSource

    Box = tuple[slice, ...]

#: Planes with a longer side than this are shown in parts.
LONGEST = 16384
#: Rows and columns of the part, and the grid on which it begins.
SIDE, GRID = 2048, 512
#: Rows that are read at a time, and seconds of reading after which the window has a turn.
_ROWS, _SECONDS = 256, 0.004
#: Milliseconds for which the view must rest before the part follows.
_REST_MS = 60
#: Pixels that the overview reads again at once; more of them in parts.
_DIRECTLY = 2**21


def is_large(planes: ImagePlanes) -> bool:
    """Whether the labels of an image are shown in parts."""
    return max(planes.label_shape[-2:]) > LONGEST


def labels_shown(
    viewer: ViewerModel,
    source: ImageSource,
    session: Session,
    replaced: Callable[[], None],
    layer: Labels | None = None,
) -> LabelsSync | LabelsWindow:
    """Return the target layer of a session, of a kind that its labels can be shown in.

    The arguments are those of `LabelsSync`.
    """
    if is_large(session.planes) and (layer is None or KEY in layer.metadata):
        return LabelsWindow(viewer, source, session, layer)
    return LabelsSync(viewer, source, session, replaced, layer)


class LabelsWindow:
    """The target layer of one Session, for planes too large for a layer; see `LabelsSync`.

    Parameters
    ----------
    viewer : napari viewer
    source : ImageSource
    session : Session
    layer : napari.layers.Labels, optional
        A layer that showed these labels before; by default a new one.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        source: ImageSource,
        session: Session,
        layer: Labels | None = None,
    ) -> None:
        self._viewer, self._source, self._session = viewer, source, session
        self._offset = np.zeros(source.layer.ndim)
        #: Where in the labels the layer lies, and where it will.
        self._box: Box | None = None
        self._coming: tuple[Box, NDArray[Any]] | None = None
        self._stale = False
        #: Whether the part must be read again, even if the view stays.
        self._again = False
        #: Whether the user knows that the labels cannot be read.
        self._told = False
        self._work: deque[Iterator[None]] = deque()
        self._turns = _timer(0, self._turn)
        self._rest = _timer(_REST_MS, self.follow)
        self.layer: Labels = self._made() if layer is None else layer
        self._held = painting.Held(self.layer)
        self._large: LargeLabels = self.layer.metadata[KEY]
        self._large.array = session.labels
        self._overview = self._large.overview
        self._overview.session = session
        self._array = self.layer.data
        self.put_back()
        self._overview.layer.colormap = self.layer.colormap
        self._connections = [
            (self.layer.events.paint, self._on_paint),
            (self.layer.events.data, self._on_data),
            (self.layer.events.colormap, self._on_look),
            (self.layer.events.visible, self._on_look),
            (viewer.scene.camera.events.center, self._on_view),
            (viewer.scene.camera.events.zoom, self._on_view),
            (viewer.dims.events.point, self._on_step),
            (viewer.dims.events.order, self._on_step),
        ]
        for emitter, callback in self._connections:
            emitter.connect(callback)
        if layer is not None or session.store.highest:
            self._read_again()
        self.follow()

    @property
    def helpers(self) -> tuple[Labels, ...]:
        """Layers that belong to the target layer and are none themselves."""
        return (self._overview.layer,)

    def to_data(self, world: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the data coordinates of the labels, as a layer of all of them would."""
        return np.asarray(self.layer.world_to_data(world)) + self._offset

    def to_world(self, data: Sequence[float]) -> NDArray[np.float64]:
        """Return the world coordinates of data coordinates of the labels."""
        return np.asarray(self.layer.data_to_world(np.asarray(data) - self._offset))

    def is_shown(self) -> bool:
        """Whether the layer is still in the viewer."""
        return self.layer in self._viewer.layers

    def follow_image(self) -> None:
        """Lie on the image where it is now, at the same voxels."""
        lay(self.layer, self._source.transform(self._offset))
        self._overview.follow_image()
        self._large.measure(self._session)
        self._on_step()

    def put_back(self) -> None:
        """Add the layers that are not in the viewer: their objects were not forgotten."""
        for layer in (self._overview.layer, self.layer):
            if layer not in self._viewer.layers:
                self._viewer.add_layer(layer)
                layer.refresh()

    def on_event(self, event: SessionEvent) -> None:
        """Follow the Session; the screen is refreshed once a step."""
        if event.kind == "labels":
            self._stale = True
            if event.replaced or event.slices is None:
                self._large.array = self._session.labels
                self._read_again()
            else:
                self._read_box(event.slices)
        elif event.kind == "history" and self._stale:
            self._stale = False
            self.layer.refresh(extent=False)
            self._overview.layer.refresh(extent=False)

    def close(self) -> None:
        """Let the layers go; they stay in the viewer."""
        for emitter, callback in self._connections:
            emitter.disconnect(callback)
        self._connections.clear()
        self._held.hold(False)
        self._rest.stop()
        self._turns.stop()
        self._work.clear()

    def follow(self) -> None:
        """Go to the middle of the screen, in parts; nothing happens where the layer is there."""
        planes = self._session.planes
        plane = self._source.shown_plane(self._viewer, planes)
        if plane is None:
            return
        if self._is_painting():
            self._rest.start()
            return
        box = self._around(plane, self._source.looked_at(self._viewer, planes, plane))
        target = self._box if self._coming is None else self._coming[0]
        if box != target or (self._again and self._coming is None):
            self._go(box)

    def settle(self) -> None:
        """Do at once what is to be done in parts; for scripts and tests."""
        if self._rest.isActive():
            self._rest.stop()
            self.follow()
        while self._work:
            self._turn()

    def _around(self, plane: PlaneIndex, middle: tuple[float, float]) -> Box:
        """Return the part of a plane around a point."""
        spans = []
        limits = self._session.planes.shape_of(plane.view)
        for value, limit in zip(middle, limits, strict=True):
            side = min(SIDE, limit)
            first = round((value - side / 2) / GRID) * GRID
            first = max(0, min(first, limit - side))
            spans.append(slice(first, first + side))
        index = self._session.planes.label_slices(plane, *spans)
        return tuple(one if isinstance(one, slice) else slice(one, one + 1) for one in index)

    def _go(self, box: Box) -> None:
        data = np.zeros(lengths(box), self._session.labels.dtype)
        self._coming = box, data
        self._work.appendleft(self._moving(box, data))
        self._turns.start()

    def _moving(self, box: Box, data: NDArray[Any]) -> Iterator[None]:
        """Read a part, some rows after each `next`, and show it."""
        axis = max(range(len(box)), key=lambda i: (len(data.shape) - i) * (data.shape[i] > 1))
        for first in range(0, data.shape[axis], _ROWS):
            if self._coming is None or self._coming[1] is not data:
                return  # another part is wanted by now
            strip = slice(first, min(first + _ROWS, data.shape[axis]))
            where = [*box]
            where[axis] = slice(box[axis].start + strip.start, box[axis].start + strip.stop)
            within = (slice(None),) * axis + (strip,)
            data[within] = self._session.labels[tuple(where)]
            yield
        if self._is_painting():
            self._coming, self._again = None, True
            self._rest.start()
            return
        self._lay(box, data)

    def _is_painting(self) -> bool:
        return painting.unfinished(self.layer, self._viewer.layers.selection.active is self.layer)

    def _lay(self, box: Box, data: NDArray[Any]) -> None:
        """Show labels at their place; napari draws anew as rarely as it allows."""
        self._coming, self._again, self._told = None, False, False
        self._box = box
        self._offset = np.array(self._source.to_layer([one.start for one in box]))
        painting.forget(self.layer)  # strokes elsewhere: this history has them
        self._array = self._source.layer_array(data)
        self.layer.data = self._array
        lay(self.layer, self._source.transform(self._offset))
        self._lock()
        self._overview.hide(box)
        self._overview.layer.refresh(extent=False)

    def _read_box(self, box: Box) -> None:
        """Read again what was changed, here and in the overview."""
        parts = [] if self._coming is None else [self._coming]
        if self._box is not None:
            parts.append((self._box, self._data()))
        for place, data in parts:
            common = common_part(box, place)
            if common is not None:
                data[seen_from(common, place)] = self._session.labels[common]
        steps = self._overview.steps(box)
        if np.prod(lengths(box), dtype=np.int64) <= _DIRECTLY:
            for _ in steps:
                pass
        else:
            self._later(steps)

    def _read_again(self) -> None:
        """Read all of it again: nobody knows what was changed."""
        if self._box is not None:
            self._go(self._box if self._coming is None else self._coming[0])
        self._later(self._overview.steps(tuple(slice(0, n) for n in self._session.labels.shape)))

    def _later(self, steps: Iterator[None]) -> None:
        self._work.append(self._shown_now_and_then(steps))
        self._turns.start()

    def _shown_now_and_then(self, steps: Iterator[None]) -> Iterator[None]:
        last = time.monotonic()
        for _ in steps:
            yield
            if time.monotonic() - last > 0.5:
                self._overview.layer.refresh(extent=False)
                last = time.monotonic()
        self._overview.layer.refresh(extent=False)

    def _turn(self) -> None:
        end = time.monotonic() + _SECONDS
        while self._work and time.monotonic() < end:
            steps = self._work[0]
            try:
                done = next(steps, self) is self
            except Exception as error:  # or the timer would try it again for ever
                done = True
                self._coming, self._again = None, True
                if not self._told:
                    notices.tell_error(error)
                self._told = True
            if done:
                self._work.remove(steps)
        if self._work:
            self._turns.start()

    def _data(self) -> NDArray[Any]:
        """Return the layer's array in label axes."""
        axis = self._source.channel_axis
        return self._array if axis is None else self._array.squeeze(axis)

    def _made(self) -> Labels:
        session, source = self._session, self._source
        layer = Labels(
            np.zeros((1,) * source.layer.ndim, session.labels.dtype),
            name=f"{source.layer.name} objects",
            opacity=0.5,
            **source.transform(),
        )
        layer.metadata[KEY] = LargeLabels.of(session, LabelsOverview(source, session))
        return layer

    def _on_view(self, event: Any = None) -> None:
        self._rest.start()

    def _on_step(self, event: Any = None) -> None:
        self._lock()
        self._rest.start()

    def _lock(self) -> None:
        """Let nobody paint while the part lies on another plane than the one on screen."""
        if self._box is not None:
            anywhere = self._source.channel_axis
            self._held.hold(not painting.on_screen(self.layer, self._viewer.dims, anywhere))

    def _on_look(self, event: Any = None) -> None:
        self._overview.layer.colormap = self.layer.colormap
        self._overview.layer.visible = self.layer.visible

    def _on_data(self, event: Any = None) -> None:
        """Show the labels again if somebody gave the layer another array."""
        if self.layer.data is not self._array and self._box is not None:
            self._array = self.layer.data
            self._go(self._box)

    def _on_paint(self, event: Any) -> None:
        """Make a stroke of napari's brush, bucket or polygon one on the session's labels."""
        stroke = read_stroke(event.value, self.layer.data)
        held = getattr(self.layer, "_undo_history", None)
        if held and held[-1] is event.value:
            held.pop()
        if stroke is None:
            # What the event carries is not known: look when the pixels are there for certain.
            QTimer.singleShot(0, self._take_difference)
            return
        self._take(stroke.without_axis(self._source.channel_axis))

    def _take_difference(self) -> None:
        if self._box is None:
            return
        before, after = np.asarray(self._session.labels[self._box]), self._data()
        changed = np.nonzero(before != after)
        if len(changed[0]):
            box = tuple(slice(int(at.min()), int(at.max()) + 1) for at in changed)
            self._take(Stroke(box, before[box].copy(), after[box].copy()))

    def _take(self, stroke: Stroke) -> None:
        """Write a stroke on the layer into the labels, as a step of the history."""
        if self._box is None:
            return
        box = tuple(
            slice(one.start + place.start, one.stop + place.start)
            for one, place in zip(stroke.box, self._box, strict=True)
        )
        moved = Stroke(box, stroke.before, stroke.after)
        self._write(moved, forward=True)
        self._session.record_edit(
            partial(self._write, moved, forward=False),
            partial(self._write, moved, forward=True),
            slices=box,
            change=(box, moved.before, moved.after),
        )

    def _write(self, stroke: Stroke, *, forward: bool) -> None:
        stroke.write(self._session.labels, forward=forward)


def _timer(milliseconds: int, callback: Any) -> QTimer:
    timer = QTimer()
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(callback)
    return timer
