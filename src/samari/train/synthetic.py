"""Synthetic microscopy: shapes with known outlines, rendered as several kinds of microscope would.

A picture is a layout (`synthetic_layouts`: cells, rods, tissue, fibres, rings, yeast) with a look
(`synthetic_looks`: fluorescence, phase contrast, DIC, electron microscopy, stain). What is labelled
in it is one level of what is seen: the objects, mostly; the parts in them; or groups of those that
touch. So a click may mean one or the other, which is what three candidates are for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from samari.train.data import Sample, stretch
from samari.train.synthetic_layouts import LAYOUTS, draw_groups, draw_labels, draw_parts
from samari.train.synthetic_looks import LOOKS, render

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: How often each layout is drawn, and each look on it where that is not as for cells.
_LAYOUTS = (0.27, 0.24, 0.13, 0.17, 0.05, 0.07, 0.07)
_LOOKS = (0.4, 0.12, 0.16, 0.08, 0.14, 0.1)
_LOOKS_ON = {
    "tissue": (0.1, 0.4, 0.05, 0.45, 0.0, 0.0),
    "fibres": (0.55, 0.0, 0.1, 0.25, 0.0, 0.1),
    "rings": (0.3, 0.0, 0.1, 0.5, 0.0, 0.1),
    "yeast": (0.3, 0.1, 0.3, 0.0, 0.0, 0.3),
}
#: Share of the pictures of such layouts that show parts in the objects; share of those whose parts
#: are labelled; share of pictures without parts whose groups are.
_WITH_PARTS = {"cells": 0.35, "crowd": 0.35, "tissue": 0.3}
_PARTS, _GROUPS = 0.4, 0.06


def synthetic_sample(seed: int, size: int = 256) -> Sample:
    """Make one labelled picture; the same seed gives the same picture.

    Parameters
    ----------
    seed : int
    size : int
        Height and width in pixels.

    Returns
    -------
    Sample
        Of data set ``synthetic``; its modality is the look.
    """
    rng = np.random.default_rng([seed, 20260])
    layout = LAYOUTS[rng.choice(len(LAYOUTS), p=_LAYOUTS)]
    look = LOOKS[rng.choice(len(LOOKS), p=_LOOKS_ON.get(layout, _LOOKS))]
    labels = draw_labels(rng, size, layout)
    shown: NDArray[np.int32] | None = None
    if rng.random() < _WITH_PARTS.get(layout, 0):
        shown = draw_parts(rng, labels)
    image = render(rng, labels, look, shown)
    if shown is not None and shown.any():
        if rng.random() < _PARTS:
            labels = shown
    elif rng.random() < _GROUPS:
        labels = draw_groups(labels)
    return Sample(stretch(image), labels, "synthetic", look, f"synthetic/{seed}", f"s/{seed}")
