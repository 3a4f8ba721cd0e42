"""A plain account of what a user did: which object must hold which pixel, and what is pending."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from stopped_model import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Plane = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Thing:
    """An object that is prompted and not yet accepted."""

    parts: tuple[tuple[Plane, Part], ...] = ()
    replaces: int | None = None
    scope: frozenset[Plane] = frozenset()

    def part(self, plane: Plane) -> Part | None:
        return dict(self.parts).get(plane)

    def with_part(self, plane: Plane, part: Part) -> Thing:
        return replace(self, parts=tuple(sorted({**dict(self.parts), plane: part}.items())))

    @property
    def has_region(self) -> bool:
        return any(part.box or part.outline for _, part in self.parts)


Things = tuple[Thing, ...]


def plain(pending: Iterable[Any]) -> Things:
    """Return what a Session says is pending."""
    return tuple(
        Thing(
            tuple(sorted((_place(p.plane), Part.of(p.prompts)) for p in obj.parts)),
            obj.replaces,
            frozenset(_place(plane) for plane in obj.scope),
        )
        for obj in pending
    )


def _place(plane: Any) -> Plane:
    return plane.view, tuple(plane.index)


def cut(labels: Any, plane: Plane, axes: str) -> Any:
    """Return a plane of a label array, sharing its memory."""
    view, index = plane
    across = iter(index)
    return labels[tuple(slice(None) if letter in view else next(across) for letter in axes)]


def without(things: Things, what: str) -> Things:
    """Return what is left when a prompt layer was deleted: "points" or "shapes"."""
    left = []
    for thing in things:
        parts = {}
        for plane, part in thing.parts:
            if what == "points" and part.points:
                part = part.changed(points=(), labels=())
            elif what == "shapes" and (part.box or part.outline):
                part = part.changed(box=None, outline=None)
            if part.points or part.box or part.outline:
                parts[plane] = part
        if parts:
            left.append(replace(thing, parts=tuple(sorted(parts.items()))))
    return tuple(left)


@dataclass(frozen=True)
class State:
    """Which object holds which pixel, what is pending, and the highest id so far."""

    labels: Any
    things: Things = ()
    highest: int = 0

    def accepted(self, axes: str, model: str, overwrite: bool) -> State | None:
        """Return the state after Enter; None if a mask has no pixel left."""
        labels, highest, new = self.labels.copy(), self.highest, []
        for thing in self.things:
            label = thing.replaces or highest + 1
            for plane in {*thing.scope, *dict(thing.parts)} if thing.replaces else ():
                old = cut(labels, plane, axes)
                old[old == label] = 0
            taken = 0
            for plane, part in thing.parts:
                pixels = cut(labels, plane, axes)
                free = ~np.isin(pixels, new) if overwrite else pixels == 0
                write = part.mask(pixels.shape, model) & free
                pixels[write] = label
                taken += int(write.sum())
            if not taken:
                return None
            new.append(label)
            highest = max(highest, label)
        return State(labels, (), highest)


class Account:
    """The history of one session as it must be, kept without looking at the session.

    Attributes
    ----------
    base : int
        Steps that the session's history had before this account was opened.
    queue : list of Things
        For every Enter that is due: what was prompted after it.
    """

    def __init__(self, state: State, base: int, axes: str) -> None:
        self.base, self.axes = base, axes
        self._states, self._now = [state], 0
        self.queue: list[Things] = []

    @property
    def state(self) -> State:
        return self._states[self._now]

    @property
    def steps(self) -> int:
        return self.base + self._now

    def push(self, state: State) -> None:
        del self._states[self._now + 1 :]
        self._states.append(state)
        self._now += 1

    def pending(self, things: Things) -> None:
        if things != self.state.things:
            self.push(replace(self.state, things=things))

    def prompt(self, plane: Plane, edit: Callable[[Part], Part], *, region: bool) -> None:
        things = self.queue[-1] if self.queue else self.state.things
        if not things or (region and things[-1].has_region):
            things = (*things, Thing())
        newest = things[-1]
        part = edit(newest.part(plane) or Part())
        things = (*things[:-1], newest.with_part(plane, part))
        if self.queue:
            self.queue[-1] = things
        else:
            self.pending(things)

    def accept(self, model: str, overwrite: bool) -> bool:
        state = self.state.accepted(self.axes, model, overwrite)
        if state is not None:
            self.push(state)
        return state is not None

    def release(self) -> None:
        """Go on with what was prompted after an Enter that came true, or has nothing to accept."""
        self.pending(self.queue.pop(0))
        self.skip()

    def skip(self) -> None:
        """Forget Enters that have nothing to accept."""
        while self.queue and not self.state.things:
            self.pending(self.queue.pop(0))

    def delete(self, label: int) -> None:
        state, things = self.state, self.state.things
        labels = np.where(state.labels == label, 0, state.labels)
        kept = tuple(thing for thing in things if thing.replaces != label)
        self.push(State(labels, kept, state.highest))

    def join(self, gone: int, into: int) -> None:
        state = self.state
        if not {gone, into} & {thing.replaces for thing in state.things}:
            labels = np.where(state.labels == gone, into, state.labels)
            self.push(replace(state, labels=labels))

    def paint(self, labels: Any) -> None:
        self.push(replace(self.state, labels=labels, highest=max(self.state.highest, labels.max())))

    def lose(self, what: str) -> None:
        """Take note of a prompt layer that was deleted."""
        self.queue = [without(things, what) for things in self.queue]
        self.pending(without(self.state.things, what))
        self.skip()

    def undo(self) -> bool:
        if self._now == 0:
            return False
        self._now -= 1
        return True

    def redo(self) -> bool:
        if self._now + 1 == len(self._states):
            return False
        self._now += 1
        return True

    def older(self, state: State) -> None:
        """Take note of a state from before this account."""
        self._states.insert(0, state)
        self.base -= 1
