from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from samari.sam.vision_attention import _bias
from samari.sam.vision_encoder import from_windows, to_windows

if TYPE_CHECKING:
    from collections.abc import Callable

    from samari.sam import SamModel

    from .conftest import Golden

    Make = Callable[..., SamModel]


def pixels(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_steps_yield_once_a_block_and_end_with_what_forward_returns(golden: Golden) -> None:
    encoder, image = golden.model.vision_encoder, golden.inputs["pixel_values"]
    steps, done = encoder.steps(image), []
    while True:
        try:
            done.append(next(steps))
        except StopIteration as end:
            embedding = end.value
            break
    assert done == list(range(1, golden.config.vision_config.num_hidden_layers + 1))
    assert torch.equal(embedding, encoder(image).last_hidden_state)
    assert torch.equal(embedding, golden.model.get_image_embeddings(image))


@torch.no_grad()
def test_asking_for_attentions_does_not_change_the_embedding(small_model: Make) -> None:
    encoder = small_model().vision_encoder
    image = pixels(1, 3, 64, 64)
    plain, full = encoder(image), encoder(image, output_attentions=True)
    torch.testing.assert_close(
        plain.last_hidden_state, full.last_hidden_state, atol=1e-5, rtol=1e-5
    )
    for weights in full.attentions:
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (40, 64), (24, 8), (8, 56)])
@pytest.mark.parametrize("positions", [True, False])
def test_a_smaller_image_gives_a_smaller_grid_all_the_way(
    small_model: Make, size: tuple[int, int], positions: bool
) -> None:
    model = small_model(use_abs_pos=positions)
    image = pixels(2, 3, *size)
    points = torch.tensor([[[[3.0, 4.0]], [[5.0, 1.0]]]] * 2)
    grid = (size[0] // 8, size[1] // 8)
    both = model(image, points, input_masks=torch.zeros(2, 1, 4 * grid[0], 4 * grid[1]))
    assert both.pred_masks.shape == (2, 2, 3, 4 * grid[0], 4 * grid[1])
    embedding = model.get_image_embeddings(image)
    assert embedding.shape == (2, 16, *grid)
    for index in range(2):
        one = model.get_image_embeddings(image[index : index + 1])
        torch.testing.assert_close(one[0], embedding[index], atol=1e-5, rtol=1e-5)
    again = model(image_embeddings=embedding, input_points=points)
    direct = model(image, points)
    torch.testing.assert_close(again.pred_masks, direct.pred_masks)


@torch.no_grad()
def test_a_smaller_grid_uses_the_same_entry_for_the_same_distance(small_model: Make) -> None:
    attention = small_model().vision_encoder.layers[1].attn
    tokens = pixels(1, 8, 8, 24)
    query = pixels(1, 3, 64, 8)
    full = _bias(*attention.relative(query, 8, 8)).reshape(3, 8, 8, 8, 8)
    part = query.reshape(1, 3, 8, 8, 8)[:, :, :5, :3].reshape(1, 3, 15, 8)
    small = _bias(*attention.relative(part, 5, 3)).reshape(3, 5, 3, 5, 3)
    torch.testing.assert_close(small, full[:, :5, :3, :5, :3])
    assert attention(tokens[:, :5, :3])[0].shape == (1, 5, 3, 24)


@torch.no_grad()
def test_an_offset_places_a_crop_in_the_full_frame(small_model: Make) -> None:
    model = small_model()
    whole = model.get_image_wide_positional_embeddings()
    part = model.get_image_wide_positional_embeddings((3, 5), (2, 1))
    torch.testing.assert_close(part, whole[:, :, 2:5, 1:6])
    image, points = pixels(1, 3, 24, 40), torch.tensor([[[[10.0, 20.0]]]])
    placed = model(image, points, grid_offset=(2, 1))
    first = model(image, points)
    assert not torch.allclose(placed.pred_masks, first.pred_masks)
    torch.testing.assert_close(first.pred_masks, model(image, points, grid_offset=(0, 0))[1])


@torch.no_grad()
def test_without_absolute_positions_the_embedding_does_not_depend_on_the_offset(
    small_model: Make,
) -> None:
    image = pixels(1, 3, 24, 40)
    for absolute in (True, False):
        encoder = small_model(use_abs_pos=absolute).vision_encoder
        placed = encoder(image, grid_offset=(2, 1)).last_hidden_state
        assert torch.equal(placed, encoder(image).last_hidden_state) is not absolute


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("offset", [(6, 0), (0, 4), (-1, 0)])
def test_an_offset_that_leaves_the_frame_is_an_error(
    small_model: Make, offset: tuple[int, int], absolute: bool
) -> None:
    model = small_model(use_abs_pos=absolute)
    with pytest.raises(ValueError, match=r"offset \(-?\d, \d\) leaves the frame of \(8, 8\)"):
        model(pixels(1, 3, 24, 40), grid_offset=offset)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 9), (1, 3), (3, 1)])
def test_windows_and_back_is_the_same(height: int, width: int) -> None:
    x = pixels(2, height, width, 4)
    windows = to_windows(x, 3)
    assert windows.shape == (2 * -(-height // 3) * -(-width // 3), 3, 3, 4)
    assert torch.equal(from_windows(windows, 3, height, width), x)


@torch.no_grad()
def test_padding_of_windows_takes_part_in_attention(small_model: Make) -> None:
    layer = small_model().vision_encoder.layers[0]
    x = pixels(1, 8, 8, 24)
    before = layer(x)[0]
    torch.nn.init.constant_(layer.attn.qkv.bias[24:48], 0.5)
    torch.nn.init.constant_(layer.attn.qkv.bias[48:], 0.0)
    without = layer(x)[0]
    torch.nn.init.constant_(layer.attn.qkv.bias[48:], 1.0)
    shifted = layer(x)[0]
    # A constant value bias moves every token equally, padded keys included.
    assert not torch.allclose(without, shifted)
    assert before.shape == shifted.shape


def test_a_large_grid_gives_the_same_with_and_without_gradients(small_model: Make) -> None:
    encoder = small_model(image_size=512, num_hidden_layers=2).vision_encoder
    image = pixels(2, 3, 272, 264)
    with torch.no_grad():
        quiet = encoder(image).last_hidden_state
    torch.testing.assert_close(quiet, encoder(image).last_hidden_state, atol=1e-5, rtol=1e-5)
