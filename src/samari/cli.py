"""The command line: ``samari segment | everything | propagate | embed | replay | models ...``.

Exit codes: 0 done, 1 Samari or the system refused with one line on standard error, 2 the command
was not understood, 130 interrupted by Ctrl-C. Nothing heavy is imported before a command is known.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import re
import sys
from typing import TYPE_CHECKING, NoReturn

from samari import __version__
from samari.errors import SamariError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main"]

COMMANDS = {
    "segment": "segment objects of an image from points and boxes into a label TIFF",
    "everything": "segment everything in an image into a label TIFF",
    "propagate": "follow prompted objects through a stack into a label TIFF",
    "embed": "encode an image ahead, so that nobody waits for it later",
    "replay": "do again what a journal tells, with the same model or another one",
    "models": "list the models, download one, or add a weights file",
    "train": "train or evaluate a model",
    "demo": "open napari, segment a few objects of a sample image and save them",
}
#: Each has a function `add_parser`.
_MODULES = {
    "segment": "samari.cli_segment",
    "everything": "samari.cli_everything",
    "propagate": "samari.cli_propagate",
    "embed": "samari.cli_embed",
    "replay": "samari.cli_replay",
    "models": "samari.zoo.cli",
    "train": "samari.train.cli",
    "demo": "samari.demo",
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
            importlib.import_module(_MODULES[name]).add_parser(commands)
        else:
            commands.add_parser(name, help=text)
    comma = next((word for word in words if re.fullmatch(r"-?\d+,\d+", word)), None)
    if comma is not None:  # before argparse takes "-0,5" for an option
        parser.error(f"{comma!r} has a decimal comma; write {comma.replace(',', '.')}")
    return parser.parse_args(words)
