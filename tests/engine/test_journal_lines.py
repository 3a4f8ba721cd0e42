"""Whatever a step holds, the line of it is made, and none stops those behind it."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from tests.engine.bright import Model, ScoredTracker, stack

from samari.engine.candidates import Thresholds
from samari.engine.export import read_labels
from samari.engine.journal import beside, read_journal
from samari.engine.journal_file import JournalFile
from samari.engine.propagate import Limits
from samari.engine.session import Session
from samari.errors import InputError

IMAGE = np.zeros((24, 30), np.uint8)


def test_numbers_of_numpy_are_as_good_as_pythons(tmp_path, bundled):
    coins = skimage.data.coins()[:120, :160]
    session = Session(coins, segmenter=bundled, journal=tmp_path / "a.jsonl")
    found = session.segment_everything(
        points_per_side=np.int64(6), min_score=np.float32(0.25), min_stability=np.float64(0.3),
        min_size=np.int64(20), max_size=np.array(3000), overlap=np.float16(0.25),
    )  # fmt: skip
    assert found
    session.overwrite = np.True_
    session.add_point((45, 105))
    session.accept()
    session.save(tmp_path / "labels.tif")
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.tif").labels, session.labels)
    for path in (tmp_path / "a.jsonl", beside(tmp_path / "labels.tif")):
        log = read_journal(path)
        assert log.count == 2
        thresholds = log.entries[0][1].details["thresholds"]
        assert Thresholds(**thresholds) == Thresholds(0.25, 0.3, 20, 3000, 0.25)
        assert log.entries[1][1].details["overwrite"] is True
        back = Session.restore(path, coins, segmenter=bundled, resume=False)
        np.testing.assert_array_equal(back.labels, session.labels)
    assert "points_per_side=6, min_score=0.25, min_stability=0.3, min_size=20" in (
        script := session.to_script()
    )
    assert "np." not in script


def test_a_propagation_takes_numbers_of_numpy(tmp_path, monkeypatch):
    monkeypatch.setattr("samari.engine.tracking.Tracker", ScoredTracker)
    labels = np.zeros((12, 24, 32), np.uint16)
    labels[5, 4:12, 4:12] = 1
    session = Session(
        stack(), axes="ZYX", contrast_limits=(0, 255), labels=labels, segmenter=Model(),
        journal=tmp_path / "a.jsonl",
    )  # fmt: skip
    limits = Limits(min_score=np.float32(0.5), max_growth=np.int64(4))
    session.propagate(np.int64(1), range=(np.int64(3), np.int64(8)), limits=limits)
    session.save(tmp_path / "labels.tif")
    log = read_journal(tmp_path / "a.jsonl")
    details = log.entries[-1][1].details
    assert details["range"] == [3, 8]
    assert Limits(**details["limits"]) == Limits(min_score=0.5, max_growth=4)
    assert "limits=Limits(min_score=0.5," in session.to_script()


def test_points_per_side_is_a_whole_number(discs):
    session = Session(IMAGE, segmenter=discs)
    for call in (session.segment_everything, session.everything_steps):
        with pytest.raises(InputError, match=r"must be a whole number, not 4\.5"):
            call(points_per_side=4.5)


def test_a_step_whose_details_json_cannot_say_is_restored_without_them(tmp_path, discs):
    session = Session(IMAGE, segmenter=discs, journal=tmp_path / "a.jsonl")
    with session._change("something later") as change:
        change.write((slice(3), slice(3)), np.ones((3, 3), bool), 1)
        change.details["odd"] = {(1, 2): object()}
    session.add_point((15, 15))
    session.accept()
    session.save(tmp_path / "labels.tif")
    for path in (tmp_path / "a.jsonl", beside(tmp_path / "labels.tif")):
        for again in (
            Session.restore(path, IMAGE, segmenter=discs, resume=False),
            Session.replay(path, IMAGE, segmenter=discs),
        ):
            np.testing.assert_array_equal(again.labels, session.labels)


def test_a_line_that_never_can_be_made_blocks_none_behind_it(tmp_path):
    told = []
    file = JournalFile(tmp_path / "a.jsonl", told=told.append)

    def line():
        raise TypeError("not this one")

    for each in (lambda: b"first\n", line, lambda: b"third\n"):
        file.push(each)
    assert file.path.read_bytes() == b"first\nthird\n"
    (problem,) = told
    assert "could not be made" in problem
    assert "not this one" in problem
