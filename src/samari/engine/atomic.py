"""Writing a file so that it is either complete or untouched."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING

from samari.engine.checks import file_name
from samari.errors import ExportError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_PERMISSION = (
    "there is no permission to write there, or the file is open in another program; choose another "
    "folder or name"
)
_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or save to another disk",
    getattr(errno, "EDQUOT", errno.ENOSPC): (
        "the disk is full, or your quota on it; free some space or save to another disk"
    ),
    errno.EACCES: _NO_PERMISSION,
    errno.EPERM: _NO_PERMISSION,
    errno.EROFS: "the disk is read-only; save to another disk",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter name or folder",
    errno.ENOENT: "the folder does not exist; make it first",
    errno.ENOTDIR: "the folder does not exist; make it first",
    errno.EISDIR: "this is a folder; give the name of a file in it",
    errno.EINVAL: 'the name is not allowed here; leave out characters such as < > : " | ? *',
}


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the place of `path` when the block ends without an error.

    It lies in the same folder under a short name of its own, is flushed to the disk before it is
    renamed, and is removed after an error: at any moment `path` is the old file or the new one. A
    link is followed; the permissions of an existing file are kept.

    Raises
    ------
    ExportError
        Whatever the operating system refuses, in or around the block, with the reason and the way
        out. An existing file is then unchanged.
    """
    try:
        shown = file_name(path, "the name")
    except InputError as error:
        raise ExportError(f"{path!r} could not be saved: {error}") from None
    try:
        target = Path(os.path.realpath(shown))
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), shown)
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), shown)
        # Not by tempfile, which would take the permissions of group and others away.
        part = target.with_name(f".{uuid.uuid4().hex[:12]}.samari-part")
        file = part.open("x+b")
    except OSError as error:
        raise _export_error(shown, error) from error
    except ValueError as error:  # a null character
        raise ExportError(f"{shown!r} could not be saved: {error}; choose another name") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            os.chmod(part, stat.S_IMODE(target.stat().st_mode))
        os.replace(part, target)
    except OSError as error:
        raise _export_error(shown, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    flush_folder(target.parent)


def _export_error(shown: str, error: OSError) -> ExportError:
    reason = reason_of(error)
    kept = " The file that is there is unchanged." if os.path.isfile(shown) else ""
    return ExportError(f"{shown} could not be saved: {reason}.{kept}")


def reason_of(error: OSError) -> str:
    """Say why the operating system refused to write, and what to do."""
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def flush_folder(folder: Path) -> None:
    """Flush a new or changed name in a folder, where folders can be opened (not on Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
