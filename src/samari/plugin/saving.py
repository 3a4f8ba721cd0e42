"""Saves a Session's labels while the user goes on, and to the end when everything is closed."""

from __future__ import annotations

import atexit

# Imported before `_finish_all` is registered: what runs at the end goes backwards, and tifffile
# compresses in a pool of threads, which takes nothing after the end of this module.
import concurrent.futures.thread  # noqa: F401
import threading
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from samari.engine.export import save_labels
from samari.engine.new_labels import copy_of
from samari.plugin.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from samari.engine.session import Session
    from samari.plugin.worker import JobThread

#: Labels of at most so many bytes are copied at once: in a few milliseconds.
_AT_ONCE = 1 << 24
#: After so many copies that were overtaken by changes, the window waits for the next one.
_TRIES = 6

#: The saves that are not done, or of which the window was not told yet, in their order.
_unfinished: list[BackgroundSave] = []


class Saved(NamedTuple):
    """A file that was saved.

    Attributes
    ----------
    path : str
    line : bytes
        What the journal beside it says of it.
    problem : str
        Why there is no journal beside it; empty if there is one.
    """

    path: str
    line: bytes
    problem: str


class BackgroundSave:
    """One save while the user goes on: the labels are copied, then the copy is written.

    Small labels are copied at once. Large ones are copied by the thread that writes them; if
    something was changed meanwhile, as the length of the journal tells, they are copied again. So
    the file holds the labels of one moment, between two changes. Then the journal is put beside it.

    Parameters
    ----------
    session : Session
    path : str or path
    thread : JobThread
        For files.
    beside : callable
        Called in that thread with the path and the length that the journal had; puts it beside the
        file and returns the line that tells of it.
    """

    def __init__(
        self,
        session: Session,
        path: str | Path,
        thread: JobThread,
        beside: Callable[[str, int], bytes],
    ) -> None:
        self.session = session
        self.thread = thread
        self._path = str(path)
        self._beside = beside
        self._length = 0
        self._tries = 0
        self._options: dict[str, Any] = {}
        self._copy: Any = None
        self._saved: Saved | None = None

    def start(
        self,
        done: Callable[[Job, Saved], None],
        failed: Callable[[Job, BaseException], None],
    ) -> None:
        """Copy, and write.

        Parameters
        ----------
        done, failed : callable
            Called as by a `Job`, with what was `Saved` or with the error.
        """
        self._done, self._failed = done, failed
        self._begin()
        _unfinished.append(self)

    def carry_through(self) -> None:
        """Let the thread do by itself what is left, before it is closed: it tells nobody then."""
        self.thread.loop.submit(Job(self._rest_steps, kept=True))

    def _begin(self) -> None:
        session = self.session
        self._length = session.journal.length
        self._options = {
            "axes": session.planes.label_axes,
            "scale": session.scale,
            "units": session.units,
            "translate": session.translate,
            "name": session.name,
        }
        labels = session.labels
        self._tries += 1
        if labels.nbytes <= _AT_ONCE or self._tries > _TRIES:
            self._write(copy_of(labels))
            return
        self.thread.submit(
            Job(partial(_copy_steps, labels), done=self._on_copied, failed=self._on_failed)
        )

    def _on_copied(self, job: Job, copy: Any) -> None:
        """Write the copy, unless a change may have torn it."""
        if self.session.journal.length == self._length:
            self._write(copy)
        else:
            self._begin()

    def _write(self, copy: Any) -> None:
        self._copy = copy
        self.thread.submit(Job(self._write_steps, done=self._on_saved, failed=self._on_failed))

    def _write_steps(self, job: Job) -> Generator[tuple[int, int], None, Saved]:
        yield 1, 2
        self._saved = self._save()
        return self._saved

    def _rest_steps(self, job: Job) -> Generator[tuple[int, int], None, None]:
        yield 0, 1
        try:
            if self._copy is None:
                self._length = self.session.journal.length
                self._copy = copy_of(self.session.labels)
            if self._saved is None:
                self._saved = self._save()
            if self._saved.problem:
                _warn(self._saved.problem)
        except Exception as error:
            _warn(str(error) or f"{self._path} could not be saved: {error!r}")
        finally:
            _unfinished.remove(self)

    def _save(self) -> Saved:
        save_labels(self._path, self._copy, **self._options)
        try:
            line = self._beside(self._path, self._length)
        except Exception as error:
            return Saved(self._path, b"", f"The labels were saved, but not their journal: {error}")
        return Saved(self._path, line, "")

    def _on_saved(self, job: Job, saved: Saved) -> None:
        _unfinished.remove(self)
        self._done(job, saved)

    def _on_failed(self, job: Job, error: BaseException) -> None:
        _unfinished.remove(self)
        self._failed(job, error)


def is_saving(session: Session) -> bool:
    """Return whether the labels of a session are being saved."""
    return any(save.session is session for save in _unfinished)


def carry_through(thread: JobThread) -> None:
    """Let a thread for files finish its saves, although it will be closed."""
    for save in list(_unfinished):
        if save.thread is thread:
            save.carry_through()


def _copy_steps(labels: Any, job: Job) -> Generator[tuple[int, int], None, Any]:
    yield 0, 2
    return copy_of(labels)


def _warn(problem: str) -> None:
    """Tell without a window; if there is one still, napari shows warnings in it."""
    warnings.warn(problem, RuntimeWarning, stacklevel=2)


def _finish_all() -> None:
    """Wait for every save before the program ends."""
    for thread in {save.thread for save in list(_unfinished)}:
        carry_through(thread)
        thread.close()
        thread.join()


# At `atexit` pools of threads are closed already: what compresses in one would fail.
getattr(threading, "_register_atexit", atexit.register)(_finish_all)
