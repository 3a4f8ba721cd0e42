"""The training loop: stages, optimiser, averaged weights, checkpoints, log.

Everything that is random in a step is seeded by the step's number, so a run that was killed and
resumed ends with the weights of an unbroken one.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import distributed

from samari.engine.frames import PIXEL_MEAN, PIXEL_STD
from samari.errors import InputError
from samari.train.average import follow
from samari.train.build import build_model
from samari.train.config import TrainConfig
from samari.train.muon import Muon
from samari.train.pretrain import DenseHead, dense_loss
from samari.train.simulate import Simulation, choose_targets
from samari.train.stream import Batch, open_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from samari.sam.model import SamModel
    from samari.train.config import Stage
    from samari.train.data import Sample

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"


def normalise(images: torch.Tensor) -> torch.Tensor:
    """Map uint8 pixels (B, 3, H, W) to the network's float input (ImageNet mean and deviation)."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))
    return (images.float() - mean) / std


def share_gradients(parameters: Sequence[torch.nn.Parameter]) -> None:
    """Average gradients over the processes of a data-parallel run; alone, do nothing.

    A stage may leave parameters unused: they count as zero, alike in every process.
    """
    if not distributed.is_initialized():
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    sizes = [p.numel() for p in parameters]
    for parameter, mean in zip(parameters, flat.split(sizes), strict=True):
        parameter.grad = mean.view_as(parameter)


