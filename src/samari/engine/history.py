"""One line of actions that can be taken back and done again, at any depth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from samari.engine.state import Change


class Action(Protocol):
    """Something that was done."""

    def undo(self) -> None:
        """Bring back the state before the action."""

    def redo(self) -> None:
        """Bring back the state after the action."""


@dataclass(frozen=True, eq=False)
class Opaque:
    """An action of somebody else, known only by its two callables: a stroke of napari's brush.

    Attributes
    ----------
    take_back, do_again : callable
        Called without arguments by `undo` and `redo`.
    bbox : tuple of slice or None
        Which part of the labels it touched, one slice an axis; None if that is not known.
    labels : frozenset of int or None
        Which objects gained or lost pixels; None if that is not known.
    change : tuple of (box, before, after) or None
        What it did to the labels in this box: the pixels before (None if nobody knows) and after.
    """

    take_back: Callable[[], object]
    do_again: Callable[[], object]
    bbox: tuple[slice, ...] | None = None
    labels: frozenset[int] | None = None
    change: tuple[tuple[slice, ...], NDArray[Any] | None, NDArray[Any]] | None = None

    def undo(self) -> None:
        """Let the owner take the action back."""
        self.take_back()

    def redo(self) -> None:
        """Let the owner do the action again."""
        self.do_again()


@dataclass(frozen=True, eq=False)
class Growing:
    """A step that is made in parts, while the user may do other things: a long automatic job.

    It lies in the history where its first part was pushed. Its later parts change labels that the
    steps above it do not touch, so the order in which those and these are undone does not matter.
    """

    actions: list[Change] = field(default_factory=list)

    def undo(self) -> None:
        """Undo all parts, the last one first."""
        for action in reversed(self.actions):
            action.undo()

    def redo(self) -> None:
        """Redo all parts, the first one first."""
        for action in self.actions:
            action.redo()


def single(action: Action) -> tuple[Action, ...]:
    """Return the actions that an action consists of, the first one first."""
    return tuple(action.actions) if isinstance(action, Growing) else (action,)


class History:
    """What was done, in order, without a limit of depth.

    An action is pushed after it was done. Pushing forgets what had been undone. An action whose
    `undo` or `redo` raises stays where it was, so that the error hides nothing.

    Parameters
    ----------
    changed : callable, optional
        Called without arguments after every step that was pushed, undone or redone.
    """

    def __init__(self, changed: Callable[[], object] = lambda: None) -> None:
        self._changed = changed
        self._done: list[Action] = []
        self._undone: list[Action] = []

    def push(self, action: Action) -> None:
        """Add an action that was just done."""
        self._done.append(action)
        self._undone.clear()
        self._changed()

    def grow(self, step: Growing, action: Change) -> None:
        """Add a part that was just done to a step that `holds`; push the step with its first."""
        step.actions.append(action)
        if len(step.actions) == 1:
            self.push(step)
        else:
            self._changed()

    def holds(self, step: Growing) -> bool:
        """Whether a step can be given another part: it is new, or was not undone since."""
        return not step.actions or any(done is step for done in self._done)

    def changes(self) -> Iterator[Action]:
        """Go through all that was done and not undone, the first one first."""
        for action in self._done:
            yield from single(action)

    @property
    def newest(self) -> Action | None:
        """What `undo` would take back."""
        return self._done[-1] if self.can_undo else None

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is something to do again."""
        return bool(self._undone)

    def undo(self) -> Action | None:
        """Take back the newest action and return it; None if there is none."""
        if not self.can_undo:
            return None
        action = self._done[-1]
        action.undo()
        self._undone.append(self._done.pop())
        self._changed()
        return action

    def redo(self) -> Action | None:
        """Do the action again that was undone last and return it; None if there is none."""
        if not self.can_redo:
            return None
        action = self._undone[-1]
        action.redo()
        self._done.append(self._undone.pop())
        self._changed()
        return action

    @property
    def done(self) -> tuple[Action, ...]:
        """What can be undone, the oldest first."""
        return tuple(self._done)

    def __len__(self) -> int:
        """Return the number of actions that can be undone."""
        return len(self._done)
