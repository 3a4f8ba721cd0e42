"""A network with random weights in the published layout, as ours and as each peer's.

The weights are written once, so that every implementation computes with the same numbers, in
processes of its own too.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from samari.sam import SamModel, vit_config

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 1024
#: Of the network: base, large or huge.
MODEL = "base"
FOLDER = Path(__file__).resolve().parents[1] / "runs" / "bench"


def weights() -> Path:
    """Return the folder of a `MODEL` with random weights; made once."""
    folder = FOLDER / f"random-{MODEL}"
    if not (folder / "model.safetensors").is_file():
        torch.manual_seed(0)
        model = SamModel(vit_config(MODEL))
        for name, parameter in model.named_parameters():
            if "rel_pos" in name:
                torch.nn.init.normal_(parameter, std=0.02)
        model.save_pretrained(folder)
    return folder


def pixels(height: int = SIZE, width: int = SIZE) -> torch.Tensor:
    """Return (1, 3, H, W) normalised noise, smooth enough to have edges."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randn(1, 3, height // 16, width // 16, generator=generator)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")


def ours(dtype: torch.dtype = torch.float32) -> Callable[[torch.Tensor], np.ndarray]:
    """Return our encoder, packed."""
    model = SamModel.from_pretrained(weights())
    model.pack(dtype)

    def encode(image: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            return model.get_image_embeddings(image).numpy()

    return encode


def plain() -> Callable[[torch.Tensor], np.ndarray]:
    """Return our plain modules."""
    model = SamModel.from_pretrained(weights()).requires_grad_(False)

    def encode(image: torch.Tensor) -> np.ndarray:
        with torch.enable_grad():  # by which the quick way is left
            return model.get_image_embeddings(image).numpy()

    return encode


def transformers_model() -> Any:
    """Return the network of transformers, with its fused attention."""
    import transformers

    return transformers.SamModel.from_pretrained(weights(), attn_implementation="sdpa").eval()


def of_transformers() -> Callable[[torch.Tensor], np.ndarray]:
    """Return the encoder of transformers."""
    model = transformers_model()

    def encode(image: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(model.get_image_embeddings(image))

    return encode


def of_segment_anything() -> Callable[[torch.Tensor], np.ndarray]:
    """Return the encoder of segment_anything."""
    from safetensors.torch import load_file

    _stand_in_for_torchvision()
    from segment_anything import sam_model_registry

    from samari.sam.weights_keys import original_names

    model = sam_model_registry[f"vit_{MODEL[0]}"]().eval()
    published = load_file(weights() / "model.safetensors")
    state = model.state_dict()
    for original, name in original_names(list(state)).items():
        if name in published:
            state[original] = published[name]
    model.load_state_dict(state)

    def encode(image: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            return model.image_encoder(image).numpy()

    return encode


def _stand_in_for_torchvision() -> None:
    """Let segment_anything be imported where torchvision is not; its encoder uses none of it."""
    if importlib.util.find_spec("torchvision"):
        return
    names = {"ops.boxes": ("batched_nms", "box_area")}
    names["transforms.functional"] = ("resize", "to_pil_image")
    for module in (
        "torchvision",
        *(f"torchvision.{name}" for name in ("ops", "transforms", *names)),
    ):
        sys.modules[module] = types.ModuleType(module)
    for module, functions in names.items():
        for function in functions:
            setattr(sys.modules[f"torchvision.{module}"], function, None)


def of_openvino(precision: str = "f32") -> Callable[[torch.Tensor], np.ndarray]:
    """Return the encoder as OpenVINO compiles it, in as many threads as torch has."""
    import openvino

    file = FOLDER / f"random-{MODEL}.xml"
    if not file.is_file():
        network = _Encoder(transformers_model())
        with torch.no_grad():
            converted = openvino.convert_model(network, example_input=pixels())
        openvino.save_model(converted, file, compress_to_fp16=False)
    compiled = openvino.Core().compile_model(
        file,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        },
    )

    def encode(image: torch.Tensor) -> np.ndarray:
        return np.array(compiled(image.numpy())[0])

    return encode


def of_onnxruntime() -> Callable[[torch.Tensor], np.ndarray]:
    """Return the encoder in ONNX Runtime, in as many threads as torch has."""
    import onnxruntime

    file = FOLDER / f"random-{MODEL}.onnx"
    if not file.is_file():
        torch.onnx.export(_Encoder(transformers_model()), (pixels(),), file, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def encode(image: torch.Tensor) -> np.ndarray:
        return session.run(None, {name: image.numpy()})[0]

    return encode


class _Encoder(torch.nn.Module):
    """The encoder alone, for tools that trace a module."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = model.vision_encoder

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the embedding."""
        return self.encoder(image)[0]


ENCODERS: dict[str, Callable[[], Callable[[torch.Tensor], np.ndarray]]] = {
    "samari": ours,
    "samari, plain modules": plain,
    "samari bfloat16": lambda: ours(torch.bfloat16),
    "transformers": of_transformers,
    "segment_anything": of_segment_anything,
    "openvino": of_openvino,
    "openvino bfloat16": lambda: of_openvino("bf16"),
    "onnxruntime": of_onnxruntime,
}
