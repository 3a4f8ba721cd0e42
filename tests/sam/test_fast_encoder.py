"""The quick way of encoding gives what the plain modules give, which gradients go through."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from samari.sam import fast_encoder
from samari.sam.packed import PackedLinear, _can_pack, pack

from .test_golden import assert_close

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from samari.sam import SamModel

    from .conftest import Golden

    Make = Callable[..., SamModel]


def pixels(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def plain(model: SamModel, image: torch.Tensor) -> torch.Tensor:
    """Encode by the plain modules."""
    with torch.enable_grad():
        found = model.get_image_embeddings(image)
    assert found.requires_grad
    return found.detach()


def quick(model: SamModel, image: torch.Tensor) -> torch.Tensor:
    """Encode by the quick way."""
    with torch.inference_mode():
        return model.get_image_embeddings(image)


@pytest.fixture(params=["packed", "not packed", "without the private operators"])
def packed(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[SamModel], None]]:
    """Pack a network, as an installation of torch can or cannot do it."""

    def missing(*_: Any) -> None:
        raise NotImplementedError("not in this torch")

    def pack(model: SamModel) -> None:
        if request.param != "not packed":
            model.pack()
            layer = model.vision_encoder.layers[0].mlp.lin1
            assert isinstance(layer, PackedLinear)
            assert layer.is_packed == (request.param == "packed")

    if request.param == "without the private operators":
        monkeypatch.setattr("samari.sam.packed._reordered", missing)
        _can_pack.cache_clear()
    elif not torch.backends.mkldnn.is_available():
        pytest.skip("this torch cannot pack")
    yield pack
    _can_pack.cache_clear()


@pytest.mark.parametrize("name", ["square", "deep", "no_rel_pos"])
def test_every_golden_image_comes_out_the_same(
    load_golden: Callable[[str], Golden], packed: Callable[[SamModel], None], name: str
) -> None:
    golden = load_golden(name)
    image = golden.inputs["pixel_values"]
    wanted = plain(golden.model, image)
    packed(golden.model)
    found = quick(golden.model, image)
    assert_close(found, wanted)
    assert_close(found, golden.outputs["image_embeddings"])


@pytest.mark.parametrize("part", [1, 768, 2**21])
@pytest.mark.parametrize("size", [(64, 64), (40, 64), (24, 8), (8, 56)])
@pytest.mark.parametrize(
    "vision",
    [
        {},
        {"window_size": 8},
        {"window_size": 5, "global_attn_indexes": [0, 2]},
        {"qkv_bias": False},
        {"use_rel_pos": False, "use_abs_pos": False},
        {"hidden_act": "relu", "global_attn_indexes": []},
    ],
)
def test_every_shape_of_windows_comes_out_the_same(
    small_model: Make,
    monkeypatch: pytest.MonkeyPatch,
    vision: dict[str, Any],
    size: tuple[int, int],
    part: int,
) -> None:
    monkeypatch.setattr(fast_encoder, "_PART", part)
    model, image = small_model(**vision), pixels(2, 3, *size)
    wanted = plain(model, image)
    model.pack()
    assert_close(quick(model, image), wanted)


@pytest.mark.parametrize("reach", [1, 2, 3, 100])
@pytest.mark.parametrize("size", [(64, 64), (40, 64), (24, 8)])
def test_every_reach_comes_out_the_same(
    small_model: Make, size: tuple[int, int], reach: int
) -> None:
    model, image = small_model(global_attn_indexes=[0, 2]), pixels(2, 3, *size)
    everywhere = plain(model, image)
    model.limit_attention(reach)
    wanted = plain(model, image)
    assert torch.allclose(wanted, everywhere, atol=1e-5) == (4 * reach >= max(size) / 8)
    model.pack()
    assert_close(quick(model, image), wanted)


@pytest.mark.parametrize("way", [plain, quick])
def test_a_token_out_of_reach_changes_nothing(
    small_model: Make, monkeypatch: pytest.MonkeyPatch, way: Any
) -> None:
    # Of 8 x 8 tokens in squares of 2 x 2, the first square sees the first 4 x 4 tokens.
    model = small_model(num_hidden_layers=1, global_attn_indexes=[0])
    model.limit_attention(1)
    monkeypatch.setattr(type(model.vision_encoder.neck), "forward", _as_tokens)
    image = pixels(1, 3, 64, 64)
    other = image.clone()
    other[..., 32:, :] += 1
    other[..., 32:] += 1
    one, two = way(model, image), way(model, other)
    assert torch.equal(one[:, :2, :2], two[:, :2, :2])
    assert not torch.isclose(one[:, 2:], two[:, 2:]).all(-1).any()
    assert not torch.isclose(one[:, :, 2:], two[:, :, 2:]).all(-1).any()


def _as_tokens(neck: Any, tokens: torch.Tensor) -> torch.Tensor:
    del neck
    return tokens


def test_a_reach_that_cannot_be_is_refused(small_model: Make) -> None:
    for model, reach in ((small_model(), -1), (small_model(use_rel_pos=False), 8)):
        with pytest.raises(ValueError, match=f"reach must be 0 or.*got {reach}"):
            model.limit_attention(reach)


def test_a_batch_is_its_images_bit_for_bit(small_model: Make) -> None:
    model, image = small_model(), pixels(3, 3, 64, 40)
    model.pack()
    together = quick(model, image)
    for index in range(3):
        torch.testing.assert_close(quick(model, image[index : index + 1])[0], together[index])


def test_a_packed_network_is_saved_as_it_was(square: Golden, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in square.model.state_dict().items()}
    square.model.pack()
    after = square.model.state_dict()
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor), name
    square.model.save_pretrained(tmp_path)
    again = type(square.model).from_pretrained(tmp_path)
    assert_close(quick(again, square.inputs["pixel_values"]), square.outputs["image_embeddings"])


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="only Linux tells what is mapped")
def test_a_packed_network_holds_nothing_of_the_file_it_was_loaded_from(
    square: Golden, packed: Callable[[SamModel], None], tmp_path: Path
) -> None:
    square.model.save_pretrained(tmp_path)
    model = type(square.model).from_pretrained(tmp_path)

    def mapped() -> bool:
        return str(tmp_path) in Path("/proc/self/maps").read_text()

    assert mapped()
    packed(model)
    model.pack()
    assert not mapped()


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="only Linux tells what is mapped")
def test_each_layer_gives_its_part_of_the_file_back_before_the_next_is_packed(
    square: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    square.model.save_pretrained(tmp_path)
    model = type(square.model).from_pretrained(tmp_path)
    mapped: list[int] = []

    def watched(module: torch.nn.Module, dtype: torch.dtype) -> None:
        mapped.append(Path("/proc/self/maps").read_text().count(str(tmp_path)))
        pack(module, dtype)

    monkeypatch.setattr("samari.sam.model.pack", watched)
    model.pack()
    count = len(model.vision_encoder.layers)
    assert count > 1
    assert mapped == list(range(mapped[0], mapped[0] - count, -1))


def test_a_packed_network_still_tells_its_attentions(square: Golden) -> None:
    square.model.pack()
    with torch.inference_mode():
        output = square.model(square.inputs["pixel_values"], output_attentions=True)
    for index, weights in enumerate(output.vision_attentions):
        assert_close(weights, square.outputs[f"vision_attention.{index}"])


def test_bfloat16_keeps_norms_and_sums_in_float32(square: Golden) -> None:
    image, wanted = square.inputs["pixel_values"], square.outputs["image_embeddings"]
    square.model.pack(torch.bfloat16)
    found = quick(square.model, image)
    assert found.dtype == torch.float32
    error = (found - wanted).square().mean().sqrt() / wanted.std()
    assert 1e-5 < error < 0.02
    assert {p.dtype for n, p in square.model.named_parameters() if "norm" in n} == {torch.float32}
    square.model.pack(torch.float32)
    assert square.model.vision_encoder.layers[0].attn.qkv.dtype == torch.float32


@pytest.mark.parametrize("part", [1, 768, 2**21])
@pytest.mark.parametrize("size", [(64, 64), (40, 64), (24, 8)])
@pytest.mark.parametrize("vision", [{}, {"window_size": 5, "global_attn_indexes": [0, 2]}])
def test_bfloat16_differs_by_its_rounding_only(
    small_model: Make,
    monkeypatch: pytest.MonkeyPatch,
    vision: dict[str, Any],
    size: tuple[int, int],
    part: int,
) -> None:
    monkeypatch.setattr(fast_encoder, "_PART", part)
    model, image = small_model(**vision), pixels(2, 3, *size)
    for name, parameter in model.named_parameters():
        if "rel_pos" in name:  # large enough that one out of place is no rounding
            torch.nn.init.normal_(parameter, std=20)
    wanted = plain(model, image)
    model.pack(torch.bfloat16)
    error = (quick(model, image) - wanted).square().mean().sqrt() / wanted.std()
    assert 1e-5 < error < 0.002


def test_a_packed_layer_follows_to_another_dtype(square: Golden) -> None:
    square.model.pack()
    square.model.to(torch.float64)
    image = square.inputs["pixel_values"].double()
    with torch.inference_mode():
        found = square.model.get_image_embeddings(image)
    assert_close(found.float(), square.outputs["image_embeddings"])
