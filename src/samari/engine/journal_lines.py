"""The lines of a journal: one JSON object each, with a checksum, as bytes and back."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from samari.engine.checks import own_number
from samari.engine.journal_values import (
    pending_json,
    pixels_json,
    pixels_of,
    read_pending,
    read_pixels,
    read_record,
    record_json,
)
from samari.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from samari.engine.journal_values import Pixels
    from samari.engine.objects import SegmentedObject
    from samari.engine.pending import PendingObject
    from samari.engine.state import Change

#: Raised when a line says something that an older reader would take for something else.
VERSION = 1
_CHECKSUM = b',"crc":"'


@dataclass(frozen=True, eq=False)
class Step:
    """A step of the history, as a journal has it: what `Change` holds, without a session.

    Attributes
    ----------
    number : int
        From 1, by which *undo* and *redo* name it.
    name : str
        "accept", "edit", "delete", "merge", "everything" or what later versions do.
    pixels : tuple of Pixels
        What was written into the labels, in this order.
    objects : dict of int to SegmentedObject or None
        Rows of the object table as they are afterwards.
    pending, left : tuple of PendingObject
        What was pending before and afterwards.
    highest : tuple of int
        The highest id before and afterwards.
    details : dict
        What else a replay needs.
    time : str
        When it was done, ISO 8601, UTC.
    grows : int or None
        The earlier step that this one is a further part of: undone and redone with it.
    """

    number: int
    name: str
    pixels: tuple[Pixels, ...]
    objects: Mapping[int, SegmentedObject | None]
    pending: tuple[PendingObject, ...]
    left: tuple[PendingObject, ...]
    highest: tuple[int, int]
    details: dict[str, Any] = field(default_factory=dict)
    time: str = ""
    grows: int | None = None


def now() -> str:
    """Return the time as a journal writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def step_json(number: int, change: Change, time: str, grows: int | None) -> dict[str, Any]:
    """Return the line of a step."""
    before, after = change.pending
    return {
        "line": change.name,
        "step": number,
        "time": time,
        "objects": {
            str(label): None if record is None else record_json(record)
            for label, _, record in change.records
        },
        "pixels": [pixels_json(pixels) for pixels in pixels_of(change)],
        "pending": [pending_json(pending) for pending in before],
        "left": [pending_json(pending) for pending in after],
        "highest": list(change.highest),
        "details": change.details,
        **({} if grows is None else {"grows": grows}),
    }


def read_step(value: dict[str, Any]) -> Step:
    """Return the step that `step_json` wrote; raises like `journal_values`."""
    low, high = value["highest"]
    return Step(
        number=int(value["step"]),
        name=str(value["line"]),
        pixels=tuple(read_pixels(pixels) for pixels in value["pixels"]),
        objects={
            int(label): None if record is None else read_record(record)
            for label, record in value["objects"].items()
        },
        pending=tuple(read_pending(pending) for pending in value["pending"]),
        left=tuple(read_pending(pending) for pending in value["left"]),
        highest=(int(low), int(high)),
        details=dict(value["details"]),
        time=str(value.get("time", "")),
        grows=None if value.get("grows") is None else int(value["grows"]),
    )


def encode(value: dict[str, Any]) -> bytes:
    """Return a line: JSON in ASCII, whose last member is the checksum of what is before it.

    Infinite limits are written as Python's `json` writes and reads them, numbers of numpy like
    Python's own.
    """
    body = json.dumps(value, separators=(",", ":"), default=_number).encode()
    return b'%s%s%08x"}\n' % (body[:-1], _CHECKSUM, zlib.crc32(body))


def _number(value: Any) -> Any:
    """Return what JSON has no word for as something that it has."""
    number = own_number(value)
    if number is value:
        raise TypeError(f"{type(value).__name__} is no value of JSON")
    return number


def decode(line: bytes) -> dict[str, Any]:
    """Return what a line says.

    A line that somebody edited may leave the checksum out.

    Raises
    ------
    ValueError
        If it is damaged; the message says how.
    """
    value = json.loads(line)
    if not isinstance(value, dict) or not isinstance(value.get("line"), str):
        raise ValueError("it is not a line of a journal")
    checksum = value.pop("crc", None)
    if checksum is not None:
        body = line[: line.rindex(_CHECKSUM)] + b"}"
        if f"{zlib.crc32(body):08x}" != checksum:
            raise ValueError("its checksum does not fit: it was changed")
    return value


def lines_of(content: bytes, name: str) -> list[dict[str, Any]]:
    """Return the lines of a journal that are complete.

    A last line without its end is what remains when a program is killed while it writes: it is no
    part of the journal.

    Parameters
    ----------
    content : bytes
        Of the file.
    name : str
        Of the file, for messages.

    Raises
    ------
    JournalError
        If a line is damaged; the message names it.
    """
    values = []
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            values.append(decode(line.rstrip(b"\r")))
        except (ValueError, RecursionError) as error:
            raise JournalError(
                f"line {number} of the journal {name} is damaged: {error}. What was done before it "
                f"comes back if this line and all after it are deleted from a copy of the file"
            ) from None
    return values
