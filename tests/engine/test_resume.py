"""Yesterday's label file goes on, and what was never saved is found again."""

from __future__ import annotations

import os

import numpy as np
import pytest

from samari.engine.export import read_labels, save_labels
from samari.engine.journal import beside, read_journal
from samari.engine.journal_places import find_lost, identity, journals_dir, new_journal
from samari.engine.planes import ImagePlanes
from samari.engine.resume import resume
from samari.engine.session import Session
from samari.errors import ExportError, InputError, JournalError

SHAPE = (3, 24, 30)
IMAGE = np.random.default_rng(5).integers(0, 255, SHAPE).astype(np.uint8)


def begin(discs, **options):
    return Session(IMAGE, axes="ZYX", segmenter=discs, **options)


def click(session, z, y, x):
    session.add_point((z, y, x))
    return session.accept()


@pytest.fixture
def saved(tmp_path, discs):
    """Save two objects, and do a third one afterwards, which only the journal has."""
    session = begin(discs, journal=tmp_path / "a.ome.tif.samari.jsonl")
    click(session, 0, 8, 8)
    click(session, 1, 8, 8)
    session.save(tmp_path / "a.ome.tif")
    session.journal.file.close()
    return tmp_path / "a.ome.tif", session


def test_the_objects_of_a_saved_file_come_back_with_prompts_and_history(saved, discs):
    path, before = saved
    log = read_journal(beside(path))
    assert log.is_saved
    session = begin(discs)
    resume(session, log, read_labels(path).labels, from_file=True)
    assert len(session.history) == 2, "nothing was changed"
    np.testing.assert_array_equal(session.labels, before.labels)
    assert dict(session.objects) == dict(before.objects)
    session.reopen(2)
    assert session.pending[0].parts[0].prompts.points == ((8.0, 8.0),)
    session.discard()
    while session.undo():
        pass
    assert not session.labels.any()


def test_what_was_done_after_the_save_comes_back_too(saved, discs):
    path, _ = saved
    go_on = Session.restore(beside(path), IMAGE, segmenter=discs)
    click(go_on, 2, 12, 12)
    go_on.delete(1)
    log = read_journal(beside(path))
    assert not log.is_saved
    session = begin(discs)
    resume(session, log, read_labels(path).labels, from_file=True)
    np.testing.assert_array_equal(session.labels, go_on.labels)


def test_pixels_that_another_program_changed_in_the_file_stay_as_they_are(saved, discs):
    path, _ = saved
    go_on = Session.restore(beside(path), IMAGE, segmenter=discs)
    click(go_on, 2, 12, 12)
    found = read_labels(path).labels
    found[0, 8, 8], found[0, 20:22, 20:22] = 0, 9
    save_labels(path, found, "ZYX")
    session = begin(discs)
    resume(session, read_journal(beside(path)), read_labels(path).labels, from_file=True)
    wanted = go_on.labels.copy()
    wanted[0, 8, 8], wanted[0, 20:22, 20:22] = 0, 9
    np.testing.assert_array_equal(session.labels, wanted)
    assert session.objects.keys() == {1, 2, 3}
    assert click(session, 2, 4, 4) == [10]
    session.undo()
    session.undo()
    session.undo()
    np.testing.assert_array_equal(session.labels, go_on.labels)


def test_labels_in_a_window_are_right_whatever_the_journal_says(saved, discs):
    path, before = saved
    shown = before.labels.copy()
    shown[before.labels == 2] = 0
    session = begin(discs)
    resume(session, read_journal(beside(path)), shown, from_file=False)
    np.testing.assert_array_equal(session.labels, shown)


def test_a_journal_is_taken_up_at_the_beginning_only(saved, discs):
    path, _ = saved
    session = begin(discs)
    click(session, 0, 4, 4)
    with pytest.raises(InputError, match="taken up at the beginning"):
        session.take_up(read_journal(beside(path)))


def test_a_journal_on_labels_that_were_there_is_taken_up(tmp_path, discs):
    labels = np.zeros(SHAPE, np.int32)
    labels[0, :4, :4] = 70000
    before = begin(discs, labels=labels, journal=tmp_path / "a.jsonl")
    click(before, 1, 8, 8)
    session = begin(discs)
    told = []
    session.connect(told.append)
    session.take_up(read_journal(tmp_path / "a.jsonl"))
    np.testing.assert_array_equal(session.labels, before.labels)
    assert {event.kind for event in told} == {"labels", "objects", "history"}
    assert any(event.replaced for event in told), "70000 does not fit uint16"
    assert click(session, 2, 8, 8) == [70002]


def test_saving_over_the_journal_of_another_session_is_refused(saved, discs):
    path, _ = saved
    other = Session.restore(beside(path), IMAGE, segmenter=discs)
    session = begin(discs)
    click(session, 0, 8, 8)
    with pytest.raises(ExportError, match=r"was saved, but not its journal: .* in use"):
        session.save(path)
    click(other, 2, 12, 12)
    assert read_journal(beside(path)).labels() == {1, 2, 3}


def test_lost_journals_are_found_by_their_image_the_newest_first(tmp_path, discs, monkeypatch):
    monkeypatch.setenv("SAMARI_JOURNALS", str(tmp_path / "journale µ"))
    planes = ImagePlanes(IMAGE, "ZYX")
    assert find_lost(planes, "cells") is None
    journals_dir().mkdir(parents=True)
    for k in range(3):
        path = new_journal(planes, "Zellen / µ ?")
        assert path.name.startswith("Zellen-")
        session = begin(discs, journal=path)
        for n in range(k + 1):
            click(session, n, 8, 8)
        if k < 2:
            session.journal.file.close()
            os.utime(path, (1000 + k, 1000 + k))
    found = find_lost(planes, "another name")
    assert found is not None
    assert found[1].labels() == {1, 2}, "the newest one is in use"
    session.journal.file.close()
    assert find_lost(planes, None)[1].labels() == {1, 2, 3}
    assert find_lost(ImagePlanes(IMAGE[::-1], "ZYX"), "cells") is None


