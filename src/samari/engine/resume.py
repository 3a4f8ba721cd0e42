"""Going on with a label file that was saved before, with its objects, prompts and history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import find_objects

from samari.engine.history import History
from samari.engine.journal_opening import initial_labels
from samari.engine.labels import LabelStore
from samari.engine.restore import apply_log
from samari.engine.state import SessionState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from samari.engine.journal import JournalLog
    from samari.engine.label_arrays import Box
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


def resume(session: Recorded, log: JournalLog, labels: Any, *, from_file: bool) -> None:
    """Take up the journal of labels that are there, in a session in which nothing was done yet.

    Pixels that are other than the journal says, because somebody else changed them, stay as they
    are: a hand edit, with which an object that loses its last pixel goes. What was done after a
    file was saved is done as well.

    Parameters
    ----------
    session : Session
        With empty labels.
    log : JournalLog
    labels : array of int
    from_file : bool
        Whether they were read from the file that was saved last, and may lack what was done since.

    Raises
    ------
    JournalError
        See `Session.take_up`.
    """
    found = np.asarray(labels)
    behind = from_file and not log.is_saved
    expected = labels_of(log.until_saved(), session.planes) if behind else None
    session.take_up(log)
    changed = (np.asarray(session.labels) if expected is None else expected) != found
    if not changed.any():
        return
    before = np.unique(np.asarray(session.labels))
    with session._change("edit") as change:
        for label, box, mask in _parts(found, changed):
            change.write(box, mask, label, keep=())
        gone = np.setdiff1d(before, np.asarray(session.labels)).tolist()
        change.records.update((label, None) for label in gone if label in session.objects)


def _parts(
    labels: NDArray[Any], changed: NDArray[np.bool_]
) -> Iterator[tuple[int, Box, NDArray[np.bool_]]]:
    """Give every label that changed pixels have, the box of these pixels and which of it they are.

    One pass over the labels, however many there are.
    """
    present, inverse = np.unique(labels[changed], return_inverse=True)
    numbers = np.zeros(labels.shape, np.int32)
    numbers[changed] = inverse + 1
    for number, box in enumerate(find_objects(numbers), 1):
        yield int(present[number - 1]), box, numbers[box] == number
