"""``samari models``: list, download, add and locate models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from samari.terminal import megabytes, progress_line

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the ``models`` command; each handler takes the arguments and returns an exit code."""
    parser = subparsers.add_parser("models", help="list, download and add models")
    parser.set_defaults(run=_list)
    commands = parser.add_subparsers(metavar="COMMAND")

    listing = commands.add_parser("list", help="show all models and which of them are here")
    listing.set_defaults(run=_list)

    locate = commands.add_parser("path", help="print where a model lies")
    locate.add_argument("name", metavar="NAME", help="a model of the list")
    locate.set_defaults(run=_path)

    fetch = commands.add_parser("download", help="download a model of the list")
    fetch.add_argument("name", metavar="NAME", help="a model of the list")
    fetch.set_defaults(run=_download)

    take = commands.add_parser("add", help="take in a weight file, for machines without a network")
    take.add_argument("file", metavar="FILE", help="a weight file, or a folder with one")
    take.add_argument(
        "--name", metavar="N", help="a model of the list, or a new name (default: the file's)"
    )
    take.set_defaults(run=_add)


def _list(arguments: argparse.Namespace) -> int:
    from samari.zoo import MODELS, added, available, models_dir

    rows = [("NAME", "SIZE", "WHERE", "LICENCE", "GOOD FOR")]
    for name, info in MODELS.items():
        where = "here" if available(name) else "to download"
        if info.source == "bundled":
            where = "part of Samari"
        rows.append((name, megabytes(info.size_bytes), where, info.licence, info.good_for))
    rows += [(name, "", "added by you", "", "") for name in added()]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[4]]).rstrip())
    print(f"\nDownloaded and added models lie in {models_dir()}")
    return 0


def _path(arguments: argparse.Namespace) -> int:
    from samari.errors import ModelError
    from samari.zoo import find

    path = find(arguments.name)
    if path is None:
        raise ModelError(
            f"{arguments.name} is not on this machine; run: samari models download {arguments.name}"
        )
    print(path)
    return 0


def _download(arguments: argparse.Namespace) -> int:
    from samari.zoo import find

    here = find(arguments.name)
    if here is not None:
        print(f"{arguments.name} is here already: {here}")
        return 0
    print(f"{arguments.name} is in {download(arguments.name)}")
    return 0


def download(name: str) -> Path:
    """Download a model of the list, with a line that says how far it is; return where it is."""
    from samari.zoo import resolve

    with progress_line(f"downloading {name}", megabytes) as progress:
        return resolve(name, progress=progress)


def _add(arguments: argparse.Namespace) -> int:
    from samari.zoo import add

    folder = add(arguments.file, arguments.name)
    print(f"added {folder.name}: {folder}")
    return 0
