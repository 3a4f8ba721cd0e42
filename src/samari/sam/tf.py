"""`TFSamModel`: our network for programs that speak TensorFlow.

It takes TensorFlow or numpy tensors and returns TensorFlow tensors; torch computes in between.
TensorFlow is an extra (``pip install samari[tensorflow]``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from samari.errors import InputError
from samari.sam.batch import from_torch, to_torch
from samari.sam.model import SamModel

if TYPE_CHECKING:
    import os

    from samari.sam.config import SamConfig
    from samari.sam.outputs import SamImageSegmentationOutput


class TFSamModel:
    """Segment Anything with TensorFlow tensors at both ends.

    It predicts only: gradients do not pass from TensorFlow through torch. To train, use `SamModel`.

    Parameters
    ----------
    config : SamConfig
        The network has random weights; see `from_pretrained` for others.

    Attributes
    ----------
    model : SamModel
        The network, in evaluation mode. ``model.to("cuda")`` moves it to a GPU.
    """

    def __init__(self, config: SamConfig) -> None:
        self.model = SamModel(config).eval()

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        config: SamConfig | None = None,
        *,
        from_pt: bool = False,
        **options: Any,
    ) -> TFSamModel:
        """Load a network as `SamModel.from_pretrained` does, from a file of any kind.

        Parameters
        ----------
        name : str or Path
            A folder, a file such as ``tf_model.h5``, or a hub id.
        config : SamConfig, optional
            In place of the ``config.json`` beside the weights.
        from_pt : bool
            Accepted for the reference's sake: what kind a file is, its content tells.
        **options
            See `SamModel.from_pretrained`.

        Raises
        ------
        WeightsError
            If anything about the file is wrong.
        DownloadError
            If the hub cannot be reached.
        """
        found = cls.__new__(cls)
        found.model = SamModel.from_pretrained(name, config, **options)
        return found

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write ``config.json`` and ``model.safetensors``, which all of Samari reads."""
        self.model.save_pretrained(folder)

    @property
    def config(self) -> SamConfig:
        """Configuration of the network."""
        return self.model.config

    def __call__(
        self, inputs: Any = None, *args: Any, **kwargs: Any
    ) -> SamImageSegmentationOutput | tuple[Any, ...]:
        """Do the same as `call`; the arguments may also be one dict, as in Keras."""
        if isinstance(inputs, Mapping):
            return self.call(*args, **{**inputs, **kwargs})
        if inputs is not None:
            args = (inputs, *args)
        return self.call(*args, **kwargs)

    @torch.inference_mode()
    def call(
        self,
        pixel_values: Any = None,
        input_points: Any = None,
        input_labels: Any = None,
        input_boxes: Any = None,
        input_masks: Any = None,
        image_embeddings: Any = None,
        multimask_output: bool = True,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        training: bool = False,
        **kwargs: Any,
    ) -> SamImageSegmentationOutput | tuple[Any, ...]:
        """Predict masks for N prompts on each of B images.

        Parameters
        ----------
        pixel_values, input_points, input_labels, input_boxes, input_masks, image_embeddings
            TensorFlow tensors or numpy arrays; see `SamModel.forward` for shapes and meaning.
        multimask_output, output_attentions, output_hidden_states, return_dict : bool
            See `SamModel.forward`.
        training : bool
            Must be False.
        **kwargs
            What else `SamProcessor` returns is accepted and not used.

        Returns
        -------
        SamImageSegmentationOutput or tuple
            The fields of `SamModel.forward`, as TensorFlow tensors.

        Raises
        ------
        InputError
            If `training` is True.
        ImportError
            If TensorFlow is not installed.
        ValueError
            If shapes do not fit together; the message names them.
        TypeError
            If an argument is unknown.
        """
        if training:
            raise InputError(
                "training=True: TFSamModel only predicts; train samari.sam.SamModel with torch"
            )
        tensors = {
            "pixel_values": pixel_values,
            "input_points": input_points,
            "input_labels": input_labels,
            "input_boxes": input_boxes,
            "input_masks": input_masks,
            "image_embeddings": image_embeddings,
        }
        output = self.model(
            **{key: self._torch(value) for key, value in tensors.items()},
            multimask_output=multimask_output,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=return_dict,
            **kwargs,
        )
        if isinstance(output, tuple):
            return tuple(_tensorflow(value) for value in output)
        fields = dataclasses.fields(output)
        return type(output)(**{f.name: _tensorflow(getattr(output, f.name)) for f in fields})

    @torch.inference_mode()
    def get_image_embeddings(
        self,
        pixel_values: Any,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Encode (B, 3, H, W) normalised pixels as a (B, C, h, w) TensorFlow tensor.

        See `SamModel.get_image_embeddings`.
        """
        pixels = self._torch(pixel_values)
        assert pixels is not None
        return _tensorflow(self.model.get_image_embeddings(pixels))

    @torch.inference_mode()
    def get_prompt_embeddings(
        self,
        input_points: Any = None,
        input_labels: Any = None,
        input_boxes: Any = None,
        input_masks: Any = None,
    ) -> tuple[Any, Any]:
        """Return sparse and dense embeddings of prompts; see `SamModel.get_prompt_embeddings`."""
        prompts = (input_points, input_labels, input_boxes, input_masks)
        sparse, dense = self.model.get_prompt_embeddings(*map(self._torch, prompts))
        return _tensorflow(sparse), _tensorflow(dense)

    @torch.inference_mode()
    def get_image_wide_positional_embeddings(self) -> Any:
        """Return the (1, C, h, w) position code of every token of the image."""
        return _tensorflow(self.model.get_image_wide_positional_embeddings())

    def _torch(self, value: Any) -> torch.Tensor | None:
        """Return a TensorFlow, numpy or torch tensor as a torch tensor on the network's device."""
        if value is None:
            return None
        tensor = to_torch(value)
        if tensor.is_floating_point() and tensor.dtype != self.model.dtype:
            # Points come as float64, which Apple's GPUs do not have.
            tensor = tensor.to(torch.float32)
        return tensor.to(self.model.device)


def _tensorflow(value: Any) -> Any:
    """Return torch tensors, and tuples of them, as TensorFlow tensors; None stays None."""
    if isinstance(value, tuple):
        return tuple(_tensorflow(item) for item in value)
    if value is None:
        return None
    return from_torch(value.float() if value.dtype == torch.bfloat16 else value, "tf")
