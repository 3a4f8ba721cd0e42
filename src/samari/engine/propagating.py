"""What a session does to take objects through a stack: plan, take what arrives, finish."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from samari.engine.automatic import Automatic
from samari.engine.checks import listed, whole_number
from samari.engine.history import Growing
from samari.engine.objects import ObjectPart, SegmentedObject
from samari.engine.planes import PlaneIndex
from samari.engine.prompts import PlanePrompts
from samari.engine.propagate import Limits, Propagation, Target
from samari.engine.regions import Region
from samari.engine.state import Change
from samari.engine.steps import result_of
from samari.errors import Cancelled, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Sequence

    from samari.engine.masks import Box
    from samari.engine.propagated import FoundMask, PropagationReport
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
        return result_of(self.planning_steps(labels, axis, range, limits))

    def planning_steps(
        self,
        labels: int | Iterable[int],
        axis: str = "Z",
        range: range | tuple[int, int] | None = None,
        limits: Limits | None = None,
    ) -> Generator[None, None, Propagation]:
        """Plan a propagation in parts: one for every plane of an object that is read.

        Axis and range are checked at once, the labels while it goes on.
        """
        letter = str(axis).upper()
        if letter not in self.planes.label_axes or letter not in _VIEWS:
            raise InputError(f"axis {axis!r} is not one of the axes of {self.planes.label_axes}")
        length = self.planes.label_shape[self.planes.label_axes.index(letter)]
        first, last = _ends(range, length)
        wanted = [labels] if isinstance(labels, int | np.integer) else listed(labels, "labels")
        numbers = list(dict.fromkeys(whole_number(one, "a label") for one in wanted))
        return self._planning(numbers, letter, first, last, limits or Limits())

    def _planning(
        self, labels: Sequence[int], axis: str, first: int, last: int, limits: Limits
    ) -> Generator[None, None, Propagation]:
        view = self.planes.canonical_view(_VIEWS[axis])
        painted = self._painted_planes(labels, view)
        targets: list[Target] = []
        for label in labels:
            found = yield from self._targets(label, axis, view, first, last, painted[label])
            if not found:
                raise InputError(self._why_not(label))
            targets += found
        return Propagation(self.planes, axis, targets, first, last, Growing(), limits)

    def propagation_steps(
        self, run: Propagation
    ) -> Generator[tuple[int, int], None, PropagationReport]:
        """Return the steps of a propagation; like `compute_steps`, another thread may run them."""
        return run.steps(self._model)

    def take_propagated(self, run: Propagation, seconds: float = math.inf) -> int:
        """Write what has arrived into the labels; return the number of masks.

        Parameters
        ----------
        run : Propagation
        seconds : float
            No further mask is begun after this time; the rest waits for the next call.

        Raises
        ------
        Cancelled
            If the propagation was undone.
        """
        if not run.arrived:
            return 0
        count = 0
        end = time.perf_counter() + seconds
        with self._change("propagate", run.step) as change:
            while run.arrived:
                count += self._write_propagated(change, run, run.arrived.popleft())
                if time.perf_counter() > end:
                    break
        return count

    def finish_propagation(self, run: Propagation) -> PropagationReport:
        """Write the rest, and note in the objects on which planes they were propagated.

        Planes of an earlier propagation that this one did not reach are background again, unless
        it was cancelled.
        """
        return result_of(self.finishing_steps(run))

    def finishing_steps(
        self, run: Propagation, seconds: float = math.inf
    ) -> Generator[None, None, PropagationReport]:
        """Finish a propagation in parts of about so many seconds; see `finish_propagation`."""
        try:
            while run.arrived:
                self.take_propagated(run, seconds)
                yield
            if not run.report.cancelled:
                for number in range(len(run.targets)):
                    yield from self._give_back(run, number)
            with self._change("propagate", run.step) as change:
                for number, target in enumerate(run.targets):
                    if self._is_there(run, target):
                        self._finish_target(change, run, number)
                if not run.report.cancelled:
                    change.details.update(run.details)
        except Cancelled:
            run.report.cancelled = True
        return run.report

    def _give_back(self, run: Propagation, number: int) -> Generator[None, None, None]:
        """Make what an earlier propagation wrote, and this one did not find, background again."""
        target = run.targets[number]
        for index in sorted(target.stale.keys() - run.written[number].keys()):
            with self._change("propagate", run.step) as change:
                where = self._part(run.plane(target, index), target.stale[index])
                change.relabel(target.label, 0, where)
            yield

    def _write_propagated(self, change: Transaction, run: Propagation, found: FoundMask) -> bool:
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
        run.written[found.target][found.index] = found.confidence
        return True

    def _finish_target(self, change: Transaction, run: Propagation, number: int) -> None:
        """Note in an object's record where it was propagated, and how surely."""
        target, written = run.targets[number], run.written[number]
        found = set(written) if run.report.cancelled else {*target.stale, *written}
        if run.report.cancelled and not written:
            return
        old = change.records.get(target.label) or self.objects.get(target.label)
        old = old or SegmentedObject(target.label)
        gone = {run.plane(target, index) for index in found}
        kept = [part for part in old.parts if part.plane not in gone]
        new = [
            ObjectPart(run.plane(target, index), PlanePrompts(), 0, confidence)
            for index, confidence in sorted(written.items())
        ]
        name, model_hash = run.model
        change.records[target.label] = replace(
            old,
            parts=(*kept, *new),
            model=name,
            model_hash=model_hash,
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

    def _targets(
        self,
        label: int,
        axis: str,
        view: str,
        first: int,
        last: int,
        painted: Collection[PlaneIndex],
    ) -> Generator[None, None, list[Target]]:
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
        targets = []
        for fixed in product(*spans):
            anchors: dict[int, Region] = {}
            stale: dict[int, Box] = {}
            stops = {
                plane.index[at]
                for plane, part in parts.items()
                if plane.view == view
                and _without(plane.index, at) == _without(fixed, at)
                and _is_stop_sign(part)
            }
            for index in _indices(along):
                plane = PlaneIndex(view, (*fixed[:at], index, *fixed[at + 1 :]))
                region = self._region(label, plane, box)
                part = parts.get(plane)
                yield
                if region is None or index in stops:
                    continue
                if part is not None and part.prompts.is_empty and plane not in painted:
                    stale[index] = region.box
                else:
                    anchors[index] = region
            if anchors:
                inside = {index: one for index, one in stale.items() if first <= index <= last}
                place = PlaneIndex(view, fixed)
                targets.append(Target(label, place, anchors, frozenset(stops), inside))
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
        spacing = (1.0, 1.0)
        if self.scale is not None:
            height, width = (
                abs(self.scale[self.planes.label_axes.index(letter)]) for letter in plane.view
            )
            spacing = (height, width)
        return Region.of(part == label, (rows.start, cols.start), spacing)

    def _part(self, plane: PlaneIndex, box: Box) -> tuple[int | slice, ...]:
        y0, x0, y1, x1 = box
        return self.planes.label_slices(plane, slice(y0, y1), slice(x0, x1))

    def _painted_planes(self, labels: Iterable[int], view: str) -> dict[int, set[PlaneIndex]]:
        """Return for each object the planes that somebody painted on after its last propagation."""
        others = [letter for letter in self.planes.label_axes if letter not in view]
        painted: dict[int, set[PlaneIndex]] = {label: set() for label in labels}
        for change in self.history.changes():
            if not isinstance(change, Change) or change.name not in ("edit", "propagate"):
                continue
            for edit in change.edits:
                touched = painted.keys() if edit.labels is None else painted.keys() & edit.labels
                if edit.bbox is None or not touched:
                    continue
                spans = [_indices(edit.bbox[self.planes.label_axes.index(one)]) for one in others]
                planes = {PlaneIndex(view, index) for index in product(*spans)}
                for label in touched:
                    if change.name == "edit":
                        painted[label] |= planes
                    else:
                        painted[label] -= planes
        return painted


def _is_stop_sign(part: ObjectPart) -> bool:
    """Whether the user said of a plane nothing but where the object is not."""
    return not part.prompts.is_empty and not part.prompts.says_where


def _ends(wanted: range | tuple[int, int] | None, length: int) -> tuple[int, int]:
    """Return first and last plane.

    Raises
    ------
    InputError
        If there is no plane in the range, or it is none.
    """
    if wanted is None:
        start, stop = 0, length
    elif isinstance(wanted, range):
        start, stop = (min(wanted), max(wanted) + 1) if wanted else (0, 0)
    else:
        ends = list(wanted) if isinstance(wanted, Iterable) else []
        if len(ends) != 2:
            raise InputError(
                f"range={wanted!r} must be the first plane and the one after the last, e.g. "
                f"(0, {length})"
            )
        start, stop = (whole_number(end, "a plane of the range") for end in ends)
    if not 0 <= start < stop <= length:
        raise InputError(
            f"the range from plane {start} to {stop - 1} must lie within the planes 0 to "
            f"{length - 1}, its first plane first"
        )
    return start, stop - 1


def _indices(extent: slice) -> range:
    return range(extent.start, extent.stop)


def _without(index: tuple[int, ...], at: int) -> tuple[int, ...]:
    return (*index[:at], *index[at + 1 :])
