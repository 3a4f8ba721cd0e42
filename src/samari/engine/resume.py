"""Going on with a label file that was saved before, with its objects, prompts and history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.history import History
from samari.engine.journal_opening import initial_labels
from samari.engine.labels import LabelStore
from samari.engine.restore import apply_log
from samari.engine.state import SessionState

if TYPE_CHECKING:
    from samari.engine.journal import JournalLog
    from samari.engine.planes import ImagePlanes
    from samari.engine.recorded import Recorded


def labels_of(log: JournalLog, planes: ImagePlanes) -> Any:
    """Return the labels that a journal leads to; what is wrong with it is raised.

    Raises
    ------
    JournalError
        If a line cannot be what happened, or the labels that it began with are not in it.
    """
    state = SessionState(LabelStore(initial_labels(log.opening, planes, None, log.name)))
    apply_log(state, History(), log)
    return state.store.array


def resume(session: Recorded, log: JournalLog, labels: Any, *, from_file: bool) -> bool:
    """Take up the journal of labels that are there, in a session in which nothing was done yet.

    Pixels that are other than the journal says, because somebody else changed them, stay as they
    are: a hand edit. What was done after a file was saved is done as well.

    Parameters
    ----------
    session : Session
        With empty labels.
    log : JournalLog
    labels : array of int
    from_file : bool
        Whether they were read from the file that was saved last, and may lack what was done since.

    Returns
    -------
    bool
        Whether the labels are now others than those that were there.

    Raises
    ------
    JournalError
        See `Session.take_up`.
    """
    found = np.asarray(labels)
    expected = labels_of(log.until_saved(), session.planes) if from_file else None
    session.take_up(log)
    changed = (np.asarray(session.labels) if expected is None else expected) != found
    if changed.any():
        with session._change("edit") as change:
            for label in np.unique(found[changed]).tolist():
                change.write((), changed & (found == label), label, keep=())
    return bool((np.asarray(session.labels) != found).any())
