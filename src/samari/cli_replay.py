"""``samari replay``: the labels that a journal tells of, from the stored masks or from a model."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from samari.cli import COMMANDS
from samari.cli_image import add_output_options, checked_output, fetch_model, save_objects
from samari.errors import InputError

if TYPE_CHECKING:
    import argparse


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "replay",
        help=COMMANDS["replay"],
        description="Do again what a journal tells (NAME.ome.tif.samari.jsonl beside "
        "a saved label file): every object is predicted from its prompts, under the same number; "
        "what was painted by hand comes last. The same model gives the same labels.",
    )
    parser.add_argument("journal", metavar="JOURNAL", help="a journal, or the TIFF it lies beside")
    parser.add_argument("image", metavar="IMAGE", help="the image that it was made on")
    add_output_options(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--model", help="a name, folder or weights file; the journal's own by default")
    how.add_argument(
        "--stored", action="store_true", help="write the stored masks; no model is asked"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument(
        "--labels", metavar="FILE", help="the labels it began with, if they are not in the journal"
    )
    parser.set_defaults(run=_replay)


def _replay(arguments: argparse.Namespace) -> int:
    output = checked_output(arguments)

    from samari.engine.export import read_labels
    from samari.engine.images import read_image
    from samari.engine.journal import beside, read_journal
    from samari.engine.journal_opening import same_values
    from samari.engine.session import Session

    journal = Path(arguments.journal)
    if journal.suffix.lower() in {".tif", ".tiff"}:
        journal = beside(journal)
    if os.path.realpath(journal) == os.path.realpath(beside(output)):
        raise InputError(f"the output {output} is what this journal tells of; give it another name")
    log = read_journal(journal)
    labels = None if arguments.labels is None else read_labels(arguments.labels).labels
    image = read_image(arguments.image).image
    if arguments.stored:
        session = Session.of_log(log, image, labels)
    else:
        from samari.engine.replay import replayed

        fetch_model(arguments.model or log.opening["model"])
        session = replayed(Session, log, image, arguments.model, labels, None, arguments.device)
        if not same_values(log.opening, session.planes):
            print(
                f"samari: the values of {arguments.image} are not those that {journal} was made "
                "on; the model has answered to these",
                file=sys.stderr,
            )
    missing = ", ".join(map(str, session.missing))
    save_objects(session, output, [f"{missing}: the model finds nothing there"] if missing else [])
    return 0
