"""Rehearsal: pictures of the generator among the user's, so that a model keeps what it knew.

A network that learns from one kind of picture forgets the others. The pictures that it learnt from
are not here, but the generator is: on its pictures the objects are asked for as on the user's, and
the encoder is held near to what it made of them before. Sources: Robins 1995, "Catastrophic
forgetting, rehearsal and pseudorehearsal"; Li and Hoiem 2016, "Learning without forgetting".
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

import torch

from samari.train.data import Sample
from samari.train.lessons import LessonBook
from samari.train.synthetic import synthetic_sample

if TYPE_CHECKING:
    import numpy as np

    from samari.sam.model import SamModel
    from samari.train.lessons import Lesson

#: Pictures of the generator.
_PICTURES = 64


class _Generated(Sequence[Sample]):
    """The generator's pictures, made when they are asked for."""

    def __init__(self, seed: int) -> None:
        self._first = 7_000_003 + seed * _PICTURES

    def __len__(self) -> int:
        return _PICTURES

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        numbers = range(self._first, self._first + _PICTURES)[index]
        if isinstance(numbers, range):
            return [synthetic_sample(number) for number in numbers]
        return synthetic_sample(numbers)


class Rehearsal:
    """The generator's pictures, and what the encoder made of them before it learnt.

    Parameters
    ----------
    model : SamModel
        As it is before the first step.
    learns : bool
        Whether its encoder will learn. It is copied then.
    seed : int
    """

    def __init__(self, model: SamModel, *, learns: bool, seed: int = 0) -> None:
        self._book = LessonBook(model, _Generated(seed), seed=seed)
        self._before = copy.deepcopy(model.vision_encoder) if learns else None
        self._known: dict[Lesson, torch.Tensor] = {}

    def draw(self, rng: np.random.Generator) -> Lesson:
        """Return a picture to rehearse."""
        return self._book.draw(rng)

    def drift(self, lesson: Lesson, features: torch.Tensor) -> torch.Tensor:
        """Return how far features are from those before: squared distance by squared size.

        Parameters
        ----------
        lesson : Lesson
            From `draw`, whole.
        features : Tensor, shape (1, C, h, w)
            What the encoder makes of it now.
        """
        if self._before is None:
            return features.new_zeros(())
        if lesson not in self._known:
            with torch.no_grad():
                self._known[lesson] = self._before(lesson.pixels).last_hidden_state
        known = self._known[lesson]
        return (features - known).square().mean() / known.square().mean()
