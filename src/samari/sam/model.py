"""The whole network: an image and prompts in, masks and scores out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from samari.sam.fast_decoder import PreparedImage, decode_each
from samari.sam.mask_decoder import SamMaskDecoder
from samari.sam.model_checks import check_prompts, check_widths
from samari.sam.outputs import SamImageSegmentationOutput
from samari.sam.packed import pack
from samari.sam.pretrained import hub_options, is_hub_id
from samari.sam.prompt_encoder import SamPositionalEmbedding, SamPromptEncoder
from samari.sam.vision_encoder import SamVisionEncoder

if TYPE_CHECKING:
    from samari.sam.config import SamConfig

#: What `SamProcessor` returns beside the inputs of the network, for post-processing.
_PROCESSOR_KEYS = frozenset({"original_sizes", "reshaped_input_sizes", "labels"})


class SamModel(nn.Module):
    """Segment Anything: encoder, prompt encoder and mask decoder.

    State-dict keys and shapes are those of the published ``safetensors`` files. A new model has
    torch's default initialisation in the decoder and the prompt encoder, and truncated normal
    weights (0.02) with zero relative positions in the encoder.

    Parameters
    ----------
    config : SamConfig
        Sizes of all three parts.

    Raises
    ------
    ValueError
        If the widths of the three parts do not fit together.
    """

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        check_widths(config)
        self.config = config
        self.shared_image_embedding = SamPositionalEmbedding(config.vision_config)
        self.vision_encoder = SamVisionEncoder(config.vision_config)
        self.prompt_encoder = SamPromptEncoder(
            config.prompt_encoder_config, self.shared_image_embedding
        )
        self.mask_decoder = SamMaskDecoder(config.mask_decoder_config)

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        config: SamConfig | None = None,
        *,
        torch_dtype: torch.dtype | str | None = torch.float32,
        **hub: Any,
    ) -> SamModel:
        """Load a network from a folder, a weight file of any kind, or the model hub.

        Parameters
        ----------
        name : str or Path
            A folder, a file, or a hub id such as ``"facebook/sam-vit-base"``.
        config : SamConfig, optional
            In place of the ``config.json`` beside the weights.
        torch_dtype : torch.dtype or str, optional
            Floating point type of the network, such as ``"float16"``; None or ``"auto"`` keeps the
            file's.
        **hub
            `revision`, `endpoint`, `cache_dir`, `token` or `local_files_only`, for a hub id; see
            `samari.sam.weights.hub_folder`.

        Returns
        -------
        SamModel
            In evaluation mode, on the CPU.

        Raises
        ------
        WeightsError
            If anything about the file is wrong; the message names the file and the tensor.
        DownloadError
            If the hub cannot be reached.
        TypeError
            If an argument is unknown, or `torch_dtype` is no floating point type.
        """
        from samari.sam.weights import hub_folder, load_model

        dtype, options = _dtype(torch_dtype), hub_options(hub)
        path = hub_folder(os.fspath(name), **options) if is_hub_id(name) else os.fspath(name)
        return load_model(path, config, dtype=dtype)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write ``config.json`` and ``model.safetensors``; see `samari.sam.weights.save_model`."""
        from samari.sam.weights import save_model

        save_model(self, Path(folder))

    def pack(self, dtype: torch.dtype = torch.float32) -> None:
        """Lay the image encoder out for inference on a CPU: it is quicker, and cannot learn.

        The weights of its blocks are held once, where it is quicker in the order in which the
        processor multiplies; no tensor is left in the file that they were loaded from. It can still
        be saved.

        Parameters
        ----------
        dtype : torch.dtype
            Precision of the products: float32 or bfloat16.
        """
        self.requires_grad_(False)
        done: set[nn.Module] = set()
        # Layer by layer: each gives its part of the file back before the next one is packed.
        for part in (*self.vision_encoder.layers, self):
            if part is not self:
                pack(part, dtype)
            for module in set(part.modules()) - done:
                done.add(module)
                for parameter in module.parameters(recurse=False):
                    parameter.data = parameter.data.clone()
                for name, buffer in list(module.named_buffers(recurse=False)):
                    # Another one: a view would keep what it was cut from, whatever its data.
                    setattr(module, name, buffer.clone())

    def limit_attention(self, reach: int) -> None:
        """Let the global layers of the image encoder see a neighbourhood in place of the image.

        The published networks see all of it. One that has learnt from small crops has never seen
        more. On a CPU and without gradients the work then grows with the image and not with its
        square; elsewhere it stays what it is.

        Parameters
        ----------
        reach : int
            Tokens. The grid is cut into squares of twice the reach; tokens of a square see it and
            so many tokens beyond each side (at the image's edges, more beyond the other). 0: all.

        Raises
        ------
        ValueError
            If it is negative, or the network has no relative positions.
        """
        if reach < 0 or (reach and not self.config.vision_config.use_rel_pos):
            raise ValueError(
                f"reach must be 0 or, for a network with use_rel_pos, more; got {reach}"
            )
        self.vision_encoder.limit_attention(reach)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.shared_image_embedding.positional_embedding.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating point type of the weights."""
        return self.mask_decoder.iou_token.weight.dtype

    def get_image_embeddings(
        self,
        pixel_values: torch.Tensor,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> torch.Tensor:
        """Encode (B, 3, H, W) normalised pixels as a (B, C, h, w) image embedding.

        The other arguments are those of the reference, which returns the embedding whatever they
        are; use `vision_encoder` for hidden states and attentions.
        """
        embedding = self.vision_encoder(pixel_values).last_hidden_state
        assert isinstance(embedding, torch.Tensor)
        return embedding

    def get_prompt_embeddings(
        self,
        input_points: torch.Tensor | None = None,
        input_labels: torch.Tensor | None = None,
        input_boxes: torch.Tensor | None = None,
        input_masks: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return sparse (B, N, tokens, C) and dense (B, C, h, w) embeddings of prompts.

        See `SamPromptEncoder.forward`. As in the reference the sparse embedding of no points and no
        boxes is one token of zeros.
        """
        sparse, dense = self.prompt_encoder(input_points, input_labels, input_boxes, input_masks)
        if sparse is None:
            sparse = dense.new_zeros(1, 1, 1, dense.shape[1])
        return sparse, dense.expand(max(len(sparse), len(dense)), -1, -1, -1)

    def get_image_wide_positional_embeddings(
        self, grid: tuple[int, int] | None = None, offset: tuple[int, int] = (0, 0)
    ) -> torch.Tensor:
        """Return the (1, C, h, w) position code of every token of the image.

        Parameters
        ----------
        grid : (int, int), optional
            Rows and columns h, w; the full frame where not given.
        offset : (int, int)
            Row and column, in tokens, of the grid within the full frame.
        """
        size = self.config.prompt_encoder_config.image_embedding_size
        grid = (size, size) if grid is None else grid
        if any(not 0 <= o <= size - n for o, n in zip(offset, grid, strict=True)):
            raise ValueError(
                f"a grid of {tuple(grid)} tokens at offset {tuple(offset)} leaves the frame of "
                f"{(size, size)} tokens"
            )
        rows, columns = (
            (torch.arange(n, device=self.device, dtype=torch.float32) + (o + 0.5)) / size
            for n, o in zip(grid, offset, strict=True)
        )
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        code: torch.Tensor = self.shared_image_embedding(torch.stack([x, y], dim=-1))
        return code.permute(2, 0, 1).unsqueeze(0)

    def prepare_image(
        self, image_embeddings: torch.Tensor, grid_offset: tuple[int, int] = (0, 0)
    ) -> PreparedImage:
        """Compute what all prompts on an image have in common, for `forward`.

        Parameters
        ----------
        image_embeddings : (1, C, h, w) tensor
            What `get_image_embeddings` returned.
        grid_offset : (int, int)
            As for `forward`.

        Returns
        -------
        PreparedImage
            Holds three times as much memory as the embedding.
        """
        grid = (image_embeddings.shape[2], image_embeddings.shape[3])
        positions = self.get_image_wide_positional_embeddings(grid, grid_offset)
        no_mask = self.prompt_encoder.no_mask_embed.weight
        return PreparedImage.of(self.mask_decoder, image_embeddings, positions, no_mask)

    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        input_points: torch.Tensor | None = None,
        input_labels: torch.Tensor | None = None,
        input_boxes: torch.Tensor | None = None,
        input_masks: torch.Tensor | None = None,
        image_embeddings: torch.Tensor | None = None,
        multimask_output: bool = True,
        attention_similarity: torch.Tensor | None = None,
        target_embedding: torch.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        grid_offset: tuple[int, int] = (0, 0),
        prepared: PreparedImage | None = None,
        least_score: float | None = None,
        **kwargs: Any,
    ) -> SamImageSegmentationOutput | tuple[Any, ...]:
        """Predict masks for N prompts on each of B images.

        Parameters
        ----------
        pixel_values : (B, 3, H, W) tensor
            Normalised pixels; H and W are multiples of the patch size, at most the image size.
        input_points : (B, N, K, 2) tensor, optional
            Points as (x, y) in pixels of the frame.
        input_labels : (B, N, K) tensor, optional
            1 in the object, 0 not in it, -1 no point, -10 padding. Where not given: all 1.
        input_boxes : (B, N, 4) tensor, optional
            Boxes as (x0, y0, x1, y1) in pixels of the frame.
        input_masks : (B, 1, 4 h, 4 w) or (B, N, 4 h, 4 w) tensor, optional
            Mask logits at a quarter of the pixels, for all prompts or for each one.
        image_embeddings : (B, C, h, w) tensor
            In place of `pixel_values`: what `get_image_embeddings` returned.
        multimask_output : bool
            Three masks for each prompt, or one.
        attention_similarity, target_embedding : tensor, optional
            PerSAM's guidance; see `SamMaskDecoder.forward`.
        output_attentions, output_hidden_states : bool, optional
            Whether to return them; where None, what the configuration says (False by default).
        return_dict : bool, optional
            False for a plain tuple of the fields.
        grid_offset : (int, int)
            Row and column, in tokens, of the image within the full frame. Coordinates of prompts
            are always those of the full frame.
        prepared : PreparedImage, optional
            What `prepare_image` made of `image_embeddings` of one image. The result is the same,
            and comes sooner.
        least_score : float, optional
            Masks whose predicted overlap is not higher are not drawn: their logits are minus
            infinity. It takes less time where few are of use.
        **kwargs
            What else `SamProcessor` returns is accepted and not used.

        Raises
        ------
        ValueError
            If ranks, batch sizes or grids do not fit together; the message names the shapes.
        TypeError
            If an argument is unknown.
        """
        unknown = kwargs.keys() - _PROCESSOR_KEYS
        if unknown:
            raise TypeError(f"SamModel.forward has no argument {sorted(unknown)[0]!r}")
        want_attentions = self._setting("output_attentions", output_attentions, False)
        want_hidden = self._setting("output_hidden_states", output_hidden_states, False)
        hidden_states = attentions = None
        if (pixel_values is None) == (image_embeddings is None):
            raise ValueError("give either pixel_values or image_embeddings, and not both")
        image = pixel_values if pixel_values is not None else image_embeddings
        check_prompts(image, input_points, input_labels, input_boxes, input_masks)
        if pixel_values is not None:
            encoded = self.vision_encoder(
                pixel_values, want_attentions, want_hidden, grid_offset=grid_offset
            )
            image_embeddings = encoded.last_hidden_state
            hidden_states, attentions = encoded.hidden_states, encoded.attentions
        assert image_embeddings is not None
        grid = (image_embeddings.shape[2], image_embeddings.shape[3])
        if input_masks is not None and tuple(input_masks.shape[2:]) != (4 * grid[0], 4 * grid[1]):
            raise ValueError(
                f"input_masks must be logits of {(4 * grid[0], 4 * grid[1])} pixels (four a side "
                f"for each token of the image), got shape {tuple(input_masks.shape)}"
            )
        if input_points is not None and input_labels is None:
            input_labels = torch.ones_like(input_points[..., 0], dtype=torch.int64)
        sparse, dense = self.prompt_encoder(
            input_points, input_labels, input_boxes, input_masks, grid
        )
        guided = attention_similarity is not None or target_embedding is not None
        updates = None
        if self._may_hurry and not guided and not want_attentions:
            masks, scores = decode_each(
                self.mask_decoder,
                [prepared] if prepared else self._prepared(image_embeddings, grid_offset),
                sparse,
                dense if input_masks is not None else None,
                multimask_output,
                least_score,
            )
        else:
            masks, scores, updates = self.mask_decoder(
                image_embeddings,
                self.get_image_wide_positional_embeddings(grid, grid_offset),
                sparse,
                dense,
                multimask_output,
                attention_similarity,
                target_embedding,
            )
            if least_score is not None:
                masks = masks.masked_fill((scores <= least_score)[..., None, None], -torch.inf)
        output = SamImageSegmentationOutput(
            iou_scores=scores,
            pred_masks=masks,
            vision_hidden_states=hidden_states,
            vision_attentions=attentions,
            mask_decoder_attentions=updates if want_attentions else None,
        )
        as_dict = self._setting("use_return_dict", return_dict, True)
        return output if as_dict else output.to_tuple()

    @property
    def _may_hurry(self) -> bool:
        """Whether the quick way of decoding may be taken: nothing is to be learned, on a CPU."""
        quick = self.device.type == "cpu" and self.dtype == torch.float32
        return quick and not torch.is_grad_enabled()

    def _prepared(
        self, image_embeddings: torch.Tensor, offset: tuple[int, int]
    ) -> list[PreparedImage]:
        return [self.prepare_image(one[None], offset) for one in image_embeddings]

    def _setting(self, key: str, given: bool | None, default: bool) -> bool:
        """Return an argument, or what the configuration's file says where it was not given."""
        return bool(self.config.extra.get(key, default)) if given is None else given


def _dtype(given: torch.dtype | str | None) -> torch.dtype | None:
    """Return a floating point type of its name; None of "auto"."""
    found = getattr(torch, given, given) if isinstance(given, str) else given
    if found is None or found == "auto":
        return None
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise TypeError(f"torch_dtype must be a floating point type or 'auto', got {given!r}")
    return found
