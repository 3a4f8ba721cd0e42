"""`from_pretrained` and `save_pretrained`: folders, files of every kind, the hub, transformers."""

from __future__ import annotations

import json
import re
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from samari.errors import DownloadError, WeightsError
from samari.sam import (
    SamConfig,
    SamImageProcessor,
    SamMaskDecoderConfig,
    SamModel,
    SamProcessor,
    SamPromptEncoderConfig,
    SamVisionConfig,
    pipeline,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOLDEN = Path(__file__).parents[1] / "golden"
HUB_ID = "facebook/sam-vit-huge"

#: Published name, name in the original's files: the reverse of what the reader does.
ORIGINAL = (
    (r"vision_encoder\.patch_embed\.projection", "image_encoder.patch_embed.proj"),
    (r"vision_encoder\.layers\.(\d+)\.layer_norm(\d)", r"image_encoder.blocks.\1.norm\2"),
    (r"vision_encoder\.layers", "image_encoder.blocks"),
    (r"vision_encoder\.neck\.conv1", "image_encoder.neck.0"),
    (r"vision_encoder\.neck\.layer_norm1", "image_encoder.neck.1"),
    (r"vision_encoder\.neck\.conv2", "image_encoder.neck.2"),
    (r"vision_encoder\.neck\.layer_norm2", "image_encoder.neck.3"),
    (r"vision_encoder", "image_encoder"),
    (r"prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (r"mask_embed\.conv1", "mask_downscaling.0"),
    (r"mask_embed\.layer_norm1", "mask_downscaling.1"),
    (r"mask_embed\.conv2", "mask_downscaling.3"),
    (r"mask_embed\.layer_norm2", "mask_downscaling.4"),
    (r"mask_embed\.conv3", "mask_downscaling.6"),
    (r"upscale_conv1", "output_upscaling.0"),
    (r"upscale_layer_norm", "output_upscaling.1"),
    (r"upscale_conv2", "output_upscaling.3"),
    (r"transformer\.layers\.(\d+)\.layer_norm(\d)", r"transformer.layers.\1.norm\2"),
    (r"layer_norm_final_attn", "norm_final_attn"),
    (r"(iou_prediction_head|mlps\.\d)\.layers\.0", r"\1.layers.1"),
    (r"(iou_prediction_head|mlps\.\d)\.proj_in", r"\1.layers.0"),
    (r"(iou_prediction_head|mlps\.\d)\.proj_out", r"\1.layers.2"),
    (
        r"shared_image_embedding\.positional_embedding",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    ),
)


def _original_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    renamed = {}
    for name, value in state.items():
        if name == "prompt_encoder.shared_embedding.positional_embedding":
            continue
        for pattern, new in ORIGINAL:
            name, count = re.subn(pattern, new, name)
            if count and "layers" in pattern and "proj" not in name:
                break
        renamed[name] = value
    return renamed


@pytest.fixture
def model(small_model: Callable[..., SamModel]) -> SamModel:
    """A small network that transformers can load too."""
    return small_model(rate=2)


@pytest.fixture
def folder(model: SamModel, tmp_path: Path) -> Path:
    """The folder it is saved in, with the settings of its processor."""
    model.save_pretrained(tmp_path / "saved")
    SamProcessor(SamImageProcessor.from_model_config(model.config.to_dict())).save_pretrained(
        tmp_path / "saved"
    )
    return tmp_path / "saved"


def _masks(model: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    size = model.config.vision_config.image_size
    with torch.inference_mode():
        return model(
            pixel_values=torch.randn(1, 3, size, size, generator=generator),
            input_points=torch.tensor([[[[20.0, 30.0]]]]),
        ).pred_masks


def _same(found: SamModel, wanted: SamModel) -> bool:
    """Whether all weights are equal, and the masks but for rounding (it depends on addresses)."""
    state, other = found.state_dict(), wanted.state_dict()
    first, second = _masks(found), _masks(wanted)
    return (
        state.keys() == other.keys()
        and all(state[key].equal(other[key]) for key in state)
        and bool((first - second).abs().max() <= 1e-5 * second.std())
    )


# Files


def _as_safetensors(folder: Path) -> Iterator[Path]:
    yield folder
    yield folder / "model.safetensors"


def _as_shards(folder: Path) -> Iterator[Path]:
    state = load_file(folder / "model.safetensors")
    names = sorted(state)
    where = {name: f"model-0000{1 + i % 3}-of-00003.safetensors" for i, name in enumerate(names)}
    for part in set(where.values()):
        save_file({name: state[name] for name in names if where[name] == part}, folder / part)
    (folder / "model.safetensors").unlink()
    index = {"metadata": {"total_size": 0}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    yield folder


def _as_bin(folder: Path) -> Iterator[Path]:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    yield folder
    yield folder / "pytorch_model.bin"


def _as_original(folder: Path) -> Iterator[Path]:
    state = _original_names(load_file(folder / "model.safetensors"))
    assert any(name.startswith("image_encoder.blocks.2.norm2") for name in state)
    torch.save(state, folder / "sam_vit_b_01ec64.pth")
    yield folder / "sam_vit_b_01ec64.pth"


def _as_micro_sam(folder: Path) -> Iterator[Path]:
    state = _original_names(load_file(folder / "model.safetensors"))
    torch.save(state, folder / "vit_b_lm.pt")
    yield folder / "vit_b_lm.pt"
    torch.save({"model_state": {f"sam.{k}": v for k, v in state.items()}}, folder / "best.pt")
    yield folder / "best.pt"


@pytest.mark.parametrize(
    "written", [_as_safetensors, _as_shards, _as_bin, _as_original, _as_micro_sam]
)
def test_a_network_comes_from_a_file_of_every_kind(
    model: SamModel, folder: Path, written: Callable[[Path], Iterator[Path]]
) -> None:
    for path in written(folder):
        loaded = SamModel.from_pretrained(str(path))
        assert not loaded.training
        assert loaded.config == model.config
        assert _same(loaded, model)


def test_a_keras_file_gives_the_masks_of_its_tensorflow_twin() -> None:
    pytest.importorskip("h5py", reason="reading .h5 files is an extra")
    cases = load_file(GOLDEN / "square.cases.safetensors")
    model = SamModel.from_pretrained(GOLDEN / "tf")
    with torch.inference_mode():
        output = model(
            pixel_values=cases["in.pixel_values"],
            input_points=cases["in.input_points"],
            input_labels=cases["in.input_labels"],
        )
    wanted = cases["out.points.pred_masks"]
    assert (output.pred_masks - wanted).abs().max() <= 1e-4
    assert (output.iou_scores - cases["out.points.iou_scores"]).abs().max() <= 1e-4


def test_the_floating_point_type_may_be_named(folder: Path) -> None:
    for given, wanted in (
        ("float16", torch.float16),
        (torch.bfloat16, torch.bfloat16),
        ("auto", torch.float32),
        (None, torch.float32),
    ):
        assert SamModel.from_pretrained(folder, torch_dtype=given).dtype == wanted
    for wrong in ("int8", "nothing", torch.int64):
        with pytest.raises(TypeError, match="floating point type"):
            SamModel.from_pretrained(folder, torch_dtype=wrong)


def test_an_unknown_argument_is_an_error_that_lists_the_known_ones(folder: Path) -> None:
    for kind in (SamModel, SamProcessor, SamImageProcessor):
        with pytest.raises(TypeError, match=r"'revison'.*revision"):
            kind.from_pretrained(folder, revison="main")


def _cut(folder: Path) -> Path:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-64])
    return file


def _flipped(folder: Path) -> Path:
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    return file


def _wrong_shape(folder: Path) -> Path:
    file = folder / "model.safetensors"
    state = load_file(file)
    state["vision_encoder.pos_embed"] = state["vision_encoder.pos_embed"][:, :4].clone()
    save_file(state, file)
    return file


def _lacking(folder: Path) -> Path:
    file = folder / "model.safetensors"
    state = load_file(file)
    del state["vision_encoder.neck.conv1.weight"]
    save_file(state, file)
    return file


@pytest.mark.parametrize(
    ("damage", "tensor"),
    [
        (_cut, r"vision_encoder\.\S+"),
        (_flipped, r"vision_encoder\.\S+"),
        (_wrong_shape, r"vision_encoder\.pos_embed"),
        (_lacking, r"vision_encoder\.neck\.conv1\.weight"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_file_and_tensor(
    folder: Path, damage: Callable[[Path], Path], tensor: str
) -> None:
    """Trap 40, through the door that users take."""
    file = damage(folder)
    with pytest.raises(WeightsError, match=tensor) as raised:
        SamModel.from_pretrained(folder)
    assert str(file) in str(raised.value)


def test_a_pickle_with_code_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    """Trap 39, through the door that users take."""

    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    (folder / "model.safetensors").unlink()
    torch.save({"vision_encoder.pos_embed": Attack()}, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin"):
        SamModel.from_pretrained(folder)
    assert not (tmp_path / "ran").exists()


# Configurations and processors


def test_a_part_of_the_configuration_is_read_from_the_whole(model: SamModel, folder: Path) -> None:
    whole = model.config
    assert SamVisionConfig.from_pretrained(folder) == whole.vision_config
    assert SamPromptEncoderConfig.from_pretrained(folder) == whole.prompt_encoder_config
    assert SamMaskDecoderConfig.from_pretrained(folder) == whole.mask_decoder_config
    whole.vision_config.save_pretrained(folder / "part")
    assert SamVisionConfig.from_pretrained(folder / "part") == whole.vision_config


# The hub


def test_everything_of_a_hub_id_comes_from_the_hub_once(
    web: Any, model: SamModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 38: no network access when the files are there."""
    web.add_model(HUB_ID, folder)

    def check() -> None:
        assert _same(SamModel.from_pretrained(HUB_ID), model)
        assert SamConfig.from_pretrained(HUB_ID) == model.config
        assert SamProcessor.from_pretrained(HUB_ID).target_size == 64
        image = np.zeros((16, 16, 3), np.uint8)
        result = pipeline(model=HUB_ID)(image, points_per_crop=2, pred_iou_thresh=1e9)
        assert result["masks"] == []

    check()
    assert any(path.endswith("model.safetensors") for path in web.asked)

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError(f"tried to connect: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    check()


@pytest.mark.parametrize("written", [_as_shards, _as_bin])
def test_hub_models_of_other_kinds_load(
    web: Any, model: SamModel, folder: Path, written: Callable[[Path], Iterator[Path]]
) -> None:
    list(written(folder))
    web.add_model(HUB_ID, folder)
    assert _same(SamModel.from_pretrained(HUB_ID), model)


def test_a_hub_model_with_nothing_but_a_keras_file_loads(web: Any) -> None:
    pytest.importorskip("h5py", reason="reading .h5 files is an extra")
    web.add_model(HUB_ID, GOLDEN / "tf")
    found = SamModel.from_pretrained(HUB_ID).state_dict()
    wanted = load_file(GOLDEN / "square.model.safetensors")
    assert all(found[name].equal(value) for name, value in wanted.items())


def test_a_revision_and_a_cache_may_be_chosen(web: Any, folder: Path, tmp_path: Path) -> None:
    web.add_model(HUB_ID, folder)
    where = {"revision": "main", "cache_dir": tmp_path / "own"}
    SamModel.from_pretrained(HUB_ID, **where)
    SamProcessor.from_pretrained(HUB_ID, **where)
    assert list((tmp_path / "own").rglob("model.safetensors"))
    assert list((tmp_path / "own").rglob("preprocessor_config.json"))
    with pytest.raises(DownloadError, match=HUB_ID):
        SamProcessor.from_pretrained(HUB_ID, local_files_only=True)


def test_a_hub_that_does_not_answer_is_an_error_with_its_address(web: Any) -> None:
    for kind in (SamModel, SamProcessor, SamConfig):
        with pytest.raises((DownloadError, FileNotFoundError), match="nobody/nothing"):
            kind.from_pretrained("nobody/nothing")
    with pytest.raises(DownloadError, match="http://127"):
        SamModel.from_pretrained("nobody/nothing")


# transformers


def test_transformers_loads_what_we_save_and_we_load_its_shards(
    model: SamModel, folder: Path, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers", reason="compares with the reference library")
    theirs, report = transformers.SamModel.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    wanted = _masks(model)
    assert (_masks(theirs.eval()) - wanted).abs().max() <= 1e-4 * wanted.std()
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="50KB")
    assert len(list((tmp_path / "theirs").glob("*.safetensors"))) > 1
    assert _same(SamModel.from_pretrained(tmp_path / "theirs"), model)


def test_transformers_loads_the_processor_we_save_and_we_load_its(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="compares with the reference library")
    ours = SamProcessor(
        SamImageProcessor(
            size=64, pad_size=64, mask_size=32, mask_pad_size=32, image_mean=[0.1, 0.2, 0.3]
        )
    )
    ours.save_pretrained(tmp_path / "ours")
    theirs = transformers.SamProcessor.from_pretrained(tmp_path / "ours")
    image = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    wanted = ours(image, input_points=[[[5, 6]]], return_tensors="pt")
    found = theirs(image, input_points=[[[5, 6]]], return_tensors="pt")
    assert found["pixel_values"].shape == wanted["pixel_values"].shape
    # The current version resizes with other code: compare where no resizing happens.
    assert (found["pixel_values"] - wanted["pixel_values"]).abs().max() < 1e-5
    assert np.allclose(found["input_points"], wanted["input_points"])
    theirs.save_pretrained(tmp_path / "theirs")
    again = SamProcessor.from_pretrained(tmp_path / "theirs").image_processor.to_dict()
    saved = ours.image_processor.to_dict()
    del saved["processor_class"], saved["image_processor_type"]
    assert {key: again[key] for key in saved} == saved


def test_a_model_folder_moves_as_a_whole(model: SamModel, folder: Path, tmp_path: Path) -> None:
    shutil.move(folder, tmp_path / "elsewhere")
    assert _same(SamModel.from_pretrained(tmp_path / "elsewhere"), model)
    assert SamProcessor.from_pretrained(tmp_path / "elsewhere").target_size == 64
