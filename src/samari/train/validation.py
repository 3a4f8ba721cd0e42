"""Looks at validation images during a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.frames import FrameRule
from samari.errors import InputError
from samari.sam.config import SamConfig
from samari.sam.model import SamModel
from samari.train.lessons import lessons_of
from samari.train.trial import try_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from samari.train.data import Sample


class Validation:
    """Pictures of validation images, the same ones at every look.

    The figures are those of `samari.train.trial`, in the model's resolution and without the
    engine's corrections: good for comparing the steps of a run, and no others.

    Parameters
    ----------
    model : dict
        As in a training config.
    samples : sequence of Sample
        Validation images of one or more data sets.
    pictures : int
        At most so many of each set.
    """

    def __init__(self, model: dict[str, Any], samples: Sequence[Sample], pictures: int = 8) -> None:
        self._model = SamModel(SamConfig.from_dict(model)).eval()
        self._model.limit_attention(FrameRule.of(self._model.config).reach)
        rng = np.random.default_rng(0)
        sets: dict[str, list[Sample]] = {}
        for sample in samples:
            sets.setdefault(sample.dataset, []).append(sample)
        self._lessons = {}
        for name, members in sets.items():
            every = max(1.0, len(members) / pictures)
            chosen = [members[int(i * every)] for i in range(min(pictures, len(members)))]
            self._lessons[name] = lessons_of(self._model, chosen, rng, pictures)
        if not self._lessons:
            raise InputError("there are no validation images")
        for name, lessons in self._lessons.items():
            # Before hours of training, and not after: `try_out` needs both.
            if not (any(one.clicked for one in lessons) and any(one.boxed for one in lessons)):
                raise InputError(
                    f"no object of {name} is both clicked on and boxed in the {pictures} pictures "
                    "of a look; set a higher val_images, or leave the set out"
                )

    def look(self, weights: Mapping[str, torch.Tensor]) -> dict[str, dict[str, float]]:
        """Return the mean IoU from ``click`` and ``box`` of every data set.

        Parameters
        ----------
        weights : mapping of str to Tensor
            Of the whole network.
        """
        self._model.load_state_dict(weights)
        found = {}
        for name, lessons in self._lessons.items():
            looks = try_out(self._model, lessons, None, keep=False)
            while True:
                try:
                    next(looks)
                except StopIteration as end:
                    found[name] = {"click": end.value.click, "box": end.value.box}
                    break
        return found
