"""What a command shows on standard error while it works, to somebody who reads along."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["megabytes", "percent", "progress_line"]


def percent(done: int, total: int) -> str:
    """Say how much of something that is counted is done."""
    return f"{100 * done // max(total, 1)} %"


def megabytes(done: int, total: int = 0) -> str:
    """Say how much of a download is there, and of how much if that is known."""
    there = f"{done / 1e6:.0f} MB"
    return f"{there} of {total / 1e6:.0f} MB, {percent(done, total)}" if total else there


@contextlib.contextmanager
def progress_line(
    doing: str, said: Callable[[int, int], str] = percent
) -> Iterator[Callable[[int, int], None] | None]:
    r"""Keep one line up to date as long as the block runs.

    Whatever ends the block, the line is ended before: an error has a line of its own.

    Parameters
    ----------
    doing : str
        How the line begins, such as ``"segmenting"``.
    said : callable
        Makes the rest of it from (done, total).

    Yields
    ------
    callable or None
        Takes (done, total). None where nobody reads along: a log needs no ``\r``.

    Examples
    --------
    >>> with progress_line("counting") as progress:
    ...     for number in range(100):
    ...         if progress is not None:
    ...             progress(number + 1, 100)
    """
    if not sys.stderr.isatty():
        yield None
        return
    shown = ""

    def show(done: int, total: int) -> None:
        nonlocal shown
        line = f"{doing}: {said(done, total)}"
        if line != shown:
            # A shorter line must not leave the end of the longer one.
            print(f"\r{line.ljust(len(shown))}", end="", file=sys.stderr, flush=True)
            shown = line

    try:
        yield show
    finally:
        if shown:
            print(file=sys.stderr, flush=True)
