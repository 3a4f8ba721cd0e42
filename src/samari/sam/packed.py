"""Linear layers whose weights lie in the order in which the processor multiplies them.

A plain linear layer brings its weights into that order at every call. The operators that do it once
are torch's own, but private; where a version of torch or a processor lacks them, a packed layer
computes as a plain one does.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable


class PackedLinear(nn.Module):
    """A linear layer for inference. It holds its weight once, packed.

    Parameters
    ----------
    linear : nn.Linear or PackedLinear
        Whose weight and bias it takes over.
    dtype : torch.dtype
        Precision of the weight, and so of the product.

    Attributes
    ----------
    bias : nn.Parameter or None
    """

    in_features: int
    out_features: int
    bias: nn.Parameter | None

    def __init__(self, linear: nn.Linear | PackedLinear, dtype: torch.dtype) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        bias = linear.bias
        self.bias = None if bias is None else nn.Parameter(bias.detach().to(dtype), False)
        self._weight = _packed(linear.weight.detach().to(dtype))

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the products."""
        return self._weight.dtype

    @property
    def is_packed(self) -> bool:
        """Whether the weight is packed, which torch or the processor may not be able to do."""
        return self._weight.is_mkldnn

    @property
    def weight(self) -> torch.Tensor:
        """The (out, in) weight in its plain order; a copy if it is packed."""
        return self._weight.to_dense() if self.is_packed else self._weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer to the last axis of a tensor; the result has its dtype."""
        given = x.to(self._weight.dtype)
        if self.is_packed:
            out = torch.ops.mkldnn._linear_pointwise(given, self._weight, self.bias, "none", [], "")
        else:
            out = F.linear(given, self._weight, self.bias)
        return out.to(x.dtype)

    def _apply(self, fn: Callable[[Any], Any], recurse: bool = True) -> PackedLinear:
        """Follow `to` and the like; what changes nothing costs nothing."""
        super()._apply(fn, recurse)
        held = self._weight
        moved = fn(torch.empty(0, dtype=held.dtype, device=held.device))
        if moved.dtype != held.dtype or moved.device != held.device:
            self._weight = _packed(fn(self.weight))
        return self

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "weight"] = self.weight

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        name = prefix + "weight"
        others = {key: value for key, value in state_dict.items() if key != name}
        told = missing_keys, unexpected_keys, error_msgs
        super()._load_from_state_dict(others, prefix, local_metadata, strict, *told)
        if name not in state_dict:
            missing_keys.append(name)
            return
        weight, shape = state_dict[name], (self.out_features, self.in_features)
        if tuple(weight.shape) != shape:
            error_msgs.append(
                f"size mismatch for {name}: its shape is {tuple(weight.shape)}, not {shape}"
            )
            return
        held = self._weight
        self._weight = _packed(weight.detach().to(held.device, held.dtype, copy=True))

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of; a packed weight can be neither copied nor written."""
        return {**self.__dict__, "_weight": self.weight}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what a copy is made of."""
        super().__setstate__(state)
        self._weight = _packed(self._weight)


def pack(module: nn.Module, dtype: torch.dtype) -> None:
    """Put a `PackedLinear` of a dtype in place of the linear layers below a module.

    Without AVX-512, those stay plain in float32 that do not widen: torch multiplies them by another
    library, which is quicker there (an encoding by ViT-B takes 0.95 of the time, two Zen 3 cores,
    n = 5; with AVX-512 the packed ones are the quicker ones, two Zen 4 cores: 199 and 154 GFLOP/s
    for 4096 x 768 x 768).
    """
    always = torch.backends.cpu.get_cpu_capability() == "AVX512"
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, PackedLinear):
                if child.dtype != dtype:
                    setattr(parent, name, PackedLinear(child, dtype))
            elif isinstance(child, nn.Linear):
                widens = child.out_features > child.in_features
                if always or widens or not child.weight.dtype == dtype == torch.float32:
                    setattr(parent, name, PackedLinear(child, dtype))


def precision(linear: nn.Linear | PackedLinear) -> torch.dtype:
    """Return in which dtype a layer multiplies."""
    return linear.dtype if isinstance(linear, PackedLinear) else linear.weight.dtype


def _packed(weight: torch.Tensor) -> torch.Tensor:
    """Return a copy of a (out, in) weight, packed if this can be done here."""
    if not _can_pack(weight.device, weight.dtype):
        return weight.clone()
    try:
        return _reordered(weight)
    except (AttributeError, RuntimeError):
        return weight.clone()


@cache
def _can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch and the processor multiply by packed weights of a dtype; tried once."""
    try:
        packed = _reordered(torch.zeros(16, 16, device=device, dtype=dtype))
        probe = torch.zeros(1, 16, device=device, dtype=dtype)
        torch.ops.mkldnn._linear_pointwise(probe, packed, None, "none", [], "")
    except (AttributeError, RuntimeError):
        return False
    return True


def _reordered(weight: torch.Tensor) -> torch.Tensor:
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight)
    return packed
