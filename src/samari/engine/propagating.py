"""What a session does to take objects through a stack: plan, take what arrives, finish."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from samari.engine.automatic import Automatic
from samari.engine.history import Growing
from samari.engine.objects import ObjectPart, SegmentedObject
from samari.engine.planes import PlaneIndex
from samari.engine.prompts import PlanePrompts
from samari.engine.propagate import Limits, Propagation, PropagationReport, Target
from samari.engine.regions import Region
from samari.engine.state import Change
from samari.errors import Cancelled, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from samari.engine.masks import Box
    from samari.engine.propagate import PlaneMask
    from samari.engine.state import Transaction

#: The planes that lie one behind the other along each axis.
_VIEWS = {"Z": "YX", "T": "YX", "Y": "ZX", "X": "ZY"}


class Propagating(Automatic):
    """An annotation that can follow objects through a stack; a part of `Session`."""

    def propagate(
        self,
        labels: int | Iterable[int],
        axis: str = "Z",
        range: range | tuple[int, int] | None = None,
        progress: Callable[[int, int], object] | None = None,
        cancel: Callable[[], bool] | None = None,
        limits: Limits | None = None,
    ) -> PropagationReport:
        """Follow objects from the planes they are known on to where they end, as one step.

        Each plane is prompted with the mask on the plane before. Planes on which an object was
        prompted or painted by hand stay as they are; between two of them it is filled in from both.
        A plane with nothing but a negative point of the object is where it ends. Only background
        becomes an object. Several objects share the encoding of each plane.

        What an earlier propagation wrote is found anew, unless it was painted on since.

        Parameters
        ----------
        labels : int or iterable of int
            Accepted objects, or labels of another tool.
        axis : str
            Letter of the axis to go along: Z, Y, X or T.
        range : range or (int, int), optional
            First plane, and the one after the last; all planes by default.
        progress : callable, optional
            Called with (done, total), in planes.
        cancel : callable, optional
            Asked after every block of the encoder; True stops. What was done is kept.
        limits : Limits, optional
            What tells that an object has ended.

        Returns
        -------
        PropagationReport
            The confidence of every plane, and why each object ended where it did.

        Raises
        ------
        InputError
            If the image has no such axis, there is no such object, or the range is empty.
        """
        run = self.plan_propagation(labels, axis, range, limits)
        for done, total in self.propagation_steps(run):
            self.take_propagated(run)
            if progress is not None:
                progress(done, total)
            if cancel is not None and cancel():
                run.report.cancelled = True
                break
        return self.finish_propagation(run)

    def plan_propagation(
        self,
        labels: int | Iterable[int],
        axis: str = "Z",
        range: range | tuple[int, int] | None = None,
        limits: Limits | None = None,
    ) -> Propagation:
        """Return a propagation that has not begun; see `propagate` for the arguments.

        For whoever has a window: another thread runs `propagation_steps`, and the session's thread
        calls `take_propagated` from time to time and `finish_propagation` at the end.
        """
        letter = str(axis).upper()
        if letter not in self.planes.label_axes or letter not in _VIEWS:
            raise InputError(f"axis {axis!r} is not one of the axes of {self.planes.label_axes}")
        view = self.planes.canonical_view(_VIEWS[letter])
        length = self.planes.label_shape[self.planes.label_axes.index(letter)]
        first, last = _ends(range, length)
        wanted = [labels] if isinstance(labels, int | np.integer) else list(labels)
        targets: list[Target] = []
        for label in dict.fromkeys(int(one) for one in wanted):
            found = self._targets(label, letter, view, first, last)
            if not found:
                raise InputError(self._why_not(label))
            targets += found
        return Propagation(self.planes, letter, targets, first, last, Growing(), limits or Limits())

    def propagation_steps(
        self, run: Propagation
    ) -> Generator[tuple[int, int], None, PropagationReport]:
        """Return the steps of a propagation; like `compute_steps`, another thread may run them."""
        return run.steps(self._model)

    def take_propagated(self, run: Propagation) -> int:
        """Write what has arrived into the labels; return the number of masks.

        Raises
        ------
        Cancelled
            If the propagation was undone.
        """
        if not run.arrived:
            return 0
        count = 0
        with self._change("propagate", run.step) as change:
            while run.arrived:
                count += self._write_propagated(change, run, run.arrived.popleft())
        return count

    def finish_propagation(self, run: Propagation) -> PropagationReport:
        """Write the rest, and note in the objects on which planes they were propagated.

        Planes of an earlier propagation that this one did not reach are background again, unless
        it was cancelled.
        """
        try:
            self.take_propagated(run)
            with self._change("propagate", run.step) as change:
                for target in run.targets:
                    if self._is_there(run, target):
                        self._finish_target(change, run, target)
                if not run.report.cancelled:
                    change.details.update(run.details)
        except Cancelled:
            run.report.cancelled = True
        return run.report

    def _write_propagated(self, change: Transaction, run: Propagation, found: PlaneMask) -> bool:
        """Write one mask; False if none of its pixels is free, or its object was deleted since."""
        target = run.targets[found.target]
        label = target.label
        if not self._is_there(run, target):
            return False
        plane = run.plane(target, found.index)
        if found.index in target.stale:
            change.relabel(label, 0, self._part(plane, target.stale[found.index]))
        where = self._part(plane, found.region.box)
        if not change.write(where, found.region.mask, label).count:
            return False
        run.report.confidence.setdefault(label, {})[found.index] = found.confidence
        return True

    def _finish_target(self, change: Transaction, run: Propagation, target: Target) -> None:
        written = run.report.confidence.get(target.label, {})
        if not run.report.cancelled:
            for index in sorted(target.stale.keys() - written.keys()):
                where = self._part(run.plane(target, index), target.stale[index])
                change.relabel(target.label, 0, where)
        model = self._model()
        old = self.objects.get(target.label) or SegmentedObject(target.label)
        found = written if run.report.cancelled else {*target.stale, *written}
        gone = {run.plane(target, index) for index in found}
        kept = [part for part in old.parts if part.plane not in gone]
        new = [
            ObjectPart(run.plane(target, index), PlanePrompts(), 0, confidence)
            for index, confidence in sorted(written.items())
        ]
        change.records[target.label] = replace(
            old,
            parts=(*kept, *new),
            model=model.model_name,
            model_hash=model.model_hash,
            contrast_limits=self.planes.contrast_limits,
            channel=self.planes.channel,
        )

    def _is_there(self, run: Propagation, target: Target) -> bool:
        """Whether an object still has a pixel on a plane that it was followed from."""
        for index, region in target.anchors.items():
            where = self._part(run.plane(target, index), region.box)
            if (self._state.store.read(where) == target.label).any():
                return True
        return False

    def _targets(self, label: int, axis: str, view: str, first: int, last: int) -> list[Target]:
        """Return what is known of an object, one target for each stack of planes it lies in."""
        box = self._state.store.census.box(label) if label > 0 else None
        if box is None:
            box = self._state.store.extent(label) if label > 0 else None
        if box is None:
            return []
        others = [letter for letter in self.planes.label_axes if letter not in view]
        at = others.index(axis)
        spans = [
            [0] if letter == axis else list(_indices(box[self.planes.label_axes.index(letter)]))
            for letter in others
        ]
        along = box[self.planes.label_axes.index(axis)]
        record = self.objects.get(label) or SegmentedObject(label)
        parts = {part.plane: part for part in record.parts}
        painted = self._painted_planes(label, view)
        targets = []
        for fixed in product(*spans):
            anchors: dict[int, Region] = {}
            stale: dict[int, Box] = {}
            stops = set()
            for index in _indices(along):
                plane = PlaneIndex(view, (*fixed[:at], index, *fixed[at + 1 :]))
                region = self._region(label, plane, box)
                part = parts.get(plane)
                if region is None or (part is not None and _is_stop_sign(part)):
                    continue
                if part is not None and part.prompts.is_empty and plane not in painted:
                    stale[index] = region.box
                else:
                    anchors[index] = region
            for plane, part in parts.items():
                same = plane.view == view and _without(plane.index, at) == _without(fixed, at)
                if same and _is_stop_sign(part):
                    stops.add(plane.index[at])
            if anchors:
                inside = {index: one for index, one in stale.items() if first <= index <= last}
                targets.append(
                    Target(
                        label,
                        PlaneIndex(view, fixed),
                        anchors,
                        frozenset(stops),
                        inside,
                    )
                )
        return targets

    def _why_not(self, label: int) -> str:
        """Return why an object cannot be propagated that has no target."""
        if label < 1 or self._state.store.extent(label) is None:
            return f"there is no object {label} in the labels to propagate"
        return (
            f"object {label} has no plane to start from: none of those it lies on was prompted or "
            f"painted; prompt or paint it on one of them first"
        )

    def _region(self, label: int, plane: PlaneIndex, box: tuple[slice, ...]) -> Region | None:
        """Return an object's pixels on a plane; all of them lie in a box of the labels."""
        rows, cols = (box[self.planes.label_axes.index(letter)] for letter in plane.view)
        part = self._state.store.read(self.planes.label_slices(plane, rows, cols))
        return Region.of(part == label, (rows.start, cols.start))

    def _part(self, plane: PlaneIndex, box: Box) -> tuple[int | slice, ...]:
        y0, x0, y1, x1 = box
        return self.planes.label_slices(plane, slice(y0, y1), slice(x0, x1))

    def _painted_planes(self, label: int, view: str) -> set[PlaneIndex]:
        """Return the planes on which somebody painted after the last propagation of an object."""
        others = [letter for letter in self.planes.label_axes if letter not in view]
        painted: set[PlaneIndex] = set()
        done = (action for action in self.history.changes() if isinstance(action, Change))
        for change in done:
            for edit in change.edits:
                if edit.labels is not None and label not in edit.labels:
                    continue
                box = edit.bbox
                if box is None:
                    continue
                spans = [_indices(box[self.planes.label_axes.index(one)]) for one in others]
                planes = {PlaneIndex(view, index) for index in product(*spans)}
                if change.name == "edit":
                    painted |= planes
                elif change.name == "propagate":
                    painted -= planes
        return painted


def _is_stop_sign(part: ObjectPart) -> bool:
    """Whether the user said of a plane nothing but where the object is not."""
    return not part.prompts.is_empty and not part.prompts.says_where


def _ends(wanted: range | tuple[int, int] | None, length: int) -> tuple[int, int]:
    """Return first and last plane.

    Raises
    ------
    InputError
        If there is no plane in the range.
    """
    if wanted is None:
        start, stop = 0, length
    elif isinstance(wanted, range):
        start, stop = (min(wanted), max(wanted) + 1) if wanted else (0, 0)
    else:
        start, stop = wanted
    if not 0 <= start < stop <= length:
        raise InputError(f"range {wanted!r} holds none of the planes 0 to {length - 1}")
    return int(start), int(stop) - 1


def _indices(extent: slice) -> range:
    return range(extent.start, extent.stop)


def _without(index: tuple[int, ...], at: int) -> tuple[int, ...]:
    return (*index[:at], *index[at + 1 :])
