"""A checkpoint's averaged weights to a model folder that Samari and transformers load."""

from __future__ import annotations

from pathlib import Path

import torch

from samari.errors import InputError
from samari.sam.config import SamConfig
from samari.sam.model import SamModel
from samari.sam.weights import save_model
from samari.train.trainer import read_checkpoint


def export(checkpoint: str | Path, folder: str | Path, *, half: bool = False) -> int:
    """Write ``config.json`` and ``model.safetensors``.

    Parameters
    ----------
    checkpoint : path
        Written by `samari.train.trainer`.
    folder : path
        Made if it does not exist; its files are replaced when the new ones are complete.
    half : bool
        Store float16: half the size, with masks that differ in a few pixels of a thousand.

    Returns
    -------
    int
        Steps that the weights were trained for.

    Raises
    ------
    InputError
        There is no checkpoint, or a weight is not finite.
    """
    path = Path(checkpoint)
    state = read_checkpoint(path)
    model = SamModel(SamConfig.from_dict(state["config"]["model"]))
    model.load_state_dict(state["ema"])
    for name, value in model.state_dict().items():
        if not torch.isfinite(value).all():
            raise InputError(f"weight {name!r} of {path} is not finite; take an earlier checkpoint")
    save_model(model.half() if half else model, folder)
    return int(state["step"])
