from __future__ import annotations

import json
from pathlib import Path

import pytest

from samari.sam import (
    SamConfig,
    SamMaskDecoderConfig,
    SamPromptEncoderConfig,
    SamVisionConfig,
    vit_config,
)

GOLDEN = Path(__file__).parents[1] / "golden"

DOCUMENTED = {
    SamVisionConfig: {
        "hidden_size": 768,
        "output_channels": 256,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "num_channels": 3,
        "image_size": 1024,
        "patch_size": 16,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "attention_dropout": 0.0,
        "initializer_range": 1e-10,
        "qkv_bias": True,
        "mlp_ratio": 4.0,
        "use_abs_pos": True,
        "use_rel_pos": True,
        "window_size": 14,
        "global_attn_indexes": [2, 5, 8, 11],
        "num_pos_feats": 128,
        "mlp_dim": 3072,
    },
    SamPromptEncoderConfig: {
        "hidden_size": 256,
        "image_size": 1024,
        "patch_size": 16,
        "image_embedding_size": 64,
        "mask_input_channels": 16,
        "num_point_embeddings": 4,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
    },
    SamMaskDecoderConfig: {
        "hidden_size": 256,
        "hidden_act": "relu",
        "mlp_dim": 2048,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "attention_downsample_rate": 2,
        "num_multimask_outputs": 3,
        "iou_head_depth": 3,
        "iou_head_hidden_dim": 256,
        "layer_norm_eps": 1e-6,
    },
}


@pytest.mark.parametrize("kind", DOCUMENTED)
def test_defaults_are_the_documented_ones(kind: type) -> None:
    assert kind().to_dict() == DOCUMENTED[kind]


def test_the_whole_configuration_has_the_documented_defaults() -> None:
    whole = SamConfig()
    assert whole.initializer_range == 0.02
    assert whole.vision_config == SamVisionConfig()
    assert whole.prompt_encoder_config == SamPromptEncoderConfig()
    assert whole.mask_decoder_config == SamMaskDecoderConfig()


def test_parts_may_be_objects_dicts_or_none_by_position_or_name() -> None:
    part = SamVisionConfig(hidden_size=64)
    assert SamConfig(part, None, {"mlp_dim": 8}).vision_config is part
    assert SamConfig(mask_decoder_config={"mlp_dim": 8}).mask_decoder_config.mlp_dim == 8


def test_two_defaults_do_not_share_their_lists() -> None:
    first = SamVisionConfig()
    first.global_attn_indexes.append(0)
    assert SamVisionConfig().global_attn_indexes == [2, 5, 8, 11]


@pytest.mark.parametrize("name", ["square", "deep", "no_rel_pos"])
def test_a_published_file_survives_a_round_trip(name: str, tmp_path: Path) -> None:
    published = json.loads((GOLDEN / f"{name}.config.json").read_text(encoding="utf-8"))
    config = SamConfig.from_pretrained(GOLDEN / f"{name}.config.json")
    assert config.to_dict() == published
    config.save_pretrained(tmp_path / "new folder")
    assert SamConfig.from_pretrained(tmp_path / "new folder") == config
    assert SamConfig.from_pretrained(tmp_path / "new folder").to_dict() == published


def test_unknown_keys_are_kept_and_written_back() -> None:
    config = SamConfig.from_dict(
        {"samari": {"pad": False}, "vision_config": {"hidden_size": 32, "colour": "blue"}}
    )
    assert config.extra == {"samari": {"pad": False}}
    assert config.vision_config.extra == {"colour": "blue"}
    assert config.to_dict()["samari"] == {"pad": False}
    assert config.to_dict()["vision_config"]["colour"] == "blue"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", "768"),
        ("hidden_size", 768.5),
        ("hidden_size", True),
        ("layer_norm_eps", None),
        ("qkv_bias", 1),
        ("hidden_act", 3),
        ("global_attn_indexes", 2),
        ("global_attn_indexes", [2, "5"]),
    ],
)
def test_a_wrong_type_is_an_error_that_names_key_and_value(key: str, value: object) -> None:
    with pytest.raises(TypeError, match=rf"SamVisionConfig\.{key}.* must be .*, got") as error:
        SamVisionConfig(**{key: value})
    shown = value[1] if isinstance(value, list) else value
    assert repr(shown) in str(error.value)


def test_a_part_of_the_wrong_type_is_an_error_that_names_it() -> None:
    with pytest.raises(TypeError, match=r"SamConfig\.vision_config must be .* got 3"):
        SamConfig(vision_config=3)


def test_too_many_or_doubled_values_are_errors() -> None:
    with pytest.raises(TypeError, match="4 values at most, got 5"):
        SamConfig(None, None, None, 0.02, 1)
    with pytest.raises(TypeError, match="'hidden_size' twice"):
        SamVisionConfig(768, hidden_size=32)


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        SamConfig.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="not a JSON file"):
        SamConfig.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="JSON object"):
        SamConfig.from_pretrained(tmp_path)


def test_an_integer_is_a_float_and_a_tuple_is_a_list() -> None:
    config = SamVisionConfig(mlp_ratio=2, global_attn_indexes=(1, 3))
    assert config.mlp_ratio == 2.0
    assert config.mlp_dim == 1536
    assert config.global_attn_indexes == [1, 3]


@pytest.mark.parametrize(
    ("size", "width", "layers", "heads", "last"),
    [("base", 768, 12, 12, 11), ("large", 1024, 24, 16, 23), ("huge", 1280, 32, 16, 31)],
)
def test_the_published_sizes(size: str, width: int, layers: int, heads: int, last: int) -> None:
    vision = vit_config(size).vision_config
    assert (vision.hidden_size, vision.num_hidden_layers) == (width, layers)
    assert (vision.num_attention_heads, vision.global_attn_indexes[-1]) == (heads, last)
    assert vision.mlp_dim == 4 * width


def test_an_unknown_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="'tiny'"):
        vit_config("tiny")
