"""The training loop: batch after batch, with a log, checkpoints, and looks at validation data."""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from samari.train import parallel
from samari.train.stream import open_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from samari.train.data import Sample
    from samari.train.trainer import Trainer
    from samari.train.validation import Validation

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"


def train(
    trainer: Trainer,
    samples: Sequence[Sample],
    out: Path,
    *,
    workers: int = 0,
    save_every: float = 120.0,
    log_every: int = 20,
    stop: Callable[[], bool] | None = None,
    validation: Validation | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Trainer:
    """Train to the end of the config's stages.

    Parameters
    ----------
    trainer : Trainer
        Fresh or loaded.
    samples : sequence of Sample
        Training samples, the generator's included.
    out : Path
        Gets ``checkpoint.pt`` and ``log.jsonl``.
    workers : int
        Processes that prepare batches; 0 prepares them in this one.
    save_every : float
        Seconds between checkpoints.
    log_every : int
        Steps that are averaged into a line of the log.
    stop : callable, optional
        Asked after every step; True saves a checkpoint and returns.
    validation : Validation, optional
        Looks at the averaged weights every ``val_every`` steps of the config and after the last
        one; what it finds is in the log.
    progress : callable, optional
        Takes (steps done, steps in all) after every step.

    Returns
    -------
    Trainer
        The same one.
    """
    config = trainer.config
    if config.threads:
        torch.set_num_threads(config.threads)
    out.mkdir(parents=True, exist_ok=True)
    saved = time.monotonic()
    sums: dict[str, list[float]] = {}
    began = saved
    for batch in open_stream(config, samples, trainer.step, workers, parallel.rank()):
        for name, value in trainer.train_step(batch).items():
            sums.setdefault(name, []).append(value)
        if parallel.rank():
            continue
        now = time.monotonic()
        if trainer.step % log_every == 0:
            pace = (now - began) / log_every
            _log(out, trainer.step, config.total, pace, sums)
            began, sums = now, {}
        halt = stop is not None and stop()
        if halt or now - saved > save_every:
            trainer.save(out / CHECKPOINT)
            saved = now
        if validation is not None and config.validates_at(trainer.step):
            _log_validation(out, trainer.step, validation.look(trainer.ema))
            began += time.monotonic() - now  # a look is no part of a step
        if progress is not None:
            progress(trainer.step, config.total)
        if halt:
            return trainer
    if not parallel.rank():
        trainer.save(out / CHECKPOINT)
    return trainer


def _log(out: Path, step: int, total: int, pace: float, sums: dict[str, list[float]]) -> None:
    means = {name: float(np.mean(values)) for name, values in sums.items()}
    _write(out, {"step": step, "seconds_per_step": round(pace, 3), **means})
    text = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
    logger.info("%d/%d  %.2f s/step  %s", step, total, pace, text)


def _log_validation(out: Path, step: int, found: dict[str, dict[str, float]]) -> None:
    _write(out, {"step": step, "validation": found})
    for name, figures in found.items():
        text = "  ".join(f"{measure} {value:.4f}" for measure, value in figures.items())
        logger.info("%d  validation, %s: %s", step, name, text)


def _write(out: Path, line: dict[str, Any]) -> None:
    with (out / LOG).open("a+b") as stream:
        # A run that was killed while it wrote has left a line without an end.
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                stream.write(b"\n")
        stream.write(json.dumps(line).encode() + b"\n")
