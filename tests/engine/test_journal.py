"""What is done in a session is in its journal, and comes back from it without a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from samari.engine.history import Growing
from samari.engine.journal import beside, read_journal
from samari.engine.planes import PlaneIndex
from samari.engine.session import Session
from samari.errors import InputError, JournalError, LabelsError

SHAPE = (3, 24, 30)
IMAGE = np.random.default_rng(5).integers(0, 255, SHAPE).astype(np.uint8)


class NoModel:
    """Stands where a model would be asked."""

    requested = model_name = model_hash = "none"

    def __getattr__(self, name):
        raise AssertionError(f"the model was asked: {name}")


def begin(path, discs, **options):
    return Session(IMAGE, axes="ZYX", segmenter=discs, journal=path, **options)


def restored(path, **options):
    return Session.restore(path, IMAGE, segmenter=NoModel(), **{"resume": False, **options})


def same(one, other):
    """Labels bit for bit, the table, the highest id."""
    np.testing.assert_array_equal(np.asarray(one.labels), np.asarray(other.labels))
    assert one.labels.dtype == other.labels.dtype
    assert dict(one.objects) == dict(other.objects)
    assert one.store.highest == other.store.highest


def a_session(path, discs):
    session = begin(path, discs, scale=(2, 0.5, 0.5), units="µm", name="Zellen µ")
    session.add_point((0, 8, 8))
    session.accept()
    session.add_point((0, 16, 16))
    session.choose(0)
    session.add_point((0, 18, 16), label=0)
    session.accept()
    session.brush(np.ones((1, 3, 5), bool), 2, (0, 7, 9))
    session.add_box((1, 2, 2), (1, 8, 9))
    session.add_box((1, 12, 2), (1, 18, 9))
    session.accept()
    session.merge(3, 4)
    return session


def test_a_session_comes_back_bit_for_bit_without_a_model(tmp_path, discs):
    session = a_session(tmp_path / "a.jsonl", discs)
    back = restored(tmp_path / "a.jsonl")
    same(session, back)
    assert (back.scale, back.units, back.name) == (session.scale, session.units, session.name)


def test_every_line_is_in_the_file_before_the_call_returns(tmp_path, discs, monkeypatch):
    """Trap 43."""
    import os

    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda f: synced.append(fsync(f)))
    session = begin(tmp_path / "a.jsonl", discs)
    before = len(synced)
    session.add_point((0, 8, 8))
    assert len(synced) == before, "prompts that were not accepted are not in the journal"
    session.accept()
    assert len(synced) > before
    lines = (tmp_path / "a.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["line"] for line in lines] == ["open", "accept"]
    before = len(synced)
    session.brush(np.ones((1, 2, 2), bool), 7)
    assert len(synced) > before
    assert restored(tmp_path / "a.jsonl").labels[0, 0, 0] == 7


def test_after_restoring_everything_can_be_undone_and_redone(tmp_path, discs):
    session = a_session(tmp_path / "a.jsonl", discs)
    back = restored(tmp_path / "a.jsonl")
    states = [np.array(back.labels)]
    while back.undo():
        states.append(np.array(back.labels))
    assert len(states) == 6
    assert not back.labels.any()
    assert not back.objects
    assert back.pending[0].parts[0].prompts.points == ((8.0, 8.0),), "the prompts come back"
    for state in states[-2::-1]:
        assert back.redo()
        np.testing.assert_array_equal(back.labels, state)
    same(session, back)


def test_a_restored_object_is_reopened_with_its_prompts(tmp_path, discs):
    session = a_session(tmp_path / "a.jsonl", discs)
    back = Session.restore(tmp_path / "a.jsonl", IMAGE, segmenter=discs, resume=False)
    for one in (session, back):
        one.reopen(2)
        one.add_point((0, 20, 20))
        one.accept()
    same(session, back)


def test_restoring_goes_on_in_the_same_file(tmp_path, discs):
    path = tmp_path / "a.jsonl"
    session = a_session(path, discs)
    session.undo()
    session.journal.file.close()
    for k in range(3):
        back = Session.restore(path, IMAGE, segmenter=discs)
        assert back.redo() == (k == 0)
        back.add_point((2, 5 + 4 * k, 5))
        back.accept()
        back.journal.file.close()
    same(restored(path), back)
    assert read_journal(path).count == 8


def test_channel_and_contrast_limits_come_back_with_the_objects(tmp_path, discs):
    """Traps 3 and 4: they are those of the session, and of every object."""
    image = np.random.default_rng(1).integers(0, 4095, (2, 3, 24, 30)).astype(np.uint16)
    session = Session(
        image, axes="ZCYX", channel=2, contrast_limits=(10.5, 3000), segmenter=discs,
        journal=tmp_path / "a.jsonl",
    )  # fmt: skip
    session.add_point((1, 8, 8))
    session.accept()
    back = Session.restore(tmp_path / "a.jsonl", image, segmenter=NoModel(), resume=False)
    assert (back.planes.channel, back.planes.contrast_limits) == (2, (10.5, 3000.0))
    record = back.objects[1]
    assert record == session.objects[1]
    assert (record.channel, record.contrast_limits) == (2, (10.5, 3000.0))
    assert (record.model, record.model_hash) == ("discs", "d15c")


def test_undone_steps_are_undone_after_restoring(tmp_path, discs):
    session = a_session(tmp_path / "a.jsonl", discs)
    session.undo()
    session.undo()
    session.redo()
    session.undo()
    session.delete(1)
    same(session, restored(tmp_path / "a.jsonl"))


def test_labels_that_were_there_are_in_the_journal(tmp_path, discs):
    labels = np.zeros(SHAPE, np.uint8)
    labels[1, :3, :3], labels[0, 20:, 20:] = 3, 253
    session = begin(tmp_path / "a.jsonl", discs, labels=labels)
    session.add_point((0, 8, 8))
    session.accept()
    session.delete(3)
    back = restored(tmp_path / "a.jsonl")
    same(session, back)
    assert back.undo()
    assert (back.labels == 3).sum() == 9


def test_labels_too_large_for_the_journal_are_asked_for(tmp_path, discs, monkeypatch):
    monkeypatch.setattr("samari.engine.journal_opening._EMBEDDED", 10)
    labels = np.zeros(SHAPE, np.uint8)
    labels[1, :3, :3] = 3
    began = labels.copy()
    session = begin(tmp_path / "a.jsonl", discs, labels=labels)
    session.add_point((0, 8, 8))
    session.accept()
    with pytest.raises(JournalError, match=r"too large.*labels="):
        restored(tmp_path / "a.jsonl")
    same(session, restored(tmp_path / "a.jsonl", labels=began.copy()))
    again = Session.replay(tmp_path / "a.jsonl", IMAGE, None, began, segmenter=discs)
    np.testing.assert_array_equal(again.labels, session.labels)


def test_labels_on_disk_are_restored_in_place(tmp_path, discs):
    session = a_session(tmp_path / "a.jsonl", discs)
    store = zarr.create_array(tmp_path / "l.zarr", shape=SHAPE, chunks=(1, 8, 8), dtype="u2")
    back = restored(tmp_path / "a.jsonl", labels=store)
    assert back.labels is store
    np.testing.assert_array_equal(store[:], session.labels)


def test_ids_beyond_the_dtype_grow_it_again(tmp_path, discs):
    """Trap 23."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, 0, 0] = 255
    session = begin(tmp_path / "a.jsonl", discs, labels=labels)
    session.add_point((0, 8, 8))
    assert session.accept() == [256]
    back = restored(tmp_path / "a.jsonl")
    assert back.labels.dtype == np.uint16
    same(session, back)


