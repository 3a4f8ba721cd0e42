"""The state of a session, and the only way to change it: a transaction that leaves a `Change`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from samari.engine.census import counted
from samari.engine.objects import ObjectTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from samari.engine.history import Opaque
    from samari.engine.label_arrays import Index
    from samari.engine.labels import LabelEdit, LabelStore
    from samari.engine.objects import SegmentedObject
    from samari.engine.pending import PendingObject

    Pending = tuple[PendingObject, ...]


class SessionState:
    """What undo brings back: labels, object table, pending objects and the highest id.

    Parameters
    ----------
    store : LabelStore

    Attributes
    ----------
    pending : tuple of PendingObject
        The newest one last.
    """

    def __init__(self, store: LabelStore) -> None:
        self.store = store
        self.objects = ObjectTable()
        self.pending: Pending = ()

    @contextmanager
    def transaction(self, name: str) -> Iterator[Transaction]:
        """Change the state; if the `with` block raises, everything is as it was before.

        Parameters
        ----------
        name : str
            What the user does, e.g. "accept".
        """
        change = Transaction(self, name)
        try:
            yield change
        except BaseException:
            change.roll_back()
            raise
        change.finish()

    def hand_edit(self, edit: Opaque, slices: Index | None, label: int | None) -> Change:
        """Return the step that somebody else's change of the labels is; see `Session.record_edit`.

        No object accepted later gets the id that was painted.
        """
        edit = counted(edit, self.store.census, self.store.read)
        before = self.store.highest
        if edit.change is not None and edit.change[1] is not None:
            painted = int(edit.change[2].max(initial=0))
        else:
            painted = self.store.scan_highest(slices or ()) if label is None else int(label)
        self.store.highest = max(before, painted)
        return Change(
            state=self,
            name="edit",
            pending=(self.pending, self.pending),
            highest=(before, self.store.highest),
            edits=(edit,),
        )


@dataclass(frozen=True, eq=False)
class Change:
    """One step of the history: values before and after, and the label edits in between.

    Attributes
    ----------
    name : str
        What was done.
    pending : tuple
        Pending objects (before, after).
    records : tuple of (label, before, after)
        Changed rows of the object table.
    highest : tuple of int
        Highest id (before, after): an id is used again only once no undo or redo can bring its
        object back.
    edits : tuple of LabelEdit or Opaque
        In the order in which they were made.
    details : dict
        What else a replay needs to know, as JSON values.
    """

    state: SessionState
    name: str
    pending: tuple[Pending, Pending]
    records: tuple[tuple[int, SegmentedObject | None, SegmentedObject | None], ...] = ()
    highest: tuple[int, int] = (0, 0)
    edits: tuple[LabelEdit | Opaque, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def after(self, first: Change) -> Change:
        """Return this change as a later part of the step that began with another change.

        Steps of the user may lie between the two, so only the first part, and what they do, moves
        the pending objects and the highest id.
        """
        pending, highest = first.pending[1], first.highest[1]
        return replace(self, pending=(pending, pending), highest=(highest, highest))

    def settle(self) -> None:
        """Make everything but the pixels what it is after the step; they were written already."""
        self._set(1)

    def undo(self) -> None:
        """Bring back the state before."""
        for edit in reversed(self.edits):
            edit.undo()
        self._set(0)

    def redo(self) -> None:
        """Bring back the state after."""
        for edit in self.edits:
            edit.redo()
        self._set(1)

    def _set(self, side: int) -> None:
        self.state.pending = self.pending[side]
        self.state.store.highest = self.highest[side]
        for label, *records in self.records:
            self.state.objects.replace(label, records[side])


@dataclass(eq=False)
class Transaction:
    """A change under way: labels are written at once, the rest when it is finished.

    Attributes
    ----------
    pending : tuple of PendingObject
        Assign to change.
    records : dict of int to SegmentedObject or None
        Rows of the object table to set, or to remove.
    details : dict
        What a replay needs to know besides the pending objects, as JSON values.
    change : Change or None
        Set when finished; None if nothing was changed.
    """

    state: SessionState
    name: str
    pending: Pending = field(init=False)
    records: dict[int, SegmentedObject | None] = field(default_factory=dict)
    edits: list[LabelEdit | Opaque] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    change: Change | None = None

    def __post_init__(self) -> None:
        """Remember where the change starts."""
        self.pending = self.state.pending
        self.highest_before = self.state.store.highest
        self._array_before = self.state.store.array

    def write(
        self,
        slices: Index,
        mask: NDArray[np.bool_],
        label: int,
        replace: Sequence[int] = (),
        keep: Sequence[int] | None = None,
    ) -> LabelEdit:
        """Write into the labels; see `LabelStore.write`."""
        edit = self.state.store.write(slices, mask, label, replace, keep)
        if edit.count:
            self.edits.append(edit)
        return edit

    def relabel(self, old: int | Sequence[int], new: int, slices: Index = ()) -> frozenset[int]:
        """Turn labels into another, see `LabelStore.relabel`; return those that had a pixel."""
        edits = self.state.store.relabel(old, new, slices)
        self.edits.extend(edits)
        return frozenset().union(*(edit.labels for edit in edits if edit.count)) - {new}

    def roll_back(self) -> None:
        """Take back what was written."""
        for edit in reversed(self.edits):
            edit.undo()
        self.state.store.highest = self.highest_before
        self.state.store.go_back_to(self._array_before)

    def finish(self) -> None:
        """Make the change the session's state."""
        state = self.state
        records = tuple(
            (label, state.objects.get(label), record) for label, record in self.records.items()
        )
        change = Change(
            state=state,
            name=self.name,
            pending=(state.pending, self.pending),
            records=tuple(row for row in records if row[1] != row[2]),
            highest=(self.highest_before, state.store.highest),
            edits=tuple(self.edits),
            details=self.details,
        )
        if not change.edits and not change.records and state.pending == self.pending:
            return
        state.pending = self.pending
        for label, _, record in change.records:
            state.objects.replace(label, record)
        self.change = change