def test_damaged_and_empty_journals_are_no_offer(tmp_path, discs, monkeypatch):
    monkeypatch.setenv("SAMARI_JOURNALS", str(tmp_path))
    planes = ImagePlanes(IMAGE, "ZYX")
    session = begin(discs, journal=new_journal(planes, "a"))
    click(session, 0, 8, 8)
    session.undo()
    session.journal.file.close()
    new_journal(planes, "a").write_bytes(b"no journal\n")
    new_journal(planes, "a").write_bytes(b"")
    assert find_lost(planes, "a") is None


def test_a_lazy_image_is_told_by_its_name(tmp_path):
    import dask.array as da

    lazy = ImagePlanes(da.zeros(SHAPE, np.uint8), "ZYX")
    assert identity(lazy, "a") != identity(lazy, "b")
    assert identity(ImagePlanes(IMAGE, "ZYX"), "a") == identity(ImagePlanes(IMAGE, "ZYX"), "b")


def test_a_journal_without_its_first_labels_cannot_be_taken_up(tmp_path, discs, monkeypatch):
    monkeypatch.setattr("samari.engine.journal_opening._EMBEDDED", 10)
    before = begin(discs, labels=np.full(SHAPE, 1, np.uint8), journal=tmp_path / "a.jsonl")
    before.delete(1)
    with pytest.raises(JournalError, match="too large to be in it"):
        begin(discs).take_up(read_journal(tmp_path / "a.jsonl"))


def test_saving_under_another_name_says_nothing_of_the_first_file(saved, tmp_path, discs):
    path, _ = saved
    before = beside(path).read_bytes()
    again = Session.restore(beside(path), IMAGE, segmenter=discs)
    click(again, 2, 12, 12)
    again.save(tmp_path / "b.ome.tif")
    assert b"b.ome.tif" not in beside(path).read_bytes()[len(before) :]
    again.journal.file.move(beside(tmp_path / "b.ome.tif"), keep=True)
    for name, saved_lines in (("a.ome.tif", 3), ("b.ome.tif", 5)):
        line = again.journal.saved_line(name, saved_lines)
        beside(path).write_bytes(beside(path).read_bytes() + line)
    assert read_journal(beside(path)).until_saved().labels() == {1, 2}
    session = begin(discs)
    resume(session, read_journal(beside(path)), read_labels(path).labels, from_file=True)
    assert set(np.unique(session.labels)) == {0, *session.objects} == {0, 1, 2, 3}
    renamed = tmp_path / "renamed.tif"
    beside(path).rename(beside(renamed))
    assert read_journal(beside(renamed)).is_saved, "all lines are of other names"


def test_an_object_that_another_program_removed_goes_with_its_prompts(saved, discs):
    path, before = saved
    found = read_labels(path).labels
    found[found == 2] = 0
    session = begin(discs)
    resume(session, read_journal(beside(path)), found, from_file=True)
    assert session.objects.keys() == {1}
    session.undo()
    assert session.objects == before.objects


def test_a_file_with_many_changed_labels_is_gone_through_once(discs, monkeypatch):
    session = begin(discs, journal=None)
    click(session, 0, 8, 8)
    labels = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE) // 8
    sizes = []
    write = type(session.store).write

    def counted(store, where, mask, *rest, **options):
        sizes.append(mask.size)
        return write(store, where, mask, *rest, **options)

    monkeypatch.setattr(type(session.store), "write", counted)
    again = begin(discs)
    path = journals_dir() / "a.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    session.journal.write_to(path)
    resume(again, read_journal(path), labels, from_file=False)
    np.testing.assert_array_equal(again.labels, labels)
    assert sum(sizes) < 8 * labels.size


def test_a_journal_is_read_when_nobody_else_can_write_into_it(tmp_path, discs, monkeypatch):
    from samari.engine import recorded
    from samari.engine.journal_file import is_held

    path = tmp_path / "a.jsonl"
    session = begin(discs, journal=path)
    click(session, 0, 8, 8)
    session.journal.file.close()
    held = []
    monkeypatch.setattr(
        recorded, "read_journal", lambda name: held.append(is_held(name)) or read_journal(name)
    )
    again = Session.restore(path, IMAGE, segmenter=discs)
    assert held == [True]
    again.journal.file.close()
    with pytest.raises(JournalError, match="belongs to"):
        Session.restore(path, IMAGE[:, :-1], segmenter=discs)
    assert not is_held(path), "it was let go"
    with pytest.raises(JournalError, match="cannot be read: No such file"):
        Session.restore(tmp_path / "nowhere.jsonl", IMAGE, segmenter=discs)


def test_the_journal_of_a_layer_on_screen_is_not_lost(tmp_path, discs, monkeypatch):
    monkeypatch.setenv("SAMARI_JOURNALS", str(tmp_path))
    session = begin(discs)
    path = new_journal(session.planes, None)
    click(session, 0, 8, 8)
    session.journal.write_to(path)
    assert find_lost(session.planes, None)[0] == path
    assert find_lost(session.planes, None, [str(path)]) is None
