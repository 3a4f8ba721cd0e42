"""What `load` returns, and the hash that tells networks apart."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from samari.errors import WeightsError
from samari.sam.weights import load_state_dict
from samari.zoo import MODELS, LoadedModel, available, load, store, weights_hash

if TYPE_CHECKING:
    from pathlib import Path


def test_loaded_model_is_ready_to_predict(tiny_model_folder: Path) -> None:
    loaded = load(tiny_model_folder)
    assert isinstance(loaded, LoadedModel)
    assert loaded.name == tiny_model_folder.name
    assert loaded.info is None
    assert not loaded.model.training
    assert loaded.model.dtype == torch.float32
    assert len(loaded.hash) == 64


def test_hash_does_not_depend_on_the_kind_of_file(
    tiny_model_folder: Path, weights: Path, tmp_path: Path
) -> None:
    shutil.copy(tiny_model_folder / "config.json", tmp_path)
    first = load(tiny_model_folder).hash
    assert load(weights).hash == first
    state = load_file(tiny_model_folder / "model.safetensors")
    save_file(dict(reversed(state.items())), tmp_path / "other.safetensors")
    assert load(tmp_path / "other.safetensors").hash == first
    assert load(weights, dtype=torch.float16).hash == first


def test_hash_changes_with_any_weight_and_any_setting_that_matters(
    tiny_model_folder: Path,
) -> None:
    loaded = load(tiny_model_folder)
    tensors, _ = load_state_dict(tiny_model_folder)
    config = loaded.model.config
    assert weights_hash(tensors, config) == loaded.hash
    name = "mask_decoder.iou_token.weight"
    nudged = tensors[name].clone()
    nudged[0, 0] = torch.nextafter(nudged[0, 0], torch.tensor(1e9))
    other = [weights_hash({**tensors, name: nudged}, config)]
    config.mask_decoder_config.num_attention_heads = 4
    other.append(weights_hash(tensors, config))
    config.extra["samari"] = {"pad": True}
    other.append(weights_hash(tensors, config))
    assert len({loaded.hash, *other}) == 4
    config.extra["transformers_version"] = "9"
    config.vision_config.initializer_range = 7.0
    assert weights_hash(tensors, config) == other[-1]


def test_bundled_model_is_found_inside_the_package(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "bundled_folder", lambda name: tiny_model_folder)
    loaded = load("samari-tiny")
    assert loaded.name == "samari-tiny"
    assert loaded.info is MODELS["samari-tiny"]


def test_damage_of_the_bundled_model_names_the_tensor(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 40, for the model in the package."""
    folder = tmp_path / "bundled"
    shutil.copytree(tiny_model_folder, folder)
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    monkeypatch.setattr(store, "bundled_folder", lambda name: folder)
    with pytest.raises(WeightsError, match="damaged at tensor"):
        load("samari-tiny")


@pytest.mark.skipif(not available("samari-tiny"), reason="the bundled weights are not here yet")
def test_bundled_model_loads_here_and_in_transformers(no_network: Any) -> None:
    """Trap 38: the first click works offline."""
    loaded = load("samari-tiny")
    folder = store.find("samari-tiny")
    assert folder is not None
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size <= 25e6
    assert abs(MODELS["samari-tiny"].size_bytes - size) < 0.1 * size
    assert "samari" in json.loads((folder / "config.json").read_text())
    transformers = pytest.importorskip("transformers", reason="compares with the reference library")
    theirs, report = transformers.SamModel.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    theirs.eval()
    config = loaded.model.config.vision_config
    pixels = torch.randn(1, 3, config.image_size, config.image_size)
    points = torch.tensor([[[[20.0, 30.0]]]])
    with torch.inference_mode():
        first = theirs(pixel_values=pixels, input_points=points).pred_masks
        second = loaded.model(pixel_values=pixels, input_points=points).pred_masks
    assert (first - second).abs().max() <= 1e-3 * first.std()
