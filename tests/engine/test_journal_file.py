"""Journals that were cut off, damaged, refused by the disk, or wanted by two."""

from __future__ import annotations

import errno
import json
import locale
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from samari.engine.journal import copy_journal, read_journal
from samari.engine.journal_file import JournalFile, is_held
from samari.engine.journal_lines import VERSION, encode
from samari.engine.session import Session
from samari.errors import ExportError, JournalError

IMAGE = np.random.default_rng(5).integers(0, 255, (24, 30)).astype(np.uint8)


def begin(path, discs, **options):
    return Session(IMAGE, segmenter=discs, journal=path, **options)


def step(session, k):
    """Do the k-th thing: objects, edits, undo and redo in turn."""
    if k % 4 == 2:
        session.brush(np.ones((2, 3), bool), k + 1, (k % 20, 20))
    elif k % 4 == 3:
        session.undo()
        session.redo()
    else:
        session.add_point((3 + 2 * (k % 9), 3 + k % 17))
        session.accept()


@pytest.fixture
def journal(tmp_path, discs):
    """Give a journal of ten steps, and the labels after each of its lines."""
    path = tmp_path / "a.jsonl"
    session = begin(path, discs)
    states = {1: session.labels.copy()}
    for k in range(10):
        step(session, k)
        states[path.read_bytes().count(b"\n")] = session.labels.copy()
    session.journal.file.close()
    return path, states


def test_whatever_part_of_a_line_was_written_the_lines_before_it_come_back(journal, discs, soak):
    """Trap 43: a kill in the middle of a write."""
    path, states = journal
    content = path.read_bytes()
    last = content.rindex(b"\n", 0, -1) + 1
    cuts = {*range(1, len(content), soak(29, 1)), *range(last - 2, len(content), soak(3, 1))}
    seen = 0
    for cut in sorted(cuts):
        path.write_bytes(content[:cut])
        lines = content[:cut].count(b"\n")
        if not lines:
            with pytest.raises(JournalError, match="nothing was recorded"):
                Session.restore(path, IMAGE, segmenter=discs, resume=False)
            continue
        back = Session.restore(path, IMAGE, segmenter=discs, resume=False)
        if lines in states:
            np.testing.assert_array_equal(back.labels, states[lines])
            seen += 1
    assert seen > 40


def test_a_line_that_was_cut_off_is_repaired_when_the_journal_goes_on(journal, discs):
    path, _ = journal
    content = path.read_bytes()
    path.write_bytes(content + b'{"line":"accept","step":11,"ti\0\0\0\0')
    session = Session.restore(path, IMAGE, segmenter=discs)
    session.add_point((20, 5))
    session.accept()
    session.journal.file.close()
    assert path.read_bytes().startswith(content)
    back = Session.restore(path, IMAGE, segmenter=discs, resume=False)
    np.testing.assert_array_equal(back.labels, session.labels)


def test_a_session_begins_anew_where_not_even_the_first_line_was_written(tmp_path, discs):
    (tmp_path / "a.jsonl").write_bytes(b'{"line":"open","ver')
    session = begin(tmp_path / "a.jsonl", discs)
    step(session, 0)
    assert read_journal(tmp_path / "a.jsonl").labels() == {1}


@pytest.mark.parametrize("line", [2, 4])
def test_a_damaged_line_is_an_error_that_names_it(journal, line):
    path, _ = journal
    lines = path.read_bytes().splitlines(keepends=True)
    damages = [
        lines[line - 1].replace(b'"label":', b'"lobel":', 1),
        lines[line - 1].replace(b'"highest":[', b'"highest":[1', 1),
        lines[line - 1][:40] + b"\n",
        b"\xff\xfe" + lines[line - 1],
        b"[]\n",
        b"{}\n",
    ]
    for damage in damages:
        path.write_bytes(b"".join([*lines[: line - 1], damage, *lines[line:]]))
        with pytest.raises(JournalError, match=rf"line {line} of the journal .*a\.jsonl is damag"):
            read_journal(path)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("pixels", [{"at": [[0, 2], [0, 2]], "label": 1, "runs": [9, 9]}]),
        ("pixels", 7),
        ("objects", {"a": None}),
        ("objects", {"1": {"label": 1}}),
        ("highest", [1]),
        ("step", 99),
        ("pending", [{"parts": [{"plane": {"view": "YX"}, "prompts": {}}]}]),
    ],
)
def test_a_line_that_makes_no_sense_is_named_too(journal, member, value):
    path, _ = journal
    lines = path.read_bytes().splitlines(keepends=True)
    parsed = json.loads(lines[1])
    del parsed["crc"]
    path.write_bytes(lines[0] + encode({**parsed, member: value}) + b"".join(lines[2:]))
    with pytest.raises(JournalError, match="line 2 of the journal"):
        read_journal(path)