def join_processes() -> None:
    """Join the data-parallel run that torchrun started; alone, do nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        distributed.init_process_group("gloo")


def _rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


class Trainer:
    """Model, head, optimiser and averaged weights of one run.

    Parameters
    ----------
    config : TrainConfig

    Attributes
    ----------
    step : int
        Steps done.
    model : SamModel
    ema : dict of str to Tensor
        Exponential average of the model's weights; what is exported.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.step = 0
        self.model: SamModel = build_model(config.model, config.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed + 1)
            self.head = DenseHead(self.model.config.prompt_encoder_config.hidden_size)
        self.optimizers = self._optimizers()
        self.ema = {name: value.clone() for name, value in self.model.state_dict().items()}

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        # Weight decay on matrices only; the factor on the rate is kept in the group.
        hidden = _hidden_matrices(self.model) if self.config.optimizer == "muon" else set()
        encoder = {id(p) for p in self.model.vision_encoder.parameters()}
        groups: dict[tuple[bool, bool, bool], list[torch.nn.Parameter]] = {}
        for p in [*self.model.parameters(), *self.head.parameters()]:
            groups.setdefault((id(p) in hidden, id(p) in encoder, p.ndim > 1), []).append(p)
        found: dict[bool, list[dict[str, Any]]] = {}
        for (by_muon, inside, matrix), parameters in groups.items():
            decay = self.config.weight_decay if matrix else 0.0
            factor = 1.0 if inside else self.config.decoder_lr
            group = {"params": parameters, "weight_decay": decay, "factor": factor}
            found.setdefault(by_muon, []).append(group)
        made: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(found[False], lr=self.config.lr, betas=(0.9, 0.98))
        ]
        if True in found:
            made.append(Muon(found[True], lr=self.config.lr))
        return made

    @property
    def _param_groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def train_step(self, batch: Batch) -> dict[str, float]:
        """Make one optimiser step on a batch and return the figures to log.

        Raises
        ------
        InputError
            The batch belongs to another step, or the loss is not finite.
        """
        if batch.step != self.step:
            raise InputError(f"batch of step {batch.step} given at step {self.step}")
        stage = self.config.stage_at(self.step)[1]
        rate = self.config.lr_at(self.step)
        for group in self._param_groups:
            group["lr"] = rate * group["factor"]
        self.model.train()
        loss, figures = self._loss(batch, stage)
        if not torch.isfinite(loss):
            raise InputError(f"the loss is {float(loss)} at step {self.step}: lower the rate")
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        trained = [p for group in self._param_groups for p in group["params"]]
        share_gradients(trained)
        norm = torch.nn.utils.clip_grad_norm_(trained, self.config.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        follow(self.ema.values(), self.model.state_dict().values(), self.step, self.config.ema)
        return {"loss": float(loss.detach()), "norm": float(norm), "lr": rate, **figures}

    def _loss(self, batch: Batch, stage: Stage) -> tuple[torch.Tensor, dict[str, float]]:
        with torch.set_grad_enabled(not stage.freeze_encoder):
            embeddings = self.model.vision_encoder(normalise(batch.images)).last_hidden_state
        if batch.dense is None:
            return self._prompt_loss(embeddings, batch, stage)
        dense, figures = dense_loss(self.head(self.model, embeddings), batch.dense)
        if stage.loss == "dense":
            return dense, figures
        count = stage.prompted or len(embeddings)
        prompted, more = self._prompt_loss(embeddings[:count], batch, stage)
        return prompted + stage.dense_weight * dense, {**figures, **more}

    def _prompt_loss(
        self, embeddings: torch.Tensor, batch: Batch, stage: Stage
    ) -> tuple[torch.Tensor, dict[str, float]]:
        rng = np.random.default_rng([self.config.seed, batch.step, 1, _rank()])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        prompt = self.model.config.prompt_encoder_config
        room = (prompt.image_size - stage.crop) // prompt.patch_size
        # Un-padded images lie at the top left in use, and objects lie anywhere in them.
        offset = (int(rng.integers(room + 1)), int(rng.integers(room + 1)))
        labels = batch.labels[: len(embeddings)]
        targets = choose_targets(labels, stage.prompts, prompt.patch_size // 4, rng)
        return Simulation(
            self.model, embeddings, targets, stage, generator, grid_offset=offset
        ).run()

    def save(self, path: Path) -> None:
        """Write a checkpoint atomically: a kill leaves the old or the new one, never a part."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        torch.save(
            {
                "step": self.step,
                "config": self.config.to_dict(),
                "model": self.model.state_dict(),
                "head": self.head.state_dict(),
                "ema": self.ema,
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            },
            part,
        )
        os.replace(part, path)

    @classmethod
    def load(cls, path: Path, config: TrainConfig | None = None) -> Trainer:
        """Read a checkpoint.

        Parameters
        ----------
        path : Path
        config : TrainConfig, optional
            Replaces the stored one, for instance with other stages ahead; the model must fit.
        """
        state = read_checkpoint(path)
        trainer = cls(config or TrainConfig.from_dict(state["config"]))
        trainer.take_weights(state)
        trainer.step = int(state["step"])
        trainer.ema = state["ema"]
        held = state.get("optimizers", ())
        if len(held) != len(trainer.optimizers):
            raise InputError(
                f"{path} was written with another optimizer: begin a new run with its weights "
                "(--weights)"
            )
        factors = [group["factor"] for group in trainer._param_groups]
        for optimizer, one in zip(trainer.optimizers, held, strict=True):
            optimizer.load_state_dict(one)
        for group, factor in zip(trainer._param_groups, factors, strict=True):
            group["factor"] = factor
        return trainer

    def take_weights(self, state: dict[str, Any]) -> None:
        """Take the weights of a checkpoint, given as its data; the step stays as it is.

        Raises
        ------
        InputError
            They are those of another model.
        """
        try:
            self.model.load_state_dict(state["model"])
            self.head.load_state_dict(state["head"])
        except RuntimeError as error:
            raise InputError(f"the checkpoint is one of another model: {error}") from error
        self.ema = {name: value.clone() for name, value in self.model.state_dict().items()}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what `Trainer.save` wrote.

    Raises
    ------
    InputError
        There is no such file, or it is no checkpoint.
    """
    if not path.is_file():
        raise InputError(f"no checkpoint at {path}")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise InputError(f"{path} cannot be read as a checkpoint: {error}") from error
    if not {"step", "config", "model", "head", "ema"} <= set(state):
        raise InputError(f"{path} is no checkpoint of samari train run")
    return state


def _hidden_matrices(model: SamModel) -> set[int]:
    """Return the ids of what Muon trains: the linear layers of encoder blocks and transformer."""
    trunks = (*model.vision_encoder.layers, model.mask_decoder.transformer)
    return {
        id(module.weight)
        for trunk in trunks
        for module in trunk.modules()
        if isinstance(module, torch.nn.Linear)
    }


def train(
    trainer: Trainer,
    samples: Sequence[Sample],
    out: Path,
    *,
    workers: int = 0,
    save_every: float = 120.0,
    log_every: int = 20,
    stop: Callable[[], bool] | None = None,
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
    for batch in open_stream(config, samples, trainer.step, workers, _rank()):
        for name, value in trainer.train_step(batch).items():
            sums.setdefault(name, []).append(value)
        if _rank():
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
        if halt:
            return trainer
    if not _rank():
        trainer.save(out / CHECKPOINT)
    return trainer


def _log(out: Path, step: int, total: int, pace: float, sums: dict[str, list[float]]) -> None:
    means = {name: float(np.mean(values)) for name, values in sums.items()}
    line = {"step": step, "seconds_per_step": round(pace, 3), **means}
    with (out / "log.jsonl").open("a") as stream:
        stream.write(json.dumps(line) + "\n")
    text = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
    logger.info("%d/%d  %.2f s/step  %s", step, total, pace, text)
