"""Batches by number: batch k of a run is a function of the config, the data and k alone.

That makes a resumed run see what an unbroken one would have, and lets a worker process prepare
batches ahead of the optimiser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from samari.train.data import CropSampler, Sample
from samari.train.pretrain import dense_targets
from samari.train.synthetic import synthetic_sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from samari.train.config import TrainConfig


@dataclass(frozen=True)
class Batch:
    """Crops of one step.

    Attributes
    ----------
    step : int
    images : Tensor of uint8, shape (B, 3, S, S)
    labels : Tensor of int32, shape (B, S, S)
    dense : Tensor of float32, shape (B, 4, S / stride, S / stride), or None
        Targets of `samari.train.pretrain` where the stage wants them.
    """

    step: int
    images: torch.Tensor
    labels: torch.Tensor
    dense: torch.Tensor | None = None


def synthetic_samples(
    count: int, seed: int = 0, cache: Path | None = None, size: int = 256
) -> list[Sample]:
    """Make ``count`` synthetic pictures, or read them from ``cache`` if they are there."""
    if cache is not None and cache.is_file():
        with np.load(cache) as held:
            images, labels = held["images"], held["labels"]
        if len(images) == count:
            return [
                Sample(image, label.astype(np.int32), "synthetic", "synthetic", f"s/{i}", f"s/{i}")
                for i, (image, label) in enumerate(zip(images, labels, strict=True))
            ]
    samples = [synthetic_sample(seed * 1_000_003 + i, size) for i in range(count)]
    if cache is not None and samples:
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            cache,
            images=np.stack([sample.image for sample in samples]),
            labels=np.stack([sample.labels for sample in samples]).astype(np.uint16),
        )
    return samples


class BatchStream(IterableDataset[Batch]):
    """Yields `Batch` for every step from ``start`` to the end of the run."""

    def __init__(
        self, config: TrainConfig, samples: Sequence[Sample], start: int = 0, rank: int = 0
    ) -> None:
        self._config = config
        self._rank = rank
        self._sampler = CropSampler(samples, config.weights, config.scale)
        self._start = start

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches in order; with several workers each takes every n-th step."""
        info = torch.utils.data.get_worker_info()
        first, every = (0, 1) if info is None else (info.id, info.num_workers)
        for step in range(self._start + first, self._config.total, every):
            yield self.batch(step)

    def batch(self, step: int) -> Batch:
        """Return the batch of one step."""
        stage = self._config.stage_at(step)[1]
        rng = np.random.default_rng([self._config.seed, step, self._rank])
        crops = [self._sampler.draw(rng, stage.crop) for _ in range(stage.images)]
        images = np.stack([crop.image for crop in crops]).transpose(0, 3, 1, 2)
        labels = np.stack([crop.labels for crop in crops])
        dense = None
        if stage.dense:
            stride = self._config.mask_stride
            dense = torch.from_numpy(np.stack([dense_targets(lab, stride) for lab in labels]))
        return Batch(
            step, torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels), dense
        )


def open_stream(
    config: TrainConfig, samples: Sequence[Sample], start: int, workers: int, rank: int = 0
) -> Iterator[Batch]:
    """Return the batches from ``start`` on, prepared by ``workers`` processes (0: this one)."""
    stream = BatchStream(config, samples, start, rank)
    if workers == 0:
        return iter(stream)
    loader: DataLoader[Batch] = DataLoader(
        stream, batch_size=None, num_workers=workers, prefetch_factor=4
    )
    return iter(loader)
