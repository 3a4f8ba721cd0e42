"""Accepts that wait for the model's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from samari.engine.events import SessionEvent
    from samari.engine.session import Session
    from samari.plugin.prompts_sync import PromptsSync


class DueAccepts:
    """Does an accept that was asked for before its mask was there, as soon as it is there.

    Parameters
    ----------
    session : Session
    prompts : PromptsSync
        Knows which prompts were given before the accept, and which after.
    accept : callable
        Accepts what is pending, and releases what was given after it.
    """

    def __init__(
        self, session: Session, prompts: PromptsSync, accept: Callable[[], object]
    ) -> None:
        self._session, self._prompts, self._accept = session, prompts, accept
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self.check)

    @property
    def settled(self) -> bool:
        """Whether no look is due, and the prompt layers show what the Session has."""
        return self._prompts.settled and not self._timer.isActive()

    def on_event(self, event: SessionEvent) -> None:
        """Follow the Session."""
        if event.kind == "answer":
            self.check()
        elif event.kind == "pending" and self._prompts.sealed:
            # Prompts are being read, and may have changed to some that were answered: a bit later.
            self._timer.start()

    def check(self) -> None:
        """Do the accepts whose answers are here; skip those whose prompts are gone."""
        while self._prompts.sealed and not self._session.requests():
            if self._session.pending:
                self._accept()
            else:
                self._prompts.release()

    def stop(self) -> None:
        """Do nothing more."""
        self._timer.stop()
