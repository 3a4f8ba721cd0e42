"""Follows objects through a stack in the background, and shows each plane when it is found."""

from __future__ import annotations

import queue
import time
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from samari.errors import Cancelled, SamariError
from samari.plugin import notices
from samari.plugin.activity import show_activity
from samari.plugin.jobs import Job, Priority
from samari.plugin.pace import quick_handover

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from samari.engine.events import SessionEvent
    from samari.engine.propagate import Propagation
    from samari.engine.propagated import PropagationReport
    from samari.engine.session import Session
    from samari.plugin.worker import JobThread

#: Seconds of reading or writing in the window's thread before it answers to something else.
_PART = 0.003
#: Of a run that takes longer than this many seconds, the status tells how long each plane takes:
#: nobody knows on how many planes the objects are.
_TELL_AFTER = 3.0
#: Work that takes longer than this many seconds, as it seems, is shown in napari's activity dock.
_SHOW_AFTER = 0.5


class PropagateRun(QObject):
    """The propagations of one session, one at a time.

    What is known of the objects is read in the window's thread, a few milliseconds at a time; the
    model works on the inference thread, where a click goes first; and what it finds is written
    plane by plane in the window's thread, all of it one growing step of the history.

    Parameters
    ----------
    session : Session
    thread : JobThread
        The inference thread.
    ended : callable
        Called with what should be told at the end of a run.

    Attributes
    ----------
    changed : Signal
        Emitted when state or progress changed.
    state : str
        "idle", "planning", "walking" or "finishing".
    progress : (int, int) or None
        Planes done and in all, while it runs.
    report : PropagationReport or None
        Of the last run that ended.
    """

    changed = Signal()

    def __init__(self, session: Session, thread: JobThread, ended: Callable[[str], None]) -> None:
        super().__init__()
        self.state = "idle"
        self.progress: tuple[int, int] | None = None
        self.report: PropagationReport | None = None
        self._session, self._thread, self._ended = session, thread, ended
        self._labels: tuple[int, ...] = ()
        self._run: Propagation | None = None
        self._job: Job | None = None
        self._planning: Generator[None, None, Propagation] | None = None
        self._finishing: Generator[None, None, PropagationReport] | None = None
        self._ticks: queue.SimpleQueue[tuple[int, int] | None] | None = None
        self._began = 0.0
        self._visited = 0
        self._pace = 0.0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._work)

    @property
    def busy(self) -> bool:
        """Whether a propagation is under way."""
        return self.state != "idle"

    @property
    def text(self) -> str:
        """What is going on; empty when nothing is."""
        if not self.busy:
            return ""
        planes = 0 if self._run is None else self._run.report.planes
        many = len(self._labels)
        what = f"object {self._labels[0]}" if many == 1 else f"{many} objects"
        pace = f", {self._pace:.1f} s a plane" if self._pace else ""
        return f"Following {what} through the stack: {_masks(planes)} so far{pace}"

    def start(self, labels: Sequence[int], axis: str, planes: tuple[int, int] | None) -> bool:
        """Begin to follow objects; False, and a notification, if that cannot be.

        Parameters
        ----------
        labels : sequence of int
        axis : str
            Letter of the axis to go along.
        planes : (int, int) or None
            First plane, and the one after the last; all by default.
        """
        if self.busy:
            return False
        try:
            self._planning = self._session.planning_steps(labels, axis, planes)
        except SamariError as error:
            notices.tell_error(error)
            return False
        self.state, self.progress, self.report = "planning", None, None
        self._labels = tuple(labels)
        self._session.connect(self._on_session)
        self._timer.start(0)
        self.changed.emit()
        return True

    def cancel(self) -> None:
        """Stop before the next block of the encoder; planes that were found stay."""
        if self.state == "planning":
            self._end("Nothing was propagated")
        elif self.state == "walking":
            self._drop_job()
            self._finish(cancelled=True)

    def close(self) -> None:
        """Stop at once. What was found until now is in the labels when this returns."""
        if self.busy:
            self._drop_job()
            if self._run is not None:
                self._run.report.cancelled |= self.state == "walking"
                try:
                    for _ in self._finishing or self._session.finishing_steps(self._run):
                        pass
                except Exception as error:  # nothing may keep the rest from being closed
                    notices.tell_error(error)
            self._end("")

    def _work(self) -> None:
        """Do the next few milliseconds of what belongs into the window's thread."""
        try:
            if self._planning is not None:
                self._plan()
            elif self._finishing is not None:
                next(self._finishing)
            elif self._run is not None and self._run.arrived:
                self._session.take_propagated(self._run, _PART)
            else:
                self._timer.stop()
        except StopIteration as end:
            self._done(end.value)
        except Cancelled:
            self._drop_job()
            self._finish(cancelled=True)
        except Exception as error:  # or the timer would try it again for ever
            notices.tell_error(error)
            self._drop_job()
            self._end("")

    def _plan(self) -> None:
        assert self._planning is not None
        end = time.perf_counter() + _PART
        while time.perf_counter() < end:
            try:
                next(self._planning)
            except StopIteration as stop:
                self._planning = None
                self._walk(stop.value)
                return

    def _walk(self, run: Propagation) -> None:
        self.state, self._run = "walking", run
        self._timer.stop()
        self._ticks, self._visited, self._pace = None, 0, 0.0
        self._began = time.monotonic()
        self._job = Job(
            partial(_steps, self._session.propagation_steps(run)),
            Priority.REST,
            done=self._on_walked,
            failed=self._on_failed,
            progress=self._on_progress,
        )
        self._thread.submit(self._job)
        self.changed.emit()

    def _on_progress(self, job: Job, done: int, total: int) -> None:
        if job is not self._job:
            return
        spent = time.monotonic() - self._began
        if self._ticks is None and spent * total > _SHOW_AFTER * max(done, 1):
            self._ticks = queue.SimpleQueue()
            show_activity(self._ticks, total, "Samari: propagating", self.cancel)
        if self._ticks is not None:
            self._ticks.put((done, total))
        # Planes that no object reaches are passed over at once.
        self._visited += self.progress is not None and done > self.progress[0]
        if self._visited and spent > _TELL_AFTER:
            self._pace = spent / self._visited
        self.progress = (done, total)
        if self._run is not None and self._run.arrived:
            self._timer.start(0)
        self.changed.emit()

    def _on_walked(self, job: Job, report: PropagationReport) -> None:
        self._job = None
        self._finish(cancelled=False)

    def _on_failed(self, job: Job, error: BaseException) -> None:
        self._job = None
        if not isinstance(error, Cancelled):
            notices.tell_error(error)
        self._finish(cancelled=True)

    def _on_session(self, event: SessionEvent) -> None:
        """End a run that was undone, or whose objects were all deleted."""
        if event.kind != "history" or self.state not in ("planning", "walking"):
            return
        undone = self._run is not None and not self._session.history.holds(self._run.step)
        census = self._session.store.census
        if undone or all(census.pixels(label) == 0 for label in self._labels):
            self.cancel()

    def _drop_job(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.done = job.failed = job.progress = None
            self._thread.cancel(job)

    def _finish(self, *, cancelled: bool) -> None:
        """Write what is left, and note in the objects what was found."""
        assert self._run is not None
        self._run.report.cancelled |= cancelled
        self.state = "finishing"
        self._finishing = self._session.finishing_steps(self._run, _PART)
        self._timer.start(0)
        self.changed.emit()

    def _done(self, report: PropagationReport) -> None:
        self.report = report
        count = report.planes
        if report.cancelled:
            note = f"Cancelled: {_masks(count)} found, one undo takes them back"
        elif count:
            lowest = min(min(found.values()) for found in report.confidence.values() if found)
            note = f"{_masks(count)} found, lowest confidence {lowest:.2f}"
        else:
            note = "No further plane found: prompt or paint it on another plane too"
        self._end(note)

    def _end(self, note: str) -> None:
        self._timer.stop()
        self._session.disconnect(self._on_session)
        self._planning = self._finishing = self._run = None
        if self._ticks is not None:
            self._ticks.put(None)
            self._ticks = None
        self.state, self.progress = "idle", None
        self.changed.emit()
        if note:
            self._ended(note)


def _masks(count: int) -> str:
    return f"{count:,} plane{'' if count == 1 else 's'}"


def _steps(
    steps: Generator[tuple[int, int], None, PropagationReport], job: Job
) -> Generator[tuple[int, int], None, PropagationReport]:
    """Walk as a job; the window gets Python's lock quickly meanwhile."""
    while True:
        try:
            with quick_handover():
                step = next(steps)
        except StopIteration as end:
            report: PropagationReport = end.value
            return report
        yield step
