"""``samari propagate``: prompted objects followed through a stack into a label TIFF."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from samari.cli import (
    COMMANDS,
    accept_objects,
    add_image_options,
    checked_output,
    fetch_model,
    image_options,
    open_image,
    save_objects,
)
from samari.errors import InputError

if TYPE_CHECKING:
    import argparse

    from samari.engine.propagate import PropagationReport
    from samari.engine.session import Session


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
    from samari.engine.predict import Segmenter
    from samari.engine.prompt_files import prompts_by_object, read_prompt_file
    from samari.engine.session import Session

    file = open_image(arguments)
    options = image_options(arguments, file)
    planes = ImagePlanes(file.image, **options)
    axis = arguments.axis.upper()
    if axis not in ("Z", "T") or axis not in planes.label_axes:
        raise InputError(f"the image has axes {planes.label_axes}: there is no axis {axis} to go")
    objects = prompts_by_object(read_prompt_file(arguments.prompts), planes)
    wanted = arguments.range and (arguments.range[0], arguments.range[1] + 1)
    fetch_model(arguments.model)
    session = Session(
        file.image,
        segmenter=Segmenter(arguments.model, device=arguments.device),
        scale=file.scale,
        units=file.units,
        name=file.name,
        **options,
    )
    refused = accept_objects(session, objects)
    report = _run(session, axis, wanted)
    for label in sorted(session.objects):
        found = report.confidence.get(label, {})
        lowest = f", lowest confidence {min(found.values()):.2f}" if found else ""
        print(f"label {label}: {len(found)} planes added{lowest}")
    save_objects(session, output, refused)
    return 0


def _run(session: Session, axis: str, wanted: tuple[int, int] | None) -> PropagationReport:
    """Propagate, with a line that says how far it is where somebody reads along."""
    labels = sorted(session.objects)
    if not sys.stderr.isatty():
        return session.propagate(labels, axis, wanted)

    def progress(done: int, total: int) -> None:
        print(f"\rpropagating: {100 * done // total} %", end="", file=sys.stderr, flush=True)

    try:
        return session.propagate(labels, axis, wanted, progress)
    finally:
        print(file=sys.stderr)
