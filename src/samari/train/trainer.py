"""The trainer: model, optimisers, averaged weights, and what one step does.

Everything that is random in a step is seeded by the step's number, so a run that was killed and
resumed ends with the weights of an unbroken one.
"""

from __future__ import annotations

import contextlib
import os
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from samari.engine.frames import PIXEL_MEAN, PIXEL_STD
from samari.errors import InputError
from samari.train import parallel
from samari.train.average import follow
from samari.train.build import build_model
from samari.train.config import TrainConfig
from samari.train.grow import deepened
from samari.train.muon import Muon, hidden_matrices
from samari.train.pretrain import DenseHead, dense_loss
from samari.train.simulate import Simulation, choose_targets

if TYPE_CHECKING:
    from pathlib import Path

    from samari.sam.model import SamModel
    from samari.train.config import Stage
    from samari.train.stream import Batch


def normalise(images: torch.Tensor) -> torch.Tensor:
    """Map uint8 pixels (B, 3, H, W) to the network's float input (ImageNet mean and deviation)."""
    floats = images.float()
    mean, std = (floats.new_tensor(values).view(1, 3, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))
    return (floats - mean) / std


class Trainer:
    """Model, head, optimiser and averaged weights of one run.

    Parameters
    ----------
    config : TrainConfig
    device : torch.device or str
        Where it computes.

    Attributes
    ----------
    step : int
        Steps done.
    model : SamModel
    ema : dict of str to Tensor
        Exponential average of the model's weights; what is exported.
    """

    def __init__(self, config: TrainConfig, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.device = torch.device(device)
        self.step = 0
        self.model: SamModel = build_model(config.model, config.seed).to(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed + 1)
            head = DenseHead(self.model.config.prompt_encoder_config.hidden_size)
        self.head = head.to(self.device)
        self.optimizers = self._optimizers()
        self.ema = {name: value.clone() for name, value in self.model.state_dict().items()}

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        # Weight decay on matrices only; the factor on the rate is kept in the group.
        hidden = hidden_matrices(self.model) if self.config.optimizer == "muon" else set()
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
        with self._precision():
            loss, figures = self._loss(batch, stage)
        if not torch.isfinite(loss):
            raise InputError(f"the loss is {float(loss)} at step {self.step}: lower the rate")
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        trained = [p for group in self._param_groups for p in group["params"]]
        parallel.share_gradients(trained)
        norm = torch.nn.utils.clip_grad_norm_(trained, self.config.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        follow(self.ema.values(), self.model.state_dict().values(), self.step, self.config.ema)
        return {"loss": float(loss.detach()), "norm": float(norm), "lr": rate, **figures}

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        if self.config.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _loss(self, batch: Batch, stage: Stage) -> tuple[torch.Tensor, dict[str, float]]:
        with torch.set_grad_enabled(not stage.freeze_encoder):
            embeddings = self.model.vision_encoder(
                normalise(batch.images.to(self.device))
            ).last_hidden_state
        if batch.dense is None:
            return self._prompt_loss(embeddings, batch, stage)
        dense, figures = dense_loss(
            self.head(self.model, embeddings).float(), batch.dense.to(self.device)
        )
        if stage.loss == "dense":
            return dense, figures
        count = stage.prompted or len(embeddings)
        prompted, more = self._prompt_loss(embeddings[:count], batch, stage)
        return prompted + stage.dense_weight * dense, {**figures, **more}

    def _prompt_loss(
        self, embeddings: torch.Tensor, batch: Batch, stage: Stage
    ) -> tuple[torch.Tensor, dict[str, float]]:
        rng = np.random.default_rng([self.config.seed, batch.step, 1, parallel.rank()])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        prompt = self.model.config.prompt_encoder_config
        room = (prompt.image_size - stage.crop) // prompt.patch_size
        # Un-padded images lie at the top left in use, and objects lie anywhere in them.
        offset = (int(rng.integers(room + 1)), int(rng.integers(room + 1)))
        labels = batch.labels[: len(embeddings)]
        targets = choose_targets(labels, stage.prompts, prompt.patch_size // 4, rng)
        targets = targets.to(self.device)
        # As many in all processes, because each waits for the slowest.
        rounds = stage.draw_corrections(np.random.default_rng([self.config.seed, batch.step, 2]))
        return Simulation(self.model, embeddings, targets, stage, generator, offset, rounds).run()

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
    def load(
        cls, path: Path, config: TrainConfig | None = None, device: torch.device | str = "cpu"
    ) -> Trainer:
        """Read a checkpoint.

        Parameters
        ----------
        path : Path
        config : TrainConfig, optional
            Replaces the stored one, for instance with other stages ahead; the model must fit.
        device : torch.device or str
            Where it goes on; it need not be where it was.
        """
        state = read_checkpoint(path)
        trainer = cls(config or TrainConfig.from_dict(state["config"]), device)
        trainer._set_weights(state)
        trainer.step = int(state["step"])
        trainer.ema = {name: value.to(device) for name, value in state["ema"].items()}
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

        Those of a finished model have no ``head``: it begins afresh. Encoder blocks that the config
        calls new are not in them, and begin as ones that change nothing.

        Raises
        ------
        InputError
            They are those of another model, or the blocks do not fit.
        """
        if self.config.new_layers:
            encoder = self.model.config.vision_config
            state = {**state, "model": deepened(state["model"], encoder, self.config.new_layers)}
        self._set_weights(state)

    def _set_weights(self, state: dict[str, Any]) -> None:
        try:
            self.model.load_state_dict(state["model"])
            if "head" in state:
                self.head.load_state_dict(state["head"])
        except RuntimeError as error:
            raise InputError(f"the weights are those of another model: {error}") from error
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
        raise InputError(f"{path} is no checkpoint, or a damaged one") from error
    if not {"step", "config", "model", "head", "ema"} <= set(state):
        raise InputError(f"{path} is no checkpoint of samari train run")
    return state
