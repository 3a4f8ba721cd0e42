from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from tests.train.conftest import MODEL

from samari.errors import InputError
from samari.sam.config import SamConfig
from samari.sam.model import SamModel
from samari.train.grow import deepened
from samari.train.loop import CHECKPOINT, train
from samari.train.stream import BatchStream
from samari.train.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from samari.train.config import TrainConfig
    from samari.train.data import Sample


def deeper(layers: int, wide: list[int]) -> dict[str, Any]:
    vision = {**MODEL["vision_config"], "num_hidden_layers": layers, "global_attn_indexes": wide}
    return {**MODEL, "vision_config": vision}


@pytest.mark.parametrize(
    ("wide", "new"), [([2, 4], (1, 2, 3)), ([3, 4], (0, 1, 4)), ([3, 4], (1, 2, 4))]
)
def test_a_deeper_model_answers_as_the_one_before(wide: list[int], new: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = SamModel(SamConfig.from_dict(MODEL)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    grown = SamModel(SamConfig.from_dict(deeper(5, wide))).eval()
    grown.load_state_dict(deepened(model.state_dict(), grown.config.vision_config, new))
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(
            model.vision_encoder(image).last_hidden_state,
            grown.vision_encoder(image).last_hidden_state,
        )
    # A copy inside, so that its first gradients are those of a trained block.
    silent = grown.vision_encoder.blocks[new[0]]
    origin = grown.vision_encoder.blocks[next(i for i in range(5) if i not in new)]
    assert torch.equal(silent.mlp.lin1.weight, origin.mlp.lin1.weight)
    assert silent.mlp.lin2.weight.abs().sum() == 0


def test_new_blocks_learn_and_a_stopped_run_goes_on(
    make_config: Callable[..., TrainConfig], discs: Sample, tmp_path: Path
) -> None:
    stages = [{"steps": 3}]
    small = Trainer(make_config(stages))
    config = make_config(stages, model=deeper(3, [2]), new_layers=[1])
    trainer = Trainer(config)
    trainer.take_weights({"model": small.model.state_dict()})
    batch = BatchStream(config, [discs]).batch(0)
    begun = small.train_step(batch)["loss"]
    assert trainer.train_step(batch)["loss"] == pytest.approx(begun, rel=1e-5)
    train(trainer, [discs], tmp_path)
    assert trainer.model.vision_encoder.blocks[1].mlp.lin2.weight.abs().mean() > 1e-4
    again = Trainer.load(tmp_path / CHECKPOINT)
    assert again.step == 3
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name


@pytest.mark.parametrize("new", [[1, 1], [3], [-1], ["1"], 1, "12"])
def test_numbers_that_no_block_has_are_refused(
    make_config: Callable[..., TrainConfig], new: Any
) -> None:
    words = f"new_layers is .*{new if isinstance(new, int) else new[0]}.* from 0 to 2"
    with pytest.raises(InputError, match=words):
        make_config([{"steps": 1}], model=deeper(3, [2]), new_layers=new)


def test_weights_that_have_all_blocks_already_are_refused(
    make_config: Callable[..., TrainConfig],
) -> None:
    config = make_config([{"steps": 1}], model=deeper(3, [2]), new_layers=[1])
    whole = {"model": Trainer(config).model.state_dict()}
    words = r"have 3 encoder blocks; .* of which new_layers \[1\] are new: 2 are wanted"
    with pytest.raises(InputError, match=words):
        Trainer(config).take_weights(whole)


def test_a_kind_of_block_that_is_not_there_cannot_be_copied() -> None:
    windows = SamModel(SamConfig.from_dict(deeper(2, [])))
    config = SamConfig.from_dict(deeper(3, [1])).vision_config
    with pytest.raises(InputError, match="block 1, a global one, and the weights have none"):
        deepened(windows.state_dict(), config, [1])
