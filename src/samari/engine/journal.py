"""The journal of a session: every step that touched labels or objects, in order.

docs/design/journal.md tells what the lines say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from samari.engine.atomic import replacing
from samari.engine.checks import file_name
from samari.engine.history import Growing
from samari.engine.journal_file import ENDING, is_held
from samari.engine.journal_lines import Step, encode, lines_of, now, read_step, step_json
from samari.engine.journal_opening import check_opening
from samari.engine.state import Change
from samari.errors import ExportError, JournalError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from samari.engine.history import Action, History
    from samari.engine.journal_file import JournalFile
    from samari.engine.objects import SegmentedObject


class Journal:
    """Records the steps of one session, in memory and, if there is one, in a file.

    Parameters
    ----------
    opening : callable
        Returns the first line.
    file : JournalFile, optional

    Attributes
    ----------
    model : str
        By which the present model can be found again.
    """

    model = ""

    def __init__(
        self, opening: Callable[[], dict[str, Any]], file: JournalFile | None = None
    ) -> None:
        self.file = file
        self._opening = opening
        self._lines: list[Callable[[], bytes]] = [lambda: encode(opening())]
        self._numbers: WeakKeyDictionary[Action, int] = WeakKeyDictionary()
        self._steps: list[tuple[Change, Action]] = []
        self._begun = False
        self._length = 1

    @property
    def length(self) -> int:
        """Number of lines."""
        return self._length

    @property
    def opening(self) -> dict[str, Any]:
        """The first line: how the session began."""
        return self._opening()

    @property
    def count(self) -> int:
        """How many steps were done, those included that were undone."""
        return len(self._steps)

    def runs(self, history: History) -> list[list[Change]]:
        """Return the steps that are done and not undone, in the order in which they were done.

        Each is a list: of one change, or of the parts of a growing step, as long as nothing else
        was done between them.
        """
        done = set(history.done)
        found: list[list[Change]] = []
        last = None
        for change, action in self._steps:
            if action not in done:
                continue
            if action is last:
                found[-1].append(change)
            else:
                found.append([change])
            last = action
        return found

    def begin(self) -> None:
        """Write the first line now, and not only with the first step."""
        if self.file is not None and not self._begun:
            self._begun = True
            self.file.push(self._lines[0])

    def go_on(self, log: JournalLog, steps: list[tuple[Change, Action]]) -> None:
        """Continue a journal that was read.

        Parameters
        ----------
        log : JournalLog
        steps : list of (Change, Action)
            Its steps, and what each is, or is a part of, in the history.
        """
        content, opening = log.content, log.opening
        self._opening = lambda: opening
        self._lines = [lambda: content]
        self._length = len(log.entries) + 1
        self._steps = list(steps)
        for number, (_, action) in enumerate(steps, 1):
            self._numbers.setdefault(action, number)
        self._begun = True

    def attach(self, file: JournalFile) -> None:
        """Record into a file from now on, which has the lines so far."""
        self.file = file
        self._begun = True

    def catch_up(self) -> None:
        """Write what was recorded before there was a file, if there was anything."""
        if self.file is not None and self._begun:
            for line in self._lines:
                self.file.push(line)

    def record(self, name: str, action: Action) -> None:
        """Take a step: "do", "undo" or "redo" an action, "grow" it by its newest part."""
        if name in ("undo", "redo"):
            if action in self._numbers:
                self._append(_Said({"line": name, "step": self._numbers[action], "time": now()}))
            return
        change = action.actions[-1] if isinstance(action, Growing) else action
        if is_recorded(change):
            assert isinstance(change, Change)
            if any(record and record.parts for _, _, record in change.records):
                change.details.setdefault("model", self.model)
            self._steps.append((change, action))
            first = self._numbers.setdefault(action, self.count)
            grows = first if first < self.count else None
            self._append(_Done(self.count, change, now(), grows))

    def saved_line(self, path: str | os.PathLike[str], length: int | None = None) -> bytes:
        """Return the line that a label file has what the first `length` tell; by default all.

        It belongs into the journal beside that file, and into no other one.
        """
        return _saved_line(path, self._length if length is None else length)

    def note(self, line: bytes, *, written: bool) -> None:
        """Append a line that was made already; `written` says that the file has it."""
        if written:
            self._lines.append(lambda: line)
            self._length += 1
        else:
            self._append(lambda: line)

    def write_to(self, path: str | os.PathLike[str], last: bytes = b"") -> None:
        """Write all lines, and a last one, into another file, which is replaced if it is there.

        Raises
        ------
        ExportError
            If it cannot be written, or a session holds the one that is there.
        """
        if is_held(path):
            raise ExportError(f"{path} is in use by another session")
        with replacing(path) as file:
            for line in tuple(self._lines):
                file.write(line())
            file.write(last)

    def _append(self, line: Callable[[], bytes]) -> None:
        self.begin()
        self._lines.append(line)
        self._length += 1
        if self.file is not None:
            self.file.push(line)


def copy_journal(
    source: str | os.PathLike[str], labels: str | os.PathLike[str], length: int | None = None
) -> None:
    """Put a copy of a journal beside a label file that was just saved with what it tells.

    Parameters
    ----------
    source : path-like
    labels : path-like
    length : int, optional
        How many lines tell what the label file has; by default all.

    Raises
    ------
    JournalError
        If there is nothing in it.
    ExportError
        If the copy cannot be written, or a session holds the one that is there.
    """
    if is_held(beside(labels)):
        raise ExportError(f"{beside(labels)} is in use by another session")
    log = read_journal(source)
    lines = len(log.entries) + 1 if length is None else length
    with replacing(beside(labels)) as file:
        file.write(log.content + _saved_line(labels, lines))


def _saved_line(labels: str | os.PathLike[str], lines: int) -> bytes:
    said = {"line": "saved", "file": Path(labels).name, "lines": lines, "time": now()}
    return encode(said)


@dataclass(frozen=True, eq=False)
class _Done:
    """Makes the line of a step, when and where it is written: a `Change` does not change."""

    number: int
    change: Change
    time: str
    grows: int | None

    def __call__(self) -> bytes:
        try:
            return self._line_of(self.change)
        except (TypeError, ValueError, RecursionError):
            # Without its details it is still restored, and replayed like a step that nobody knows.
            return self._line_of(replace(self.change, name="pixels", details={}))

    def _line_of(self, change: Change) -> bytes:
        return encode(step_json(self.number, change, self.time, self.grows))


@dataclass(frozen=True, eq=False)
class _Said:
    """Makes any other line."""

    value: dict[str, Any]

    def __call__(self) -> bytes:
        return encode(self.value)


def is_recorded(action: Action) -> bool:
    """Return whether a step belongs into the journal: prompts that were not accepted do not."""
    return isinstance(action, Change) and bool(action.edits or action.records)


def beside(path: str | os.PathLike[str]) -> Path:
    """Return where the journal of a label file lies."""
    file = Path(path)
    return file.with_name(file.name + ENDING)


class SavedLines(NamedTuple):
    """Which label file was saved, and how many lines tell what it has."""

    file: str
    lines: int


@dataclass(frozen=True, eq=False)
class JournalLog:
    """A journal as it was read.

    Attributes
    ----------
    name : str
        Of the file, for messages.
    opening : dict
        The first line.
    entries : tuple
        Of every further line what it is ("do", "undo", "redo", "saved") and its `Step`, the number
        of a step, or what was `SavedLines`.
    content : bytes
        Of the file, without a last line that is not complete.
    """

    name: str
    opening: dict[str, Any]
    entries: tuple[tuple[str, Any], ...]
    content: bytes

    @property
    def count(self) -> int:
        """How many steps there are, those included that were undone."""
        return sum(kind == "do" for kind, _ in self.entries)

    @property
    def records(self) -> Iterator[SegmentedObject | None]:
        """The rows of the object table that the steps changed, as they were afterwards."""
        return (
            record
            for kind, step in self.entries
            if kind == "do"
            for record in step.objects.values()
        )

    @property
    def is_saved(self) -> bool:
        """Whether the label file that was saved last has all of it."""
        steps = [i for i, (kind, _) in enumerate(self.entries, 2) if kind != "saved"]
        return not steps or self._saved_lines >= steps[-1]

    def until_saved(self) -> JournalLog:
        """Return the part of the journal that is in the label file that was saved last."""
        return replace(self, entries=self.entries[: max(0, self._saved_lines - 1)])

    @property
    def _saved_lines(self) -> int:
        saved = [entry for kind, entry in self.entries if kind == "saved"]
        # Lines of other label files say nothing of this one, unless all are: it was renamed then.
        own = [entry for entry in saved if beside(entry.file).name == Path(self.name).name]
        return max((entry.lines for entry in own or saved), default=0)

    @property
    def last(self) -> str:
        """When the last step was done, ISO 8601; empty if there is none."""
        return max((entry.time for kind, entry in self.entries if kind == "do"), default="")

    def labels(self) -> set[int]:
        """Return the labels of the objects that were accepted and are still there."""
        undone: set[int] = set()
        for kind, entry in self.entries:
            if kind in ("undo", "redo"):
                (undone.add if kind == "undo" else undone.discard)(entry)
        found: set[int] = set()
        for kind, entry in self.entries:
            if kind == "do" and (entry.grows or entry.number) not in undone:
                for label, record in entry.objects.items():
                    (found.discard if record is None else found.add)(label)
        return found


def read_journal(path: str | os.PathLike[str]) -> JournalLog:
    """Read a journal.

    Raises
    ------
    JournalError
        If it cannot be read, a line is damaged, or nothing was recorded yet.
    """
    name = file_name(path, "a journal")
    try:
        whole = Path(path).read_bytes()
    except OSError as error:
        raise JournalError(f"the journal {name} cannot be read: {error.strerror}") from error
    content = whole[: whole.rfind(b"\n") + 1]
    values = lines_of(content, name)
    if not values and len(whole) > len(content):
        raise JournalError(
            f"nothing was recorded in {name}: it is no journal, or was cut in its first line"
        )
    if not values:
        raise JournalError(f"the journal {name} is empty: nothing was recorded in it")
    check_opening(values[0], name)
    return JournalLog(name, values[0], tuple(_entries(values[1:], name)), content)


def _entries(values: list[dict[str, Any]], name: str) -> Iterator[tuple[str, Any]]:
    count = 0
    for number, value in enumerate(values, 2):
        try:
            kind = value["line"]
            if kind in ("undo", "redo"):
                yield kind, int(value["step"])
            elif kind == "saved":
                yield kind, SavedLines(str(value.get("file", "")), int(value["lines"]))
            else:
                step: Step = read_step(value)
                count += 1
                if step.number != count:
                    raise ValueError(f"step {count} is missing before step {step.number}")
                yield "do", step
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise JournalError(f"line {number} of the journal {name} is damaged: {why}") from None
