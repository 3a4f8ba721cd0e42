"""``samari embed``: an image encoded ahead, so that whoever opens it waits for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from samari.cli import COMMANDS
from samari.cli_image import add_reading_options, image_options, number, open_image, open_segmenter
from samari.errors import ExportError, InputError
from samari.terminal import progress_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Iterator

    from samari.engine.embedding import Embedding
    from samari.engine.embedding_files import EmbeddingFiles
    from samari.engine.planes import ImagePlanes, PlaneIndex
    from samari.engine.tiles import Tile

#: More than any disk has.
_MOST_GB = 1e9


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "embed",
        help=COMMANDS["embed"],
        description="Encode every plane of an image and keep the result on disk, where napari and "
        "the other commands find it. Ctrl-C keeps what is done; the next run goes on.",
    )
    parser.add_argument("image", metavar="IMAGE", help="TIFF, PNG or JPEG")
    parser.add_argument(
        "--view", default="YX", metavar="AXES", help="which planes: YX, or ZX or ZY (%(default)s)"
    )
    parser.add_argument(
        "--float16", action="store_true",
        help="half the size; masks may differ in pixels at their edge",
    )  # fmt: skip
    parser.add_argument(
        "--max-gb", type=number, default=2.0, metavar="N",
        help="size of all that is kept; what was used longest ago is removed (%(default)s)",
    )  # fmt: skip
    add_reading_options(parser)
    parser.set_defaults(run=_embed)


def _embed(arguments: argparse.Namespace) -> int:
    from samari.engine.embedding import EmbeddingCache
    from samari.engine.embedding_files import EmbeddingFiles
    from samari.engine.pictures import PlanePicture
    from samari.engine.planes import ImagePlanes
    from samari.engine.tiled import encode_tile

    if not 0 <= arguments.max_gb <= _MOST_GB:
        raise InputError(f"--max-gb is {arguments.max_gb:g}; it must lie in 0..{_MOST_GB:g}")
    file = open_image(arguments)
    planes = ImagePlanes(file.image, **image_options(arguments, file))
    view = planes.canonical_view(arguments.view)
    files = EmbeddingFiles(
        arguments.cache, int(arguments.max_gb * 1e9), half=arguments.float16, told=_refuse
    )
    # What float32 encoded serves every processor, whatever its own precision.
    segmenter = open_segmenter(arguments, EmbeddingCache(0, files), "float32")
    pictures = list(_pictures(planes, view, segmenter.picture_size))
    encoded = 0
    with progress_line("encoding") as progress:
        for done, (plane, tile) in enumerate(pictures):
            if progress is not None:
                progress(done, len(pictures))
            steps = encode_tile(segmenter, PlanePicture(planes, plane), tile)
            size = _size_if_encoded(steps)
            if size and not encoded:
                _check_room(files, size // (2 if files.half else 1) * len(pictures))
            encoded += bool(size)
    print(f"{files.folder}: {encoded} encoded, {len(pictures) - encoded} were there already")
    return 0


def _pictures(planes: ImagePlanes, view: str, side: int) -> Iterator[tuple[PlaneIndex, Tile]]:
    """Yield what a prompt may ask for: every plane, or every tile of every large one."""
    from samari.engine.everything import planes_of
    from samari.engine.tiled import MAX_READ
    from samari.engine.tiles import TilePyramid

    pyramid = TilePyramid(planes.shape_of(view), side)
    tiles = [
        tile
        for level in range(pyramid.top + 1)
        for tile in pyramid.tiles(level)
        if not level or tile.shape[0] * tile.shape[1] <= MAX_READ
    ]
    for plane in planes_of(planes, view, None):
        for tile in tiles:
            yield plane, tile


def _size_if_encoded(steps: Generator[tuple[int, int], None, Embedding]) -> int:
    """Encode, and return the size of the embedding in bytes; 0 if it was there already."""
    blocks = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return int(end.value.nbytes) if blocks else 0
        blocks += 1


def _check_room(files: EmbeddingFiles, needed: int) -> None:
    """Refuse to go on where the last embeddings would remove the first ones.

    Raises
    ------
    InputError
        Says how much room they take.
    """
    if files.max_bytes is not None and needed > files.max_bytes:
        half = "" if files.half else ", or --float16"
        raise InputError(
            f"encoded, this image takes {needed / 1e9:.3g} GB, more than the "
            f"{files.max_bytes / 1e9:.3g} GB that are kept; give --max-gb {-(-needed // 10**9)}"
            f"{half}"
        )


def _refuse(problem: str) -> None:
    raise ExportError(problem)
