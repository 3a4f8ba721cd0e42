"""``samari models``: list, download, add and locate models."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


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
        rows.append((name, _megabytes(info.size_bytes), where, info.licence, info.good_for))
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
    from samari.zoo import find, resolve

    here = find(arguments.name)
    if here is not None:
        print(f"{arguments.name} is here already: {here}")
        return 0
    path = resolve(arguments.name, progress=_progress_line(arguments.name))
    print(f"{arguments.name} is in {path}")
    return 0


def _add(arguments: argparse.Namespace) -> int:
    from samari.zoo import add

    folder = add(arguments.file, arguments.name)
    print(f"added {folder.name}: {folder}")
    return 0


def _progress_line(name: str) -> Callable[[int, int], None]:
    """Return a progress callback that keeps one line on stderr up to date."""
    shown = ""

    def progress(done: int, total: int) -> None:
        nonlocal shown
        share = f" of {_megabytes(total)}, {100 * done // total} %" if total else ""
        line = f"downloading {name}: {_megabytes(done)}{share}"
        if line != shown:
            print(f"\r{line}", end="\n" if done == total else "", file=sys.stderr, flush=True)
            shown = line

    return progress


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
