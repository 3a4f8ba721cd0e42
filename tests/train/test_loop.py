from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest
import torch

from samari.errors import InputError
from samari.train.export import export
from samari.train.loop import CHECKPOINT, LOG, train
from samari.train.parallel import own_device
from samari.train.stream import BatchStream
from samari.train.trainer import Trainer, read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from samari.train.config import TrainConfig
    from samari.train.data import Sample

MIXED = [
    {"steps": 2, "loss": "dense"},
    {"steps": 2, "loss": "balanced", "corrections": 0},
    {"steps": 2, "loss": "focal", "corrections": 1},
]


def test_the_loop_overfits_one_picture(
    make_config: Callable[..., TrainConfig], discs: Sample
) -> None:
    config = make_config([{"steps": 70, "loss": "dense"}], lr=6e-3)
    trainer = Trainer(config)
    batch = BatchStream(config, [discs]).batch(0)
    figures = []
    for step in range(config.total):
        figures.append(trainer.train_step(dataclasses.replace(batch, step=step)))
    assert figures[-1]["foreground"] > 0.6, figures[-1]
    assert figures[-1]["loss"] < 0.5 * figures[0]["loss"]


def test_prompts_learn_where_to_draw(
    make_config: Callable[..., TrainConfig], discs: Sample
) -> None:
    config = make_config([{"steps": 40, "loss": "balanced", "corrections": 0}], lr=4e-3)
    trainer = Trainer(config)
    batch = BatchStream(config, [discs]).batch(0)
    losses = [
        trainer.train_step(dataclasses.replace(batch, step=step))["loss"]
        for step in range(config.total)
    ]
    assert sum(losses[-5:]) < 0.75 * sum(losses[:5])


def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one(
    make_config: Callable[..., TrainConfig], discs: Sample, tmp_path: Path
) -> None:
    config = make_config(MIXED)
    whole = train(Trainer(config), [discs], tmp_path / "whole")
    train(Trainer(config), [discs], tmp_path / "part", stop=lambda: True)
    broken = Trainer.load(tmp_path / "part" / CHECKPOINT)
    assert broken.step == 1
    train(broken, [discs], tmp_path / "part")
    assert broken.step == whole.step == 6
    for name, value in whole.model.state_dict().items():
        assert torch.equal(broken.model.state_dict()[name], value), name
    for name, average in whole.ema.items():
        assert torch.equal(broken.ema[name], average), name


def test_batches_prepared_by_a_worker_are_those_prepared_here(
    make_config: Callable[..., TrainConfig], discs: Sample
) -> None:
    from samari.train.stream import open_stream

    config = make_config(MIXED[:1])
    here, there = (list(open_stream(config, [discs], 0, workers)) for workers in (0, 1))
    for a, b in zip(here, there, strict=True):
        assert a.step == b.step
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.labels, b.labels)


def test_a_frozen_encoder_keeps_its_weights(
    make_config: Callable[..., TrainConfig], discs: Sample, tmp_path: Path
) -> None:
    config = make_config([{"steps": 2, "loss": "focal", "freeze_encoder": True}])
    trainer = Trainer(config)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    train(trainer, [discs], tmp_path)
    changed = {
        name.split(".")[0]
        for name, value in trainer.model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {"prompt_encoder", "mask_decoder"}


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_each_optimiser_resumes_as_if_it_had_not_stopped(
    make_config: Callable[..., TrainConfig], discs: Sample, tmp_path: Path, optimizer: str
) -> None:
    config = make_config([{"steps": 4, "dense_weight": 0.5, "prompted": 1}], optimizer=optimizer)
    whole = train(Trainer(config), [discs], tmp_path / "whole")
    train(Trainer(config), [discs], tmp_path / "part", stop=lambda: True)
    rest = train(Trainer.load(tmp_path / "part" / CHECKPOINT), [discs], tmp_path / "part")
    for name, value in whole.model.state_dict().items():
        assert torch.equal(rest.model.state_dict()[name], value), name


def test_a_run_of_the_other_optimiser_lends_its_weights_only(
    make_config: Callable[..., TrainConfig], discs: Sample, tmp_path: Path
) -> None:
    stages = [{"steps": 1, "loss": "dense"}]
    other = train(Trainer(make_config(stages)), [discs], tmp_path)
    config = make_config(stages, optimizer="muon")
    with pytest.raises(InputError, match="another optimizer"):
        Trainer.load(tmp_path / CHECKPOINT, config)
    trainer = Trainer(config)
    trainer.take_weights(read_checkpoint(tmp_path / CHECKPOINT))
    assert trainer.step == 0
    for name, value in other.model.state_dict().items():
        assert torch.equal(trainer.model.state_dict()[name], value), name
        assert torch.equal(trainer.ema[name], value), name


def test_dense_targets_beside_prompts_teach_all_crops(
    make_config: Callable[..., TrainConfig], discs: Sample
) -> None:
    config = make_config([{"steps": 70, "dense_weight": 3.0, "prompted": 1}], lr=6e-3)
    trainer = Trainer(config)
    batch = BatchStream(config, [discs]).batch(0)
    assert batch.dense is not None
    figures = [
        trainer.train_step(dataclasses.replace(batch, step=step)) for step in range(config.total)
    ]
    assert {"click", "box", "foreground", "offset"} <= set(figures[0])
    assert figures[-1]["foreground"] > figures[0]["foreground"] + 0.2
    # One crop has prompts: what the others show does not change its part of the loss.
    stage = config.stage_at(0)[1]
    torch.manual_seed(0)
    embeddings = torch.randn(2, 32, 8, 8)
    both, _ = trainer._prompt_loss(embeddings[:1], batch, stage)
    labels = batch.labels.clone()
    labels[1] = 0
    alone, _ = trainer._prompt_loss(
        embeddings[:1], dataclasses.replace(batch, labels=labels), stage
    )
    assert both.item() == alone.item()


def test_the_log_has_a_line_of_figures(
    make_config: Callable[..., TrainConfig], discs: Sample, tmp_path: Path
) -> None:
    train(Trainer(make_config(MIXED)), [discs], tmp_path, log_every=3)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6]
    assert "foreground" in lines[0]
    assert {"click", "box", "click+1", "lr", "loss"} <= set(lines[1])


