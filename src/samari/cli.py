"""The command line: ``samari segment | everything | replay | models | train | demo``.

Exit codes: 0 done, 1 Samari or the system refused with one line on standard error, 2 the command
was not understood, 130 interrupted by Ctrl-C. Nothing heavy is imported before a command is known.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from samari import __version__
from samari.errors import InputError, LabelsError, SamariError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from samari.engine.images import ImageFile
    from samari.engine.planes import PlaneIndex
    from samari.engine.prompt_files import PromptRow
    from samari.engine.prompts import PlanePrompts
    from samari.engine.session import Session

__all__ = [
    "accept_objects",
    "add_image_options",
    "checked_output",
    "fetch_model",
    "image_options",
    "main",
    "number",
    "open_image",
    "save_objects",
]

COMMANDS = {
    "segment": "segment objects of an image from points and boxes into a label TIFF",
    "everything": "segment everything in an image into a label TIFF",
    "propagate": "follow prompted objects through a stack into a label TIFF",
    "replay": "do again what a journal tells, with the same model or another one",
    "models": "list the models, download one, or add a weights file",
    "train": "train or evaluate a model",
    "demo": "open napari, segment a few objects of a sample image and save them",
}


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        The exit code, see the module.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name that the terminal cannot show must not turn a success into an error.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        arguments = _parse(words)
        run: Callable[[argparse.Namespace], int] = arguments.run
        code = run(arguments)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse has printed its line, or the help that was asked for
        return stop.code if isinstance(stop.code, int) else 2
    except BrokenPipeError:  # whoever reads the list, such as `head`, has seen enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (SamariError, OSError, MemoryError) as error:
        print(f"samari: {_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("samari: interrupted", file=sys.stderr)
        return 130


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"not enough memory {text}".rstrip()
    return text or type(error).__name__


def _parse(words: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="samari", description="Segment Anything for microscopy images, in napari and without."
    )
    parser.add_argument("--version", action="version", version=f"samari {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=_Parser
    )
    asked = next((word for word in words if not word.startswith("-")), None)
    for name, text in COMMANDS.items():
        # Only the command that was asked for brings its options, for theirs may need heavy imports.
        if name == asked:
            _ADDERS[name](commands)
        else:
            commands.add_parser(name, help=text)
    comma = next((word for word in words if re.fullmatch(r"-?\d+,\d+", word)), None)
    if comma is not None:  # before argparse takes "-0,5" for an option
        parser.error(f"{comma!r} has a decimal comma; write {comma.replace(',', '.')}")
    return parser.parse_args(words)


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


def number(text: str) -> float:
    """Return the number that an option was given."""
    from samari.engine.prompt_files import parse_number

    try:
        return parse_number(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_segment(commands: argparse._SubParsersAction) -> None:
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
    parser.add_argument(
        "--plane", type=int, nargs="+", default=[], metavar="N",
        help="the plane of a stack that the prompts lie on: Z, or T and Z, counted from 0",
    )  # fmt: skip
    add_image_options(parser)
    parser.set_defaults(run=_segment, usage_error=parser.error)


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that turns an image into labels."""
    parser.add_argument("-o", "--output", required=True, metavar="LABELS.tif", help="label TIFF")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    parser.add_argument("--model", default="samari-tiny", help="a name, folder or weights file")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--axes", help="letters of TCZYX, one for each axis of the image")
    parser.add_argument("--channel", type=int, metavar="N", help="which channel, counted from 0")
    parser.add_argument("--rgb", action="store_true", help="the last axis is colour")
    parser.add_argument(
        "--contrast-limits", type=number, nargs=2, metavar=("LOW", "HIGH"),
        help="intensities shown as black and white; 1 and 99.8 %% of the image by default",
    )  # fmt: skip


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


