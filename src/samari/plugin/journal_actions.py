"""What a controller does with the journal of its session: keep, restore, save and copy it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication

from samari.engine.label_arrays import is_in_memory
from samari.engine.session import Session
from samari.errors import SamariError
from samari.plugin import notices, settings
from samari.plugin.journal_sync import JournalSync, journal_of
from samari.plugin.large_labels import KEY, labels_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Labels

    from samari.plugin.saving import Saved
    from samari.plugin.source import ImageSource
    from samari.plugin.workshop import Workshop


class JournalActions(QObject):
    """The part of a controller that lets nothing be lost."""

    session: Session
    _source: ImageSource
    _viewer: ViewerModel
    _workshop: Workshop
    _journal: JournalSync

    def _open_session(self, labels: Labels | None, options: dict[str, Any]) -> None:
        """Open the session of a labels layer, with the objects of its journal if it has one.

        Parameters
        ----------
        labels : napari.layers.Labels or None
            The layer of the result; None for a new one.
        options : dict
            Keywords of `Session`.
        """
        array = None if labels is None else self._source.session_array(labels_of(labels))
        if labels is not None and is_in_memory(array) and journal_of(labels) is not None:
            self._begin(Session(**options))
            try:
                self._journal.resume(labels, array)
            except SamariError as error:
                notices.warn(f"The objects of {labels.name!r} come without their prompts: {error}")
            else:
                if self.session.journal.file is None and settings.current().autosave:
                    self._journal.begin()
                if KEY in labels.metadata:
                    return
                shown = self.session.labels
                if labels.data.shape != shown.shape:
                    shown = self._source.layer_array(shown)
                labels.data = shown
                return
        self._begin(Session(labels=array, **options))
        if settings.current().autosave:
            self._journal.begin()
        if labels is None:
            self._journal.look_for_lost(self._viewer.layers)

    def _begin(self, session: Session) -> None:
        self.session = session
        self._journal = JournalSync(
            session, self._workshop.files, self._on_journal_trouble, self._on_journal
        )

    @property
    def restorable(self) -> str:
        """What `restore` would bring back, for a button; empty if nothing was lost."""
        lost = self._journal.lost
        if lost is None or self.session.history.done:
            return ""
        log = lost[1]
        count = len(log.labels())
        objects = f"{count} object{'' if count == 1 else 's'}" if count else "what was painted"
        return f"Restore {objects}, {_when(log.last)}"

    def restore(self) -> int:
        """Bring back the objects of a session on this image that ended without being saved.

        Returns
        -------
        int
            How many objects came back; 0 if it cannot be done, which was told.
        """
        if not self.restorable:
            self._say("There is nothing to restore")
            return 0
        self._labels.put_back()
        try:
            count = self._journal.restore()
        except (SamariError, OSError) as error:
            self._on_error(error)
            return 0
        self._say(f"{count} objects are back, with their prompts. Undo goes back step by step")
        return count

    def forget(self) -> None:
        """Delete what `restore` would bring back."""
        try:
            self._journal.forget()
        except (SamariError, OSError) as error:
            self._on_error(error)
        self.changed.emit()

    def copy_as_python(self) -> str:
        """Copy a script that does the same without a window, and return it."""
        script = self.session.to_script(
            self._source.layer.source.path or "", labels=self._labels.layer.source.path or ""
        )
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(script)
        self._say("Copied as Python: paste it into an editor, or run it with: python SCRIPT IMAGE")
        return script

    def save(self, path: str | Path) -> None:
        """Save the labels as an OME-TIFF, with the journal beside it. Waits until it is written.

        Raises
        ------
        ExportError
            If it cannot be written.
        """
        self.session.save(path)
        self._journal.move_beside(path)

    def _on_saved(self, job: Any, saved: Saved) -> None:
        if saved.problem:
            self._on_journal_trouble(saved.problem)
        else:
            self._journal.note_saved(saved.line)
        self._say(f"Saved to {saved.path}")

    def _on_journal(self) -> None:
        self.changed.emit()

    def _on_journal_trouble(self, problem: str) -> None:
        notices.warn(notices.sentence(problem))


def _when(time: str) -> str:
    """Return a time of a journal as a person says it."""
    try:
        then = datetime.fromisoformat(time).astimezone()
    except ValueError:
        return "of an earlier session"
    now = datetime.now().astimezone()
    day = "today" if then.date() == now.date() else then.date().isoformat()
    return f"{day} {then:%H:%M}"
