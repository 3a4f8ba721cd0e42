"""Doing it again: with the same model, with another one, and from a script."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import tifffile

from samari.engine.export import read_labels
from samari.engine.history import Growing
from samari.engine.planes import PlaneIndex
from samari.engine.predict import Segmenter
from samari.engine.prediction import Prediction
from samari.engine.propagate import Limits
from samari.engine.session import Session
from samari.errors import JournalError

# Scripts are run by other programs, which compute as users' do.
pytestmark = pytest.mark.usefixtures("precision_of_users")

SHAPE = (3, 48, 56)
IMAGE = np.random.default_rng(8).integers(0, 4095, SHAPE).astype(np.uint16)


class Smaller:
    """Another model: the discs of the first one, half as wide, and nothing at some places."""

    model_name, model_hash = "smaller", "5a11"
    picture_size = 1 << 20
    zoom_size = 0

    def __init__(self, discs, blind=()):
        self.discs, self.blind = discs, blind

    def encode_steps(self, rgb):
        return self.discs.encode_steps(rgb)

    def predict_prompts(self, embedding, prompts):
        found = self.discs.predict_prompts(embedding, replace(prompts, choices=()))
        masks = found.masks[:1].copy()
        if any(point in self.blind for point in prompts.points):
            masks[:] = False
        return Prediction.of(masks, found.scores[:1], found.logits[:1], 0)


def worked(segmenter, journal=None):
    """Do a bit of everything."""
    session = Session(
        IMAGE, axes="ZYX", segmenter=segmenter, journal=journal, scale=(2.0, 0.5, 0.5),
        units="micrometer", contrast_limits=(0, 3000.5), name='cells "A" \\ µ',
    )  # fmt: skip
    session.add_point((0, 8, 8))
    session.accept()
    session.add_point((0, 20.5, 20.25))
    session.choose(0)
    session.add_point((0, 23, 20), label=0)
    session.accept()
    session.add_box((1, 5, 5), (1, 12, 14))
    session.add_box((1, 20, 5), (1, 30, 14))
    session.add_point((1, 25, 9))
    session.accept()
    session.brush(np.ones((1, 4, 6), bool), 1, (0, 10, 6))
    session.brush(np.ones((1, 3, 3), bool), 0, (0, 7, 7))
    session.add_polygon([(2, 5, 5), (2, 20, 5), (2, 20, 20)])
    session.accept()
    session.undo()
    session.redo()
    session.view = "ZX"
    session.add_point((1, 40, 30))
    session.accept()
    session.view = "YX"
    session.reopen(3)
    session.add_point((1, 8, 9))
    session.accept()
    session.overwrite = True
    session.add_point((0, 10, 10))
    session.paint(np.roll(session.candidates.mask, 1, axis=1))
    session.accept()
    session.merge(1, 2)
    session.delete(4)
    session.add_point((2, 40, 40))
    session.accept()
    session.undo()
    return session


@pytest.fixture
def journal(tmp_path, discs):
    session = worked(discs, tmp_path / "a.jsonl")
    return tmp_path / "a.jsonl", session


def test_the_same_model_gives_the_same_array(journal, discs):
    path, session = journal
    again = Session.replay(path, IMAGE, segmenter=discs)
    np.testing.assert_array_equal(again.labels, session.labels)
    assert dict(again.objects) == dict(session.objects)
    assert again.store.highest == session.store.highest
    assert again.missing == ()
    while again.undo():
        pass
    assert not again.labels.any(), "a replayed session can be undone"


def test_labels_that_an_undone_object_widened_are_as_wide_again(tmp_path, discs):
    began = np.zeros(IMAGE.shape, np.uint8)
    began[0, 0, 0] = 255
    path = tmp_path / "wide.jsonl"
    session = Session(IMAGE, axes="ZYX", segmenter=discs, labels=began.copy(), journal=path)
    session.add_point((0, 8, 8))
    assert session.accept() == [256]
    session.undo()
    assert session.labels.dtype == np.uint16
    again = Session.replay(path, IMAGE, segmenter=discs, labels=began.copy())
    assert again.labels.dtype == np.uint16
    np.testing.assert_array_equal(again.labels, began)


def test_replaying_a_replay_gives_the_same_again(journal, tmp_path, discs):
    path, session = journal
    Session.replay(path, IMAGE, segmenter=discs).journal.write_to(tmp_path / "b.jsonl")
    again = Session.replay(tmp_path / "b.jsonl", IMAGE, segmenter=discs)
    np.testing.assert_array_equal(again.labels, session.labels)


def test_the_network_gives_the_same_array_again(tmp_path, tiny_model_folder):
    session = worked(Segmenter(tiny_model_folder), tmp_path / "a.jsonl")
    assert len(session.objects) > 3
    again = Session.replay(tmp_path / "a.jsonl", IMAGE, segmenter=Segmenter(tiny_model_folder))
    np.testing.assert_array_equal(again.labels, session.labels)
    assert dict(again.objects) == dict(session.objects)


def test_another_model_predicts_from_the_same_prompts_under_the_same_ids(journal, discs):
    path, session = journal
    again = Session.replay(path, IMAGE, segmenter=Smaller(discs))
    assert again.objects.keys() == session.objects.keys()
    for label, record in again.objects.items():
        assert record.model == "smaller"
        assert record.model_hash == "5a11"
        asked = [part.prompts.points for part in record.parts]
        assert asked == [part.prompts.points for part in session.objects[label].parts]
    assert (again.labels != session.labels).any()
    assert (again.labels == 6).sum() < (session.labels == 6).sum()


def test_what_the_hand_did_last_holds_whatever_a_model_says(tmp_path, discs):
    session = Session(IMAGE, axes="ZYX", segmenter=discs, journal=tmp_path / "a.jsonl")
    session.add_point((0, 8, 8))
    session.accept()
    painted, erased = np.zeros((2, *SHAPE), bool)
    painted[0, 30:34, 30:34] = erased[0, 6:10, 6:8] = True
    session.brush(painted, 1)
    session.brush(erased, 0)
    session.add_point((0, 40, 40))
    session.accept()
    wide = Smaller(discs)
    wide.predict_prompts = lambda embedding, prompts: Prediction.of(
        np.ones((1, 48, 56), bool), np.ones(1, np.float32), np.zeros((1, 1, 1), np.float32), 0
    )
    session.journal.file.close()
    again = Session.replay(tmp_path / "a.jsonl", IMAGE, segmenter=wide)
    assert (again.labels[painted] == 1).all()
    assert (again.labels[erased] == 0).all(), "although a mask that was accepted later covers it"


def test_objects_that_another_model_does_not_find_cost_no_other(journal, discs):
    path, session = journal
    blind = Smaller(discs, blind=[(8.0, 8.0), (20.5, 20.25)])
    again = Session.replay(path, IMAGE, segmenter=blind)
    assert set(again.missing) == {1, 2}
    assert again.objects.keys() >= session.objects.keys() - {1}
    assert (again.labels == 1).any(), "what was painted by hand is there"


def test_everything_is_found_again_also_by_a_script(tmp_path):
    coins = skimage.data.coins()[:120, :160]
    session = Session(coins, journal=tmp_path / "a.jsonl")
    session.add_point((45, 105))
    session.accept()
    labels = session.segment_everything(points_per_side=6, min_score=0.3, min_stability=0.3)
    assert len(labels) > 2
    session.delete(labels[1])
    session.merge(1, labels[0])
    again = Session.replay(tmp_path / "a.jsonl", coins)
    np.testing.assert_array_equal(again.labels, session.labels)
    assert dict(again.objects) == dict(session.objects)
    tifffile.imwrite(tmp_path / "coins.tif", coins)
    script = tmp_path / "script.py"
    script.write_text(session.to_script(tmp_path / "coins.tif"), encoding="utf-8")
    assert "points_per_side=6" in session.to_script()
    run(script, tmp_path / "coins.tif", tmp_path / "o.tif")
    np.testing.assert_array_equal(read_labels(tmp_path / "o.tif").labels, session.labels)


def test_another_model_finds_everything_at_the_same_points(tmp_path, tiny_model_folder, discs):
    session = Session(IMAGE, axes="ZYX", segmenter=Segmenter(tiny_model_folder))
    easy = {"min_score": -9.0, "min_stability": 0.0, "min_size": 4, "max_size": 4000}
    labels = session.segment_everything([(0,), (1,)], points_per_side=4, overlap=1.0, **easy)
    session.journal.write_to(tmp_path / "a.jsonl")
    again = Session.replay(tmp_path / "a.jsonl", IMAGE, segmenter=Smaller(discs))
    assert set(again.objects) | set(again.missing) == set(labels)
    assert all(record.model == "smaller" for record in again.objects.values())


def test_a_propagation_is_followed_again_also_by_a_script(tmp_path, tiny_model_folder):
    session = Session(
        IMAGE, axes="ZYX", journal=tmp_path / "a.jsonl", model=tiny_model_folder
    )  # fmt: skip
    session.add_box((1, 10, 10), (1, 30, 30))
    (label,) = session.accept()
    easy = Limits(min_score=-9.0, min_overlap=0.0, max_growth=1e9)
    report = session.propagate(label, limits=easy)
    assert report.planes > 0
    session.brush(np.ones((1, 3, 3), bool), 7, (2, 0, 0))
    back = Session.restore(tmp_path / "a.jsonl", IMAGE, resume=False)
    again = Session.replay(tmp_path / "a.jsonl", IMAGE)
    for one in (back, again):
        np.testing.assert_array_equal(one.labels, session.labels)
        assert dict(one.objects) == dict(session.objects)
    tifffile.imwrite(
        tmp_path / "image.tif", IMAGE, metadata={"axes": "ZYX"}, photometric="minisblack"
    )
    script = tmp_path / "script.py"
    script.write_text(session.to_script(tmp_path / "image.tif"), encoding="utf-8")
    assert "s.propagate([1], 'Z', (0, 3), limits=Limits(" in session.to_script()
    run(script, tmp_path / "image.tif", tmp_path / "o.tif")
    np.testing.assert_array_equal(read_labels(tmp_path / "o.tif").labels, session.labels)
    back.undo()
    back.undo()
    assert (back.labels == label).any(axis=(1, 2)).tolist() == [False, True, False]


def test_steps_that_no_replay_knows_are_written_as_they_were(tmp_path, discs):
    session = Session(IMAGE, axes="ZYX", segmenter=discs, journal=tmp_path / "a.jsonl")
    growing = Growing()
    for z in range(3):
        with session._change("something later", growing) as change:
            change.write((z, slice(4), slice(4)), np.ones((4, 4), bool), 5)
    again = Session.replay(tmp_path / "a.jsonl", IMAGE, segmenter=Smaller(discs))
    np.testing.assert_array_equal(again.labels, session.labels)


def test_a_journal_is_replayed_on_another_image_of_its_shape(journal, discs):
    path, session = journal
    again = Session.replay(path, IMAGE[::-1], segmenter=discs)
    np.testing.assert_array_equal(again.labels, session.labels)
    with pytest.raises(JournalError, match="shape"):
        Session.replay(path, IMAGE[:, :-1], segmenter=discs)


def run(script, *arguments):
    """Run a script in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        capture_output=True, text=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def test_the_script_does_the_same_in_another_process(tmp_path, tiny_model_folder):
    session = worked(Segmenter(tiny_model_folder))
    tifffile.imwrite(
        tmp_path / "Bild µ.tif", IMAGE, metadata={"axes": "ZYX"}, photometric="minisblack"
    )
    script = tmp_path / "do it again.py"
    script.write_text(session.to_script(tmp_path / "Bild µ.tif"), encoding="utf-8")
    run(script, tmp_path / "Bild µ.tif", tmp_path / "again.ome.tif")
    session.save(tmp_path / "here.ome.tif")
    here, again = (read_labels(tmp_path / f"{name}.ome.tif") for name in ("here", "again"))
    np.testing.assert_array_equal(again.labels, here.labels)
    assert (again.scale, again.units, again.axes) == (here.scale, here.units, here.axes)


