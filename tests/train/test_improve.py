"""What is read of a session to learn from; the rest is in tests/plugin/test_improve.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from samari.engine.predict import Segmenter
from samari.engine.session import Session
from samari.engine.steps import result_of
from samari.errors import InputError
from samari.train.improve import samples_of

if TYPE_CHECKING:
    from pathlib import Path


def test_labels_below_zero_are_refused(tiny_model_folder: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 40), np.uint8)
    labels = np.full((30, 40), -1, np.int16)
    labels[5:15, 5:15] = 1
    session = Session(image, labels=labels, segmenter=Segmenter(tiny_model_folder))
    with pytest.raises(InputError, match="hold -1"):
        result_of(samples_of(session, [session.planes.plane_at((0, 0), "YX")]))