def test_painted_masks_and_overwriting_come_back(tmp_path, discs):
    session = begin(tmp_path / "a.jsonl", discs)
    session.add_point((0, 8, 8))
    painted = session.candidates.mask.copy()
    painted[2:5, 10:14], painted[8, 8] = True, False
    session.paint(painted)
    session.accept()
    np.testing.assert_array_equal(session.labels[0] == 1, painted)
    session.overwrite = True
    session.add_box((0, 6, 6), (0, 12, 12))
    session.accept()
    back = restored(tmp_path / "a.jsonl")
    same(session, back)
    assert back.objects[1].parts[0].prompts.painted is not None
    again = Session.replay(tmp_path / "a.jsonl", IMAGE, segmenter=discs)
    np.testing.assert_array_equal(again.labels, session.labels)
    assert dict(again.objects) == dict(session.objects)


def test_masks_that_were_drawn_come_back_with_their_objects(tmp_path, discs):
    session = begin(tmp_path / "a.jsonl", discs)
    session.add_polygon([(0, 3, 4), (0, 3, 12), (0, 9, 12), (0, 9, 4)])
    session.add_mask(np.random.default_rng(2).random(SHAPE[1:]) < 0.2, (2,))
    session.accept()
    session.brush(np.random.default_rng(1).random((1, 5, 30)) < 0.5, 9, (1, 10, 0))
    session.reopen(9)
    session.add_point((1, 20, 20))
    session.accept()
    back = restored(tmp_path / "a.jsonl")
    same(session, back)
    log = read_journal(tmp_path / "a.jsonl")
    masks = [
        (part.prompts.mask, session.objects[label].parts[0].prompts.mask)
        for _, step in log.entries
        for label, record in step.objects.items()
        if record is not None
        for part in record.parts
    ]
    assert len(masks) == 3
    for stored, asked in masks:
        np.testing.assert_array_equal(stored, asked)
    again = Session.replay(tmp_path / "a.jsonl", IMAGE, segmenter=discs)
    same(session, again)


