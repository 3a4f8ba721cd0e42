"""Weight files of every origin load."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from samari.errors import WeightsError
from samari.sam import SamConfig, SamModel, vit_config, weights
from samari.sam.weights import build_model, load_model, load_state_dict, read_config, save_model
from samari.sam.weights_config import infer_config
from samari.sam.weights_keys import published_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def saved(small_model: Callable[..., SamModel], tmp_path: Path) -> tuple[SamModel, Path]:
    """A small network and the file it was saved in, in a folder with its configuration."""
    model = small_model()
    save_model(model, tmp_path / "model")
    return model, tmp_path / "model" / "model.safetensors"


def _original_layout(config: SamConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield names and shapes of an original ``sam_vit_*.pth``, as its class lays them out."""
    v, p, d = config.vision_config, config.prompt_encoder_config, config.mask_decoder_config
    width, side, out = v.hidden_size, v.image_size // v.patch_size, v.output_channels

    def linear(name: str, n_out: int, n_in: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", (n_out, n_in)
        yield f"{name}.bias", (n_out,)

    def norm(name: str, n: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", (n,)
        yield f"{name}.bias", (n,)

    def conv(name: str, *shape: int, bias: int = 0) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", shape
        if bias:
            yield f"{name}.bias", (bias,)

    yield "image_encoder.pos_embed", (1, side, side, width)
    yield from conv(
        "image_encoder.patch_embed.proj", width, 3, v.patch_size, v.patch_size, bias=width
    )
    for i in range(v.num_hidden_layers):
        block = f"image_encoder.blocks.{i}"
        reach = 2 * (side if i in v.global_attn_indexes else v.window_size) - 1
        yield from norm(f"{block}.norm1", width)
        yield f"{block}.attn.rel_pos_h", (reach, width // v.num_attention_heads)
        yield f"{block}.attn.rel_pos_w", (reach, width // v.num_attention_heads)
        yield from linear(f"{block}.attn.qkv", 3 * width, width)
        yield from linear(f"{block}.attn.proj", width, width)
        yield from norm(f"{block}.norm2", width)
        yield from linear(f"{block}.mlp.lin1", v.mlp_dim or 0, width)
        yield from linear(f"{block}.mlp.lin2", width, v.mlp_dim or 0)
    yield from conv("image_encoder.neck.0", out, width, 1, 1)
    yield from norm("image_encoder.neck.1", out)
    yield from conv("image_encoder.neck.2", out, out, 3, 3)
    yield from norm("image_encoder.neck.3", out)

    c, m = p.hidden_size, p.mask_input_channels
    yield "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", (2, v.num_pos_feats)
    for i in range(4):
        yield f"prompt_encoder.point_embeddings.{i}.weight", (1, c)
    yield "prompt_encoder.not_a_point_embed.weight", (1, c)
    yield from conv("prompt_encoder.mask_downscaling.0", m // 4, 1, 2, 2, bias=m // 4)
    yield from norm("prompt_encoder.mask_downscaling.1", m // 4)
    yield from conv("prompt_encoder.mask_downscaling.3", m, m // 4, 2, 2, bias=m)
    yield from norm("prompt_encoder.mask_downscaling.4", m)
    yield from conv("prompt_encoder.mask_downscaling.6", c, m, 1, 1, bias=c)
    yield "prompt_encoder.no_mask_embed.weight", (1, c)

    inner = c // d.attention_downsample_rate
    stack = "mask_decoder.transformer"
    for i in range(d.num_hidden_layers):
        block = f"{stack}.layers.{i}"
        for kind, n in (
            ("self_attn", c),
            ("cross_attn_token_to_image", inner),
            ("cross_attn_image_to_token", inner),
        ):
            for part in ("q_proj", "k_proj", "v_proj"):
                yield from linear(f"{block}.{kind}.{part}", n, c)
            yield from linear(f"{block}.{kind}.out_proj", c, n)
        for k in range(1, 5):
            yield from norm(f"{block}.norm{k}", c)
        yield from linear(f"{block}.mlp.lin1", d.mlp_dim, c)
        yield from linear(f"{block}.mlp.lin2", c, d.mlp_dim)
    for part in ("q_proj", "k_proj", "v_proj"):
        yield from linear(f"{stack}.final_attn_token_to_image.{part}", inner, c)
    yield from linear(f"{stack}.final_attn_token_to_image.out_proj", c, inner)
    yield from norm(f"{stack}.norm_final_attn", c)
    yield "mask_decoder.iou_token.weight", (1, c)
    yield "mask_decoder.mask_tokens.weight", (4, c)
    yield from conv("mask_decoder.output_upscaling.0", c, c // 4, 2, 2, bias=c // 4)
    yield from norm("mask_decoder.output_upscaling.1", c // 4)
    yield from conv("mask_decoder.output_upscaling.3", c // 4, c // 8, 2, 2, bias=c // 8)
    for i in range(4):
        head = f"mask_decoder.output_hypernetworks_mlps.{i}.layers"
        yield from linear(f"{head}.0", c, c)
        yield from linear(f"{head}.1", c, c)
        yield from linear(f"{head}.2", c // 8, c)
    head, h = "mask_decoder.iou_prediction_head.layers", d.iou_head_hidden_dim
    yield from linear(f"{head}.0", h, c)
    yield from linear(f"{head}.1", h, h)
    yield from linear(f"{head}.2", 4, h)


def _small_published_config() -> SamConfig:
    """Return the original's structure, small: its decoder has eight heads and halves the width."""
    size = {"image_size": 64, "patch_size": 8}
    return SamConfig(
        {
            **size,
            "hidden_size": 24,
            "num_hidden_layers": 3,
            "num_attention_heads": 3,
            "window_size": 3,
            "global_attn_indexes": [1],
            "output_channels": 32,
            "num_pos_feats": 16,
        },
        {**size, "hidden_size": 32, "mask_input_channels": 8},
        {"hidden_size": 32, "mlp_dim": 24, "iou_head_hidden_dim": 16},
    )


def _original_file(path: Path, wrap: Callable[[dict[str, Any]], Any] = lambda state: state) -> Path:
    generator = torch.Generator().manual_seed(1)
    layout = _original_layout(_small_published_config())
    state = {name: torch.randn(shape, generator=generator) for name, shape in layout}
    torch.save(wrap(state), path)
    return path


def _same(first: SamModel, second: SamModel) -> bool:
    state, other = first.state_dict(), second.state_dict()
    return state.keys() == other.keys() and all(state[key].equal(other[key]) for key in state)


# What loads


def test_saved_model_loads_back_bit_for_bit(saved: tuple[SamModel, Path]) -> None:
    model, file = saved
    for path in (file, file.parent, str(file)):
        loaded = load_model(path)
        assert _same(loaded, model)
        assert loaded.config == model.config
        assert not loaded.training


def test_a_saved_file_alone_is_the_model(saved: tuple[SamModel, Path], tmp_path: Path) -> None:
    model, _ = saved
    model.config.extra["samari"] = {"pad": False}
    model.config.mask_decoder_config.num_attention_heads = 4
    save_model(model, tmp_path / "one")
    (tmp_path / "one" / "config.json").unlink()
    alone = (tmp_path / "one" / "model.safetensors").rename(tmp_path / "alone.safetensors")
    wanted = {**model.config.to_dict(), "architectures": ["SamModel"]}
    assert load_model(alone).config.to_dict() == wanted
    # As readable for others as any new file of this user.
    (tmp_path / "new").touch()
    assert alone.stat().st_mode == (tmp_path / "new").stat().st_mode


def test_a_damaged_configuration_in_the_metadata_is_told(
    saved: tuple[SamModel, Path], tmp_path: Path
) -> None:
    tensors = load_file(saved[1])
    for kept in ("{", "[]", '{"vision_config": 3}'):
        save_file(tensors, tmp_path / "a.safetensors", metadata={"samari.config": kept})
        with pytest.raises(WeightsError, match=r"metadata of .*a\.safetensors keep is no config"):
            load_model(tmp_path / "a.safetensors")


@pytest.mark.parametrize("size", ["base", "large", "huge"])
def test_original_layouts_of_the_published_sizes_load_strictly(size: str) -> None:
    config = vit_config(size)
    tensors = {name: torch.empty(shape, device="meta") for name, shape in _original_layout(config)}
    renamed, origin = published_names(tensors, Path(f"{size}.pth"))
    assert origin == "original"
    assert infer_config(renamed, Path(f"{size}.pth")) == config
    model = build_model(renamed, config, f"{size}.pth")
    if size == "base":
        assert sum(parameter.numel() for parameter in model.parameters()) == 93_735_472


@pytest.mark.parametrize("size", ["base", "large", "huge"])
def test_layouts_of_the_reference_library_load_strictly(size: str) -> None:
    transformers = pytest.importorskip("transformers", reason="compares with the reference library")
    config = vit_config(size)
    reference_config = transformers.SamConfig(vision_config=config.vision_config.to_dict())
    with torch.device("meta"):
        state = transformers.SamModel(reference_config).state_dict()
    build_model(state, config, f"facebook/sam-vit-{size}")


@pytest.mark.parametrize("start", [b"\x80", b"PK"], ids=["pickle", "zip"])
def test_header_length_that_looks_like_another_kind_of_file_is_none(
    saved: tuple[SamModel, Path], start: bytes
) -> None:
    model, file = saved
    whole = file.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    target = length + (int.from_bytes(start, "little") - length) % 256 ** len(start)
    spaces = b" " * (target - length)
    odd = file.with_name("weights.pt")
    odd.write_bytes(
        struct.pack("<Q", target) + whole[8 : 8 + length] + spaces + whole[8 + length :]
    )
    assert _same(load_model(odd), model)


def test_original_pth_gives_each_tensor_its_published_name(tmp_path: Path) -> None:
    file = _original_file(tmp_path / "sam.pth")
    found, origin = load_state_dict(file)
    original = torch.load(file, weights_only=True)
    assert origin == "original"
    # Pairs that a wrong order of renaming would swap.
    for name, published in {
        "image_encoder.blocks.2.norm2.bias": "vision_encoder.layers.2.layer_norm2.bias",
        "image_encoder.neck.2.weight": "vision_encoder.neck.conv2.weight",
        "mask_decoder.iou_prediction_head.layers.1.weight": (
            "mask_decoder.iou_prediction_head.layers.0.weight"
        ),
        "mask_decoder.output_hypernetworks_mlps.3.layers.2.bias": (
            "mask_decoder.output_hypernetworks_mlps.3.proj_out.bias"
        ),
        "mask_decoder.transformer.layers.1.norm4.weight": (
            "mask_decoder.transformer.layers.1.layer_norm4.weight"
        ),
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": (
            "shared_image_embedding.positional_embedding"
        ),
    }.items():
        assert found[published].equal(original[name]), name
    assert load_model(file).config.vision_config == _small_published_config().vision_config


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"model_state": {f"sam.{k}": v for k, v in state.items()}, "epoch": 3},
        lambda state: {"model": state, "optimizer": {}, "epoch": 3},
        lambda state: {f"module.{k}": v for k, v in state.items()},
        lambda state: {**state, "pixel_mean": torch.zeros(3), "pixel_std": torch.ones(3)},
    ],
    ids=["micro-sam training", "medsam training", "data parallel", "with constants"],
)
def test_weights_beside_other_training_state_load(tmp_path: Path, wrap: Any) -> None:
    plain = load_model(_original_file(tmp_path / "plain.pth"))
    assert _same(load_model(_original_file(tmp_path / "wrapped.pt", wrap)), plain)


def test_old_pickles_without_a_zip_load(tmp_path: Path) -> None:
    state = torch.load(_original_file(tmp_path / "sam.pth"), weights_only=True)
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert _same(load_model(tmp_path / "old.pth"), load_model(tmp_path / "sam.pth"))


def test_kind_of_a_file_is_told_by_its_content_not_its_name(saved: tuple[SamModel, Path]) -> None:
    model, file = saved
    odd = file.with_name("vit_b_lm")
    odd.write_bytes(file.read_bytes())
    assert _same(load_model(odd), model)


def test_pytorch_bin_and_shards_load(saved: tuple[SamModel, Path], tmp_path: Path) -> None:
    model, file = saved
    state = load_file(file)
    binary = tmp_path / "bin"
    binary.mkdir()
    shutil.copy(file.with_name("config.json"), binary)
    torch.save(state, binary / "pytorch_model.bin")
    assert _same(load_model(binary), model)

    shards = tmp_path / "shards"
    shards.mkdir()
    shutil.copy(file.with_name("config.json"), shards)
    names = sorted(state)
    weight_map = {}
    for i, part in enumerate((names[:50], names[50:])):
        save_file({key: state[key] for key in part}, shards / f"model-{i}.safetensors")
        weight_map.update(dict.fromkeys(part, f"model-{i}.safetensors"))
    index = shards / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert _same(load_model(shards), model)

    (shards / "model-1.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"model-1\.safetensors"):
        load_model(shards)
    index.write_text(json.dumps({"weight_map": {"a": "../model/model.safetensors"}}))
    with pytest.raises(WeightsError, match="not beside it"):
        load_model(shards)


def test_either_name_of_the_position_code_is_enough(saved: tuple[SamModel, Path]) -> None:
    model, file = saved
    state = load_file(file)
    for name in (
        "prompt_encoder.shared_embedding.positional_embedding",
        "shared_image_embedding.positional_embedding",
    ):
        save_file({key: value for key, value in state.items() if key != name}, file)
        assert _same(load_model(file), model)
    state[name] = state[name] + 1
    save_file(state, file)
    with pytest.raises(WeightsError, match="must be equal, but differ"):
        load_model(file)


def test_keras_file_gives_the_masks_of_the_reference() -> None:
    pytest.importorskip("h5py", reason="reading .h5 files is an extra")
    tensors, origin = load_state_dict(GOLDEN / "tf")
    assert origin == "tensorflow"
    twin = load_file(GOLDEN / "square.model.safetensors")
    assert tensors.keys() == twin.keys()
    assert all(tensors[key].equal(twin[key]) for key in twin)
    cases = load_file(GOLDEN / "square.cases.safetensors")
    with torch.inference_mode():
        output = load_model(GOLDEN / "tf")(
            cases["in.pixel_values"], cases["in.input_points"], cases["in.input_labels"]
        )
    wanted = cases["out.points.pred_masks"]
    assert (output.pred_masks - wanted).abs().max() <= 1e-4 * wanted.std()


def test_transformers_loads_what_we_save_and_we_load_what_it_saves(
    tmp_path: Path,
) -> None:
    transformers = pytest.importorskip("transformers", reason="compares with the reference library")
    model = load_model(_original_file(tmp_path / "sam.pth"))
    save_model(model, tmp_path / "ours")
    theirs, report = transformers.SamModel.from_pretrained(
        tmp_path / "ours", output_loading_info=True
    )
    assert not any(report.values()), report
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_model(tmp_path / "theirs")
    assert _same(ours, model)
    pixels, points = torch.randn(1, 3, 64, 64), torch.tensor([[[[20.0, 30.0]]]])
    with torch.inference_mode():
        first = theirs.eval()(pixel_values=pixels, input_points=points).pred_masks
        second = ours(pixel_values=pixels, input_points=points).pred_masks
    assert (first - second).abs().max() <= 1e-4 * first.std()


def test_dtype_is_float32_unless_the_files_own_is_asked_for(tmp_path: Path, saved: Any) -> None:
    save_model(saved[0].half(), tmp_path / "half")
    assert load_model(tmp_path / "half").dtype == torch.float32
    assert load_model(tmp_path / "half", dtype=None).dtype == torch.float16
    assert load_model(tmp_path / "half", dtype=torch.bfloat16).dtype == torch.bfloat16


def test_loading_copies_no_weights(saved: tuple[SamModel, Path]) -> None:
    tensors, _ = load_state_dict(saved[1])
    model = build_model(tensors, read_config(saved[1], tensors), saved[1])
    assert model.state_dict()["vision_encoder.neck.conv2.weight"].data_ptr() == (
        tensors["vision_encoder.neck.conv2.weight"].data_ptr()
    )


def test_saving_over_the_file_a_loaded_model_lives_in_changes_only_the_file(
    saved: tuple[SamModel, Path], small_model: Callable[..., SamModel]
) -> None:
    model, file = saved
    loaded = load_model(file)
    other = small_model()
    torch.nn.init.ones_(other.vision_encoder.neck.conv2.weight)
    save_model(other, file.parent)
    assert _same(loaded, model)
    assert _same(load_model(file), other)


@pytest.mark.parametrize("name", ["Zellkern-Modell äöü 细胞 🔬", "d" * 120])
def test_non_ascii_and_long_folder_names_work(saved: Any, tmp_path: Path, name: str) -> None:
    """Trap 41: non-ASCII and very long paths."""
    folder = tmp_path / name / name / "model"
    save_model(saved[0], folder)
    assert _same(load_model(folder), saved[0])
    torch.save(saved[0].state_dict(), folder / "weights.pt")
    assert _same(load_model(folder / "weights.pt"), saved[0])


def test_network_takes_no_memory_before_it_has_the_files_tensors(
    saved: tuple[SamModel, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(weights, "_compare", lambda wanted, *_: made.update(wanted))
    model = load_model(saved[1])
    assert made.keys() == model.state_dict().keys()
    assert {tensor.device.type for tensor in made.values()} == {"meta"}
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"cpu"}
