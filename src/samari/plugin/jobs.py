"""A queue of interruptible jobs, worked off by one thread. Knows neither Qt nor torch.

A job is a generator. Between two of its steps the loop looks whether something more urgent came
in, so a click waits for one block of the encoder and not for a whole image.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from samari.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from queue import SimpleQueue

    #: A job's steps: yields (done, total), returns the result.
    Steps = Generator[tuple[int, int], None, Any]


class Priority(IntEnum):
    """What goes first: an answer to a click, a look ahead, the plane on screen, then the rest.

    For what is idle nobody waits: a thread that has only such jobs counts as idle. What learns for
    minutes goes after that.
    """

    LEARNING = -2
    IDLE = -1
    REST = 0
    VISIBLE = 1
    HOVER = 2
    CLICK = 3


class Job:
    """A handle on submitted work.

    Parameters
    ----------
    start : callable
        Called with the job, in the working thread; returns the generator of its steps.

    Attributes
    ----------
    priority : Priority
        May be raised while the job waits or runs.
    after : Job or None
        This job starts only when that one has finished; meanwhile that one has this one's
        priority. If that one fails or is cancelled, so is this one.
    state : str
        "waiting", "running", "done", "failed" or "cancelled".
    started : float or None
        When its first step began, on the clock of `time.monotonic`.
    shown : bool
        Whether somebody shows the ticks; for the one who submits.
    ticks : queue.SimpleQueue
        Receives (done, total) from the working thread after every step, and None at the end.
        Set it before submitting; None if nobody listens.
    kept : bool
        Whether it is done even if the thread is closed meanwhile.
    done, failed, progress : callable or None
        done(job, result), failed(job, error) and progress(job, done, total).
    """

    def __init__(
        self,
        start: Callable[[Job], Steps],
        priority: Priority = Priority.REST,
        *,
        after: Job | None = None,
        done: Callable[[Job, Any], None] | None = None,
        failed: Callable[[Job, BaseException], None] | None = None,
        progress: Callable[[Job, int, int], None] | None = None,
        ticks: SimpleQueue[tuple[int, int] | None] | None = None,
        kept: bool = False,
    ) -> None:
        self.priority = priority
        self.after = after
        self.state = "waiting"
        self.ticks = ticks
        self.kept = kept
        self.done = done
        self.failed = failed
        self.progress = progress
        self.cancel_requested = False
        self.started: float | None = None
        self.shown = False
        self._start: Callable[[Job], Steps] | None = start
        self._report: Callable[[Message], None] | None = None
        self._steps: Steps | None = None

    @property
    def finished(self) -> bool:
        """True once the job is done, failed or cancelled."""
        return self.state in ("done", "failed", "cancelled")

    def cancel(self) -> None:
        """Ask the job to end before its next step. Safe from any thread, at any time."""
        self.cancel_requested = True

    @property
    def hopeless(self) -> bool:
        """True once the job, or one it waits for, failed or was asked to end."""
        if self.cancel_requested or self.state in ("failed", "cancelled"):
            return True
        return self.after is not None and self.after.hopeless

    def report(self, done: int, total: int) -> None:
        """Tell progress from inside a step, for steps that are one long call."""
        if self._report is not None:
            self._report(Message("progress", self, (done, total)))

    def forget(self) -> None:
        """Let go of what the job would compute with, and of those who wait for it."""
        self._start = self._steps = self.after = None
        self.done = self.failed = self.progress = self._report = None

    def _advance(self) -> tuple[int, int]:
        """Run one step. Raises StopIteration with the result when there is none left."""
        if self._steps is None:
            assert self._start is not None
            self._steps = self._start(self)
            self._start = None
            self.state = "running"
            self.started = time.monotonic()
        return next(self._steps)

    def _close(self) -> None:
        """Run the generator's ``finally`` clauses, in the thread that ran its steps."""
        if self._steps is not None:
            self._steps.close()


class Message(NamedTuple):
    """What the loop tells the outside: kind is "progress", "done" or "failed"."""

    kind: str
    job: Job
    payload: Any