@pytest.mark.parametrize(
    "said",
    [
        {"line": "undo", "step": 9},
        {"line": "undo", "step": 1},
        {"line": "redo", "step": 2},
        {"line": "undo", "step": 0},
    ],
)
def test_an_undo_that_cannot_have_been_is_named(journal, discs, said):
    path, _ = journal
    lines = path.read_bytes().splitlines(keepends=True)[:3]
    path.write_bytes(b"".join([*lines, encode(said)]))
    with pytest.raises(JournalError, match=r"line 4 of the journal .* there is no step"):
        Session.restore(path, IMAGE, segmenter=discs, resume=False)


def test_pixels_outside_the_labels_are_named(journal, discs):
    path, _ = journal
    lines = path.read_bytes().splitlines(keepends=True)
    parsed = json.loads(lines[1])
    parsed.pop("crc")
    parsed["pixels"][0]["at"] = [[0, 90], [0, 90]]
    path.write_bytes(lines[0] + encode(parsed))
    with pytest.raises(JournalError, match=r"line 2 of the journal .* does not fit"):
        Session.restore(path, IMAGE, segmenter=discs, resume=False)


def test_a_newer_journal_asks_for_a_newer_samari(journal):
    path, _ = journal
    lines = path.read_bytes().splitlines(keepends=True)
    parsed = json.loads(lines[0])
    del parsed["crc"]
    path.write_bytes(encode({**parsed, "version": VERSION + 1}) + b"".join(lines[1:]))
    with pytest.raises(JournalError, match=rf"version {VERSION + 1}.*update Samari"):
        read_journal(path)


def test_a_file_that_is_no_journal_is_said_to_be_none(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"line": "accept", "step": 1}\n', encoding="utf-8")
    with pytest.raises(JournalError, match="no journal of Samari"):
        read_journal(tmp_path / "a.jsonl")
    with pytest.raises(JournalError, match="cannot be read: No such file"):
        read_journal(tmp_path / "b.jsonl")


def test_a_journal_that_is_there_is_not_overwritten(journal, discs):
    path, _ = journal
    content = path.read_bytes()
    with pytest.raises(JournalError, match=r"exists.*Session\.restore"):
        begin(path, discs)
    assert path.read_bytes() == content


def test_two_sessions_do_not_share_a_journal(tmp_path, discs):
    path = tmp_path / "a.jsonl"
    session = begin(path, discs)
    step(session, 0)
    assert is_held(path)
    with pytest.raises(JournalError, match="in use by another session"):
        Session.restore(path, IMAGE, segmenter=discs)
    other = Session.restore(path, IMAGE, segmenter=discs, resume=False)
    assert other.objects.keys() == {1}
    session.journal.file.close()
    assert not is_held(path)
    again = Session.restore(path, IMAGE, segmenter=discs)
    step(again, 1)
    assert read_journal(path).count == 2


def test_a_full_disk_is_told_once_and_nothing_is_lost(tmp_path, discs, monkeypatch):
    """Trap 41."""
    path, told = tmp_path / "a.jsonl", []
    session = begin(JournalFile(path, told=told.append), discs)
    step(session, 0)
    full = [True]
    fsync = os.fsync

    def sync(descriptor):
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    for k in range(1, 6):
        step(session, k)
    assert len(told) == 1
    assert "the disk is full" in told[0]
    assert "Nothing is lost" in told[0]
    full[0] = False
    step(session, 6)
    back = Session.restore(path, IMAGE, segmenter=discs, resume=False)
    np.testing.assert_array_equal(back.labels, session.labels)
    full[0] = True
    step(session, 8)
    assert len(told) == 2, "the next time it is full is told again"


def test_without_a_listener_a_full_disk_is_a_warning(tmp_path, discs, monkeypatch):
    """Trap 41."""
    session = begin(tmp_path / "a.jsonl", discs)

    def sync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", sync)
    session.add_point((5, 5))
    with pytest.warns(RuntimeWarning, match="the disk is full"):
        assert session.accept() == [1]
    step(session, 1)


def test_a_folder_that_cannot_be_written_is_known_at_the_beginning(tmp_path, discs):
    """Trap 41."""
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(JournalError, match="the folder does not exist"):
        begin(tmp_path / "file" / "a.jsonl", discs)


def test_a_journal_whose_folder_cannot_be_made_is_told_and_the_session_goes_on(tmp_path, discs):
    """Trap 41: the autosave of a window, which asks for its file with the first step."""
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    told = []
    file = JournalFile(tmp_path / "file" / "a.jsonl", told=told.append)
    session = begin(file, discs)
    for k in range(4):
        step(session, k)
    assert len(told) == 1
    (tmp_path / "file").unlink()
    step(session, 4)
    back = Session.restore(file.path, IMAGE, segmenter=discs, resume=False)
    np.testing.assert_array_equal(back.labels, session.labels)