def _segment(arguments: argparse.Namespace) -> int:
    if bool(arguments.prompts) == bool(arguments.prompt_file):
        arguments.usage_error("give either --point and --box, or --prompts FILE")
    if arguments.prompt_file and (arguments.each or arguments.plane):
        arguments.usage_error("with --prompts the file's columns name the objects and planes")
    output = checked_output(arguments)

    from samari.engine.planes import ImagePlanes
    from samari.engine.predict import Segmenter
    from samari.engine.prompt_files import prompts_by_object, read_prompt_file
    from samari.engine.session import Session

    file = open_image(arguments)
    options = image_options(arguments, file)
    planes = ImagePlanes(file.image, **options)
    if arguments.prompt_file:
        rows = read_prompt_file(arguments.prompt_file)
    else:
        rows = _rows(arguments, planes.label_axes)
    objects = prompts_by_object(rows, planes)

    fetch_model(arguments.model)
    segmenter = Segmenter(arguments.model, device=arguments.device)
    session = Session(
        file.image,
        segmenter=segmenter,
        scale=file.scale,
        units=file.units,
        name=file.name,
        **options,
    )
    refused = accept_objects(session, objects)
    save_objects(session, output, refused)
    return 0


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


def save_objects(session: Session, output: Path, refused: Sequence[str]) -> None:
    """Save the labels, and say what is in them and what is not."""
    session.save(output)
    axes = session.planes.label_axes
    print(f"{output}: {len(session.objects)} objects in {session.labels.shape} {axes}")
    if refused:
        raise LabelsError(f"{output} was saved without {'; '.join(refused)}")


def checked_output(arguments: argparse.Namespace) -> Path:
    """Refuse an output that cannot be written before minutes are spent on its contents."""
    output, image = Path(arguments.output), Path(arguments.image)
    if output.suffix.lower() not in {".tif", ".tiff"}:
        raise InputError(f"the output {output} must end in .tif or .tiff")
    if not output.parent.is_dir():
        raise InputError(f"there is no folder {output.parent} for the output; make it first")
    if output.exists() and image.exists() and output.samefile(image):
        raise InputError(f"the output {output} is the image itself; give it another name")
    if output.exists() and not arguments.overwrite:
        raise InputError(f"{output} exists; add --overwrite to replace it")
    return output


def _rows(arguments: argparse.Namespace, label_axes: str) -> list[PromptRow]:
    """Turn the options into rows: one object, or with ``--each`` one for every point and box."""
    from samari.engine.prompt_files import PromptRow

    further = [letter for letter in label_axes if letter not in "YX"]
    if len(arguments.plane) != len(further):
        wanted = f"give --plane {' '.join(further)}" if further else "leave --plane out"
        raise InputError(f"the image has axes {label_axes}; {wanted} (got {arguments.plane})")
    position = dict(zip(further, arguments.plane, strict=True))
    rows: list[PromptRow] = []
    number = 0 if arguments.each else 1
    for kind, values in arguments.prompts:
        if arguments.each and kind != "negative":
            number += 1
        if number == 0:
            arguments.usage_error("with --each, --negative comes after the prompt it refines")
        rows.append(PromptRow(str(number), tuple(values), int(kind != "negative"), position))
    return rows


def fetch_model(model: str) -> None:
    """Download a model that is not here yet, with a line that says how far it is."""
    from samari.zoo import MODELS, available, resolve

    if model not in MODELS or available(model):
        return

    def progress(done: int, total: int) -> None:
        share = f"{100 * done // total} %" if total else f"{done >> 20} MB"
        print(f"\rdownloading {model}: {share}", end="", file=sys.stderr, flush=True)

    resolve(model, progress=progress)
    print(file=sys.stderr)


def _add_everything(commands: argparse._SubParsersAction) -> None:
    from samari.cli_everything import add_parser

    add_parser(commands)


def _add_propagate(commands: argparse._SubParsersAction) -> None:
    from samari.cli_propagate import add_parser

    add_parser(commands)


def _add_replay(commands: argparse._SubParsersAction) -> None:
    from samari.cli_replay import add_parser

    add_parser(commands)


def _add_models(commands: argparse._SubParsersAction) -> None:
    from samari.zoo.cli import add_parser

    add_parser(commands)


def _add_train(commands: argparse._SubParsersAction) -> None:
    from samari.train.cli import add_parser

    add_parser(commands)


def _add_demo(commands: argparse._SubParsersAction) -> None:
    from samari.demo import add_parser

    add_parser(commands)


_ADDERS = {
    "segment": _add_segment,
    "everything": _add_everything,
    "propagate": _add_propagate,
    "replay": _add_replay,
    "models": _add_models,
    "train": _add_train,
    "demo": _add_demo,
}
