"""``samari everything``: automatic segmentation of an image into a label TIFF."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from samari.cli import COMMANDS
from samari.cli_image import (
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
from samari.terminal import progress_line

if TYPE_CHECKING:
    import argparse

    from samari.engine.planes import PlaneIndex


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    # Here, because it imports numpy, and the list of commands is shown without.
    from samari.engine.candidates import Thresholds
    from samari.engine.everything import POINTS_PER_SIDE

    default = Thresholds()
    parser = commands.add_parser(
        "everything",
        help=COMMANDS["everything"],
        description="Segment everything in an image: every point of a grid is clicked on, and the "
        "masks within the thresholds become objects. Sizes are pixels of the plane.",
    )
    parser.add_argument("image", metavar="IMAGE", help="TIFF, PNG or JPEG")
    for option, kind, value, text in (
        ("--min-score", number, default.min_score, "the model's own estimate of a mask's quality"),
        ("--min-stability", number, default.min_stability, "how sharply a mask is defined, 0 to 1"),
        ("--min-size", int, default.min_size, "pixels of the smallest object"),
        (
            "--max-size",
            int,
            None,
            "pixels of the largest object; a quarter of the plane by default",
        ),
        ("--overlap", number, default.overlap, "share of a mask that may lie on better ones"),
        ("--points-per-side", int, POINTS_PER_SIDE, "points of the grid along each axis"),
    ):
        shown = text if value is None else f"{text} (%(default)s)"
        parser.add_argument(option, type=kind, default=value, metavar="N", help=shown)
    which = parser.add_mutually_exclusive_group()
    add_plane_option(which, "one plane of a stack")
    which.add_argument("--all-planes", action="store_true", help="every plane of a stack")
    add_image_options(parser)
    parser.set_defaults(run=_everything)


def _everything(arguments: argparse.Namespace) -> int:
    output = checked_output(arguments)

    from samari.engine.candidates import Thresholds
    from samari.engine.planes import ImagePlanes

    names = ("min_score", "min_stability", "min_size", "max_size", "overlap")
    thresholds = {name: getattr(arguments, name) for name in names}
    Thresholds(**thresholds)  # a wrong one is refused before the model is loaded
    file = open_image(arguments)
    options = image_options(arguments, file)
    wanted = _planes(arguments, ImagePlanes(file.image, **options))
    session = open_session(arguments, file, options)
    with progress_line("segmenting") as progress:
        session.segment_everything(
            wanted, points_per_side=arguments.points_per_side, progress=progress, **thresholds
        )
    save_objects(session, output)
    if not session.objects:
        print(
            "samari: no mask was within the thresholds; lower --min-score or --min-stability for "
            "more",
            file=sys.stderr,
        )
    return 0


def _planes(arguments: argparse.Namespace, planes: Any) -> tuple[PlaneIndex, ...]:
    """Return the planes that are meant; of a stack they must be named."""
    from samari.engine.everything import planes_of

    wanted: tuple[int, ...] | None = None
    if not arguments.all_planes:
        position = plane_position(arguments.plane, planes.label_axes, ", or --all-planes")
        wanted = tuple(position[axis] for axis in planes.label_axes if axis in position)
    return planes_of(planes, planes.canonical_view("YX"), wanted)
