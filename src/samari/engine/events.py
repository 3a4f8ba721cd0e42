"""What a session tells those who listen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from samari.engine.history import single
from samari.engine.state import Change

if TYPE_CHECKING:
    from samari.engine.history import Action

#: Changed regions that are told one by one; more of them are told as the box around all.
_REGIONS = 16

Kind = Literal["pending", "answer", "labels", "objects", "history"]


@dataclass(frozen=True)
class SessionEvent:
    """Something in a session changed; what it is now can be read from the session.

    Attributes
    ----------
    kind : str
        "pending": the prompted objects. "answer": a prediction came. "labels": pixels. "objects":
        records or sizes of objects. "history": what can be undone; the last event of every step.
    slices : tuple of slice or None
        Of "labels": which part changed, one slice for every label axis; None for anywhere.
    replaced : bool
        Of "labels": the array is another one, because ids outgrew the dtype of the old one.
    labels : frozenset of int or None
        Of "objects": those whose record or pixels changed; None for anything.
    """

    kind: Kind
    slices: tuple[slice, ...] | None = None
    replaced: bool = False
    labels: frozenset[int] | None = None


Callback = Callable[[SessionEvent], object]


class Listeners:
    """Callbacks, called in the order in which they were connected."""

    def __init__(self) -> None:
        self._callbacks: list[Callback] = []

    def connect(self, callback: Callback) -> None:
        """Call `callback` with every event from now on; once, however often it is connected."""
        if callback not in self._callbacks:
            self._callbacks.append(callback)

    def disconnect(self, callback: Callback) -> None:
        """Stop calling `callback`; nothing happens if it is not connected."""
        if callback in self._callbacks:
            self._callbacks.remove(callback)

    def emit(self, events: Iterable[SessionEvent]) -> None:
        """Call every callback with every event."""
        for event in events:
            for callback in tuple(self._callbacks):
                callback(event)


def events_of(action: Action, *, replaced: bool) -> list[SessionEvent]:
    """Return what an action, or taking it back, changes besides the history.

    Parameters
    ----------
    action : Action
        A `Change`, a `Growing` step, or anybody's.
    replaced : bool
        Whether the label array became another one.
    """
    events: list[SessionEvent] = []
    for member in single(action):
        if not isinstance(member, Change):
            # Somebody else pushed it: it may have changed anything.
            events += [SessionEvent("labels", None, replaced), SessionEvent("objects")]
            events.append(SessionEvent("pending"))
            continue
        events += [SessionEvent("labels", box, replaced) for box in _boxes(member)]
        if member.records or member.edits:
            events.append(SessionEvent("objects", labels=_labels(member)))
        if member.pending[0] != member.pending[1]:
            events.append(SessionEvent("pending"))
    return events


def _labels(change: Change) -> frozenset[int] | None:
    """Return which objects a change touched; None where that is not known."""
    edited = [edit.labels for edit in change.edits]
    known = [labels for labels in edited if labels is not None]
    if len(known) < len(edited):
        return None
    return frozenset(label for label, *_ in change.records).union(*known)


def _boxes(change: Change) -> list[tuple[slice, ...] | None]:
    """Return which regions a change touched; the box around them where they are many."""
    boxes = [edit.bbox for edit in change.edits]
    known = [box for box in boxes if box is not None]
    if len(boxes) <= _REGIONS:
        return list(boxes)
    if len(known) < len(boxes):
        return [None]
    return [
        tuple(
            slice(min(extent.start for extent in axis), max(extent.stop for extent in axis))
            for axis in zip(*known, strict=True)
        )
    ]