def test_lines_keep_their_order_whoever_writes_them(tmp_path, discs):
    writes = []
    session = begin(JournalFile(tmp_path / "a.jsonl", later=writes.append), discs)
    for k in range(6):
        step(session, k)
    assert not (tmp_path / "a.jsonl").exists()
    threads = [threading.Thread(target=write) for write in writes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    back = Session.restore(tmp_path / "a.jsonl", IMAGE, segmenter=discs, resume=False)
    np.testing.assert_array_equal(back.labels, session.labels)


def test_a_journal_moves_and_goes_on(tmp_path, discs):
    session = begin(tmp_path / "a.jsonl", discs)
    step(session, 0)
    target = tmp_path / "細胞 é.ome.tif.samari.jsonl"
    session.journal.file.move(target)
    step(session, 1)
    assert [file.name for file in tmp_path.iterdir()] == [target.name]
    back = Session.restore(target, IMAGE, segmenter=discs, resume=False)
    np.testing.assert_array_equal(back.labels, session.labels)


def test_a_journal_that_cannot_move_goes_on_where_it_was(tmp_path, discs):
    """Trap 41."""
    session = begin(tmp_path / "a.jsonl", discs)
    other = begin(tmp_path / "b.jsonl", discs)
    step(session, 0)
    with pytest.raises(ExportError, match="does not exist"):
        session.journal.file.move(tmp_path / "nowhere" / "b.jsonl")
    with pytest.raises(JournalError, match="in use"):
        session.journal.file.move(tmp_path / "b.jsonl")
    step(session, 1)
    step(other, 0)
    assert read_journal(tmp_path / "a.jsonl").count == 2
    assert read_journal(tmp_path / "b.jsonl").count == 1


def test_numbers_in_a_journal_have_points_in_every_locale(tmp_path, discs):
    """Trap 42."""
    names = ("de_DE.UTF-8", "fr_FR.UTF-8", "de_DE")
    before = locale.setlocale(locale.LC_ALL)
    try:
        for name in names:
            try:
                locale.setlocale(locale.LC_ALL, name)
                break
            except locale.Error:
                continue
        session = begin(tmp_path / "a.jsonl", discs, scale=(0.1, 1 / 3))
        session.add_point((5.5, 6.25))
        session.accept()
        back = Session.restore(tmp_path / "a.jsonl", IMAGE, segmenter=discs, resume=False)
    finally:
        locale.setlocale(locale.LC_ALL, before)
    assert back.scale == (0.1, 1 / 3)
    assert back.objects == dict(session.objects)
    assert '"points":[[5.5,6.25]]' in Path(tmp_path / "a.jsonl").read_text(encoding="ascii")


def test_infinite_limits_and_values_of_numpy_are_written(tmp_path, discs):
    """`Limits(max_growth=inf)` is "never mind": it must not cost the journal."""
    path = tmp_path / "a.jsonl"
    session = begin(path, discs, name=Path("cells.tif"), overwrite=np.bool_(True))
    with session._change("propagate") as change:
        change.write((slice(3), slice(3)), np.ones((3, 3), bool), 1)
        change.details["max_growth"] = np.inf
    step(session, 2)
    log = read_journal(path)
    assert log.entries[0][1].details == {"max_growth": np.inf}
    assert (log.count, log.opening["image"]["name"]) == (2, "cells.tif")
    assert log.opening["overwrite"] is True


def test_a_line_that_cannot_be_made_is_kept_and_none_overtakes_it(tmp_path):
    file = JournalFile(tmp_path / "a.jsonl")
    trouble = [True]

    def line():
        if trouble:
            raise MemoryError
        return b"second\n"

    file.push(lambda: b"first\n")
    with pytest.raises(MemoryError):
        file.push(line)
    with pytest.raises(MemoryError):
        file.push(lambda: b"third\n")
    assert file.path.read_bytes() == b"first\n"
    trouble.clear()
    file.flush()
    assert file.path.read_bytes() == b"first\nsecond\nthird\n"


def test_a_closed_journal_neither_moves_nor_grows(tmp_path, discs):
    told = []
    session = begin(JournalFile(tmp_path / "a.jsonl", told=told.append), discs)
    step(session, 0)
    session.journal.file.close()
    content = (tmp_path / "a.jsonl").read_bytes()
    (tmp_path / "b.jsonl").write_bytes(content)
    step(session, 1)
    with pytest.raises(JournalError, match="was closed"):
        session.journal.file.move(tmp_path / "b.jsonl")
    session.journal.file.flush()
    session.journal.file.close()
    assert told == []
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes() == content


def test_a_copy_never_replaces_a_journal_that_is_in_use(tmp_path, discs):
    session, other = begin(tmp_path / "a.tif.samari.jsonl", discs), begin(None, discs)
    step(session, 0)
    content = session.journal.file.path.read_bytes()
    with pytest.raises(ExportError, match="in use by another session"):
        other.journal.write_to(session.journal.file.path)
    (tmp_path / "b.jsonl").write_bytes(content)
    with pytest.raises(ExportError, match="in use by another session"):
        copy_journal(tmp_path / "b.jsonl", tmp_path / "a.tif")
    assert session.journal.file.path.read_bytes() == content
