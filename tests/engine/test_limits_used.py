"""A session goes on, and is done again, with the contrast limits that were really in force.

Where none are given, those of a large plane come from a part of it on disk and from all of it in
memory: a replay must not depend on where the image lies.
"""

from __future__ import annotations

import numpy as np
import pytest

from samari.engine import stack_limits
from samari.engine.predict import Segmenter
from samari.engine.session import Session

pytestmark = pytest.mark.usefixtures("precision_of_users")


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Give one image twice, in memory and on disk; its limits differ."""
    for name, value in (("LARGE_PLANE", 100), ("WINDOW", 4), ("GRID", 2)):
        monkeypatch.setattr(stack_limits, name, value)
    image = np.random.default_rng(4).integers(0, 4000, (3, 48, 56)).astype(np.uint16)
    image = (image * np.linspace(0.1, 3, 56) ** 2).astype(np.uint16)
    np.save(tmp_path / "image.npy", image)
    on_disk = np.load(tmp_path / "image.npy", mmap_mode="r")
    limits = [Session(one, axes="ZYX").planes.contrast_limits for one in (image, on_disk)]
    assert limits[0] != limits[1]
    return image, on_disk


def worked(image, segmenter, path):
    session = Session(image, axes="ZYX", segmenter=segmenter, journal=path)
    session.brush(np.ones((1, 3, 4), bool), 9, (2, 5, 5))
    session.add_box((1, 8, 8), (1, 30, 30))
    session.accept()
    session.add_point((1, 35, 40))
    session.accept()
    return session


def test_a_replay_is_the_same_wherever_the_image_lies(places, tmp_path, tiny_model_folder):
    segmenter = Segmenter(tiny_model_folder)
    for k, image in enumerate(places):
        session = worked(image, segmenter, tmp_path / f"{k}.jsonl")
        used = session.planes.contrast_limits
        for other in places:
            again = Session.replay(tmp_path / f"{k}.jsonl", other, segmenter=segmenter)
            assert again.planes.contrast_limits == used
            np.testing.assert_array_equal(again.labels, session.labels)
            assert dict(again.objects) == dict(session.objects)


def test_a_restored_session_goes_on_with_them_and_a_script_names_them(places, tmp_path, discs):
    image, on_disk = places
    session = worked(image, discs, tmp_path / "a.jsonl")
    used = session.planes.contrast_limits
    back = Session.restore(tmp_path / "a.jsonl", on_disk, segmenter=discs, resume=False)
    assert back.planes.contrast_limits == used
    back.add_point((0, 20, 20))
    (label,) = back.accept()
    assert back.objects[label].contrast_limits == used
    for one in (session, back):
        assert f"    contrast_limits={used!r},\n" in one.to_script()


def test_another_image_has_limits_of_its_own(places, tmp_path, discs):
    image, _ = places
    worked(image, discs, tmp_path / "a.jsonl")
    other = image // 2
    again = Session.replay(tmp_path / "a.jsonl", other, segmenter=discs)
    assert again.planes.contrast_limits == Session(other, axes="ZYX").planes.contrast_limits


def test_limits_that_nobody_used_are_found_anew(places, tmp_path, discs):
    image, on_disk = places
    session = Session(image, axes="ZYX", segmenter=discs, journal=tmp_path / "a.jsonl")
    session.brush(np.ones((1, 3, 4), bool), 9, (2, 5, 5))
    back = Session.restore(tmp_path / "a.jsonl", on_disk, segmenter=discs, resume=False)
    assert back.planes.contrast_limits == Session(on_disk, axes="ZYX").planes.contrast_limits
    assert "contrast_limits" not in session.to_script()
