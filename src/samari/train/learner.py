"""What learns in a fine-tuning: the weights, their optimisers, their average, the best of them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from samari.train.average import follow
from samari.train.lora import add_lora, merge_lora
from samari.train.muon import Muon, hidden_matrices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from samari.sam.model import SamModel

_DECAY = 0.01
#: Of the averaged weights: the last fifty steps or so. Single ones are noisy.
_AVERAGE = 0.98


class Learner:
    """What learns of a model.

    Parameters
    ----------
    model : SamModel
        Changed in place; the rest of it stays as it is.
    method : str
        ``decoder``: the mask decoder. ``lora``: and low-rank changes of the encoder's attention.
        ``full``: everything, the matrices of the layers by Muon.
    rank : int
        Of ``lora``.
    seed : int
    """

    def __init__(self, model: SamModel, method: str, rank: int = 4, seed: int = 0) -> None:
        self._model = model
        model.requires_grad_(False)
        self.parameters = list(model.mask_decoder.parameters())
        if method == "lora":
            self.parameters += add_lora(model.vision_encoder, rank, seed)
        elif method == "full":
            self.parameters = list(model.parameters())
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        self._optimizers = _optimizers(model, self.parameters, method == "full")
        self._average = _copies(self.parameters)
        self._kept = _copies(self.parameters)
        self._steps = 0

    def step(self, loss: torch.Tensor, rate: float) -> None:
        """Take one step down a loss."""
        for optimizer in self._optimizers:
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self._optimizers:
            optimizer.step()
        self._steps += 1
        follow(self._average, self.parameters, self._steps, _AVERAGE)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the model have the averaged weights as long as the block runs."""
        own = _copies(self.parameters)
        _set(self.parameters, self._average)
        try:
            yield
        finally:
            _set(self.parameters, own)

    def keep(self) -> None:
        """Remember the averaged weights of now as the best."""
        self._kept = [value.clone() for value in self._average]

    def finish(self) -> None:
        """Give the model the best weights, those it had if none were kept, and end."""
        _set(self.parameters, self._kept)
        merge_lora(self._model.vision_encoder)
        self._model.requires_grad_(False)


def _optimizers(
    model: SamModel, parameters: Sequence[torch.nn.Parameter], whole: bool
) -> list[torch.optim.Optimizer]:
    """Return what steps: AdamW, and where whole layers learn Muon for their matrices."""
    matrices = hidden_matrices(model) if whole else set()
    rest = [parameter for parameter in parameters if id(parameter) not in matrices]
    made: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, weight_decay=_DECAY)]
    if matrices:
        held = [parameter for parameter in parameters if id(parameter) in matrices]
        made.append(Muon([{"params": held, "weight_decay": _DECAY}]))
    return made


def _copies(parameters: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in parameters]


@torch.no_grad()
def _set(parameters: Sequence[torch.Tensor], values: Sequence[torch.Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)
