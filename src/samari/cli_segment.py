"""``samari segment``: objects of an image from points and boxes, into a label TIFF."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from samari.cli import COMMANDS
from samari.cli_image import (
    accept_objects,
    add_image_options,
    add_plane_option,
    checked_output,
    image_options,
    number,
    open_image,
    open_session,
    plane_position,
    save_objects,
)

if TYPE_CHECKING:
    from samari.engine.prompt_files import PromptRow


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "segment",
        help=COMMANDS["segment"],
        description="Segment objects of an image from prompts. Coordinates are pixels, rows (Y) "
        "first, as napari shows them. Repeated prompts refine one object.",
    )
    parser.add_argument("image", metavar="IMAGE", help="TIFF, PNG or JPEG")
    for option, label, names, text in (
        ("--point", "point", ("Y", "X"), "a point on the object"),
        ("--negative", "negative", ("Y", "X"), "a point off the object"),
        ("--box", "box", ("Y0", "X0", "Y1", "X1"), "two corners around the object"),
    ):
        parser.add_argument(
            option, dest="prompts", action=_AddPrompt, const=label, nargs=len(names), type=number,
            metavar=names, help=text,
        )  # fmt: skip
    parser.add_argument(
        "--each", action="store_true",
        help="an object of every point and box; a negative point belongs to the prompt before it",
    )  # fmt: skip
    parser.add_argument(
        "--prompts", dest="prompt_file", metavar="FILE",
        help="CSV or JSON rows with the columns object, y, x, label or object, y0, x0, y1, x1; "
        "z and t say on which plane of a stack",
    )  # fmt: skip
    add_plane_option(parser, "the plane of a stack that the prompts lie on")
    add_image_options(parser)
    parser.set_defaults(run=_segment, usage_error=parser.error)


class _AddPrompt(argparse.Action):
    """Collect points, negative points and boxes in one list, in the order they were given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        prompts = [*(getattr(namespace, self.dest) or []), (self.const, values)]
        setattr(namespace, self.dest, prompts)


def _segment(arguments: argparse.Namespace) -> int:
    if bool(arguments.prompts) == bool(arguments.prompt_file):
        arguments.usage_error("give either --point and --box, or --prompts FILE")
    if arguments.prompt_file and (arguments.each or arguments.plane):
        arguments.usage_error("with --prompts the file's columns name the objects and planes")
    output = checked_output(arguments)

    from samari.engine.planes import ImagePlanes
    from samari.engine.prompt_files import prompts_by_object, read_prompt_file

    file = open_image(arguments)
    options = image_options(arguments, file)
    planes = ImagePlanes(file.image, **options)
    if arguments.prompt_file:
        rows = read_prompt_file(arguments.prompt_file)
    else:
        rows = _rows(arguments, planes.label_axes)
    objects = prompts_by_object(rows, planes)

    session = open_session(arguments, file, options)
    refused = accept_objects(session, objects)
    save_objects(session, output, refused)
    return 0


def _rows(arguments: argparse.Namespace, label_axes: str) -> list[PromptRow]:
    """Turn the options into rows: one object, or with ``--each`` one for every point and box."""
    from samari.engine.prompt_files import PromptRow

    position = plane_position(arguments.plane, label_axes)
    rows: list[PromptRow] = []
    number = 0 if arguments.each else 1
    for kind, values in arguments.prompts:
        if arguments.each and kind != "negative":
            number += 1
        if number == 0:
            arguments.usage_error("with --each, --negative comes after the prompt it refines")
        rows.append(PromptRow(str(number), tuple(values), int(kind != "negative"), position))
    return rows
