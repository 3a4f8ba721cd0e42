"""Where the network computes and in which precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from samari.errors import InputError
from samari.sam.packed import PackedLinear, precision

if TYPE_CHECKING:
    from samari.sam import SamModel

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str) -> torch.device:
    """Return the device of a name.

    Parameters
    ----------
    name : str
        ``"auto"`` takes CUDA, then Apple's MPS, then the CPU; or any name torch knows.

    Raises
    ------
    InputError
        If torch does not know the name or has no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        device = torch.empty(1, device=device).device  # "cuda" is one of several
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        # AssertionError: a torch built without CUDA says so in this way.
        raise InputError(
            f"the device {name!r} is not there; use 'cpu' or 'auto' (torch {torch.__version__} "
            f"says: {str(error).splitlines()[0]})"
        ) from error
    if device.type == "meta":
        raise InputError("the device 'meta' computes nothing; use 'cpu' or 'auto'")
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the floating point type of a name.

    Parameters
    ----------
    name : str
        ``"auto"`` is bfloat16 on a CPU that multiplies in it, which takes half the time, and
        float32 elsewhere; or one of `DTYPES`.
    device : torch.device
        Where the network computes.

    Raises
    ------
    InputError
        If the name is not known.
    """
    if name == "auto":
        quick = device.type == "cpu" and has_bfloat16()
        return torch.bfloat16 if quick else torch.float32
    if name not in DTYPES:
        raise InputError(f"dtype is {name!r}; it must be 'auto', {', '.join(map(repr, DTYPES))}")
    return DTYPES[name]


def encoder_dtype(network: SamModel) -> torch.dtype:
    """Return in which dtype the image encoder multiplies now."""
    linear = (nn.Linear, PackedLinear)
    layers = network.vision_encoder.layers.modules()
    return next(precision(layer) for layer in layers if isinstance(layer, linear))


def key_suffixes(network: SamModel) -> tuple[str, ...]:
    """Return what names the precision of its embeddings in their keys, and then what serves too.

    Embeddings of float32, which are exact, serve every precision.
    """
    dtype = encoder_dtype(network)
    own = f"/{dtype}".replace("torch.", "")
    return ("",) if dtype == torch.float32 else (own, "")


def for_inference(network: SamModel, device: torch.device, dtype: torch.dtype) -> SamModel:
    """Return a network as it computes fastest on a device, its encoder in a dtype.

    It is changed in place. Prompt encoder and mask decoder compute in float32.

    Raises
    ------
    InputError
        If the encoder was rounded to another dtype before. What was lost does not come back, and
        its embeddings would pass for those of the dtype.
    """
    held = encoder_dtype(network)
    if torch.promote_types(held, dtype) != held:
        wanted, rounded = (str(name).removeprefix("torch.") for name in (dtype, held))
        raise InputError(
            f"the image encoder of this model was rounded to {rounded} when it was used before, so "
            f"it cannot compute in {wanted}; load the model again, with samari.zoo.load"
        )
    network = network.float().eval().requires_grad_(False).to(device)
    if device.type == "cpu" and dtype != torch.float16:
        network.pack(dtype)
    elif dtype != torch.float32:
        network.vision_encoder.to(dtype)
    return network


def has_bfloat16() -> bool:
    """Whether the CPU has instructions that multiply in bfloat16; False where torch cannot tell."""
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        tells = getattr(torch.cpu, name, None)
        if tells is not None and tells():
            return True
    return False
