"""What a user does to follow objects through a stack: which ones, along which axis, how far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from samari.plugin.object_actions import ObjectActions
from samari.plugin.propagate_run import PropagateRun
from samari.plugin.saving import is_saving

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from samari.engine.propagated import PropagationReport
    from samari.plugin.workshop import Workshop

#: The axes that the planes of a view lie one behind the other along, the nearest one first.
_ALONG = {frozenset("YX"): "ZT", frozenset("ZX"): "Y", frozenset("ZY"): "X"}


class PropagateActions(ObjectActions):
    """The part of a controller that takes objects through the stack.

    Attributes
    ----------
    propagation : PropagateRun
    along : str
        Letter of the axis to go along where the view leaves a choice; "" for the nearest.
    planes : (int, int) or None
        First plane to go to, and the one after the last; all by default.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Image | None,
        model: str | Path,
        labels: Labels | None,
        workshop: Workshop | None,
        axes: str = "",
    ) -> None:
        super().__init__(viewer, layer, model, labels, workshop, axes)
        self.along = ""
        self.planes: tuple[int, int] | None = None
        self._selected: tuple[int, ...] = ()
        self._selected_at: tuple[float, ...] = ()
        # Whether the objects whose accept waits for an answer are to be propagated then.
        self._then_propagate = False
        self.propagation = PropagateRun(self.session, self._workshop.inference, self._on_propagated)
        self.propagation.changed.connect(self._tell)

    @property
    def status(self) -> str:
        """What is going on, in a few words."""
        text = self._inference.text or self.propagation.text or self._note
        saving = "Saving" if is_saving(self.session) else ""
        return ". ".join(part for part in (saving, text) if part)

    @property
    def progress(self) -> tuple[int, int] | None:
        """Parts done and in all of what is computed, None when nothing is."""
        return self._inference.progress or self.propagation.progress

    @property
    def busy(self) -> bool:
        """Whether the model is at work for this image."""
        return self._inference.busy or self.propagation.busy

    @property
    def axes_to_go(self) -> str:
        """Letters of the axes that the planes on screen lie one behind the other along."""
        planes = self.session.planes
        letters = _ALONG.get(frozenset(self.session.view), "")
        lengths = dict(zip(planes.label_axes, planes.label_shape, strict=True))
        return "".join(letter for letter in letters if lengths.get(letter, 1) > 1)

    @property
    def report(self) -> PropagationReport | None:
        """What the last propagation did."""
        return self.propagation.report

    def select(self, labels: Iterable[int]) -> None:
        """Take note of the rows that are selected in the objects table."""
        self._selected = tuple(labels)
        super().select(self._selected)
        self._selected_at = tuple(self._viewer.cursor.position)

    def propagate(self) -> None:
        """Follow the pending objects through the stack, or those that are meant.

        Pending objects are accepted first. Without any, those that are selected in the table are
        meant, or, if the mouse has moved onto another one since, the object under it.
        """
        if self.propagation.busy:
            self._say("One propagation at a time: wait for it, or cancel it")
        elif not self.axes_to_go:
            self._say(self._why_no_axis())
        elif self.session.pending:
            self._then_propagate = True
            self.accept()
            # What waits for its answer is accepted, and propagated, when that is there.
            self._then_propagate &= self._prompts.sealed
        elif not self._busy_accepting():
            labels = self._meant_to_propagate()
            if labels:
                self._propagate(labels)

    def accept(self) -> list[int]:
        """Make the pending masks objects; the controller says how."""
        raise NotImplementedError

    def _propagate(self, labels: Sequence[int]) -> None:
        self._labels.put_back()
        axis = self._axis_of(labels)
        if self.propagation.start(labels, axis, self._range_on(axis)):
            self._last = labels[-1]

    def _after_accept(self, labels: Sequence[int]) -> None:
        """Go on with objects that were just accepted, if that was wanted."""
        wanted, self._then_propagate = self._then_propagate, False
        if wanted and labels:
            self._propagate(labels)

    def _meant_to_propagate(self) -> list[int]:
        """Return the labels that the key or the button means; none, and a note, if there are."""
        chosen = [label for label in self._selected if self._may_exist(label)]
        under = self._pointed_at()
        moved = tuple(self._viewer.cursor.position) != self._selected_at
        if under and (not chosen or (len(chosen) == 1 and moved)):
            return [under]
        if not chosen and self._last and self._may_exist(self._last):
            chosen = [self._last]
        if not chosen:
            self._say("Click on an object first, point at one, or select its row in the table")
        return chosen

    def _axis_of(self, labels: Sequence[int]) -> str:
        """Return the axis to go along: across the planes on screen, or those of the prompts."""
        views = {
            frozenset(part.plane.view)
            for label in labels
            if label in self.session.objects
            for part in self.session.objects[label].parts
        }
        here = frozenset(self.session.view)
        if views and here not in views:
            axes = self.session.planes.label_axes
            letters = "".join(a for view in views for a in _ALONG.get(view, "") if a in axes)
        else:
            letters = self.axes_to_go
        return self.along if self.along and self.along in letters else (letters or "Z")[0]

    def _range_on(self, axis: str) -> tuple[int, int] | None:
        """Return the range that was chosen, if it was chosen for this axis."""
        chosen = self.along or self.axes_to_go[:1]
        return self.planes if axis == chosen else None

    def _why_no_axis(self) -> str:
        if len(self.session.planes.label_axes) == 2:
            return "This image is one plane: there is no stack to go through"
        return "Turn the view to two axes of space: there is no stack behind this one"

    def _on_propagated(self, note: str) -> None:
        self._say(note)
