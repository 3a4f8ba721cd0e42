"""Saves a Session's labels while the user goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from samari.engine.export import save_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from samari.engine.session import Session
    from samari.plugin.jobs import Job, Steps


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


def snapshot_of(session: Session, path: str | Path) -> Callable[[Job], Steps]:
    """Copy a session's labels as they are now, and return the job that saves the copy."""
    labels = session.labels.copy() if hasattr(session.labels, "copy") else session.labels
    axes, scale, units = session.planes.label_axes, session.scale, session.units
    translate, name = session.translate, session.name
    length = session.journal.length

    def steps(job: Job) -> Generator[tuple[int, int], None, Saved]:
        yield 0, 1
        save_labels(path, labels, axes, scale=scale, units=units, translate=translate, name=name)
        return Saved(str(path), length)

    return steps
