"""What the network returns: named fields that also work as a tuple and as a mapping."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch


@dataclass
class ModelOutput:
    """Fields by attribute, by key, by index and by unpacking. Fields that are None are left out."""

    def to_tuple(self) -> tuple[Any, ...]:
        """Return the fields that are not None, in their order."""
        return tuple(value for _, value in self.items())

    def keys(self) -> list[str]:
        """Return the names of the fields that are not None."""
        return [name for name, _ in self.items()]

    def values(self) -> list[Any]:
        """Return the fields that are not None."""
        return [value for _, value in self.items()]

    def items(self) -> list[tuple[str, Any]]:
        """Return (name, value) of the fields that are not None."""
        pairs = ((item.name, getattr(self, item.name)) for item in dataclasses.fields(self))
        return [(name, value) for name, value in pairs if value is not None]

    def get(self, key: str, default: Any = None) -> Any:
        """Return the field `key`, or `default` where it is None or unknown."""
        return dict(self.items()).get(key, default)

    def __getitem__(self, key: str | int | slice) -> Any:
        """Return a field by its name or by its place among those that are not None."""
        return dict(self.items())[key] if isinstance(key, str) else self.to_tuple()[key]

    def __contains__(self, key: object) -> bool:
        """Whether the field `key` is there and not None."""
        return key in self.keys()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, so that ``dict(output)`` and ``f(**output)`` work."""
        return iter(self.keys())

    def __len__(self) -> int:
        """Return how many fields are not None."""
        return len(self.keys())


@dataclass
class SamVisionEncoderOutput(ModelOutput):
    """Output of the image encoder.

    Attributes
    ----------
    last_hidden_state : (B, C, h, w) tensor
        The image embedding.
    hidden_states : tuple of (B, h, w, hidden_size) tensors, or None
        The tokens before the first block and after each block.
    attentions : tuple of (B * windows * heads, L, L) tensors, or None
        Attention probabilities of each block; L is the number of tokens in a window.
    """

    last_hidden_state: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


@dataclass
class SamImageSegmentationOutput(ModelOutput):
    """Output of `SamModel`.

    Attributes
    ----------
    iou_scores : (B, N, M) tensor
        Predicted overlap of each mask with the object. N prompts, M masks for each.
    pred_masks : (B, N, M, 4 h, 4 w) tensor
        Mask logits; the mask is where they exceed 0.
    vision_hidden_states, vision_attentions : tuple of tensors, or None
        See `SamVisionEncoderOutput`.
    mask_decoder_attentions : tuple of (B * N, 1, h * w, hidden_size) tensors, or None
        What the image tokens took from the prompt tokens in each layer of the decoder. (The
        reference returns these projected outputs under this name, not probabilities.)
    """

    iou_scores: torch.Tensor | None = None
    pred_masks: torch.Tensor | None = None
    vision_hidden_states: tuple[torch.Tensor, ...] | None = None
    vision_attentions: tuple[torch.Tensor, ...] | None = None
    mask_decoder_attentions: tuple[torch.Tensor, ...] | None = None
