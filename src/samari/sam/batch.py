"""What the processors return: a dict of arrays or tensors that can move to a device."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import torch

_KINDS = ("pt", "np", "tf", "jax")


class BatchFeature(dict[str, Any]):
    """A dict whose entries are also attributes, and whose tensors move together."""

    def __getattr__(self, name: str) -> Any:
        """Return the entry `name`."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no entry {name!r}, there are {sorted(self)}") from None

    def to(self, *args: Any, **kwargs: Any) -> BatchFeature:
        """Move all tensors to a device and floating point tensors to a dtype, in place.

        Parameters
        ----------
        *args, **kwargs
            As for `torch.Tensor.to`: a device, a dtype or both.
        """
        device = kwargs.get("device")
        if device is None and args and not isinstance(args[0], torch.dtype):
            device = args[0]
        for name, value in self.items():
            if not isinstance(value, torch.Tensor):
                raise TypeError(
                    f"entry {name!r} is {type(value).__name__}, no tensor: use return_tensors='pt'"
                )
            if value.is_floating_point():
                self[name] = value.to(*args, **kwargs)
            elif device is not None:
                self[name] = value.to(device=device)
        return self


def tensor_kind(value: object) -> str | None:
    """Return ``"pt"``, ``"np"``, ``"tf"``, ``"jax"`` or None of a string or an enum.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if value is None:
        return None
    name = str(getattr(value, "value", value))
    if name not in _KINDS:
        raise ValueError(f"return_tensors must be one of {_KINDS} or None, got {value!r}")
    return name


def stack(values: Any, kind: str, name: str) -> Any:
    """Return an array, a tensor or a sequence of equal shapes as one tensor of the kind.

    Raises
    ------
    ValueError
        If the shapes differ.
    ImportError
        If TensorFlow or JAX is asked for and not installed.
    """
    if isinstance(values, (list, tuple)):
        shapes = {np.shape(value) for value in values}
        if len(shapes) > 1:
            raise ValueError(
                f"{name} of different shapes {sorted(shapes)} do not make one tensor: use padding, "
                "or return_tensors=None for a list"
            )
    array = np.asarray(values)
    if kind == "np":
        return array
    if kind == "pt":
        return torch.tensor(array)
    if kind == "tf":
        return _module("tensorflow", kind).constant(array)
    return _module("jax.numpy", kind).asarray(array)


def _module(name: str, kind: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ImportError(
            f"return_tensors={kind!r} needs {package}: pip install {package}"
        ) from error


def from_torch(value: torch.Tensor, kind: str | None) -> Any:
    """Return a torch tensor as a tensor of the kind."""
    if kind in (None, "pt"):
        return value
    return stack(value.detach().cpu().numpy(), str(kind), "values")


def to_torch(value: Any) -> torch.Tensor:
    """Return an array or a tensor of any kind as a torch tensor."""
    if isinstance(value, torch.Tensor):
        return value
    # TensorFlow's variables do not know numpy 2's way to ask for an array; they have their own.
    return torch.from_numpy(np.array(value.numpy() if hasattr(value, "numpy") else value))
