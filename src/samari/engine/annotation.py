"""Annotation: an image, its labels and objects, and one history of every change."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from samari.engine import commit
from samari.engine.checks import whole_number, whole_numbers
from samari.engine.events import Callback, Listeners, SessionEvent, events_of
from samari.engine.export import save_labels
from samari.engine.history import Action, Growing, History, Opaque
from samari.engine.label_arrays import as_box, brushed_box
from samari.engine.labels import LabelStore
from samari.engine.new_labels import new_labels
from samari.engine.state import SessionState
from samari.engine.units import axis_numbers, axis_units, voxel_size
from samari.errors import Cancelled, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from samari.engine.label_arrays import Box, Index
    from samari.engine.objects import ObjectTable
    from samari.engine.pending import PendingObject
    from samari.engine.planes import ImagePlanes
    from samari.engine.state import Transaction

Moved = TypeVar("Moved")

#: Called with "do", "undo" or "redo" and the action, before the listeners are told.
Recorder = Callable[[str, Action], None]

#: Labels of at most so many bytes are copied for a hand edit whose pixels nobody tells.
_COPIED = 1 << 28
#: The highest id that a label TIFF holds.
_SAVED = (1 << 32) - 1


class Annotation:
    """What a `Session` is without prompts and model: labels that change in steps of one history.

    Parameters
    ----------
    planes : ImagePlanes
    labels : array of int, optional
        Labels to add to, in label axes; written in place, see `LabelStore`. By default a new array.
    scale, translate : sequence of float, optional
        Voxel size and position of the first voxel, one a label axis; only saved with the labels.
    units : str or sequence of str, optional
        Unit of all label axes, or of each.
    name : str, optional
        Name of the image, saved with the labels.

    Raises
    ------
    InputError
        If image, labels and voxel size do not fit together.
    LabelsError
        If `labels` cannot be written.
    """

    def __init__(
        self,
        planes: ImagePlanes,
        labels: Any = None,
        *,
        scale: Sequence[float] | None = None,
        units: str | Sequence[str] | None = None,
        translate: Sequence[float] | None = None,
        name: str | None = None,
    ) -> None:
        self.planes = planes
        empty = labels is None
        if empty:
            labels = new_labels(planes.label_shape)
        store = LabelStore(labels, empty=empty)
        if tuple(labels.shape) != planes.label_shape:
            raise InputError(
                f"labels of shape {tuple(labels.shape)} do not fit an image whose axes "
                f"{planes.label_axes} have shape {planes.label_shape}"
            )
        if store.highest > _SAVED:
            warnings.warn(
                f"the labels go up to {store.highest}, but a TIFF holds at most 32 bits: they can "
                f"be annotated, not saved; renumber them first, e.g. with "
                f"skimage.segmentation.relabel_sequential",
                RuntimeWarning,
                stacklevel=3,
            )
        # Checked now: what cannot be saved must be known before an hour's work hangs on it.
        self.scale = voxel_size(scale, planes.label_axes)
        self.translate = axis_numbers("translate", translate, planes.label_axes)
        self.units = axis_units(units, planes.label_axes)
        self.name = name
        self._state = SessionState(store)
        self._listeners = Listeners()
        self._recorders: list[Recorder] = []
        self._stepping = False
        self.history = History(self._on_history)

    @property
    def labels(self) -> Any:
        """The label array, in label axes; another one after ids outgrew the dtype.

        To be read. `brush` changes pixels; what is written here directly is in no journal.
        """
        return self._state.store.array

    @property
    def store(self) -> LabelStore:
        """The writer of the labels, which knows how large each object is and where."""
        return self._state.store

    @property
    def objects(self) -> ObjectTable:
        """Accepted objects with their origin, by label."""
        return self._state.objects

    @property
    def pending(self) -> tuple[PendingObject, ...]:
        """Objects prompted and not yet accepted, the newest one last."""
        return self._state.pending

    def delete(self, label: int | Iterable[int]) -> None:
        """Make all pixels of an object, or of several as one step, background.

        Raises
        ------
        InputError
            If there is no such object. Then nothing was changed.
        """
        labels = whole_numbers(label, "a label")
        with self._change("delete") as change:
            change.details["label"] = _one_or_all(labels)
            commit.delete(change, labels)

    def merge(self, a: int, b: int | Iterable[int]) -> None:
        """Make object `b`, or several as one step, a part of object `a`.

        Raises
        ------
        InputError
            If one of them does not exist or is being edited. Then nothing was changed.
        """
        kept, gone = whole_number(a, "a label"), whole_numbers(b, "a label")
        with self._change("merge") as change:
            change.details.update(kept=kept, gone=_one_or_all(gone))
            commit.merge(change, kept, gone)

    def brush(self, mask: Any, label: int, corner: Sequence[int] | None = None) -> None:
        """Paint pixels of the labels by hand, as napari's brush does: over whatever is there.

        Parameters
        ----------
        mask : array of bool
            One axis for every label axis.
        label : int
            What is painted; 0 erases.
        corner : sequence of int, optional
            Where the first element of `mask` lies in the labels; at the first pixel by default.

        Raises
        ------
        InputError
            If the mask does not fit the labels, or the label is negative.
        LabelsError
            If `label` does not fit the labels.
        """
        box, painted = brushed_box(mask, corner, self.planes.label_shape)
        label = whole_number(label, "a label")
        with self._change("edit") as change:
            block = self._state.store.read(box)
            change.write(box, painted, label, replace=np.unique(block[painted]).tolist())

    def undo(self) -> bool:
        """Take back the last step; False if there is none."""
        return self._step("undo", self.history.undo)

    def redo(self) -> bool:
        """Do again what was undone last; False if there is nothing."""
        return self._step("redo", self.history.redo)

    def record_edit(
        self,
        undo: Callable[[], object],
        redo: Callable[[], object],
        *,
        slices: Index | None = None,
        label: int | None = None,
        change: tuple[Index, Any, Any] | None = None,
    ) -> None:
        """Make a change of the labels that somebody else did a step of this history.

        Parameters
        ----------
        undo, redo : callable
            Take the change back, do it again: ``layer.undo`` and ``layer.redo`` for napari's brush.
        slices : sequence of int or slice, optional
            Which part of the labels was changed.
        label : int, optional
            Highest id that was painted, so that no new object gets it. Looked up in `slices`, or in
            all labels, if it is not given.
        change : tuple of (slices, before, after), optional
            What was done, for the journal: the pixels of a part of the labels before and after,
            arrays that nobody writes into. Without it, the part `slices`, or all labels, are
            copied.
        """
        box = None if slices is None else as_box(slices, self.planes.label_shape)
        known = self._known_change(box, change)
        step = self._state.hand_edit(Opaque(undo, redo, box, change=known), slices, label)
        self._move(lambda: self.history.push(step))
        self._record("do", step)
        self._tell(step, self.labels)

    def save(self, path: str | Path) -> None:
        """Save the labels as OME-TIFF with axes, voxel size and units; see `save_labels`."""
        save_labels(
            path,
            self.labels,
            self.planes.label_axes,
            scale=self.scale,
            units=self.units,
            translate=self.translate,
            name=self.name,
        )

    def connect(self, callback: Callback) -> None:
        """Call `callback` with a `SessionEvent` after every change."""
        self._listeners.connect(callback)

    def disconnect(self, callback: Callback) -> None:
        """Stop calling `callback`."""
        self._listeners.disconnect(callback)

    @contextmanager
    def _change(self, name: str, into: Growing | None = None) -> Iterator[Transaction]:
        """Do one step of the history; nothing happened if the `with` block raises.

        Parameters
        ----------
        name : str
            What the user does, e.g. "accept".
        into : Growing, optional
            Make it a part of this step. Only the first part may change pending objects.

        Raises
        ------
        Cancelled
            If `into` was undone meanwhile. Then the block is not run.
        """
        if into is not None and not self.history.holds(into):
            raise Cancelled(f"{name} was undone while it ran; nothing more is changed")
        array = self.labels
        with self._state.transaction(name) as change:
            yield change
        step = change.change
        if step is None:
            return
        if into is None:
            self._move(lambda: self.history.push(step))
            self._record("do", step)
        else:
            part = step if not into.actions else step.after(into.actions[0])
            self._move(lambda: self.history.grow(into, part))
            self._record("do" if len(into.actions) == 1 else "grow", into)
        self._tell(step, array)

    def _step(self, name: str, move: Callable[[], Action | None]) -> bool:
        array = self.labels
        action = self._move(move)
        if action is None:
            return False
        self._record(name, action)
        self._tell(action, array)
        return True

    def _move(self, move: Callable[[], Moved]) -> Moved:
        """Move in the history, and leave it to `_tell` to say so, last of all."""
        self._stepping = True
        try:
            return move()
        finally:
            self._stepping = False

    def _record(self, name: str, action: Action) -> None:
        for recorder in tuple(self._recorders):
            recorder(name, action)

    def _known_change(
        self, box: Box | None, change: tuple[Index, Any, Any] | None
    ) -> tuple[Box, Any, Any] | None:
        """Return what a hand edit did to which box of the labels, as well as it can be known."""
        shape = self.planes.label_shape
        if change is not None:
            slices, before, after = change
            return as_box(slices, shape), before, np.asarray(after)
        where = as_box((), shape) if box is None else box
        size = math.prod(axis.stop - axis.start for axis in where)
        if size * np.dtype(self.labels.dtype).itemsize > _COPIED:
            return None
        return where, None, self._state.store.read(where)

    def _on_history(self) -> None:
        """Tell of a step that somebody else pushed."""
        if not self._stepping:
            self._listeners.emit([SessionEvent("history")])

    def _tell(self, action: Action, array: Any) -> None:
        """Tell the listeners what a step changed; `array` is the label array before it."""
        events = events_of(action, replaced=self.labels is not array)
        self._listeners.emit([*events, SessionEvent("history")])


def _one_or_all(labels: list[int]) -> int | list[int]:
    """Return labels as a journal has them: the only one of them, or a list."""
    return labels[0] if len(labels) == 1 else labels
