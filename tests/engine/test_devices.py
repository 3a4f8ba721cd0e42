from __future__ import annotations

import numpy as np
import pytest
import torch

from samari.engine import devices
from samari.engine.devices import choose_device, choose_dtype
from samari.engine.embedding import EmbeddingCache
from samari.engine.predict import Segmenter
from samari.errors import InputError
from samari.zoo import load

#: As it is, before `tests/conftest.py` makes every processor alike.
in_this_process = devices.has_bfloat16


def test_auto_is_a_device_that_computes():
    assert torch.ones(2, device=choose_device("auto")).sum().item() == 2


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", ""])
def test_a_device_that_is_not_there_is_named_with_the_way_out(name):
    with pytest.raises(InputError, match=f"{name}.*'cpu' or 'auto'"):
        choose_device(name)


CPU = torch.device("cpu")


def test_dtypes_by_name():
    assert choose_dtype("float32", CPU) == torch.float32
    assert choose_dtype("bfloat16", CPU) == torch.bfloat16
    with pytest.raises(InputError, match=r"float64.*bfloat16"):
        choose_dtype("float64", CPU)


@pytest.mark.parametrize("native", ["_is_avx512_bf16_supported", "_is_amx_tile_supported", None])
def test_auto_is_bfloat16_on_processors_that_have_it(monkeypatch, native):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name == native, raising=False)
    monkeypatch.setattr(devices, "has_bfloat16", in_this_process)
    assert choose_dtype("auto", CPU) == (torch.bfloat16 if native else torch.float32)
    assert choose_dtype("auto", torch.device("cuda")) == torch.float32


def test_a_torch_that_cannot_tell_means_float32(monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not in_this_process()


@pytest.mark.parametrize("first", ["bfloat16", "float16"])
def test_a_model_that_was_rounded_does_not_pass_for_an_exact_one(tiny_model_folder, first):
    loaded = load(tiny_model_folder)
    rounded = Segmenter(loaded, "cpu", first)
    with pytest.raises(InputError, match=rf"rounded to {first}.*float32; load the model again"):
        Segmenter(loaded, "cpu", "float32")
    rgb = np.zeros((30, 40, 3), np.uint8)
    wanted = rounded.encode(rgb).features
    again = Segmenter(loaded, "cpu", first)
    assert torch.equal(again.encode(rgb).features, wanted)
    assert Segmenter(load(tiny_model_folder), "cpu", "float32").dtype == "float32"


def test_an_exact_model_may_be_rounded_later(tiny_model_folder):
    loaded = load(tiny_model_folder)
    Segmenter(loaded, "cpu", "float32")
    assert Segmenter(loaded, "cpu", "bfloat16").dtype == "bfloat16"


def test_a_segmenter_whose_model_was_rounded_by_another_does_not_pass_for_exact(tiny_model_folder):
    cache, rgb = EmbeddingCache(), np.zeros((30, 40, 3), np.uint8)
    loaded = load(tiny_model_folder)
    exact = Segmenter(loaded, "cpu", "float32", cache=cache)
    rounding = Segmenter(loaded, "cpu", "bfloat16", cache=cache)
    embedding = exact.encode(rgb)
    assert rounding.cached(rgb) is embedding
    assert Segmenter(tiny_model_folder, "cpu", "float32", cache=cache).cached(rgb) is None
