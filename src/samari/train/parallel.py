"""Data-parallel runs: several processes that see different crops and take the same steps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def own_device(name: str) -> str:
    """Return the device of this process: of several with ``"cuda"`` each has a card of its own."""
    place = os.environ.get("LOCAL_RANK")
    return f"cuda:{place}" if name == "cuda" and place is not None else name


def join_processes(device: torch.device | None = None) -> None:
    """Join the data-parallel run that torchrun started; alone, do nothing.

    Parameters
    ----------
    device : torch.device, optional
        Where this process computes, see `own_device`; the CPU by default.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or distributed.is_initialized():
        return
    cuda = device is not None and device.type == "cuda"
    if cuda:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if cuda else "gloo")


def rank() -> int:
    """Return the number of this process, from 0; 0 if it is alone."""
    return distributed.get_rank() if distributed.is_initialized() else 0