def test_a_growing_step_is_undone_as_one_after_restoring(tmp_path, discs):
    session = begin(tmp_path / "a.jsonl", discs)
    growing = Growing()
    for z in range(3):
        with session._change("everything", growing) as change:
            change.write((z, slice(4), slice(4)), np.ones((4, 4), bool), z + 5)
        if z == 1:
            session.add_point((0, 12, 12))
            session.accept()
    back = restored(tmp_path / "a.jsonl")
    same(session, back)
    for one in (session, back):
        one.undo()
        one.undo()
        while one.history.can_undo:
            one.undo()
    assert not session.labels.any()
    assert not back.labels.any()


def test_a_stroke_of_somebody_else_is_recorded_by_its_pixels(tmp_path, discs):
    session = begin(tmp_path / "a.jsonl", discs)
    session.add_point((0, 8, 8))
    session.accept()

    def stroke(where, value, **known):
        before = session.labels[where].copy()
        session.labels[where] = value
        after = session.labels[where].copy()

        def put(pixels):
            session.labels[where] = pixels

        known = {k: v and (where, before, after) if k == "change" else v for k, v in known.items()}
        session.record_edit(lambda: put(before), lambda: put(after), **known)

    box = (slice(0, 1), slice(6, 11), slice(6, 9))
    stroke(box, 9, change=True)
    stroke((slice(1, 2), slice(0, 4), slice(0, 4)), 12, slices=(1, slice(0, 4), slice(0, 4)))
    stroke((slice(2, 3), slice(0, 4), slice(0, 4)), 14)
    stroke(box, 0, change=True)
    same(session, restored(tmp_path / "a.jsonl"))
    session.undo()
    back = restored(tmp_path / "a.jsonl")
    same(session, back)
    while session.undo() | back.undo():
        np.testing.assert_array_equal(session.labels, back.labels)


def test_saving_puts_the_journal_beside_the_labels(tmp_path, discs):
    session = a_session(None, discs)
    path = tmp_path / "Zellen 細胞.ome.tif"
    session.save(path)
    assert beside(path).name == "Zellen 細胞.ome.tif.samari.jsonl"
    assert {file.name for file in tmp_path.iterdir()} == {path.name, beside(path).name}
    same(session, restored(beside(path)))
    session.delete(1)
    session.save(path)
    same(session, restored(beside(path)))


def test_the_journal_of_another_image_is_refused(tmp_path, discs):
    a_session(tmp_path / "a.jsonl", discs)
    with pytest.raises(JournalError, match=r"image of shape \[3, 24, 30\], this one has"):
        Session.restore(tmp_path / "a.jsonl", np.zeros((3, 24, 31)), resume=False)
    with pytest.raises(JournalError, match=r"axes ZYX"):
        Session.restore(tmp_path / "a.jsonl", np.zeros((24, 30)), resume=False)
    with pytest.raises(JournalError, match="the values differ"):
        Session.restore(tmp_path / "a.jsonl", IMAGE[::-1], resume=False)


def test_a_lazy_image_is_not_read(tmp_path, discs):
    import dask.array as da

    def read(block):
        raise AssertionError("the image was read")

    image = da.zeros(SHAPE, np.uint8, chunks=(1, 24, 30)).map_blocks(read, dtype=np.uint8)
    session = Session(
        image, axes="ZYX", contrast_limits=(0, 1), segmenter=discs, journal=tmp_path / "a.jsonl"
    )
    session.brush(np.ones((1, 2, 2), bool), 3)
    back = Session.restore(tmp_path / "a.jsonl", image, segmenter=NoModel(), resume=False)
    same(session, back)


def test_a_model_that_is_gone_does_not_stop_a_restore(tmp_path, discs):
    discs.model_name = str(Path("nowhere") / "of my own.safetensors")
    session = a_session(tmp_path / "a.jsonl", discs)
    back = Session.restore(tmp_path / "a.jsonl", IMAGE, resume=False)
    same(session, back)


def test_refused_calls_leave_no_line(tmp_path, discs):
    session = a_session(tmp_path / "a.jsonl", discs)
    count = session.journal.count
    for call in (
        lambda: session.delete(77),
        lambda: session.merge(1, 77),
        lambda: session.brush(np.ones((1, 2, 2), bool), -1),
        lambda: session.brush(np.ones((2, 2), bool), 1),
        lambda: session.reopen(3, PlaneIndex("YX", (0,))),
    ):
        with pytest.raises((InputError, LabelsError)):
            call()
    assert session.journal.count == count
    same(session, restored(tmp_path / "a.jsonl"))
