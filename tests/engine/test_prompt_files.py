"""Prompt files: rows of CSV and JSON, and where they go on the planes of an image."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from samari.engine.planes import ImagePlanes, PlaneIndex
from samari.engine.prompt_files import (
    PromptRow,
    parse_number,
    prompts_by_object,
    read_prompt_file,
)
from samari.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [
    PromptRow("cell", (10.0, 20.5), 1),
    PromptRow("cell", (12.0, 22.0), 0),
    PromptRow("2", (1.0, 2.0, 30.0, 40.0), 1),
]


def _write(folder: Path, text: str, name: str = "prompts.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_points_and_boxes_are_read_from_csv_of_any_delimiter(
    tmp_path: Path, delimiter: str, start: str
) -> None:
    text = (
        "object,y,x,label,y0,x0,y1,x1\n"
        "cell,10,20.5,1,,,,\n"
        "cell,12,22,0,,,,\n"
        "2,,,,1,2,30,40\n"
    )  # fmt: skip
    path = _write(tmp_path, start + text.replace(",", delimiter))
    assert read_prompt_file(path) == ROWS


def test_json_rows_read_the_same_as_csv_rows(tmp_path: Path) -> None:
    entries = [
        {"object": "cell", "y": 10, "x": 20.5},
        {"object": "cell", "y": 12, "x": 22, "label": 0},
        {"object": 2, "y0": 1, "x0": 2, "y1": 30, "x1": 40, "label": None},
    ]
    assert read_prompt_file(_write(tmp_path, json.dumps(entries), "prompts.json")) == ROWS


def test_a_file_in_a_folder_with_a_foreign_name_is_read(tmp_path: Path) -> None:
    """Trap 41: non-ASCII paths."""
    folder = tmp_path / "Größe 細胞"
    folder.mkdir()
    rows = read_prompt_file(_write(folder, "object,y,x\nÄ,1,2\n"))
    assert rows == [PromptRow("Ä", (1.0, 2.0))]


def test_columns_of_further_axes_name_the_plane(tmp_path: Path) -> None:
    (row,) = read_prompt_file(_write(tmp_path, "object,T,z,y,x\n1,0,5,3,4\n"))
    assert row.position == {"T": 0, "Z": 5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("object,y,x\n1,2\n", r"line 2: .*y and x"),
        ("y,x\n1,2\n", r"line 2: .*'object'"),
        ("object;y;x\n1;2,5;3\n", r"line 2: column 'y': '2,5' has a decimal comma; write 2\.5"),
        ("object,y,x\n1,2,inf\n", r"not a finite number"),
        ("object,y,x\n1,2,3\n1,two,3\n", r"line 3: column 'y': 'two' is not a number"),
        ("object,y,x,label\n1,2,3,7\n", r"label is 7"),
        ("object,y,x,z\n1,2,3,0.5\n", r"'0\.5' is not a plane"),
        ("object,y,x,colour\n1,2,3,red\n", r"'colour'"),
        ("object,y,x,y0,x0,y1,x1\n1,2,3,1,1,4,4\n", r"y and x, or y0"),
        ("object,y,x\n", r"no rows of prompts"),
        ('object,y,x\na,1,2\n"' + 140_000 * "b", r"line 3: field larger .* quotation mark"),
    ],
)
def test_a_row_that_is_no_prompt_is_named(tmp_path: Path, text: str, message: str) -> None:
    """Trap 42: a decimal comma is refused with the line and the column, never misread."""
    path = _write(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        read_prompt_file(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not JSON"), ('{"object": 1}', "a list"), ("[1, 2]", "a list")]
)
def test_json_that_is_no_list_of_rows_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_prompt_file(_write(tmp_path, text, "prompts.json"))


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no prompt file"):
        read_prompt_file(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("object,y,x\nGrö,1,2\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"cannot be read: it is not in UTF-8"):
        read_prompt_file(tmp_path / "latin.csv")


def test_numbers_have_a_decimal_point_in_every_locale() -> None:
    """Trap 42: what counts is the file, not the locale."""
    assert parse_number("-1.5e1") == -15.0
    with pytest.raises(InputError, match=r"write -0\.5"):
        parse_number("-0,5")


def test_rows_become_the_prompts_of_each_object_in_order() -> None:
    objects = prompts_by_object(ROWS, ImagePlanes(np.zeros((50, 60), np.uint8)))
    plane = PlaneIndex("YX", ())
    assert list(objects) == ["cell", "2"]
    assert objects["cell"][plane].points == ((10.0, 20.5), (12.0, 22.0))
    assert objects["cell"][plane].labels == (1, 0)
    assert objects["2"][plane].box == (1.0, 2.0, 30.0, 40.0)


def test_one_object_may_have_prompts_on_several_planes() -> None:
    rows = [PromptRow("a", (1.0, 2.0), 1, {"Z": z}) for z in (3, 4)]
    objects = prompts_by_object(rows, ImagePlanes(np.zeros((9, 50, 60), np.uint8)))
    assert list(objects["a"]) == [PlaneIndex("YX", (3,)), PlaneIndex("YX", (4,))]


@pytest.mark.parametrize(
    ("row", "shape", "message"),
    [
        (PromptRow("1", (-5.0, 3.0)), (50, 60), r"outside .*\(50, 60\)"),
        (PromptRow("1", (5.0, 60.0)), (50, 60), r"outside"),
        (PromptRow("1", (60.0, 3.0, 70.0, 9.0)), (50, 60), r"box .* outside"),
        (PromptRow("1", (5.0, 3.0)), (9, 50, 60), r"say on which Z"),
        (PromptRow("1", (5.0, 3.0), 1, {"Z": 9}), (9, 50, 60), r"9"),
        (PromptRow("1", (5.0, 3.0), 1, {"Z": 0}), (50, 60), r"along Z"),
    ],
)
def test_a_prompt_that_does_not_lie_on_the_image_is_refused(
    row: PromptRow, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        prompts_by_object([row], ImagePlanes(np.zeros(shape, np.uint8)))


def test_a_second_box_of_one_object_is_refused() -> None:
    box = PromptRow("a", (1.0, 2.0, 8.0, 9.0))
    with pytest.raises(InputError, match="'a' has a second box"):
        prompts_by_object([box, box], ImagePlanes(np.zeros((50, 60), np.uint8)))