class JobLoop:
    """The jobs of one thread. All methods may be called from any thread.

    Parameters
    ----------
    name : str
        Name of the thread.
    wake : callable
        Called in the working thread when the outbox is no longer empty.
    prepare : callable, optional
        Called first in the working thread, e.g. to set its number of compute threads. If it
        raises, every job fails with its error.
    """

    def __init__(
        self,
        name: str,
        wake: Callable[[], None],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._name = name
        self._wake: Callable[[], None] | None = wake
        self._prepare = prepare
        self._condition = threading.Condition()
        self._jobs: dict[int, Job] = {}
        self._serial = itertools.count()
        self._outbox: deque[Message] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._broken: BaseException | None = None

    def submit(self, job: Job) -> Job:
        """Queue a job; the thread starts with the first one. After `close` it is cancelled."""
        with self._condition:
            if self._closed:
                job.state = "cancelled"
                job.forget()
                return job
            self._jobs[next(self._serial)] = job
            job._report = self._post
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._condition.notify()
        return job

    def wake_up(self) -> None:
        """Look at the jobs again, e.g. because one was cancelled."""
        with self._condition:
            self._condition.notify()

    def jobs(self) -> list[Job]:
        """Return the jobs that have not finished."""
        with self._condition:
            return list(self._jobs.values())

    def collect(self) -> list[Message]:
        """Return the messages since the last call, oldest first."""
        with self._condition:
            messages = list(self._outbox)
            self._outbox.clear()
        return messages

    @property
    def idle(self) -> bool:
        """True when no job is left that anybody waits for, and every message was collected."""
        with self._condition:
            waited_for = any(job.priority > Priority.IDLE for job in self._jobs.values())
            return not waited_for and not self._outbox

    def close(self) -> None:
        """Cancel all that is not kept, without waiting. No message comes after this call."""
        with self._condition:
            self._closed = True
            self._wake = None
            self._outbox.clear()
            for job in self._jobs.values():
                if not job.kept:
                    job.cancel()
            self._condition.notify()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the thread has ended after `close`; True if it has."""
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        if self._prepare is not None:
            try:
                self._prepare()
            except BaseException as error:  # a thread that could not begin says so to everybody
                self._broken = error
        while self._serve_one():
            pass

    def _serve_one(self) -> bool:
        """Wait for work and do one step of the most urgent job; False when it is over."""
        with self._condition:
            while not self._jobs:
                if self._closed:
                    return False
                self._condition.wait()
            serial, job = self._most_urgent()
        try:
            if job.hopeless:
                raise Cancelled("the computation was cancelled")
            if self._broken is not None:
                raise self._broken
            step = job._advance()
        except StopIteration as stop:
            self._finish(serial, "done", stop.value)
        except Cancelled as error:
            self._finish(serial, "cancelled", error)
        except BaseException as error:  # whatever a job raises belongs to who submitted it
            self._finish(serial, "failed", error)
        else:
            self._post(Message("progress", job, step))
            if job.ticks is not None:
                job.ticks.put(step)
        return True

    def _most_urgent(self) -> tuple[int, Job]:
        """Return the job of the highest priority, the oldest of these, or what it waits for."""
        for serial, job in self._jobs.items():
            if job.cancel_requested:
                return serial, job
        serial = max(self._jobs, key=lambda s: (self._jobs[s].priority, -s))
        job = self._jobs[serial]
        while job.after is not None and not job.after.finished:
            job = job.after
            serial = next(s for s, other in self._jobs.items() if other is job)
        return serial, job

    def _finish(self, serial: int, state: str, payload: Any) -> None:
        job = self._jobs[serial]
        try:
            job._close()
        except BaseException as error:  # a broken ``finally`` must not end the thread
            state, payload = "failed", error
        job.state = state
        if job.ticks is not None:
            job.ticks.put(None)
        with self._condition:
            # In one go: a job that is neither here nor in the outbox would look like idleness.
            del self._jobs[serial]
            self._post(Message("done" if state == "done" else "failed", job, payload))

    def _post(self, message: Message) -> None:
        with self._condition:
            if self._wake is None:
                if message.job.finished:
                    message.job.forget()
                return
            first = not self._outbox
            self._outbox.append(message)
            if first:
                self._wake()
