"""Counts the pixels of labels that were there before the session, without stopping the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from samari.plugin.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from samari.engine.events import SessionEvent
    from samari.engine.session import Session
    from samari.plugin.worker import JobThread

#: Milliseconds of rest after a stroke that nobody understood, before all is counted again.
_REST_MS = 300


class LabelCount:
    """Completes the census of one Session's labels on the I/O thread, whenever it is not.

    Parameters
    ----------
    session : Session
    thread : JobThread
    counted : callable
        Called without arguments when it is complete.
    """

    def __init__(self, session: Session, thread: JobThread, counted: Callable[[], None]) -> None:
        self._session, self._thread, self._counted = session, thread, counted
        self._job: Job | None = None
        self._later = QTimer()
        self._later.setSingleShot(True)
        self._later.setInterval(_REST_MS)
        self._later.timeout.connect(self._start)
        self._start()

    def on_event(self, event: SessionEvent) -> None:
        """Count again some time after somebody changed nobody knows what."""
        if event.kind == "objects" and event.labels is None:
            self._later.start()

    def close(self) -> None:
        """Stop; nothing is called after this."""
        self._later.stop()
        self._drop()

    def _start(self) -> None:
        store = self._session.store
        if store.census.complete:
            return
        self._drop()
        store.census.begin()
        steps = store.count_steps()
        self._job = Job(lambda job: steps, done=self._on_done, failed=self._on_failed)
        self._thread.submit(self._job)

    def _drop(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.done = job.failed = None
            self._thread.cancel(job)

    def _on_done(self, job: Job, count: Any) -> None:
        self._job = None
        if self._session.store.take_count(count):
            self._counted()
        else:
            self._later.start()

    def _on_failed(self, job: Job, error: BaseException) -> None:
        # The table then shows no sizes of objects that were there before; nothing else needs them.
        self._job = None
