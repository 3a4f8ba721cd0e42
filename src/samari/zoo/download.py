"""Downloads one file: under another name, with retries, renamed only when it is proven right."""

from __future__ import annotations

import contextlib
import errno
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from samari.errors import Cancelled, DownloadError, WeightsError
from samari.zoo.digests import can_check, file_digest
from samari.zoo.locking import locked
from samari.zoo.paths import longest_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from samari.zoo.models import ModelFile

_CHUNK = 1 << 20
_TIMEOUT = 30.0
#: Answers after which asking again may help.
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Job:
    """One download.

    Parameters
    ----------
    file : ModelFile
        What to fetch.
    target : Path
        What it shall be called on this machine.
    model : str
        Name of the model, for messages.
    check : callable
        Called with the path of the complete file before it gets its name; raises a WeightsError if
        it is not what it should be.
    progress : callable, optional
        Called with the bytes that are done and their total (0 if unknown).
    cancel : callable, optional
        Returns True when the download should stop. What came until then is kept, and the next
        attempt goes on from there.
    attempts : int
        How often at most the server is asked.
    pause : float
        Seconds before the second attempt; doubled for each further one.
    """

    file: ModelFile
    target: Path
    model: str
    check: Callable[[Path], object] = lambda path: None
    progress: Callable[[int, int], None] | None = None
    cancel: Callable[[], bool] | None = None
    attempts: int = 4
    pause: float = 1.0

    def stop_if_cancelled(self) -> None:
        """Raise Cancelled if the user asked for it."""
        if self.cancel is not None and self.cancel():
            raise Cancelled(f"the download of {self.model} was cancelled")

    def failed(self, reason: object) -> DownloadError:
        """Return the error that says what, from where, whereto, and how else to get it."""
        return DownloadError(
            f"could not download {self.model}: {reason}. Address: {self.file.address}; "
            f"hash: {self.file.digest or 'not published'}; target folder: {self.target.parent}. "
            f"Or fetch the file on another machine and run: samari models add FILE --name "
            f"{self.model}"
        )


class _Again(Exception):
    """An attempt failed in a way that may pass; `wait` is what the server asked for, in seconds."""

    def __init__(self, reason: object, wait: float = 0.0) -> None:
        super().__init__(str(reason))
        self.wait = min(wait, _LONGEST_WAIT)


class _TooShort(_Again):
    """The server has no more than what is here already, so that is of another file."""


def download(job: Job) -> Path:
    """Fetch a file and prove that it is right; return its path.

    A broken connection is taken up where it broke, by this call or, with what was left in the
    ``.part`` file, by a later one. A file that proves wrong is thrown away and fetched once more
    from the start. Two processes do not disturb each other: the second waits for the first.

    Raises
    ------
    DownloadError
        With address, hash and target folder in the message. On a full disk or a folder that cannot
        be written nothing is left behind.
    Cancelled
        If the user cancelled.
    """
    target = longest_path(job.target)
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(target.name + ".lock"), job.stop_if_cancelled):
            if not target.is_file():
                _fetch_until_right(job, part)
                os.replace(part, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise job.failed(_os_reason(error, target.parent)) from error
    return job.target


def _fetch_until_right(job: Job, part: Path) -> None:
    pause = job.pause
    for attempt in range(1, job.attempts + 1):
        job.stop_if_cancelled()
        try:
            _receive(job, part)
            _prove(job, part)
        except _Again as error:
            if isinstance(error, _TooShort):
                part.unlink(missing_ok=True)
            if attempt == job.attempts:
                raise job.failed(f"{error} (tried {attempt} times)") from error
            _wait(job, max(pause, error.wait))
            pause *= 2
        else:
            return


def _receive(job: Job, part: Path) -> None:
    """Append to the part file until it is as long as the server says."""
    have = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": "samari", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(job.file.address, headers=headers)
    with _open(job, request) as answer:
        _copy(job, answer, part, have if answer.status == 206 else 0)


def _open(job: Job, request: urllib.request.Request) -> Any:
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"the server answered {error.code} {error.reason}"
        if error.code == 416:
            raise _TooShort(reason) from error
        if error.code not in _BUSY:
            raise job.failed(reason) from error
        wait = error.headers.get("Retry-After") or ""
        raise _Again(reason, float(wait) if _is_number(wait) else 0.0) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Again(getattr(error, "reason", None) or repr(error)) from error


def _copy(job: Job, answer: Any, part: Path, start: int) -> None:
    length = answer.headers.get("Content-Length") or ""
    total = start + int(length) if _is_number(length) else job.file.size or 0
    if total:
        _check_room(part.parent, total - start)
    done = start
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        while chunk := _read(answer):
            write(file, chunk)
            done += len(chunk)
            if job.progress is not None:
                job.progress(done, total)
            job.stop_if_cancelled()
        file.flush()
        os.fsync(file.fileno())
    if total and done < total:
        raise _Again(f"the connection broke after {done} of {total} bytes")


def _read(answer: Any) -> bytes:
    """Read from the server; its failures must not be taken for those of the disk."""
    try:
        chunk: bytes = answer.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Again(f"the connection broke: {error!r}") from error
    return chunk


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def write(file: Any, chunk: bytes) -> None:
    """Write to a file; in a place of its own so that a test can fill the disk."""
    file.write(chunk)


def _prove(job: Job, part: Path) -> None:
    """Compare size and hash, then look into the file; throw it away if anything is wrong."""
    size, wanted = part.stat().st_size, job.file
    problem: object = None
    if wanted.size is not None and size != wanted.size:
        problem = f"what came has {size} bytes instead of {wanted.size}"
    elif wanted.digest is not None and can_check(wanted.digest):
        found = file_digest(part, wanted.digest.partition(":")[0], job.stop_if_cancelled)
        if found != wanted.digest:
            problem = f"what came has the hash {found}"
    if problem is None:
        try:
            job.check(part)
        except WeightsError as error:
            problem = error
    if problem is not None:
        part.unlink()
        raise _Again(problem)


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"{needed >> 20} MB are needed and {free >> 20} MB are free")


def _os_reason(error: OSError, folder: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"the disk of {folder} is full ({error.strerror})"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{folder} cannot be written ({error.strerror}); choose another folder with the "
            "environment variable SAMARI_MODELS"
        )
    return f"{folder} cannot be used: {error.strerror or error}"


def _wait(job: Job, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        job.stop_if_cancelled()
        time.sleep(min(left, 0.2))
