"""A long session needs no more memory than a short one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from samari.engine.answers import AnswerTable
from samari.engine.embedding import EmbeddingCache
from samari.engine.predict import Segmenter
from samari.engine.session import Session


def resident() -> int:
    """Return the memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_planes_of_a_session(soak, figure, monkeypatch):
    """With the caches full, a plane more costs its line of the history and of the journal."""
    # So small that all are full after some planes: of embeddings, of what clicks on one have in
    # common, of steps, and of answers.
    monkeypatch.setattr("samari.engine.decoding.IMAGE_BYTES", 2**20)
    monkeypatch.setattr("samari.engine.decoding.STEP_BYTES", 2**20)
    monkeypatch.setattr(AnswerTable.__init__, "__defaults__", (2**20,))
    count = soak(60, 1000)
    rng = np.random.default_rng(0)

    class Stack:
        """Planes that are made when they are read."""

        shape, dtype, ndim = (count, 96, 96), np.dtype(np.uint8), 3

        def __getitem__(self, key):
            z, rows, cols = key
            y, x = np.indices((96, 96))
            disc = (y - 48) ** 2 + (x - 40 - z % 20) ** 2 < 100
            noise = np.random.default_rng(z).integers(0, 40, (96, 96))
            return (noise + 150 * disc).astype(np.uint8)[rows, cols]

    model = Segmenter("samari-tiny", device="cpu", cache=EmbeddingCache(2**20))
    labels = np.empty((count, 96, 96), np.uint16)
    labels[...] = 0  # so that its pages are there from the beginning
    session = Session(Stack(), segmenter=model, labels=labels, axes="ZYX", contrast_limits=(0, 255))
    used = []
    for z in range(count):
        session.add_point((z, 48 + rng.uniform(-2, 2), 40 + z % 20))
        session.accept()
        if z % 10 == 0:
            used.append(resident())
    assert len(session.objects) > 0.9 * count
    later = np.array(used[len(used) // 2 :], float)
    slope = np.polyfit(10 * np.arange(len(later)), later, 1)[0]
    figure(f"memory of one more plane of {count}", slope / 1e3, "kB")
    # An embedding has 74 kB, an answer with what it is made of 60 kB. In a short run the memory
    # that Python and torch take now and then is more than that of the planes.
    assert slope < soak(200e3, 20e3)
