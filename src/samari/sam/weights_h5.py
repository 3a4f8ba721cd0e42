"""Reads the weights that `TFSamModel` saved (``tf_model.h5``), without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from samari.errors import WeightsError
from samari.sam.weights_keys import keras_name

if TYPE_CHECKING:
    from pathlib import Path


def read_h5(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a Keras HDF5 file, with published names and in torch's layout.

    Dense kernels (in, out) are transposed. Convolution kernels are (height, width, in, out), those
    of transposed convolutions (height, width, out, in); torch's order is the reverse of both.

    Raises
    ------
    WeightsError
        If `h5py` is not installed, or the file is damaged; the tensor is named where it is known.
    """
    try:
        import h5py
    except ImportError as error:
        raise WeightsError(
            f"{path} is an HDF5 file, which needs h5py: pip install samari[h5], or use the model's "
            "safetensors file"
        ) from error
    tensors: dict[str, torch.Tensor] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and "/tf_sam_model/" in name:
            try:
                tensors[keras_name(name)] = _torch_layout(name, np.asarray(item))
            except OSError as error:
                raise WeightsError(f"{path} is damaged at {name}: {error}") from error

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"{path} is no whole HDF5 file: {error}; fetch it again") from error
    if not tensors:
        raise WeightsError(f"{path} was not saved by TFSamModel: it holds no tf_sam_model group")
    return tensors


def _torch_layout(name: str, values: np.ndarray) -> torch.Tensor:
    if name.endswith("/kernel:0"):
        order = (1, 0) if values.ndim == 2 else (3, 2, 0, 1)
        values = values.transpose(order)
    return torch.from_numpy(np.ascontiguousarray(values))
