"""A propagation in the journal: restored as it was, done again with another model, as a script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from samari.engine.predict import Segmenter
from samari.engine.propagate import Limits
from samari.engine.session import Session

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter("samari-tiny")


@pytest.fixture
def image() -> Any:
    """A bright column in planes 1 to 4 of 6, on noise."""
    rng = np.random.default_rng(1)
    image = rng.normal(40, 4, (6, 32, 40))
    image[1:5, 8:24, 10:28] += 150
    return np.clip(image, 0, 255).astype(np.uint8)


def annotated(image: Any, segmenter: Segmenter, **options: Any) -> Session:
    session = Session(image, axes="ZYX", segmenter=segmenter, contrast_limits=(0, 255), **options)
    session.add_box((2, 7.5, 9.5), (2, 23.5, 27.5))
    session.accept()
    return session


def test_it_is_restored_pixel_by_pixel_with_its_confidences(
    image: Any, segmenter: Segmenter, tmp_path: Path
) -> None:
    session = annotated(image, segmenter, journal=tmp_path / "work.samari.jsonl")
    report = session.propagate(1)
    assert report.planes >= 3
    again = Session.restore(tmp_path / "work.samari.jsonl", image, resume=False)
    np.testing.assert_array_equal(again.labels, session.labels)
    assert again.objects[1].parts == session.objects[1].parts
    again.undo()
    assert np.flatnonzero((again.labels == 1).any(axis=(1, 2))).tolist() == [2]
    again.redo()
    np.testing.assert_array_equal(again.labels, session.labels)


def test_it_is_done_again_by_replay(image: Any, segmenter: Segmenter, tmp_path: Path) -> None:
    session = annotated(image, segmenter, journal=tmp_path / "work.samari.jsonl")
    session.propagate(1, range=(1, 5), limits=Limits(min_overlap=0.4))
    again = Session.replay(tmp_path / "work.samari.jsonl", image, segmenter=segmenter)
    np.testing.assert_array_equal(again.labels, session.labels)
    darker = image.copy()
    darker[3] = 40  # what the object is not on any more, it is not given
    other = Session.replay(tmp_path / "work.samari.jsonl", darker, segmenter=segmenter)
    assert not other.labels[3].any()
    assert other.labels[2].any()


def test_a_script_does_it_again_in_one_call(image: Any, segmenter: Segmenter) -> None:
    session = annotated(image, segmenter)
    session.propagate(1, limits=Limits(max_growth=2.0))
    script = session.to_script()
    (line,) = [line for line in script.splitlines() if "propagate(" in line]
    assert line.strip().startswith("s.propagate([1], 'Z', (0, 6), limits=Limits(")
    assert "max_growth=2.0" in line
    assert "from samari.engine.propagate import Limits" in script
    assert "s.brush" not in script


def test_a_cancelled_run_is_as_it_was_stored(
    image: Any, segmenter: Segmenter, tmp_path: Path
) -> None:
    session = annotated(image, segmenter, journal=tmp_path / "work.samari.jsonl")
    report = session.propagate(1, cancel=lambda: bool(session.labels[3].any()))
    assert report.cancelled
    assert "s.propagate" not in session.to_script()
    again = Session.replay(tmp_path / "work.samari.jsonl", image, segmenter=segmenter)
    np.testing.assert_array_equal(again.labels, session.labels)
