"""Pictures of which no model knows what is labelled on them: the upper halves of bright discs."""

from __future__ import annotations

import numpy as np

from samari.train.data import Sample


def domes(seed: int, shape: tuple[int, int] = (96, 96)) -> Sample:
    """Return discs in a grid of 48 pixels, moved a little, with their upper halves labelled."""
    rng = np.random.default_rng(seed)
    rows, cols = np.indices(shape)
    labels, bright = np.zeros(shape, np.int32), np.zeros(shape, bool)
    places = [(y, x) for y in range(24, shape[0] - 20, 47) for x in range(24, shape[1] - 20, 47)]
    for number, place in enumerate(places, start=1):
        y, x = np.array(place) + rng.integers(-4, 5, 2)
        disc = (rows - y) ** 2 + (cols - x) ** 2 <= rng.integers(13, 18) ** 2
        labels[disc & (rows < y)] = number
        bright |= disc
    grey = np.where(bright, 200, 40) + rng.normal(0, 5, shape)
    image = np.stack([np.clip(grey, 0, 255).astype(np.uint8)] * 3, axis=-1)
    return Sample(image, labels, "own", "own", str(seed), str(seed))
