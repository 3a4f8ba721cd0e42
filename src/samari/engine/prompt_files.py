"""Prompts written in a file: one row a prompt, an ``object`` column, CSV or JSON.

A row is a point (``y``, ``x`` and optionally ``label``: 1 on the object, 0 off it) or a box
(``y0``, ``x0``, ``y1``, ``x1``). Columns named after further axes (``z``, ``t``) say on
which plane of a stack the prompt lies. Rows of one object keep their order.
"""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samari.engine.planes import PlaneIndex
from samari.engine.prompts import PlanePrompts
from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from samari.engine.planes import ImagePlanes

__all__ = ["PromptRow", "parse_number", "prompts_by_object", "read_prompt_file"]

_POINT = ("y", "x")
_BOX = ("y0", "x0", "y1", "x1")
_OPTIONAL = ("label",)


@dataclass(frozen=True)
class PromptRow:
    """One prompt of one object, on one plane.

    Parameters
    ----------
    object : str
        Name of the object that the prompt belongs to.
    values : tuple of float
        ``(y, x)`` of a point, ``(y0, x0, y1, x1)`` of a box; data coordinates in pixels, the centre
        of a pixel at its integer index.
    label : int
        1 for a point on the object, 0 for a point off it; meaningless for a box.
    position : dict of str to int
        Index along each further axis by its letter, e.g. ``{"Z": 3}``.
    """

    object: str
    values: tuple[float, ...]
    label: int = 1
    position: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_box(self) -> bool:
        """Whether the prompt is a box."""
        return len(self.values) == len(_BOX)


def parse_number(text: str) -> float:
    """Read a finite number, with a point as decimal separator whatever the locale.

    Parameters
    ----------
    text : str
        What the user wrote.

    Raises
    ------
    InputError
        If it is not a finite number; a decimal comma is named as such.
    """
    try:
        value = float(text)
    except ValueError:
        if text.count(",") == 1 and text.replace(",", "").lstrip("+-").isdigit():
            point = text.replace(",", ".")
            raise InputError(f"{text!r} has a decimal comma; write {point}") from None
        raise InputError(f"{text!r} is not a number") from None
    if not math.isfinite(value):
        raise InputError(f"{text!r} is not a finite number")
    return value


def read_prompt_file(path: str | Path) -> list[PromptRow]:
    """Read prompts from a CSV file or a JSON list of rows.

    Parameters
    ----------
    path : str or Path
        ``.json`` is read as JSON, everything else as CSV separated by commas, semicolons or tabs,
        with a header line.

    Returns
    -------
    list of PromptRow
        In the order of the file; never empty.

    Raises
    ------
    InputError
        If the file cannot be read or a row is neither a point nor a box; the message names the file
        and the row.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"there is no prompt file {path}") from None
    except UnicodeDecodeError:
        raise InputError(
            f"the prompt file {path} cannot be read: it is not in UTF-8; save it as CSV UTF-8"
        ) from None
    except OSError as error:
        raise InputError(f"the prompt file {path} cannot be read: {error}") from None
    if path.suffix.lower() == ".json":
        entries = _json_entries(text, path)
    else:
        entries = _csv_entries(text, path)
    rows = []
    for where, entry in entries:
        try:
            rows.append(_row(entry))
        except InputError as error:
            raise InputError(f"{path}, {where}: {error}") from None
    if not rows:
        raise InputError(f"the prompt file {path} has no rows of prompts below its header")
    return rows


def prompts_by_object(
    rows: Iterable[PromptRow], planes: ImagePlanes
) -> dict[str, dict[PlaneIndex, PlanePrompts]]:
    """Group rows into the prompts of each object on each YX plane, checked against the image.

    Parameters
    ----------
    rows : iterable of PromptRow
        Prompts in order.
    planes : ImagePlanes
        The image they lie on.

    Returns
    -------
    dict
        Object name to a dict of plane to prompts, both in order of first appearance.

    Raises
    ------
    InputError
        If an axis is missing or unknown, a prompt lies outside the image, or an object has two
        boxes on one plane.
    """
    objects: dict[str, dict[PlaneIndex, PlanePrompts]] = {}
    for row in rows:
        plane = _plane(row, planes)
        parts = objects.setdefault(row.object, {})
        prompts = parts.get(plane, PlanePrompts())
        if not row.is_box:
            parts[plane] = prompts.with_point(row.values, row.label)
        elif prompts.box is None:
            parts[plane] = prompts.with_box(row.values)
        else:
            raise InputError(
                f"object {row.object!r} has a second box {row.values} on one plane; "
                "one object takes one box, give the other box an object of its own"
            )
        parts[plane].check_fits(planes.shape_of(plane.view))
    return objects


def _csv_entries(text: str, path: Path) -> list[tuple[str, dict[str, Any]]]:
    header = text.partition("\n")[0]
    delimiter = next((mark for mark in (";", "\t") if mark in header), ",")
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, restkey="further columns")
    try:
        return [(f"line {reader.line_num}", dict(entry)) for entry in reader]
    except csv.Error as error:
        number = reader.reader.line_num
        raise InputError(
            f"{path}, line {number}: {error}; look for a quotation mark that is not closed"
        ) from None


def _json_entries(text: str, path: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"the prompt file {path} is not JSON: {error}") from None
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
        raise InputError(f"the prompt file {path} must be a list of objects, one for each prompt")
    return [(f"row {number}", entry) for number, entry in enumerate(data, start=1)]


def _row(entry: dict[str, Any]) -> PromptRow:
    given = {
        str(key).strip().lower(): str(value).strip()
        for key, value in entry.items()
        if value is not None and str(value).strip()
    }
    name = given.pop("object", None)
    if name is None:
        raise InputError("there is no value in the column 'object'")
    kinds = [kind for kind in (_POINT, _BOX) if any(key in given for key in kind)]
    if len(kinds) != 1 or any(key not in given for key in kinds[0]):
        raise InputError(f"a row needs y and x, or y0, x0, y1 and x1; it has {sorted(given)}")
    values = tuple(_value(given, key) for key in kinds[0])
    label = _value(given, "label") if "label" in given else 1.0
    if label not in (0, 1):
        raise InputError(f"label is {given['label']}; it is 1 on the object and 0 off it")
    position = {}
    for key in given.keys() - {*kinds[0], *_OPTIONAL}:
        index = _value(given, key) if len(key) == 1 else None
        if index is None or not index.is_integer():
            raise InputError(f"column {key!r}: {given[key]!r} is not a plane of an axis")
        position[key.upper()] = int(index)
    return PromptRow(name, values, int(label), position)


def _value(given: dict[str, str], key: str) -> float:
    try:
        return parse_number(given[key])
    except InputError as error:
        raise InputError(f"column {key!r}: {error}") from None


def _plane(row: PromptRow, planes: ImagePlanes) -> PlaneIndex:
    further = [letter for letter in planes.label_axes if letter not in "YX"]
    unknown = sorted(letter for letter in row.position if letter not in further)
    missing = [letter for letter in further if letter not in row.position]
    if unknown:
        raise InputError(
            f"the prompt {row.values} names a plane along {unknown[0]}; the image has axes "
            f"{planes.label_axes}"
        )
    if missing:
        raise InputError(
            f"the image has axes {planes.label_axes}; say on which {missing[0]} the prompt "
            f"{row.values} lies"
        )
    plane = PlaneIndex("YX", tuple(row.position[letter] for letter in further))
    planes.check(plane)
    return plane
