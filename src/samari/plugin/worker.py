"""The threads of the plugin: one for torch, one for files and downloads."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QCoreApplication, QEventLoop, QObject, Qt, Signal

from samari.plugin.jobs import JobLoop
from samari.plugin.pace import ComputeThreads, collector_at_rest, usable_cores
from samari.plugin.preload import load_library

if TYPE_CHECKING:
    from collections.abc import Callable

    from samari.plugin.jobs import Job


class JobThread(QObject):
    """A persistent thread whose results arrive in the thread of the user interface.

    Results cross over by a queued signal to a method of this object, which lives in the user
    interface's thread; nothing of Qt or napari is touched elsewhere. The working thread holds no
    reference to this object.

    Parameters
    ----------
    name : str
        Name of the thread.
    prepare : callable, optional
        Called first in the working thread.
    """

    idle_changed = Signal()
    _waiting = Signal()

    def __init__(self, name: str, prepare: Callable[[], None] | None = None) -> None:
        super().__init__()
        self._waiting.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self._loop = JobLoop(name, self._waiting.emit, prepare)
        self._delivering = False
        self._closed = False

    def submit(self, job: Job) -> Job:
        """Queue a job. Its callbacks run in the user interface's thread."""
        self._loop.submit(job)
        self.idle_changed.emit()
        return job

    def cancel(self, job: Job) -> None:
        """Ask one job to end before its next step; its `failed` gets a `Cancelled`."""
        job.cancel()
        self._loop.wake_up()

    @property
    def loop(self) -> JobLoop:
        """The jobs, for other threads that submit some: it knows nothing of Qt."""
        return self._loop

    @property
    def idle(self) -> bool:
        """True when nothing is queued, running or on its way back."""
        return self._loop.idle and not self._delivering

    def wait(self, timeout: float, also: Callable[[], bool] = lambda: True) -> bool:
        """Process events until everything is answered and `also` holds; False after `timeout` s.

        For scripts and tests: the plugin itself never waits.
        """
        end = time.monotonic() + timeout
        while not (self.idle and also()):
            left = end - time.monotonic()
            if left <= 0:
                return False
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)
            time.sleep(min(0.002, left))
        return True

    def close(self) -> None:
        """Cancel all that is not kept and let the thread end after that, without waiting for it."""
        if self._closed:
            return
        self._closed = True
        self._loop.close()
        # A script that ends without closing its viewer may lose Qt's half of this object first.
        with contextlib.suppress(RuntimeError):
            self._waiting.disconnect(self._deliver)

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the thread has ended after `close`; True if it has."""
        return self._loop.join(timeout)

    def _deliver(self) -> None:
        """Hand over everything that has arrived, each once, even if a callback raises."""
        errors = []
        self._delivering = True
        for kind, job, payload in self._loop.collect():
            if self._closed:
                break
            try:
                if kind == "progress":
                    if job.progress is not None:
                        job.progress(job, *payload)
                    continue
                callback = job.done if kind == "done" else job.failed
                job.forget()
                if callback is not None:
                    callback(job, payload)
            except Exception as error:
                errors.append(error)
        self._delivering = False
        self.idle_changed.emit()
        if errors:
            raise errors[0]


def prepare_inference() -> None:
    """Import torch, and give the inference thread all cores, leaving other threads as they are.

    torch keeps the number of its compute threads per calling thread, so this changes nothing for
    the rest of the process.
    """
    load_library()
    with collector_at_rest():
        import torch

    torch.set_num_threads(usable_cores())


class InferenceThread(JobThread):
    """The thread that all torch work of one dock runs on.

    Attributes
    ----------
    compute : ComputeThreads
        For short computations on it.
    """

    def __init__(self) -> None:
        super().__init__("samari-inference", prepare_inference)
        self.compute = ComputeThreads(usable_cores())


def inference_thread() -> InferenceThread:
    """Return a thread for all torch work of one dock."""
    return InferenceThread()


def io_thread() -> JobThread:
    """Return the thread for downloads and saves."""
    return JobThread("samari-files")
