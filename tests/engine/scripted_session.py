"""A session of many steps for a program that is killed: ``python scripted_session.py JOURNAL``.

Prints the number of each step once it is done. The same steps without a journal tell what must
have come back.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from samari.engine.prediction import Prediction
from samari.engine.session import Session

STEPS = 250
SHAPE = (4, 96, 96)


class Squares:
    """A model that finds a square around the last point, or fills the box."""

    model_name = "squares"
    model_hash = "5c"
    picture_size = 1 << 20
    zoom_size = 0

    def encode_steps(self, rgb: Any) -> Any:
        yield 1, 1
        return rgb

    def predict_prompts(self, embedding: Any, prompts: Any) -> Prediction:
        masks = np.zeros((3, *embedding.shape[:2]), bool)
        for k, reach in enumerate((2, 5, 3)):
            if prompts.points:
                y, x = (round(value) for value in prompts.points[-1])
                masks[k, max(0, y - reach) : y + reach, max(0, x - reach) : x + reach] = True
            else:
                y0, x0, y1, x1 = (round(value) for value in prompts.box)
                masks[k, y0 : y1 - k, x0:x1] = True
        scores = np.array([0.5, 0.75, 0.25], np.float32)
        choice = prompts.choice(prompts.n_steps - 1)
        logits = np.zeros((3, 1, 1), np.float32)
        return Prediction.of(masks, scores, logits, 1 if choice is None else choice)


def opened(journal: str | None) -> Session:
    """Begin the session, on labels that hold something already."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[2, :9, :9] = 4
    image = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 251
    return Session(
        image.astype(np.uint8), axes="ZYX", labels=labels, journal=journal, segmenter=Squares()
    )


def step(session: Session, k: int) -> None:
    """Do the k-th step: accept, paint, merge, delete, reopen, undo and redo."""
    random = np.random.default_rng(k)
    z, y, x = (int(random.integers(0, n)) for n in (SHAPE[0], SHAPE[1] - 12, SHAPE[2] - 12))
    there = sorted(np.unique(session.labels).tolist())[1:]
    what = int(random.integers(0, 12))
    session.overwrite = k % 3 == 0
    if what == 1 and len(there) > 9:
        session.merge(there[0], there[-1])
    elif what == 2 and len(there) > 5:
        session.delete(there[k % len(there)])
    elif what in (3, 4):
        session.brush(random.random((1, 7, 9)) > 0.4, int(random.integers(0, 300)), (z, y, x))
    elif what == 5:
        session.undo()
    elif what == 6 and session.history.can_redo:
        session.redo()
    elif what == 7 and session.objects:
        session.discard()
        session.reopen(list(session.objects)[k % len(session.objects)])
        session.overwrite = True
        session.accept()
    else:
        session.discard()
        session.overwrite = True
        session.add_box((z, y, x), (z, y + 4 + what, x + 5))
        session.add_box((z, y + 1, x + 7), (z, y + 9, x + 11))
        session.accept()


if __name__ == "__main__":
    running = opened(sys.argv[1])
    for number in range(STEPS):
        step(running, number)
        print(number, flush=True)
