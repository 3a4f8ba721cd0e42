"""Saves a Session's labels while the user goes on."""

from __future__ import annotations

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


class Saved(NamedTuple):
    """A file that was saved.

    Attributes
    ----------
    path : str
    length : int
        How many lines of the journal it has.
    """

    path: str
    length: int


class BackgroundSave:
    """One save while the user goes on: the labels are copied, then the copy is written.

    Small labels are copied at once. Large ones are copied by the thread that writes them; if
    something was changed meanwhile, as the length of the journal tells, they are copied again. So
    the file holds the labels of one moment, between two changes.

    Parameters
    ----------
    session : Session
    path : str or path
    thread : JobThread
        For files.
    done, failed : callable
        Called as by a `Job`, with what was `Saved` or with the error.
    """

    def __init__(
        self,
        session: Session,
        path: str | Path,
        thread: JobThread,
        done: Callable[[Job, Saved], None],
        failed: Callable[[Job, BaseException], None],
    ) -> None:
        self._session = session
        self._path = path
        self._thread = thread
        self._done, self._failed = done, failed
        self._length = 0
        self._tries = 0

    def start(self) -> None:
        """Copy, and write."""
        self._length = self._session.journal.length
        labels = self._session.labels
        self._tries += 1
        if labels.nbytes <= _AT_ONCE or self._tries > _TRIES:
            self._write(copy_of(labels))
            return
        self._thread.submit(
            Job(partial(_copy_steps, labels), done=self._on_copied, failed=self._failed)
        )

    def _on_copied(self, job: Job, copy: Any) -> None:
        """Write the copy, unless a change may have torn it."""
        if self._session.journal.length == self._length:
            self._write(copy)
        else:
            self.start()

    def _write(self, labels: Any) -> None:
        session = self._session
        options = {
            "axes": session.planes.label_axes,
            "scale": session.scale,
            "units": session.units,
            "translate": session.translate,
            "name": session.name,
        }
        saved = Saved(str(self._path), self._length)
        self._thread.submit(
            Job(
                partial(_write_steps, labels, options, saved),
                done=self._done,
                failed=self._failed,
            )
        )


def _copy_steps(labels: Any, job: Job) -> Generator[tuple[int, int], None, Any]:
    yield 0, 2
    return copy_of(labels)


def _write_steps(
    labels: Any, options: dict[str, Any], saved: Saved, job: Job
) -> Generator[tuple[int, int], None, Saved]:
    yield 1, 2
    save_labels(saved.path, labels, **options)
    return saved
