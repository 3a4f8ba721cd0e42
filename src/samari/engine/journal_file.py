"""A file that only grows, line by line, each on the disk before anybody is told that it is."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import warnings
import weakref
from collections import deque
from pathlib import Path
from typing import IO, TYPE_CHECKING

from samari.engine.atomic import flush_folder, reason_of, replacing
from samari.errors import JournalError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Lies beside `NAME.ome.tif` as `NAME.ome.tif.samari.jsonl`.
ENDING = ".samari.jsonl"
#: Windows forbids others to read what is locked, so a byte is locked that no journal reaches.
_LOCKED_BYTE = 1 << 40


class JournalFile:
    """The file of one journal, held by one session.

    A line that cannot be written, because the disk is full or the folder has gone, or cannot be
    made for want of memory, is kept and tried again with the next one: nothing is lost while the
    program runs. One that cannot be made for any other reason never can: it is told and left out.

    Parameters
    ----------
    path : path-like
        Made when the first line is written.
    later : callable, optional
        Called with a function that writes what is waiting, instead of writing at once: it hands it
        to another thread. The lines keep their order.
    told : callable, optional
        Called with one sentence, in the thread that writes, when lines cannot be written; once,
        until they can again. By default a `RuntimeWarning`.

    Notes
    -----
    `push` and `flush` may be called from any thread. After `close` no line is taken any more.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        later: Callable[[Callable[[], None]], object] | None = None,
        told: Callable[[str], object] | None = None,
    ) -> None:
        self.path = Path(path)
        self._later = later
        self._told = told or _warn
        self._waiting: deque[Callable[[], bytes]] = deque()
        self._unwritten = b""
        self._file: IO[bytes] | None = None
        self._closer: weakref.finalize | None = None
        self._length = 0
        self._lock = threading.RLock()
        self._failing = False
        self._closed = False

    def open(self) -> None:
        """Make the file, or take one that has no complete line, and hold it.

        Raises
        ------
        JournalError
            If there is a journal already, or it cannot be written.
        """
        with self._lock:
            if self._file is not None:
                return
            file: IO[bytes]
            try:
                file = self.path.open("x+b")
            except FileExistsError:
                file = self._taken(self.path)
                if b"\n" in file.read():
                    file.close()
                    raise JournalError(
                        f"the journal {self.path} exists; go on with it by Session.restore, or "
                        f"choose another name"
                    ) from None
                file.truncate(0)
            except OSError as error:
                raise self._error(error) from error
            _hold(file)
            self._use(file, 0)
            flush_folder(self.path.parent)

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Hold a journal that is there while it is read, to `resume` in it.

        Nobody adds to it, or removes it, in between. If the `with` block raises, it is let go.

        Raises
        ------
        JournalError
            If another session holds it, or it cannot be written.
        """
        with self._lock:
            file = self._taken(self.path)
            self._use(file, file.seek(0, os.SEEK_END))
        try:
            yield
        except BaseException:
            self.close()
            raise

    def resume(self, length: int) -> None:
        """Go on after the first `length` bytes of what is held; what is behind them is cut off."""
        with self._lock:
            self._length = length

    def push(self, line: Callable[[], bytes]) -> None:
        """Append a line, made by `line` in the thread that writes it."""
        if self._closed:
            return
        self._waiting.append(line)
        if self._later is None:
            self.flush()
        else:
            self._later(self.flush)

    def flush(self) -> None:
        """Write what is waiting, to the disk; nothing happens where nothing is."""
        with self._lock:
            if self._closed:
                return
            try:
                self._make_lines()
            finally:
                # What could be made is on the disk, whatever comes after it.
                if self._unwritten:
                    self._try_to_write()

    def move(self, path: str | os.PathLike[str], *, keep: bool = False, last: bytes = b"") -> None:
        """Go on in another file, which replaces what is there.

        Parameters
        ----------
        path : path-like
        keep : bool
            Whether the file before stays as it is; else it is removed.
        last : bytes
            A line to write at the end of the other file, and not into the one before.

        Raises
        ------
        ExportError, JournalError
            If it cannot be written, another session holds the one that is there, or this one was
            closed. Then the journal goes on where it was.
        """
        with self._lock:
            if self._closed:
                raise JournalError(f"the journal {self.path} was closed; it cannot be moved")
            self.flush()
            if os.path.realpath(path) == os.path.realpath(self.path):
                if last:
                    self._waiting.append(lambda: last)
                    self.flush()
                return
            if is_held(path):
                raise self._in_use(Path(path))
            content = self._content() + self._unwritten + last
            with replacing(path) as target:
                target.write(content)
            existed, former = self._file is not None, self.path
            self.path = Path(path)
            self._use(self._taken(self.path), len(content))
            self._unwritten = b""
            self._failing = False
            if existed and not keep:
                with contextlib.suppress(OSError):
                    former.unlink()

    def close(self) -> None:
        """Write what is waiting and let the file go."""
        with self._lock:
            try:
                self.flush()
            finally:
                self._closed = True
                self._let_go()

    def _let_go(self) -> None:
        if self._closer is not None:
            self._closer()
        self._file = None

    def _content(self) -> bytes:
        if self._file is None:
            return b""
        self._file.seek(0)
        return self._file.read(self._length)

    def _make_lines(self) -> None:
        while self._waiting:
            try:
                self._unwritten += self._waiting[0]()
            except MemoryError:
                raise
            except Exception as error:
                self._waiting.popleft()
                self._told(
                    f"a line of the journal {self.path} could not be made and is left out: "
                    f"{error!r}; save the labels to be safe"
                )
            else:
                self._waiting.popleft()

    def _try_to_write(self) -> None:
        try:
            self._write()
        except (OSError, JournalError) as error:
            problem = str(error if isinstance(error, JournalError) else self._error(error))
            if not self._failing:
                self._failing = True
                self._told(problem)
        else:
            self._failing = False

    def _write(self) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.open()
        file = self._file
        assert file is not None
        # An earlier attempt may have left a part of a line behind.
        file.truncate(self._length)
        file.seek(self._length)
        file.write(self._unwritten)
        file.flush()
        os.fsync(file.fileno())
        self._length += len(self._unwritten)
        self._unwritten = b""

    def _use(self, file: IO[bytes], length: int) -> None:
        self._let_go()
        self._file, self._length = file, length
        # A session is seldom closed: its file goes with it.
        self._closer = weakref.finalize(self, file.close)

    def _taken(self, path: Path) -> IO[bytes]:
        """Open a journal that is there, and hold it."""
        try:
            file = path.open("r+b")
        except FileNotFoundError as error:
            raise JournalError(f"the journal {path} cannot be read: {error.strerror}") from error
        except OSError as error:
            raise self._error(error) from error
        if not _hold(file):
            file.close()
            raise self._in_use(path)
        return file

    @staticmethod
    def _in_use(path: Path) -> JournalError:
        return JournalError(
            f"the journal {path} is in use by another session; close that one first, or give this "
            f"one a journal of its own"
        )

    def _error(self, error: OSError) -> JournalError:
        return JournalError(
            f"the journal {self.path} cannot be written: {reason_of(error)}. Nothing is lost while "
            f"the program runs; save the labels to be safe"
        )


def is_held(path: str | os.PathLike[str]) -> bool:
    """Return whether a session, in this or another program, holds a journal."""
    try:
        with open(path, "r+b") as file:
            return not _hold(file)
    except OSError:
        return False


def _hold(file: IO[bytes]) -> bool:
    """Lock a file as long as it is open; False if somebody else has. The system frees it."""
    try:
        if sys.platform == "win32":
            file.seek(_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _warn(problem: str) -> None:
    warnings.warn(problem, RuntimeWarning, stacklevel=2)
