"""``samari propagate``: prompted objects followed through a stack into a label TIFF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from samari.cli import COMMANDS
from samari.cli_image import (
    accept_objects,
    add_image_options,
    checked_output,
    image_options,
    open_image,
    open_session,
    save_objects,
)
from samari.errors import InputError
from samari.terminal import progress_line

if TYPE_CHECKING:
    import argparse


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "propagate",
        help=COMMANDS["propagate"],
        description="Follow objects through a stack: each is prompted on one plane or more, and "
        "found on the others until it ends. A plane with nothing but a negative point of an object "
        "is where it ends.",
    )
    parser.add_argument("image", metavar="STACK", help="TIFF with a Z or T axis")
    parser.add_argument(
        "--prompts", required=True, metavar="FILE",
        help="CSV or JSON rows with the columns object, z, y, x, label or object, z, y0, x0, y1, "
        "x1",
    )  # fmt: skip
    parser.add_argument("--axis", default="Z", help="the axis to go along: Z or T (%(default)s)")
    parser.add_argument(
        "--range", type=int, nargs=2, metavar=("FIRST", "LAST"),
        help="planes from FIRST to LAST, both included; all by default",
    )  # fmt: skip
    add_image_options(parser)
    parser.set_defaults(run=_propagate)


def _propagate(arguments: argparse.Namespace) -> int:
    output = checked_output(arguments)

    from samari.engine.planes import ImagePlanes
    from samari.engine.prompt_files import prompts_by_object, read_prompt_file

    file = open_image(arguments)
    options = image_options(arguments, file)
    planes = ImagePlanes(file.image, **options)
    axis = arguments.axis.upper()
    if axis not in ("Z", "T") or axis not in planes.label_axes:
        raise InputError(f"the image has axes {planes.label_axes}: there is no axis {axis} to go")
    objects = prompts_by_object(read_prompt_file(arguments.prompts), planes)
    wanted = arguments.range and (arguments.range[0], arguments.range[1] + 1)
    session = open_session(arguments, file, options)
    refused = accept_objects(session, objects)
    with progress_line("propagating") as progress:
        report = session.propagate(sorted(session.objects), axis, wanted, progress)
    for label in sorted(session.objects):
        found = report.confidence.get(label, {})
        lowest = f", lowest confidence {min(found.values()):.2f}" if found else ""
        print(f"label {label}: {len(found)} planes added{lowest}")
    save_objects(session, output, refused)
    return 0
