"""What a session does by itself: find everything, choose by thresholds, append it as one step."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from samari.engine import everything
from samari.engine.annotation import Annotation
from samari.engine.candidates import Thresholds
from samari.engine.checks import whole_number
from samari.engine.everything import POINTS_PER_SIDE, Everything
from samari.engine.history import Growing
from samari.engine.label_arrays import is_in_memory
from samari.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from samari.engine.candidates import PlaneCandidates, Selection
    from samari.engine.questions import Questions

#: How long one part of `append_steps` writes: less than a picture of a screen at 60 Hz.
_PART_SECONDS = 0.003


class Automatic(Annotation):
    """An annotation that can look for objects by itself; a part of `Session`."""

    _view: str
    _questions: Questions

    def segment_everything(
        self,
        plane: Any = None,
        *,
        points_per_side: int = POINTS_PER_SIDE,
        progress: Callable[[int, int], object] | None = None,
        cancel: Callable[[], bool] | None = None,
        **thresholds: Any,
    ) -> list[int]:
        """Segment everything on a plane, on some or on all, as one step of the history.

        New objects are appended: labels that are there, by whomever, keep all their pixels. Each
        object lies on one plane and keeps the point it was found at, so it can be reopened.

        Parameters
        ----------
        plane : PlaneIndex, int, sequence of int, or several planes, optional
            Which planes; index along the label axes that are not in `view`. Default: all of them.
        points_per_side : int
            The plane is clicked on at this many points along each axis; one that is larger than
            the model's picture, at so many for each picture's length.
        progress : callable, optional
            Called with (done, total) after every block of the encoder and every batch of points.
        cancel : callable, optional
            Asked as often; True stops.
        **thresholds
            See `Thresholds`.

        Returns
        -------
        list of int
            The new labels; empty if nothing was found, which is no step.

        Raises
        ------
        Cancelled
            If `cancel` said so. Then nothing was changed.
        InputError
            If there is no such plane, it has more than 2**28 pixels, or a threshold is out of
            range.
        LabelsError
            If the ids do not fit the labels. Then nothing was changed.
        """
        chosen = Thresholds(**thresholds)
        points_per_side = whole_number(points_per_side, "points_per_side")
        wanted = everything.planes_of(self.planes, self._view, plane)
        everything.check_size(self.planes, wanted)
        # Of every plane only what is chosen is kept: a long series must not fill the memory.
        walk = everything.steps(
            self.planes, self._model, wanted, points_per_side, lambda c: self._select(c, chosen)
        )
        while True:
            try:
                done, total = next(walk)
            except StopIteration as end:
                selections, origin = end.value
                break
            if progress is not None:
                progress(done, total)
            if cancel is not None and cancel():
                walk.close()
                raise Cancelled(f"cancelled after {done} of {total} parts; nothing was changed")
        with self._change("everything") as change:
            count = sum(map(len, selections))
            change.details.update(everything.details(points_per_side, chosen, count))
            return everything.append(change, self.planes, selections, origin)

    def everything_steps(
        self, plane: Any = None, *, points_per_side: int = POINTS_PER_SIDE
    ) -> Generator[tuple[int, int], None, Everything]:
        """Look for everything step by step; like `compute_steps`, another thread may run it.

        Nothing is changed. `filter_everything` and `accept_everything` take the result, as often
        as wanted, with any thresholds, without asking the model again.

        Parameters
        ----------
        plane, points_per_side
            See `segment_everything`.

        Yields
        ------
        (done, total) : tuple of int
            Parts of the work, after every block of the encoder and every batch of points.

        Returns
        -------
        Everything

        Raises
        ------
        InputError
            If there is no such plane; at the call, not at the first step.
        """
        points_per_side = whole_number(points_per_side, "points_per_side")
        wanted = everything.planes_of(self.planes, self._view, plane)
        everything.check_size(self.planes, wanted)
        return _all_steps(
            everything.steps(
                self.planes, self._model, wanted, points_per_side, lambda candidates: candidates
            ),
            points_per_side,
        )

    def filter_everything(
        self, found: Everything, thresholds: Thresholds | None = None, plane: Any = None
    ) -> list[Selection]:
        """Return what `accept_everything` would append, one selection a plane.

        Parameters
        ----------
        found : Everything
        thresholds : Thresholds, optional
            The default ones if not given.
        plane : PlaneIndex, int or sequence of int, optional
            Only this one of the planes.
        """
        chosen = Thresholds() if thresholds is None else thresholds
        only = None if plane is None else self.planes.plane_of(plane, self._view)
        return [
            self._select(candidates, chosen)
            for candidates in found.planes
            if only in (None, candidates.plane)
        ]

    def accept_everything(
        self, found: Everything, thresholds: Thresholds | None = None
    ) -> list[int]:
        """Append what the thresholds choose, as one step of the history.

        Returns
        -------
        list of int
            The new labels; empty if nothing was chosen, which is no step.

        Raises
        ------
        LabelsError
            If the ids do not fit the labels. Then nothing was changed.
        """
        chosen = Thresholds() if thresholds is None else thresholds
        selections = self.filter_everything(found, chosen)
        with self._change("everything") as change:
            count = sum(map(len, selections))
            change.details.update(everything.details(found.points_per_side, chosen, count))
            return everything.append(change, self.planes, selections, found.origin)

    def append_steps(
        self,
        selections: Iterable[Selection],
        found: Everything,
        thresholds: Thresholds,
        step: Growing | None = None,
    ) -> Generator[tuple[int, int], None, list[int]]:
        """Append what was chosen in parts of some milliseconds, all one step of the history.

        For whoever has a window to keep alive: between two parts anything may happen to the
        session. What is written stays if the rest is not asked for.

        Parameters
        ----------
        selections : iterable of Selection
            At most one a plane.
        found, thresholds
            What they were chosen from, and by.
        step : Growing, optional
            Which step of the history to make the parts of; a new one if not given.

        Yields
        ------
        (done, total) : tuple of int
            Objects.

        Returns
        -------
        list of int
            The new labels, in the order of the selections.

        Raises
        ------
        LabelsError
            If the ids do not fit the labels; at the first part, when nothing was changed.
        Cancelled
            If the step was undone before it was complete.
        """
        chosen = [(each.plane, one) for each in selections for one in each.objects]
        details = everything.details(found.points_per_side, thresholds, len(chosen))
        step, labels, done = step or Growing(), [], 0
        store = self._state.store
        first = store.next_label()
        while done < len(chosen):
            with self._change("everything", step) as change:
                change.details.update(details)
                if not done:
                    # All ids at once: objects accepted between two parts get higher ones.
                    store.highest = first + len(chosen) - 1
                    if not is_in_memory(store.array):
                        store.make_room(store.highest)
                end = time.perf_counter() + _PART_SECONDS
                while True:
                    plane, one = chosen[done]
                    label = first + done
                    if everything.append_one(change, self.planes, plane, one, label, found.origin):
                        labels.append(label)
                    done += 1
                    if done == len(chosen) or time.perf_counter() > end:
                        break
            yield done, len(chosen)
        return labels

    def take_back(self, step: Growing) -> bool:
        """Undo a growing step; False if it is not the newest: something else was done since."""
        return step is self.history.newest and self.undo()

    def _select(self, candidates: PlaneCandidates, thresholds: Thresholds) -> Selection:
        taken = self._state.store.read(self.planes.label_slices(candidates.plane))
        return candidates.select(thresholds, taken)

    def _model(self) -> Any:
        return self._questions.segmenter


def _all_steps(
    walk: Generator[tuple[int, int], None, tuple[list[PlaneCandidates], everything.Origin]],
    points_per_side: int,
) -> Generator[tuple[int, int], None, Everything]:
    """Make one value of what the steps return."""
    planes, origin = yield from walk
    return Everything(tuple(planes), origin, points_per_side)
