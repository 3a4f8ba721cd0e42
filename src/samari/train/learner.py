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
#: Numbers in the layers of a network up to which Muon steps them. Its products are the same however
#: small the batch, and of a large network they take as long as a step.
_SMALL = 2**24
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
        ``full``: everything; of a small network the matrices of the layers by Muon.
    rank : int
        Of ``lora``.
    seed : int
        Of ``lora``, which begins at random.

    Attributes
    ----------
    parameters : list of Parameter
    by_muon : bool
        Whether Muon has a part in it.
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
        matrices = hidden_matrices(model) if method == "full" else set()
        held = [parameter for parameter in self.parameters if id(parameter) in matrices]
        self.by_muon = 0 < sum(parameter.numel() for parameter in held) <= _SMALL
        rest = self.parameters
        self._optimizers: list[torch.optim.Optimizer] = []
        if self.by_muon:
            rest = [parameter for parameter in rest if id(parameter) not in matrices]
            self._optimizers.append(Muon([{"params": held, "weight_decay": _DECAY}]))
        self._optimizers.append(torch.optim.AdamW(rest, weight_decay=_DECAY))
        self._average = _copies(self.parameters)
        self._kept = _copies(self.parameters)
        self._steps = 0

    def step(self, loss: torch.Tensor, rate: float) -> None:
        """Take one step.

        Parameters
        ----------
        loss : Tensor, scalar
        rate : float
            Learning rate of this step.
        """
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


def _copies(parameters: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in parameters]


@torch.no_grad()
def _set(parameters: Sequence[torch.Tensor], values: Sequence[torch.Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)
