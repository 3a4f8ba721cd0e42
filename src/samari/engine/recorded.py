"""The part of a session that remembers what was done: its journal, and the ways back from one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.checks import file_name
from samari.engine.events import SessionEvent
from samari.engine.journal import Journal, JournalLog, beside, read_journal
from samari.engine.journal_file import JournalFile
from samari.engine.journal_opening import check_image, initial_labels, opening_of
from samari.engine.propagating import Propagating
from samari.engine.restore import apply_log, planes_of, session_options
from samari.errors import ExportError, InputError, ModelError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from samari.engine.predict import Segmenter
    from samari.zoo import LoadedModel


class Recorded(Propagating):
    """An annotation that can be restored, replayed and written as a script; a part of `Session`."""

    overwrite: bool
    #: Labels for which a replay found no mask.
    missing: tuple[int, ...] = ()

    def _begin_journal(
        self, journal: str | os.PathLike[str] | JournalFile | None, limits: Any, model: Any
    ) -> None:
        """Record from now on: in memory, and in a file if there is one."""
        empty = self._state.store.highest == 0 and (
            np.dtype(self.labels.dtype).kind == "u" or not np.any(self.labels)
        )
        asked = findable(model)
        opening = opening_of(
            self, limits=limits, model=asked, overwrite=self.overwrite, empty=empty
        )
        file = journal
        if file is not None and not isinstance(file, JournalFile):
            file = JournalFile(file_name(journal, "journal"))
            file.open()
        self.journal = Journal(opening, file)
        self.journal.model = asked
        if file is not journal:
            self.journal.begin()
        self._recorders.append(self.journal.record)

    def save(self, path: str | Path) -> None:
        """Save the labels as OME-TIFF, and the journal beside it, as `PATH.samari.jsonl`.

        See `save_labels` for the file, and `restore` for what the journal is good for.

        Raises
        ------
        ExportError
            If one of them cannot be written; the message says which.
        """
        super().save(path)
        line = self.journal.saved_line(path)
        target, own = beside(path), self.journal.file
        if own is not None and os.path.realpath(own.path) == os.path.realpath(target):
            self.journal.note(line, written=False)
            return
        try:
            self.journal.write_to(target, line)
        except ExportError as error:
            raise ExportError(f"{path} was saved, but not its journal: {error}") from error

    @classmethod
    def restore(
        cls,
        journal: str | os.PathLike[str],
        image: Any,
        labels: Any = None,
        *,
        model: str | Path | LoadedModel | None = None,
        segmenter: Segmenter | None = None,
        resume: bool = True,
    ) -> Self:
        """Return the session that a journal tells of: labels, objects, prompts and history.

        The stored masks are written again, so no model is needed and every pixel is as it was.
        Accepted objects can be reopened, steps undone. Prompts that had not been accepted are not
        in a journal.

        Parameters
        ----------
        journal : path-like
        image : array-like
            The one that the journal was made on.
        labels : array of int, optional
            What the session began with; written in place. Only needed where these labels were too
            large to be in the journal.
        model : str, path or LoadedModel, optional
            For what is prompted from now on; by default the journal's own, or the bundled one where
            that is gone.
        segmenter : Segmenter, optional
            A loaded model, instead of `model`.
        resume : bool
            Go on in the same file. With False it is only read.

        Raises
        ------
        JournalError
            If the journal is damaged (the message names the line), is in use, or belongs to
            another image.

        Examples
        --------
        >>> session = samari.Session.restore("cells.jsonl", image)  # doctest: +SKIP
        """
        options: dict[str, Any] = {"labels": labels, "model": model, "segmenter": segmenter}
        if not resume:
            return cls.of_log(read_journal(journal), image, **options)
        file = JournalFile(file_name(journal, "a journal"))
        with file.going_on():
            log = read_journal(journal)
            session = cls.of_log(log, image, **options)
            file.resume(len(log.content))
        session.journal.attach(file)
        return session

    @classmethod
    def of_log(
        cls,
        log: JournalLog,
        image: Any,
        labels: Any = None,
        *,
        model: str | Path | LoadedModel | None = None,
        segmenter: Segmenter | None = None,
        content: bool = True,
    ) -> Self:
        """Return the session that a journal tells of, which was read already; see `restore`.

        Parameters
        ----------
        log : JournalLog
        image, labels, model, segmenter
            See `restore`.
        content : bool
            Whether an image of other values is refused.
        """
        options = session_options(log, planes_of(log, image), labels, content=content)
        if segmenter is not None:
            options["segmenter"] = segmenter
        elif model is not None:
            options["model"] = model
        elif log.opening["model"]:
            options["model"] = log.opening["model"]
        try:
            session = cls(image, **options)
        except ModelError:
            if model is not None:
                raise
            del options["model"]  # its file is gone; restoring needs none
            session = cls(image, **options)
        session.journal.go_on(log, apply_log(session._state, session.history, log))
        return session

    def take_up(self, log: JournalLog) -> None:
        """Go on with what a journal tells, in a session in which nothing was done yet.

        The session keeps its own channel, contrast limits and voxel size. It does not record into
        the journal's file until it is told to.

        Raises
        ------
        InputError
            If something was done already.
        JournalError
            If the journal belongs to another image, or to labels that it does not hold.
        """
        if self.history.done or self.store.highest or self.pending:
            raise InputError(
                "this session has objects or prompts already; a journal is taken up at the "
                "beginning: open another session for it, with Session.restore"
            )
        check_image(log.opening, self.planes, log.name, content=True)
        array = self.labels
        if log.opening["labels"]["from"] != "background":
            began = initial_labels(log.opening, self.planes, None, log.name)
            self.store.make_room(int(began.max(initial=0)))
            self.store.array[...] = began
            self.store.highest = self.store.scan_highest()
            self.store.census.forget()
        self.journal.go_on(log, apply_log(self._state, self.history, log))
        told = [SessionEvent("labels", None, self.labels is not array), SessionEvent("objects")]
        self._listeners.emit([*told, SessionEvent("history")])

    @classmethod
    def replay(
        cls,
        journal: str | os.PathLike[str],
        image: Any,
        model: str | Path | LoadedModel | None = None,
        labels: Any = None,
        *,
        segmenter: Segmenter | None = None,
    ) -> Self:
        """Do again what a journal tells, asking the model anew for every mask.

        The model that made the journal gives the same labels on the same machine; another one
        gives its own masks, from the same prompts, under the same ids. Pixels that were last
        changed by hand have the value that the hand gave them. Objects for which the model finds
        nothing are left out; `missing` of the new session names them.

        Parameters
        ----------
        journal : path-like
            Only read.
        image : array-like
            Of the shape that the journal was made on.
        model : str, path or LoadedModel, optional
            By default the one that the journal names.
        labels : array of int, optional
            What to begin with, instead of what the journal began with; written in place.
        segmenter : Segmenter, optional
            A loaded model, instead of `model`.

        Raises
        ------
        JournalError
            If the journal is damaged, or the image has another shape.
        ModelError
            If there is no such model.
        """
        from samari.engine.replay import replayed

        return replayed(cls, read_journal(journal), image, model, labels, segmenter)

    def to_script(
        self, image: str | os.PathLike[str] = "", output: str = "", labels: str = ""
    ) -> str:
        """Return a Python script that does the same without a window, from the same prompts.

        Parameters
        ----------
        image : path-like
            File that the script opens by default; it takes another one as its first argument.
        output : str
            File that it saves by default, and takes as its second argument.
        labels : str
            File of the labels that the session began with, if there were any.
        """
        from samari.engine.script import script_of

        return script_of(self, os.fspath(image), output, labels)


def findable(model: Any) -> str:
    """Return by which name, or path, a model or a segmenter can be found again; loads nothing."""
    if isinstance(model, str | os.PathLike):
        name = os.fspath(model)
    else:
        # A stand-in of the plugin knows what was requested, and would load the model to tell more.
        known = (getattr(model, name, "") for name in ("requested", "model_name", "name"))
        name = next(filter(None, known), "")
    # What is a file is found from any folder.
    return os.path.abspath(name) if os.sep in name or os.path.isfile(name) else name
