"""Averaged weights: single steps of training are noisy; their mean is exported and tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable


@torch.no_grad()
def follow(
    average: Iterable[torch.Tensor], values: Iterable[torch.Tensor], step: int, decay: float
) -> None:
    """Bring exponential averages up to date, in place.

    Parameters
    ----------
    average, values : iterable of Tensor
        In the same order.
    step : int
        Steps made, from 1. The average of the first ones would remember the start, so the decay
        grows with them.
    decay : float
        What it grows to.
    """
    decay = min(decay, (1 + step) / (10 + step))
    for mean, value in zip(average, values, strict=True):
        mean.lerp_(value, 1 - decay)
