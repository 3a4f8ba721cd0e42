"""What the commands that turn an image into labels share: options, the session, the last lines."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samari.errors import InputError, LabelsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from samari.engine.embedding import EmbeddingCache
    from samari.engine.images import ImageFile
    from samari.engine.planes import PlaneIndex
    from samari.engine.predict import Segmenter
    from samari.engine.prompts import PlanePrompts
    from samari.engine.session import Session

__all__ = [
    "accept_objects",
    "add_image_options",
    "add_output_options",
    "add_plane_option",
    "add_reading_options",
    "checked_output",
    "fetch_model",
    "image_options",
    "number",
    "open_image",
    "open_segmenter",
    "open_session",
    "plane_position",
    "save_objects",
]


def number(text: str) -> float:
    """Return the number that an option was given."""
    from samari.engine.prompt_files import parse_number

    try:
        return parse_number(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that turns an image into labels."""
    add_output_options(parser)
    add_reading_options(parser)


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that writes labels."""
    parser.add_argument("-o", "--output", required=True, metavar="LABELS.tif", help="label TIFF")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that shows an image to a model."""
    parser.add_argument("--model", default="samari-tiny", help="a name, folder or weights file")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--axes", help="letters of TCZYX, one for each axis of the image")
    parser.add_argument("--channel", type=int, metavar="N", help="which channel, counted from 0")
    parser.add_argument("--rgb", action="store_true", help="the last axis is colour")
    parser.add_argument(
        "--contrast-limits", type=number, nargs=2, metavar=("LOW", "HIGH"),
        help="intensities shown as black and white; 1 and 99.8 %% of the image by default",
    )  # fmt: skip
    parser.add_argument("--cache", metavar="DIR", help="a folder that keeps what was encoded")


def checked_output(arguments: argparse.Namespace) -> Path:
    """Refuse an output that cannot be written before minutes are spent on its contents."""
    output, image = Path(arguments.output), Path(arguments.image)
    if output.suffix.lower() not in {".tif", ".tiff"}:
        raise InputError(f"the output {output} must end in .tif or .tiff")
    if not output.parent.is_dir():
        raise InputError(f"there is no folder {output.parent} for the output; make it first")
    if output.is_dir():
        raise InputError(f"the output {output} is a folder; give the name of a file in it")
    if output.exists() and image.exists() and output.samefile(image):
        raise InputError(f"the output {output} is the image itself; give it another name")
    if output.exists() and not arguments.overwrite:
        raise InputError(f"{output} exists; add --overwrite to replace it")
    # A file is replaced by a new one beside it; a link by one beside what it leads to.
    for place in (Path(os.path.realpath(output)), Path(os.path.realpath(output)).parent):
        if place.exists() and not os.access(place, os.W_OK):
            raise InputError(
                f"the output {output} cannot be written: there is no permission to write to "
                f"{place}; choose another folder or name"
            )
    from samari.engine.journal import beside
    from samari.engine.journal_file import is_held

    journal = beside(output)
    if journal.exists() and not arguments.overwrite:
        raise InputError(
            f"{journal} exists: it remembers the prompts of other labels of this name; move it to "
            "where they are, or add --overwrite to replace it"
        )
    if is_held(journal):
        raise InputError(
            f"{journal} is in use by another session; close that one first, or choose another name"
        )
    return output


def add_plane_option(parser: Any, what: str) -> None:
    """Add the option that names a plane of a stack, for `plane_position`."""
    parser.add_argument(
        "--plane", type=int, nargs="+", default=[], metavar="N",
        help=f"{what}: Z, or T and Z, counted from 0",
    )  # fmt: skip


def plane_position(plane: Sequence[int], label_axes: str, otherwise: str = "") -> dict[str, int]:
    """Return the index of each axis beyond Y and X; T is named before Z in any image.

    `otherwise` names another way out for the error.

    Raises
    ------
    InputError
        If there are more or fewer than the image has.
    """
    further = sorted(letter for letter in label_axes if letter not in "YX")
    if len(plane) != len(further):
        wanted = f"give --plane {' '.join(further)}{otherwise}" if further else "leave --plane out"
        raise InputError(f"the image has axes {label_axes}; {wanted} (got {list(plane)})")
    return dict(zip(further, plane, strict=True))


def open_image(arguments: argparse.Namespace) -> ImageFile:
    """Read the image, and say what the user should know about it."""
    from samari.engine.images import read_image

    file = read_image(arguments.image)
    if file.note:
        print(f"samari: {file.note}", file=sys.stderr)
    rgb = file.rgb or arguments.rgb
    if arguments.axes is None and rgb == file.rgb:
        return file
    return file.with_axes(arguments.axes, rgb=rgb)


def image_options(arguments: argparse.Namespace, file: ImageFile) -> dict[str, Any]:
    """Return how the image is to be read, for `ImagePlanes` and `Session`."""
    return {
        "axes": file.axes,
        "rgb": file.rgb,
        "channel": arguments.channel,
        "contrast_limits": arguments.contrast_limits and tuple(arguments.contrast_limits),
    }


def open_session(
    arguments: argparse.Namespace, file: ImageFile, options: Mapping[str, Any]
) -> Session:
    """Open a session on an image, with the model that was asked for."""
    from samari.engine.embedding import EmbeddingCache
    from samari.engine.embedding_files import EmbeddingFiles
    from samari.engine.session import Session

    # Whoever names the folder decides how large it grows.
    files = EmbeddingFiles(arguments.cache, None) if arguments.cache else None
    return Session(
        file.image,
        segmenter=open_segmenter(arguments, EmbeddingCache(files=files)),
        scale=file.scale,
        units=file.units,
        name=file.name,
        **options,
    )


def open_segmenter(
    arguments: argparse.Namespace, cache: EmbeddingCache, dtype: str = "auto"
) -> Segmenter:
    """Load the model that was asked for; it may be downloaded first."""
    from samari.engine.predict import Segmenter

    fetch_model(arguments.model)
    return Segmenter(arguments.model, device=arguments.device, dtype=dtype, cache=cache)


def fetch_model(model: str) -> None:
    """Download a model that is not here yet, with a line that says how far it is."""
    from samari.zoo import MODELS, available
    from samari.zoo.cli import download

    if model in MODELS and not available(model):
        download(model)


def accept_objects(
    session: Session, objects: Mapping[str, Mapping[PlaneIndex, PlanePrompts]]
) -> list[str]:
    """Make objects of prompts, a line for each; return why some were refused."""
    from samari.engine.session import PendingObject, PendingPart

    refused = []
    for name, parts in objects.items():
        pending = tuple(PendingPart(plane, prompts) for plane, prompts in parts.items())
        session.set_pending((PendingObject(pending),))
        try:
            (label,) = session.accept()
        except LabelsError as error:  # one empty mask must not cost the other objects
            session.discard()
            refused.append(f"object {name}: {error}")
        else:
            print(f"object {name}: label {label}")
    if not session.objects:
        raise LabelsError(f"nothing to save; {'; '.join(refused)}")
    return refused


def save_objects(session: Session, output: Path, refused: Sequence[str] = ()) -> None:
    """Save the labels, and say what is in them and what is not."""
    session.save(output)
    axes = session.planes.label_axes
    print(f"{output}: {len(session.objects)} objects in {session.labels.shape} {axes}")
    if refused:
        raise LabelsError(f"{output} was saved without {'; '.join(refused)}")
