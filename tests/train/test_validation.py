from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from samari.errors import InputError
from samari.train.loop import train
from samari.train.stream import BatchStream
from samari.train.trainer import Trainer
from samari.train.validation import Validation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from samari.train.config import TrainConfig
    from samari.train.data import Sample


def test_what_was_learnt_is_seen(make_config: Callable[..., TrainConfig], discs: Sample) -> None:
    config = make_config([{"steps": 120, "loss": "balanced", "corrections": 0}], lr=4e-3, ema=0.5)
    other = dataclasses.replace(discs, dataset="other")
    validation = Validation(config.model, [discs, other], 1)
    trainer = Trainer(config)
    before = validation.look(trainer.ema)
    assert set(before) == {discs.dataset, "other"}
    assert before["other"] == before[discs.dataset]
    assert validation.look(trainer.ema) == before
    batch = BatchStream(config, [discs]).batch(0)
    for step in range(config.total):
        trainer.train_step(dataclasses.replace(batch, step=step))
    after = validation.look(trainer.ema)["other"]
    assert after["click"] > before["other"]["click"] + 0.1
    assert after["box"] > before["other"]["box"] + 0.1


def test_no_more_pictures_of_a_set_than_asked_for(
    make_config: Callable[..., TrainConfig], discs: Sample
) -> None:
    model = make_config([{"steps": 1}]).model
    several = [dataclasses.replace(discs, key=str(i)) for i in range(5)]
    assert len(Validation(model, several, 2)._lessons[discs.dataset]) == 2
    with pytest.raises(InputError, match="no validation images"):
        Validation(model, [], 2)


def test_a_run_looks_every_so_many_steps_and_at_the_end(
    make_config: Callable[..., TrainConfig], discs: Sample, tmp_path: Path
) -> None:
    config = make_config([{"steps": 5, "loss": "focal"}], val_every=2)
    told: list[tuple[int, int]] = []
    train(
        Trainer(config),
        [discs],
        tmp_path,
        validation=Validation(config.model, [discs], 1),
        progress=lambda done, total: told.append((done, total)),
    )
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "validation" in line] == [2, 4, 5]
    assert set(lines[0]["validation"][discs.dataset]) == {"click", "box"}
    assert told == [(n, 5) for n in range(1, 6)]


def test_a_set_that_cannot_be_looked_at_is_refused_before_the_training(
    make_config: Callable[..., TrainConfig], discs: Sample
) -> None:
    model = make_config([{"steps": 1}]).model
    zooming = {**model, "samari": {"pad": False, "upscale": False, "zoom": 64}}
    labels = np.zeros((64, 64), np.int32)
    labels[20:24, 20:24] = 1  # whose box is answered in a picture of its own
    small = dataclasses.replace(discs, labels=labels, dataset="small")
    Validation(zooming, [small], 2)
    with pytest.raises(InputError, match=r"no object of small .* higher val_images"):
        Validation(zooming, [small], 1)
