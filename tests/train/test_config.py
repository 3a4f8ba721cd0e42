from __future__ import annotations

import dataclasses
import itertools
import json
from typing import TYPE_CHECKING

import pytest

from samari.errors import InputError
from samari.train.config import TrainConfig, load_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STAGES = [
    {"steps": 10, "loss": "dense"},
    {"steps": 5, "loss": "balanced"},
    {"steps": 15, "loss": "focal"},
]


@pytest.fixture
def config(make_config: Callable[..., TrainConfig]) -> TrainConfig:
    return make_config(STAGES, lr=1.0, warmup=4, cosine_from=0.5, final_lr=0.0)


def test_a_step_belongs_to_its_stage(config: TrainConfig) -> None:
    assert config.total == 30
    kinds = [config.stage_at(step)[1].loss for step in (0, 9, 10, 14, 15, 29, 99)]
    assert kinds == ["dense", "dense", "balanced", "balanced", "focal", "focal", "focal"]
    assert [config.stage_at(step)[0] for step in (9, 10, 29)] == [0, 10, 15]


def test_validation_is_looked_at_every_so_many_steps_and_last(config: TrainConfig) -> None:
    looked = dataclasses.replace(config, val_every=7)
    assert [step for step in range(1, 31) if looked.validates_at(step)] == [7, 14, 21, 28, 30]
    assert not any(config.validates_at(step) for step in range(31))


def test_the_rate_warms_up_where_the_task_changes_and_falls_to_its_end(config: TrainConfig) -> None:
    rates = [config.lr_at(step) for step in range(30)]
    assert rates[0] == 0.25
    assert rates[4] == 1.0
    assert rates[10] == 0.25
    assert rates[14] == rates[15] == 1.0
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[16:]))
    assert rates[29] < 0.02


def test_a_config_survives_json(config: TrainConfig, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(config.to_dict()))
    assert load_config(path) == config


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"learning_rate": 1}, "learning_rate"),
        ({"stages": []}, "stages"),
        ({"precision": "float8"}, "precision is 'float8'; known are float32, bfloat16"),
        ({"val_every": -1}, "val_every is -1"),
        ({"val_images": 1}, "val_images 1"),
        ({"stages": [{"steps": 1, "loss": "magic"}]}, "magic"),
        ({"stages": [{"steps": 1, "colour": "red"}]}, "colour"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(
    config: TrainConfig, change: dict[str, object], named: str
) -> None:
    with pytest.raises(InputError, match=named):
        TrainConfig.from_dict({**config.to_dict(), **change})


def test_a_missing_and_a_broken_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training config"):
        load_config(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        load_config(tmp_path / "bad.json")