def test_the_script_of_the_bundled_model_is_plain_and_does_the_same(tmp_path):
    coins = skimage.data.coins()[:120, :160]
    tifffile.imwrite(tmp_path / "coins.tif", coins)
    session = Session(coins)
    for point in ((45.0, 105.0), (45.5, 45.0), (90.0, 50.0)):
        session.add_point(point)
        session.accept()
    text = session.to_script(tmp_path / "coins.tif", str(tmp_path / "out.ome.tif"))
    calls = [line for line in text.splitlines() if line.startswith("s.")]
    assert calls[:2] == ["s.add_point((45, 105))", "s.accept()"]
    assert calls[2] == "s.add_point((45.5, 45))"
    (tmp_path / "script.py").write_text(text, encoding="utf-8")
    run(tmp_path / "script.py")
    np.testing.assert_array_equal(read_labels(tmp_path / "out.ome.tif").labels, session.labels)


def test_a_script_that_began_with_labels_reads_them(tmp_path, tiny_model_folder):
    labels = np.zeros(SHAPE, np.uint8)
    labels[1, 2:6, 2:6] = 9
    tifffile.imwrite(
        tmp_path / "before labels.tif", labels, metadata={"axes": "ZYX"}, photometric="minisblack"
    )
    tifffile.imwrite(
        tmp_path / "image.tif", IMAGE, metadata={"axes": "ZYX"}, photometric="minisblack"
    )
    session = Session(IMAGE, axes="ZYX", segmenter=Segmenter(tiny_model_folder), labels=labels)
    session.reopen(9, PlaneIndex("YX", (1,)))
    session.add_point((1, 5, 5))
    session.overwrite = True
    session.accept()
    script = tmp_path / "script.py"
    script.write_text(
        session.to_script(
            tmp_path / "image.tif", str(tmp_path / "o.tif"), str(tmp_path / "before labels.tif")
        ),
        encoding="utf-8",
    )
    run(script)
    np.testing.assert_array_equal(read_labels(tmp_path / "o.tif").labels, session.labels)
