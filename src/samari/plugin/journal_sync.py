"""Keeps the journal of one Session on the disk while the window lives, and finds lost ones."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from samari.engine.journal import beside, copy_journal, read_journal
from samari.engine.journal_file import ENDING, JournalFile, is_held
from samari.engine.journal_places import find_lost, new_journal
from samari.engine.resume import resume
from samari.errors import JournalError
from samari.plugin.jobs import Job, Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from napari.layers import Labels, Layer

    from samari.engine.journal import JournalLog
    from samari.engine.session import Session
    from samari.plugin.worker import JobThread

#: Under this name the metadata of a labels layer say where its journal lies.
KEY = "samari_journal"
#: And under this one whose it is: napari gives a duplicate the metadata of its original.
OWNER = "samari_journal_of"
#: For how many ms a line waits for the I/O thread.
PATIENCE = 250


class JournalSync:
    """The journal of one Session: written by the I/O thread, beside its TIFF once there is one.

    A line is handed over before the step is shown, and goes before everything else that this thread
    has to do; so it is on the disk before the next prompt is answered. While the thread is saving a
    large file, a thread of its own writes it. What is left is written when the session closes or
    the program ends.

    Parameters
    ----------
    session : Session
        In which nothing was done yet.
    files : JobThread
    told : callable
        Called with a sentence if the disk does not take the journal.
    found : callable
        Called when a lost journal was found.
    """

    def __init__(
        self,
        session: Session,
        files: JobThread,
        told: Callable[[str], None],
        found: Callable[[], None],
    ) -> None:
        self._session = session
        self._files = files
        self._told = told
        self._found = found
        self._writer = _Writer(files, told)
        self._layer: Labels | None = None
        self._closed = False
        self.lost: tuple[Path, JournalLog] | None = None

    def begin(self) -> None:
        """Record into a new file in the user's data folder; it is made with the first step.

        What the session took up from the journal of another layer is written first.
        """
        path = new_journal(self._session.planes, self._session.name)
        self._use(self._file(path))
        self._session.journal.catch_up()

    def resume(self, layer: Labels, labels: Any) -> bool:
        """Take up the journal of a labels layer, if it has one, and go on in its file.

        Not in that of a layer of which this one is a duplicate: two layers, two files.

        Parameters
        ----------
        layer : napari.layers.Labels
        labels : array of int
            What it shows, in the axes of the session.

        Returns
        -------
        bool
            Whether there was one.

        Raises
        ------
        SamariError
            If there is one that cannot be taken up; the session is of no use then.
        """
        path = journal_of(layer)
        if path is None:
            return False
        if layer.metadata.get(OWNER, str(layer.unique_id)) != str(layer.unique_id):
            resume(self._session, read_journal(path), labels, from_file=False)
            del layer.metadata[KEY], layer.metadata[OWNER]
            return True
        file = self._file(path)
        with file.going_on():
            log = read_journal(path)
            resume(self._session, log, labels, from_file=KEY not in layer.metadata)
            file.resume(len(log.content))
        self._use(file, log)
        return True

    def look_for_lost(self, shown: Iterable[Layer]) -> None:
        """Look, on the I/O thread, for a journal of this image that ended without being saved.

        Those of layers that are still shown are not lost.
        """
        planes, name = self._session.planes, self._session.name
        known = [layer.metadata[KEY] for layer in shown if KEY in layer.metadata]

        def steps(job: Job) -> Generator[tuple[int, int], None, Any]:
            yield 0, 1
            return find_lost(planes, name, known)

        self._files.submit(Job(steps, done=self._on_found, failed=self._on_not_found))

    def restore(self) -> int:
        """Take up the lost journal and go on in its file; return how many objects came back.

        Raises
        ------
        SamariError
            If something was done already, or the journal is gone.
        """
        assert self.lost is not None
        file = self._file(self.lost[0])
        with file.going_on():
            # Another window may have gone on with it since it was found.
            log = read_journal(file.path)
            self._session.take_up(log)
            file.resume(len(log.content))
        self.lost = None
        self._use(file, log)
        return len(self._session.objects)

    def forget(self) -> None:
        """Delete the lost journal: the user does not want it.

        Raises
        ------
        JournalError
            If another session has gone on with it meanwhile.
        OSError
            If it cannot be deleted.
        """
        if self.lost is None:
            return
        (path, _), self.lost = self.lost, None
        if is_held(path):
            raise JournalError(f"{path} was not deleted: another session goes on with it")
        path.unlink(missing_ok=True)

    def put_beside(self, path: str | Path, length: int) -> bytes:
        """Put the journal beside a TIFF that was saved with what its first lines tell.

        Parameters
        ----------
        path : path-like
            Of the TIFF.
        length : int
            Number of lines when the labels were copied for it.

        Returns
        -------
        bytes
            The line that tells of the TIFF, for `note_saved`.

        Raises
        ------
        SamariError
            If it cannot be written there.

        Notes
        -----
        For the I/O thread.
        """
        journal = self._session.journal
        line = journal.saved_line(path, length)
        file, target = journal.file, beside(path)
        if self._closed:
            self._copy_beside(path, length)
        elif file is None:
            journal.write_to(target, line)
        else:
            # Beside another TIFF it stays with that one.
            file.move(target, keep=tiff_of(file.path) is not None, last=line)
        return line

    def note_saved(self, line: bytes) -> None:
        """Take note of what `put_beside` has done."""
        if self._closed:
            return
        if self._session.journal.file is not None:
            self._session.journal.note(line, written=True)
        if self._layer is not None:
            self.remember_on(self._layer)
        self._found()

    def _copy_beside(self, path: str | Path, length: int) -> None:
        """Put a copy beside a TIFF: another session may go on with the journal of this one."""
        journal, target = self._session.journal, beside(path)
        source = None if journal.file is None else journal.file.path
        if source is None or not source.is_file():
            journal.write_to(target, journal.saved_line(path, length))
        elif os.path.realpath(source) != os.path.realpath(target) or not is_held(target):
            copy_journal(source, path, length)

    def move_beside(self, path: str | Path) -> None:
        """Go on beside a TIFF that was saved, now.

        Raises
        ------
        SamariError
            If it cannot be written there.
        """
        journal = self._session.journal
        file, target = journal.file, beside(path)
        if file is not None and os.path.realpath(file.path) != os.path.realpath(target):
            line = journal.saved_line(path)
            file.move(target, keep=tiff_of(file.path) is not None, last=line)
            journal.note(line, written=True)
            if self._layer is not None:
                self.remember_on(self._layer)

    def close(self) -> None:
        """Write what is left and let the file go. The window waits for these few lines."""
        self._closed = True
        file = self._session.journal.file
        if file is not None:
            file.close()

    def remember_on(self, layer: Labels) -> None:
        """Let a labels layer remember its journal, for a later session on it and for its file."""
        self._layer = layer
        file = self._session.journal.file
        if file is not None:
            layer.metadata[KEY] = str(file.path)
            layer.metadata[OWNER] = str(layer.unique_id)

    def _use(self, file: JournalFile, log: JournalLog | None = None) -> None:
        """Record into a file from now on, which is new or has a log already."""
        journal = self._session.journal
        former = journal.file
        if log is None:
            journal.file = file
        else:
            journal.attach(file)
        if former is not None and former is not file:
            former.close()
        # Whoever closes the window without closing the session loses no line.
        weakref.finalize(self._session, file.close)

        if self._layer is not None:
            self.remember_on(self._layer)

    def _file(self, path: Path) -> JournalFile:
        writer = self._writer
        return JournalFile(path, later=writer.write_soon, told=writer.problems.append)

    def _on_found(self, job: Job, lost: tuple[Path, JournalLog] | None) -> None:
        self.lost = lost
        if lost is not None:
            self._found()

    def _on_not_found(self, job: Job, error: BaseException) -> None:
        self._told(f"Unsaved work on this image could not be looked for: {error!r}")


class _Writer:
    """Hands lines to the I/O thread. It knows no session: a file that is let go must not hold it.

    Parameters
    ----------
    files : JobThread
    told : callable
        Held weakly if it is a method.
    """

    def __init__(self, files: JobThread, told: Callable[[str], None]) -> None:
        self._files = files
        self._told = weakref.WeakMethod(told)
        self.problems: list[str] = []
        self._failing = False

    def write_soon(self, flush: Callable[[], None]) -> None:
        """Call `flush` on the I/O thread, before everything else that waits there."""

        def steps(job: Job) -> Generator[tuple[int, int], None, None]:
            self._write(flush)
            yield 1, 1

        # Only `close` of the thread cancels it: what is left is then written by that of the file.
        job = Job(steps, Priority.CLICK, done=self._on_written)
        self._files.submit(job)
        QTimer.singleShot(PATIENCE, lambda: self._hurry(job, flush))

    def _hurry(self, job: Job, flush: Callable[[], None]) -> None:
        """Write from a thread of its own if a long save keeps the I/O thread."""
        if job.state == "waiting":
            threading.Thread(
                target=self._write, args=[flush], name="samari-journal", daemon=True
            ).start()

    def _write(self, flush: Callable[[], None]) -> None:
        """Write; what the file does not tell by itself is kept for the user, once."""
        try:
            flush()
        except Exception as error:
            if not self._failing:
                self.problems.append(
                    f"The journal could not be written: {error!r}. Nothing is lost while the "
                    "program runs; save the labels to be safe"
                )
            self._failing = True
        else:
            self._failing = False

    def _on_written(self, job: Job, result: Any) -> None:
        told = self._told()
        while self.problems and told is not None:
            told(self.problems.pop())


def journal_of(layer: Labels) -> Path | None:
    """Return the journal of a labels layer: the one it remembers, or the one beside its file."""
    remembered = layer.metadata.get(KEY)
    opened = layer.source.path
    for path in (remembered, None if opened is None else beside(opened)):
        if path is not None and Path(path).is_file():
            return Path(path)
    return None


def tiff_of(journal: Path) -> Path | None:
    """Return the TIFF that a journal lies beside, None if it lies elsewhere."""
    tiff = journal.with_name(journal.name.removesuffix(ENDING))
    return tiff if tiff != journal and tiff.suffix.lower() in (".tif", ".tiff") else None
