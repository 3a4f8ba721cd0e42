"""Several objects deleted or joined as one step: labels, undo, journal, replay, script."""

from __future__ import annotations

import json

import numpy as np
import pytest
from skimage.measure import regionprops

from samari.engine.label_arrays import boxes_of
from samari.engine.labels import LabelStore
from samari.engine.session import Session
from samari.errors import InputError

IMAGE = np.random.default_rng(3).integers(0, 255, (40, 60), np.uint8)


@pytest.fixture
def four(discs, tmp_path):
    """Four accepted objects and one of another tool, 9."""
    labels = np.zeros(IMAGE.shape, np.uint16)
    labels[1:4, 1:5] = 9
    session = Session(IMAGE, labels=labels, segmenter=discs, journal=tmp_path / "a.jsonl")
    for x in (10, 24, 38, 52):
        session.add_point((20, x))
        session.accept()
    return session


def extents(labels):
    return {
        region.label: tuple(
            slice(*ends) for ends in zip(region.bbox[:2], region.bbox[2:], strict=True)
        )
        for region in regionprops(np.asarray(labels))
    }


def test_several_are_deleted_in_one_step(four):
    before, depth, records = four.labels.copy(), len(four.history), dict(four.objects)
    events = []
    four.connect(events.append)
    four.delete([11, 9, 13, 11])
    assert np.unique(four.labels).tolist() == [0, 10, 12]
    assert list(four.objects) == [10, 12]
    assert len(four.history) == depth + 1
    (told,) = [event.labels for event in events if event.kind == "objects"]
    assert told == {9, 11, 13}
    four.undo()
    np.testing.assert_array_equal(four.labels, before)
    assert dict(four.objects) == records
    for label, box in extents(before).items():
        assert four.store.census.pixels(label) in (None, (before == label).sum())
        assert four.store.census.box(label) in (None, box), "as tight as before"
    four.redo()
    assert np.unique(four.labels).tolist() == [0, 10, 12]


def test_several_are_merged_in_one_step_as_one_after_the_other(four):
    before, depth, records = four.labels.copy(), len(four.history), dict(four.objects)
    four.merge(10, (12, 9, 13))
    assert len(four.history) == depth + 1
    at_once = four.labels.copy(), dict(four.objects)
    four.undo()
    np.testing.assert_array_equal(four.labels, before)
    assert dict(four.objects) == records
    for label in (12, 9, 13):
        four.merge(10, label)
    np.testing.assert_array_equal(four.labels, at_once[0])
    assert dict(four.objects) == at_once[1]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda s: s.delete([10, 77, 11]), "no object 77"),
        (lambda s: s.delete([10, 0]), "no object 0"),
        (lambda s: s.merge(10, [11, 77]), "no object 77"),
        (lambda s: s.merge(10, [11, 10]), "itself"),
        (lambda s: s.merge(10, [11, -3]), "no object -3"),
        (lambda s: s.merge(77, [10, 11]), "no object 77"),
        (lambda s: s.delete([10, "b"]), "a label must be a whole number, not 'b'"),
        (lambda s: s.delete("12"), "a label must be a whole number, not '12'"),
    ],
)
def test_all_of_it_or_nothing(four, act, message):
    before, depth, records = four.labels.copy(), len(four.history), dict(four.objects)
    with pytest.raises(InputError, match=message):
        act(four)
    np.testing.assert_array_equal(four.labels, before)
    assert (len(four.history), dict(four.objects)) == (depth, records)


def test_none_is_no_step(four):
    depth = len(four.history)
    four.delete([])
    four.merge(10, [])
    assert len(four.history) == depth


def test_an_object_that_is_being_edited_goes_with_its_prompts(four):
    four.reopen(11)
    four.reopen(12)
    four.delete([12, 13])
    assert [obj.replaces for obj in four.pending] == [11]
    with pytest.raises(InputError, match="object 11 is being edited"):
        four.merge(10, [11])


