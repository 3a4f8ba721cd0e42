"""From a journal back to a session: the stored pixels again, without a model, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from samari.engine.history import Growing
from samari.engine.journal_opening import (
    check_image,
    initial_labels,
    limits_used,
    same_values,
)
from samari.engine.planes import ImagePlanes
from samari.engine.state import Change
from samari.errors import InputError, JournalError, LabelsError

if TYPE_CHECKING:
    from samari.engine.history import Action, History
    from samari.engine.journal import JournalLog
    from samari.engine.journal_lines import Step
    from samari.engine.state import SessionState


def session_options(
    log: JournalLog, planes: ImagePlanes, labels: Any, *, content: bool
) -> dict[str, Any]:
    """Return how the session of a journal began, as keywords of `Session`.

    Raises
    ------
    JournalError
        If the image is another one, or its labels are missing.
    """
    opening = log.opening
    check_image(opening, planes, log.name, content=content)
    try:
        began = initial_labels(opening, planes, labels, log.name)
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(f"line 1 of the journal {log.name} is damaged: {error}") from None
    # Another image, which a model may answer on, has limits of its own.
    records = log.records if same_values(opening, planes) else ()
    return {
        "axes": planes.axes,
        "rgb": planes.rgb,
        "channel": opening["channel"],
        "contrast_limits": limits_used(opening, records),
        "scale": opening["scale"],
        "units": opening["units"],
        "translate": opening["translate"],
        "name": opening["image"]["name"],
        "overwrite": bool(opening["overwrite"]),
        "labels": began,
    }


def planes_of(log: JournalLog, image: Any) -> ImagePlanes:
    """Return the planes of an image, read as a journal says.

    Raises
    ------
    JournalError
        If the image does not have such axes.
    """
    there = log.opening["image"]
    try:
        return ImagePlanes(image, there["axes"], rgb=there["rgb"], channel=log.opening["channel"])
    except InputError as error:
        raise JournalError(
            f"the journal {log.name} belongs to an image of axes {there['axes']} and shape "
            f"{there['shape']}: {error}"
        ) from error


def apply_log(
    state: SessionState, history: History, log: JournalLog
) -> list[tuple[Change, Action]]:
    """Do everything again that a journal tells.

    Returns
    -------
    list of (Change, Action)
        The steps, and what each is, or is a part of, in the history.

    Raises
    ------
    JournalError
        If a line cannot be what happened.
    """
    growing = {
        entry.grows: Growing() for kind, entry in log.entries if kind == "do" and entry.grows
    }
    steps: list[tuple[Change, Action]] = []
    undone: list[Action] = []
    for line, (kind, entry) in enumerate(log.entries, 2):
        if kind == "do":
            step = growing.get(entry.grows or entry.number)
            if entry.grows:
                fits = step is not None and step.actions and history.holds(step)
                _expect(fits, line, log.name, "add to", entry.grows)
            change = _applied(state, entry, line, log.name)
            if step is None:
                history.push(change)
            else:
                history.grow(step, change)
            if not entry.grows:
                undone.clear()
            steps.append((change, step or change))
        elif kind in ("undo", "redo"):
            there = 0 < entry <= len(steps)
            next_one = history.newest if kind == "undo" else undone.pop() if undone else None
            _expect(there and steps[entry - 1][1] is next_one, line, log.name, kind, entry)
            if kind == "undo":
                history.undo()
                undone.append(steps[entry - 1][1])
            else:
                history.redo()
    # Prompts that were not accepted are in no journal; those of an undone accept may have changed.
    state.pending = ()
    return steps


def _applied(state: SessionState, step: Step, line: int, name: str) -> Change:
    """Write the pixels of a step, and return it as a step of the history."""
    store = state.store
    try:
        edits = tuple(
            store.write(pixels.box, pixels.mask, pixels.label, keep=()) for pixels in step.pixels
        )
    except (InputError, IndexError) as error:
        raise JournalError(f"line {line} of the journal {name} does not fit: {error}") from error
    except LabelsError as error:
        raise LabelsError(f"{error} (line {line} of the journal {name})") from error
    records = tuple(
        (label, state.objects.get(label), record) for label, record in step.objects.items()
    )
    change = Change(
        state=state,
        name=step.name,
        pending=(step.pending, step.left),
        records=records,
        highest=step.highest,
        edits=edits,
        details=step.details,
    )
    highest = store.highest
    change.settle()
    if step.grows:  # steps of the user may lie between the parts
        store.highest = highest
    return change


def _expect(fits: Any, line: int, name: str, kind: str, number: int) -> None:
    if not fits:
        raise JournalError(
            f"line {line} of the journal {name} cannot be: there is no step {number} to {kind}"
        )