def test_an_exported_checkpoint_is_a_model_folder(
    make_config: Callable[..., TrainConfig], discs: Sample, tmp_path: Path
) -> None:
    from samari.engine.predict import Segmenter

    trainer = train(Trainer(make_config(MIXED[-1:])), [discs], tmp_path)
    assert export(tmp_path / CHECKPOINT, tmp_path / "model", half=True) == 2
    segmenter = Segmenter(tmp_path / "model")
    kept = segmenter.model.state_dict()["mask_decoder.mask_tokens.weight"]
    assert torch.allclose(kept, trainer.ema["mask_decoder.mask_tokens.weight"], atol=1e-2)
    answer = segmenter.predict(discs.image, points=[(18, 18)])
    assert answer.masks.shape == (3, 64, 64)


def test_a_checkpoint_with_a_broken_weight_is_not_exported(
    make_config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    trainer = Trainer(make_config(MIXED))
    trainer.ema["mask_decoder.iou_token.weight"][0, 0] = float("nan")
    trainer.save(tmp_path / CHECKPOINT)
    with pytest.raises(InputError, match="iou_token"):
        export(tmp_path / CHECKPOINT, tmp_path / "model")


def test_a_missing_checkpoint_and_a_batch_out_of_turn_are_refused(
    make_config: Callable[..., TrainConfig], discs: Sample, tmp_path: Path
) -> None:
    config = make_config(MIXED)
    with pytest.raises(InputError, match="no checkpoint"):
        Trainer.load(tmp_path / CHECKPOINT)
    with pytest.raises(InputError, match="batch of step 3"):
        Trainer(config).train_step(BatchStream(config, [discs]).batch(3))


def test_bfloat16_products_teach_as_well(
    make_config: Callable[..., TrainConfig], discs: Sample
) -> None:
    config = make_config([{"steps": 40, "loss": "balanced", "corrections": 0}], lr=4e-3)
    trainer = Trainer(dataclasses.replace(config, precision="bfloat16"))
    batch = BatchStream(config, [discs]).batch(0)
    exact = Trainer(config).train_step(batch)["loss"]
    losses = [
        trainer.train_step(dataclasses.replace(batch, step=step))["loss"]
        for step in range(config.total)
    ]
    assert losses[0] != exact
    assert losses[0] == pytest.approx(exact, rel=0.02)
    assert sum(losses[-5:]) < 0.75 * sum(losses[:5])
    assert all(p.dtype == torch.float32 for p in trainer.model.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card (CUDA)")
def test_a_graphics_card_takes_the_same_steps(
    make_config: Callable[..., TrainConfig], discs: Sample, tmp_path: Path
) -> None:
    config = make_config(MIXED)
    batches = list(BatchStream(config, [discs]))
    trainers = Trainer(config), Trainer(config, "cuda")
    for batch in batches[:3]:
        losses = [trainer.train_step(batch)["loss"] for trainer in trainers]
        assert losses[1] == pytest.approx(losses[0], rel=0.01)
    trainers[1].save(tmp_path / CHECKPOINT)
    for device in ("cpu", "cuda"):
        again = Trainer.load(tmp_path / CHECKPOINT, device=device)
        again.train_step(batches[3])


def test_a_line_that_was_cut_off_takes_no_other_with_it(
    make_config: Callable[..., TrainConfig], discs: Sample, tmp_path: Path
) -> None:
    (tmp_path / LOG).write_text('{"step": 1}\n{"step": 2, "lo')
    train(Trainer(make_config(MIXED)), [discs], tmp_path, log_every=6)
    lines = (tmp_path / LOG).read_text().splitlines()
    assert lines[:2] == ['{"step": 1}', '{"step": 2, "lo']
    assert json.loads(lines[2])["step"] == 6


def test_processes_of_a_run_have_a_card_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert own_device("cuda") == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert [own_device(name) for name in ("cuda", "cuda:3", "cpu")] == ["cuda:1", "cuda:3", "cpu"]
