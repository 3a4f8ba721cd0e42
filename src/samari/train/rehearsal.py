"""Rehearsal: pictures of the generator among the user's, so that a model keeps what it knew.

A network that learns from one kind of picture forgets the others. The pictures that it learnt from
are not here, but the generator is: on its pictures the objects are asked for as on the user's, and
the encoder is held near to what it made of them before. Sources: Robins 1995, "Catastrophic
forgetting, rehearsal and pseudorehearsal"; Li and Hoiem 2016, "Learning without forgetting".
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, TypeVar

from samari.engine.frames import FrameRule
from samari.train.lessons import LessonBook, encoded
from samari.train.synthetic import synthetic_sample

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy as np
    import torch

    from samari.sam.model import SamModel
    from samari.train.data import Sample
    from samari.train.lessons import Lesson

T = TypeVar("T")
#: Pictures of the generator, and of them, turned and mirrored, that are kept in memory.
_PICTURES, _KEPT = 32, 48


class _Generated:
    """The generator's pictures, made when they are asked for."""

    def __init__(self, seed: int) -> None:
        self._first = 7_000_003 + seed * _PICTURES

    def __len__(self) -> int:
        return _PICTURES

    def __getitem__(self, number: int) -> Sample:
        return synthetic_sample(self._first + number)


class Rehearsal:
    """The generator's pictures, and what the encoder made of them before it learnt.

    Parameters
    ----------
    model : SamModel
        As it is before the first step.
    window : int
        Rows and columns of a picture at most, in pixels of the frame; 0: any number.
    method : str
        How it will learn (`samari.train.finetune.FinetuneConfig`). With ``full`` its encoder is
        copied; with ``lora`` the weights stay as they are under the changes, and are shared.
    seed : int
    """

    def __init__(self, model: SamModel, *, window: int, method: str, seed: int = 0) -> None:
        self._book = LessonBook(model, _Generated(seed), seed=seed, most=_KEPT)
        self._window, self._patch = window, FrameRule.of(model.config).patch
        encoder = model.vision_encoder
        shared = {id(p): p for p in encoder.parameters()} if method == "lora" else {}
        self._before = None if method == "decoder" else copy.deepcopy(encoder, shared)
        self._parts: dict[Lesson, Lesson] = {}
        self._known: dict[Lesson, torch.Tensor] = {}

    def draw(self, rng: np.random.Generator) -> Lesson:
        """Return a picture to rehearse: of a large one the same part each time."""
        whole = self._book.draw(rng)
        if not self._window:
            return whole
        if whole not in self._parts:
            self._parts[whole] = whole.window(self._window, self._patch, rng)
        return self._parts[whole]

    def recall(self, lesson: Lesson, tell: T) -> Generator[T, None, torch.Tensor | None]:
        """Return what the encoder made of a picture before it learnt, computed once.

        Parameters
        ----------
        lesson : Lesson
            From `draw`.
        tell : object
            Yielded after every block, so that a caller can stop or serve others.

        Returns
        -------
        Tensor of float32, shape (1, C, h, w), or None
            None where the encoder does not learn.
        """
        if self._before is None:
            return None
        if lesson not in self._known:
            self._known[lesson] = yield from encoded(self._before, lesson.pixels, tell)
        return self._known[lesson]


def drift(features: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return how far features are from those before: squared distance by squared size.

    Parameters
    ----------
    features, known : Tensor of float32, shape (1, C, h, w)

    Returns
    -------
    Tensor of float32, scalar
    """
    return (features - known).square().mean() / known.square().mean().clamp_min(1e-12)
