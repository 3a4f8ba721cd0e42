"""Adds what was found to the labels, a few milliseconds at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QTimer

from samari.engine.history import Growing
from samari.errors import SamariError
from samari.plugin.jobs import Job, Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import NDArray

    from samari.engine.candidates import PlaneCandidates, Selection, Thresholds
    from samari.engine.everything import Everything
    from samari.engine.planes import PlaneIndex
    from samari.engine.session import Session
    from samari.plugin.worker import JobThread


class Adding:
    """One "Add to labels": chooses plane by plane on the inference thread, then writes in parts.

    Choosing again, because labels may have changed since; writing in the window's thread, which
    the labels belong to.

    Parameters
    ----------
    session : Session
    thread : JobThread
        The inference thread.
    found : Everything
    thresholds : Thresholds
    progress : callable
        Called with (done, total).
    ended : callable
        Called once with the new labels and None, or with the labels so far and an error.
    """

    def __init__(
        self,
        session: Session,
        thread: JobThread,
        found: Everything,
        thresholds: Thresholds,
        progress: Callable[[int, int], None],
        ended: Callable[[list[int], BaseException | None], None],
    ) -> None:
        self._session, self._thread = session, thread
        self._found, self._thresholds = found, thresholds
        self._progress, self._ended = progress, ended
        self._selections: list[Selection] = []
        self._job: Job | None = None
        self._writing: Generator[tuple[int, int], None, list[int]] | None = None
        self._step = Growing()
        self._timer = QTimer()
        self._timer.timeout.connect(self._write)
        self._choose_next()

    def cancel(self) -> None:
        """Stop, and take back what was added, unless something else was done since."""
        if self._job is not None:
            self._job.done = self._job.failed = None
            self._thread.cancel(self._job)
        self._timer.stop()
        self._job, self._writing = None, None
        self._session.take_back(self._step)

    def _choose_next(self) -> None:
        planes = self._found.planes
        if len(self._selections) == len(planes):
            self._writing = self._session.append_steps(
                self._selections, self._found, self._thresholds, self._step
            )
            self._timer.start(0)
            return
        candidates = planes[len(self._selections)]
        taken = labels_on(self._session, candidates.plane)
        self._job = Job(
            lambda job: choose_steps(candidates, self._thresholds, taken),
            Priority.CLICK,
            done=self._on_chosen,
            failed=self._on_failed,
        )
        self._thread.submit(self._job)

    def _on_chosen(self, job: Job, selection: Selection) -> None:
        self._job = None
        self._selections.append(selection)
        self._choose_next()

    def _on_failed(self, job: Job, error: BaseException) -> None:
        self._job = None
        self._ended([], error)

    def _write(self) -> None:
        """Write the next part."""
        assert self._writing is not None
        try:
            done, total = next(self._writing)
        except StopIteration as end:
            self._timer.stop()
            self._ended(end.value, None)
        except SamariError as error:
            self._timer.stop()
            self._ended([], error)
        else:
            self._progress(done, total)


def labels_on(session: Session, plane: PlaneIndex) -> NDArray[Any]:
    """Return a copy of the labels of a plane: no thread must see labels that are being written."""
    return np.array(session.labels[session.planes.label_slices(plane)])


def choose_steps(
    candidates: PlaneCandidates, thresholds: Thresholds, taken: NDArray[Any]
) -> Generator[tuple[int, int], None, Selection]:
    """Choose as a job of one step."""
    yield 0, 1
    return candidates.select(thresholds, taken)