def test_a_journal_brings_them_back_replays_them_and_writes_them(four, tmp_path, discs):
    four.merge(10, [9, 11])
    four.delete([12, 13])
    four.undo()
    four.redo()
    path = tmp_path / "a.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    details = {line["line"]: line["details"] for line in lines if line["line"] in DONE}
    assert details["merge"]["gone"] == [9, 11]
    assert details["delete"]["label"] == [12, 13]
    for again in (
        Session.restore(path, IMAGE, segmenter=discs, resume=False),
        Session.replay(path, IMAGE, segmenter=discs),
    ):
        np.testing.assert_array_equal(again.labels, four.labels)
        assert dict(again.objects) == dict(four.objects)
        assert again.undo()
        assert np.unique(again.labels).tolist() == [0, 10, 12, 13]
    script = four.to_script()
    assert "s.merge(10, [9, 11])" in script
    assert "s.delete([12, 13])" in script


DONE = ("merge", "delete")


def test_a_single_one_is_journalled_as_ever(four, tmp_path):
    four.merge(10, [11])
    four.delete([12])
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    details = {line["line"]: line["details"] for line in lines if line["line"] in DONE}
    assert details["merge"]["gone"] == 11
    assert details["delete"]["label"] == 12


class Blind:
    """A model that finds nothing of the objects whose prompts lie in some columns."""

    def __init__(self, discs, *columns):
        self._discs, self._columns = discs, columns

    def __getattr__(self, name):
        return getattr(self._discs, name)

    def predict_prompts(self, embedding, prompts):
        answer = self._discs.predict_prompts(embedding, prompts)
        if prompts.points[0][1] in self._columns:
            return type(answer).of(
                np.zeros((len(answer), *answer.mask.shape), bool),
                answer.scores, answer.logits, answer.chosen,
            )  # fmt: skip
        return answer


@pytest.mark.parametrize(
    ("unseen", "left"),
    [
        ((24,), {9, 10}),
        ((10,), {9, 10}),
        ((10, 24), {9, 10}),
        ((10, 24, 38), {9}),
        ((52,), {9, 10}),
    ],
)
def test_what_another_model_does_not_find_is_left_out_of_the_replay(
    four, tmp_path, discs, unseen, left
):
    four.merge(10, [11, 12])
    four.delete([13])
    again = Session.replay(tmp_path / "a.jsonl", IMAGE, segmenter=Blind(discs, *unseen))
    assert set(np.unique(again.labels).tolist()) == {0, *left}
    assert set(again.objects) == left - {9}


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_labels_are_found_at_one_go(dtype):
    random = np.random.default_rng(0)
    block = random.integers(0, 20, (7, 30, 40)).astype(dtype)
    block[2:4, 5:9, 5:9] = 100
    wanted = [100, 3, 55, 100_000, 19, -1]
    found = dict(boxes_of(block, wanted))
    assert set(found) == {100, 3, 19}
    for label, box in found.items():
        assert (block[box] == label).sum() == (block == label).sum()
    assert found[100] == (slice(2, 4), slice(5, 9), slice(5, 9))
    assert boxes_of(block, [100]) == [(100, found[100])]
    assert boxes_of(block, [55]) == []


def test_hundreds_in_a_large_array_take_no_scan_each():
    """Those that are counted are looked for in their boxes, all others at one go."""
    reads = []

    class Told(np.ndarray):
        def __getitem__(self, key):
            found = super().__getitem__(key)
            if isinstance(found, np.ndarray) and found.size > 1 << 20:
                reads.append(key)
            return found

    array = np.zeros((2000, 2000), np.uint16).view(Told)
    for label in range(1, 401):
        row, col = divmod(label, 20)
        array[row * 20 : row * 20 + 9, col * 20 : col * 20 + 9] = label
    store = LabelStore(array)
    reads.clear()
    edits = store.relabel(range(1, 401), 0)
    assert len(edits) == 400
    assert len(reads) == 1
    assert not array.any()
    for edit in reversed(edits):
        edit.undo()
    assert len(np.unique(array)) == 401
