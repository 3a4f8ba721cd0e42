"""What a training run is made of, as plain data that a JSON file can hold.

A run is a list of stages. The learning rate is a function of the step alone, so a run that was
stopped and resumed computes what an unbroken one would have.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samari.errors import InputError

if TYPE_CHECKING:
    import numpy as np

LOSSES = ("dense", "balanced", "focal")
OPTIMIZERS = ("adamw", "muon")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Stage:
    """A stretch of steps with one kind of target and one size of crop.

    Attributes
    ----------
    steps : int
        How many optimiser steps.
    loss : str
        ``dense``: every pixel has a target, no prompts (see `samari.train.pretrain`).
        ``balanced``: prompts; cross-entropy with equal weight on object and background, + dice.
        ``focal``: prompts; focal + dice.
    crop : int
        Side of the square crops in pixels, a multiple of the model's patch.
    images : int
        Crops a step.
    prompts : int
        Objects prompted per crop.
    corrections : int
        Correction clicks after the first prompt: a number from 1 to this one in every step that
        makes them. The answers to the first prompt and to the last click are learnt from.
    correction_share : float
        Share of the steps in which corrections are made at all.
    freeze_encoder : bool
        Train the prompt encoder and mask decoder only.
    box_share : float
        Share of the objects prompted by a box; the others start from a click.
    rate : float
        Factor on the learning rate.
    score_weight : float
        Weight of the predicted scores' loss; the masks have 1.
    prompted : int
        So many of the crops have objects prompted; 0: all. Prompts are the dear part of a step.
    dense_weight : float
        Weight of the dense targets of all crops beside the prompts (see `samari.train.pretrain`).
    """

    steps: int
    loss: str = "focal"
    crop: int = 128
    images: int = 8
    prompts: int = 8
    corrections: int = 1
    correction_share: float = 1.0
    freeze_encoder: bool = False
    box_share: float = 0.4
    rate: float = 1.0
    score_weight: float = 1.5
    prompted: int = 0
    dense_weight: float = 0.0

    @property
    def dense(self) -> bool:
        """Whether the crops need dense targets."""
        return self.loss == "dense" or self.dense_weight > 0

    def draw_corrections(self, rng: np.random.Generator) -> int:
        """Return how many correction clicks a step makes."""
        if not self.corrections or rng.random() >= self.correction_share:
            return 0
        return int(rng.integers(1, self.corrections + 1))

    def __post_init__(self) -> None:
        """Check the values."""
        if self.loss not in LOSSES:
            raise InputError(f"stage loss is {self.loss!r}; known are {', '.join(LOSSES)}")
        for name in ("prompted", "dense_weight"):
            if getattr(self, name) < 0:
                raise InputError(f"stage {name} is {getattr(self, name)}; it must not be below 0")


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes
    ----------
    model : dict
        Fields of `SamConfig` (nested ``vision_config`` and so on), see `samari.train.build`.
    stages : tuple of Stage
    weights : dict of str to float
        Share of every data set; ``synthetic`` is the generator's.
    synthetic : int
        Pictures made by the generator.
    scale : (float, float)
        Range of the log-uniform enlargement.
    seed : int
    lr, warmup, final_lr : float, int, float
        Peak learning rate, steps of linear warm-up at the start of every kind of stage, and the
        fraction of the peak at the end of the cosine.
    decoder_lr : float
        Factor on the learning rate of everything but the encoder.
    cosine_from : float
        Fraction of all steps after which the rate starts to fall.
    optimizer : str
        ``adamw``, or ``muon``: the matrices of the layers by `samari.train.muon`, the rest by
        AdamW.
    weight_decay, clip, ema : float
        The optimiser's decay, gradient-norm limit, decay of the averaged weights.
    threads : int
        Torch threads; 0 leaves them as they are.
    precision : str
        ``float32``, or ``bfloat16``: products in bfloat16, weights and losses in float32 (torch's
        autocast), for processors and graphics cards that multiply in it.
    new_layers : tuple of int
        Encoder blocks, from 0, that are not in the weights which the run begins with (see
        `samari.train.grow`).
    val_every : int
        Steps between looks at validation images; 0: none.
    val_images : int
        Pictures of every data set that are looked at, with at most 12 objects each; half of them,
        if need be, show single small objects enlarged, for their boxes.
    """

    model: dict[str, Any]
    stages: tuple[Stage, ...]
    weights: dict[str, float] = field(default_factory=lambda: {"synthetic": 1.0})
    synthetic: int = 400
    scale: tuple[float, float] = (0.5, 2.0)
    seed: int = 0
    lr: float = 3e-4
    warmup: int = 100
    final_lr: float = 0.01
    decoder_lr: float = 1.0
    cosine_from: float = 0.5
    optimizer: str = "adamw"
    weight_decay: float = 0.02
    clip: float = 1.0
    ema: float = 0.998
    threads: int = 0
    precision: str = "float32"
    new_layers: tuple[int, ...] = ()
    val_every: int = 0
    val_images: int = 16

    def __post_init__(self) -> None:
        """Check the names and what is counted."""
        for name, known in (("optimizer", OPTIMIZERS), ("precision", PRECISIONS)):
            value = getattr(self, name)
            if value not in known:
                raise InputError(f"{name} is {value!r}; known are {', '.join(known)}")
        layers = int(self.model.get("vision_config", {}).get("num_hidden_layers", 12))
        places = self.new_layers if isinstance(self.new_layers, tuple) else (None,)
        if set(places) - set(range(layers)) or len(set(places)) < len(places):
            raise InputError(
                f"new_layers is {self.new_layers!r}; it must be a list of different numbers from 0 "
                f"to {layers - 1}, the model's last encoder block"
            )
        if self.val_every < 0 or self.val_images < 2:
            raise InputError(
                f"val_every is {self.val_every} and val_images {self.val_images}; they must not be "
                "below 0 and 2"
            )

    @property
    def total(self) -> int:
        """Return the number of steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def mask_stride(self) -> int:
        """Return how many image pixels a mask pixel spans: a quarter of the patch."""
        return int(self.model["vision_config"]["patch_size"]) // 4

    def validates_at(self, step: int) -> bool:
        """Return whether validation images are looked at after so many steps."""
        return self.val_every > 0 and (step % self.val_every == 0 or step == self.total)

    def stage_at(self, step: int) -> tuple[int, Stage]:
        """Return (first step, stage) of the stage to which ``step`` (from 0) belongs."""
        first = 0
        for stage in self.stages:
            if step < first + stage.steps:
                return first, stage
            first += stage.steps
        return first - self.stages[-1].steps, self.stages[-1]

    def lr_at(self, step: int) -> float:
        """Return the learning rate of one step (from 0): warm-ups, constant, then a cosine.

        The rate warms up again where the loss changes from dense to prompts or the encoder
        thaws, because the optimiser's averages are those of another loss then.
        """
        first, stage = self.stage_at(step)
        before = self.stage_at(first - 1)[1] if first else None
        fresh = (
            before is None
            or (before.loss == "dense") != (stage.loss == "dense")
            or before.freeze_encoder != stage.freeze_encoder
        )
        ramp = min(1.0, (step - first + 1) / self.warmup) if fresh and self.warmup else 1.0
        start = self.cosine_from * self.total
        fall = max(0.0, (step - start) / max(self.total - start, 1.0))
        cosine = 0.5 * (1 + math.cos(math.pi * min(fall, 1.0)))
        return self.lr * stage.rate * ramp * (self.final_lr + (1 - self.final_lr) * cosine)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `from_dict` reads back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TrainConfig:
        """Build from plain data.

        Raises
        ------
        InputError
            A key is unknown, or ``model`` or ``stages`` is missing.
        """
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(data) - known)
        if unknown:
            raise InputError(f"unknown training settings {unknown}; known are {sorted(known)}")
        if "model" not in data or not data.get("stages"):
            raise InputError("a training config needs 'model' and at least one of 'stages'")
        values = dict(data)
        try:
            values["stages"] = tuple(
                stage if isinstance(stage, Stage) else Stage(**stage) for stage in data["stages"]
            )
        except TypeError as error:
            raise InputError(f"a stage has an unknown or missing setting: {error}") from error
        if "scale" in values:
            low, high = values["scale"]
            values["scale"] = (float(low), float(high))
        if isinstance(values.get("new_layers"), list):
            values["new_layers"] = tuple(data["new_layers"])
        return cls(**values)


def load_config(path: str | Path) -> TrainConfig:
    """Read a training config from a JSON file.

    Raises
    ------
    InputError
        The file is missing, is not JSON, or holds unknown settings.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no training config at {path}")
    try:
        return TrainConfig.from_dict(json.loads(path.read_text()))
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
