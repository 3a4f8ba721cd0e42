"""A lock between processes: a file that one of them holds, freed by the system if it dies."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import IO, TYPE_CHECKING

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_POLL = 0.2


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold the lock file `path`; `waiting` is called while another holds it, and may raise.

    The file is removed afterwards. Where a file system knows no locks, nothing is locked.

    Raises
    ------
    OSError
        If the file cannot be made.
    """
    file = path.open("ab")
    try:
        while not (_take(file) and _is_still(file, path)):
            file.close()
            waiting()
            time.sleep(_POLL)
            file = path.open("ab")
        yield
    finally:
        # While it is held, so that nobody's later lock file of this name is removed. Windows
        # removes no open file: there the empty file stays.
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        file.close()


def _is_still(file: IO[bytes], path: Path) -> bool:
    """Tell whether the name still means the file that was locked: its last holder removes it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _take(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True
