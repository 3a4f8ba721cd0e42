"""Muon: momentum whose matrices are made orthogonal before the step is taken.

Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; the size of
a step is matched to AdamW's as in Liu et al. 2025, "Muon is scalable for LLM training".

torch has a Muon too, but it makes the matrices orthogonal in bfloat16, which a CPU without native
bfloat16 emulates: a step of dense pretraining on eight crops took 2.0 s with it, and 0.5 s with
AdamW (200 steps each, two cores, AVX2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from samari.sam.model import SamModel

#: Coefficients of the quintic iteration (Jordan et al.): steepest at 0 among those that converge.
_QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrices: torch.Tensor, rounds: int = 5) -> torch.Tensor:
    """Bring the singular values of matrices near 1 by Newton-Schulz iterations.

    Parameters
    ----------
    matrices : Tensor of float32, shape (B, n, m)
    rounds : int
        Five bring every singular value above a thousandth of the norm to between 0.5 and 1.5.

    Returns
    -------
    Tensor of float32, shape (B, n, m)
        With the same singular vectors.
    """
    a, b, c = _QUINTIC
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(rounds):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.transpose(1, 2) if tall else x


def hidden_matrices(model: SamModel) -> set[int]:
    """Return the ids of what Muon trains: the linear layers of encoder blocks and transformer."""
    trunks = (*model.vision_encoder.layers, model.mask_decoder.transformer)
    return {
        id(module.weight)
        for trunk in trunks
        for module in trunk.modules()
        if isinstance(module, torch.nn.Linear)
    }


class Muon(torch.optim.Optimizer):
    """Muon for the matrices of hidden layers; biases, norms and embeddings belong to AdamW.

    Parameters
    ----------
    groups : iterable of dict
        ``params`` and, optionally, ``weight_decay``; every parameter is a matrix. A fused
        query-key-value matrix (3 n, n) counts as three.
    lr : float
        As for AdamW: the root mean square of a step's entries is a fifth of it.
    momentum : float
        Nesterov's.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], lr: float = 1e-3, momentum: float = 0.95
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": 0.0}
        super().__init__(list(groups), defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step; parameters without a gradient stay as they are."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[torch.Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike.setdefault(parameter.shape, []).append(parameter)
            for shape, parameters in alike.items():
                self._step_alike(parameters, shape, group)

    def _step_alike(
        self, parameters: list[torch.Tensor], shape: torch.Size, group: dict[str, Any]
    ) -> None:
        # Matrices of one shape go through the products together.
        directions = []
        for parameter in parameters:
            state = self.state[parameter]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(parameter)
            gradient = cast("torch.Tensor", parameter.grad)
            held = state["momentum"].lerp_(gradient, 1 - group["momentum"])
            directions.append(gradient.lerp(held, group["momentum"]))
        rows, columns = shape
        if rows == 3 * columns:
            rows = columns
        pieces = orthogonalised(torch.stack(directions).view(-1, rows, columns))
        steps = pieces.view(len(parameters), *shape)
        size = 0.2 * group["lr"] * max(rows, columns) ** 0.5
        for parameter, step in zip(parameters, steps, strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.sub_(step, alpha=size)
