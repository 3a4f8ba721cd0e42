from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tests.helpers.domes import domes

from samari.engine.steps import result_of
from samari.errors import InputError
from samari.train.finetune import METHODS, FinetuneConfig, Finetuned, Progress, finetune_steps
from samari.train.learner import Learner
from samari.train.lessons import lessons_of
from samari.train.rehearsal import Rehearsal, drift
from samari.train.trial import try_out
from samari.zoo import load

if TYPE_CHECKING:
    from samari.sam.model import SamModel


@pytest.fixture
def model() -> SamModel:
    return load("samari-tiny").model


TRAINED, HELD = [domes(i) for i in range(3)], [domes(i) for i in range(3, 5)]


def weights(model: SamModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def tuned(model: SamModel, **config: Any) -> Finetuned:
    return result_of(finetune_steps(model, TRAINED, HELD, FinetuneConfig(**config)))


def changed(model: SamModel, before: dict[str, torch.Tensor]) -> set[str]:
    after = model.state_dict()
    return {name.split(".")[0] for name in before if not torch.equal(after[name], before[name])}


@pytest.mark.parametrize(
    ("method", "parts"),
    [
        ("decoder", {"mask_decoder"}),
        ("lora", {"mask_decoder", "vision_encoder"}),
        ("full", {"mask_decoder", "vision_encoder", "prompt_encoder"}),
    ],
)
def test_it_gains_on_what_it_has_not_seen_and_trains_what_it_says(
    model: SamModel, method: str, parts: set[str]
) -> None:
    before = weights(model)
    result = tuned(model, method=method, steps=30, check_every=10, rate=2e-3, prompts=4)
    assert result.gained
    assert result.before.click < 0.65
    assert result.after.click > result.before.click + 0.1
    assert changed(model, before) == parts
    assert set(model.state_dict()) == set(before)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    # The model has the weights that were the best, whatever came after them.
    tests = lessons_of(model, HELD, np.random.default_rng([0, 7]), most=24)
    again = result_of(try_out(model, tests, None, keep=True))
    assert again.mean == pytest.approx(result.after.mean, abs=0.01)
    assert dict(result.curve)[result.best_step] == result.after
    assert result.curve[0] == (0, result.before)


def test_without_a_gain_the_model_stays_as_it_was_and_it_ends_early(model: SamModel) -> None:
    before = weights(model)
    result = tuned(model, steps=500, check_every=2, patience=3, rate=1e-12)
    assert not result.gained
    assert result.ended == "flat"
    assert result.steps == 6
    assert result.after == result.before
    assert changed(model, before) == set()


@pytest.mark.parametrize(("method", "looks"), [("decoder", 4), ("full", 8)])
def test_where_the_encoder_learns_it_waits_longer_for_a_gain(
    model: SamModel, method: str, looks: int
) -> None:
    asked: dict[str, Any] = {"method": method, "rate": 1e-12, "prompts": 1}
    result = tuned(model, steps=20, check_every=1, rehearsal=0.0, **asked)
    assert (result.ended, result.steps) == ("flat", looks)


def test_it_ends_when_the_time_is_over(model: SamModel) -> None:
    result = tuned(model, minutes=1e-9)
    # What was reached until then was looked at.
    assert (result.ended, result.steps) == ("minutes", 1)
    assert [step for step, _ in result.curve] == [0, 1]


def test_looks_are_spread_over_the_schedule(model: SamModel) -> None:
    """A longer training is not ended by as many steps without a gain as a short one."""
    result = tuned(model, steps=45, rate=1e-12)
    assert [step for step, _ in result.curve] == [0, 3, 6, 9, 12]
    assert result.ended == "flat"
    assert [step for step, _ in tuned(model, steps=2, rate=1e-12).curve] == [0, 1, 2]


@pytest.mark.parametrize("method", ["decoder", "full"])
def test_the_same_seed_gives_the_same_weights(method: str) -> None:
    made = []
    for seed in (0, 0, 1):
        model = load("samari-tiny").model
        config: dict[str, Any] = {"method": method, "steps": 12, "check_every": 6, "prompts": 2}
        assert tuned(model, rate=1e-3, seed=seed, **config).gained
        made.append(weights(model))
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert any(not torch.equal(made[0][name], made[2][name]) for name in made[0])


def test_it_goes_step_by_step_and_can_be_stopped(model: SamModel) -> None:
    steps = finetune_steps(model, TRAINED, HELD, FinetuneConfig(steps=20, check_every=5))
    seen: list[Progress] = []
    for progress in steps:
        seen.append(progress)
        if progress.step == 7:
            break
    steps.close()
    assert list(dict.fromkeys(p.step for p in seen)) == list(range(8))
    assert seen[0].trial is None
    assert seen[-1].trial is not None
    assert seen[-1].best is not None
    assert seen[-1].steps == 20


def test_an_encoder_that_stays_encodes_each_picture_once(
    model: SamModel, encodings: list[Any]
) -> None:
    tests = lessons_of(model, HELD, np.random.default_rng([0, 7]), most=24)
    tuned(model, steps=12, check_every=4, rate=1e-3)
    assert len(encodings) == len(tests) + 12 // 4


@pytest.mark.parametrize(("method", "rate"), [("lora", 1e-2), ("full", 2e-3)])
def test_what_holds_the_encoder_keeps_what_it_made_of_other_pictures(
    method: str, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    drifts = []
    for weight in (0.0, 20.0):
        monkeypatch.setattr("samari.train.finetune._HOLD", weight)
        model = load("samari-tiny").model
        before = Rehearsal(model, window=0, method=method, seed=5)
        lesson = before.draw(np.random.default_rng(0))
        known = result_of(before.recall(lesson, None))
        assert known is not None
        assert drift(lesson.features(model), known) < 1e-9
        # One look, at the end: both have made the same steps on the same pictures.
        steps = {"steps": 24, "check_every": 24}
        assert tuned(model, method=method, rate=rate, rehearsal=0.5, **steps).gained
        drifts.append(float(drift(lesson.features(model), known)))
    assert 0 < drifts[1] < 0.7 * drifts[0], drifts


@pytest.mark.parametrize("method", ["lora", "full"])
def test_what_the_encoder_made_before_is_still_known_while_it_learns(method: str) -> None:
    model = load("samari-tiny").model
    weights = {p.data_ptr() for p in model.vision_encoder.parameters()}
    before = Rehearsal(model, window=0, method=method)
    assert before._before is not None
    own = {p.data_ptr() for p in before._before.parameters()}
    # A second copy of the weights is needed only where they change themselves.
    assert own == weights if method == "lora" else own.isdisjoint(weights)
    rng = np.random.default_rng(0)
    lesson = before.draw(rng)
    with torch.no_grad():
        known = lesson.features(model)
    learner = Learner(model, method)
    for _ in range(2):
        learner.step(lesson.features(model).square().mean(), 1e-2)
    assert drift(lesson.features(model), known) > 1e-4
    recalled = result_of(before.recall(lesson, None))
    assert recalled is not None
    torch.testing.assert_close(recalled, known)


@pytest.mark.parametrize(
    ("method", "asked", "share"),
    [
        ("decoder", None, 0.0),
        ("lora", None, 0.4),
        ("full", None, 0.4),
        ("decoder", 0.5, 0.5),
        ("full", 0.0, 0.0),
    ],
)
def test_so_many_steps_go_to_generated_pictures(
    monkeypatch: pytest.MonkeyPatch, method: str, asked: float | None, share: float
) -> None:
    drawn: list[int] = []
    draw = Rehearsal.draw
    monkeypatch.setattr(Rehearsal, "draw", lambda *a: drawn.append(1) or draw(*a))
    config: dict[str, Any] = {"method": method, "steps": 60, "prompts": 1, "seed": 2}
    result = tuned(load("samari-tiny").model, check_every=60, rehearsal=asked, **config)
    assert result.rehearsal == share
    # Two standard deviations of so many draws.
    assert len(drawn) == pytest.approx(60 * share, abs=8 if share else 0)
    assert result.rate == {"decoder": 2e-4, "lora": 3e-4, "full": 5e-4}[method]


def test_a_model_that_pads_rehearses_whole_pictures_and_others_a_part() -> None:
    model = load("samari-tiny").model
    rng = np.random.default_rng(0)
    parts = Rehearsal(model, window=128, method="full")
    lesson = parts.draw(rng)
    assert lesson.pixels.shape == (1, 3, 128, 128)
    known = result_of(parts.recall(lesson, None))
    assert known is not None
    assert known.shape == (1, 128, 16, 16)
    assert result_of(parts.recall(lesson, None)) is known
    whole = Rehearsal(model, window=0, method="decoder")
    assert whole.draw(rng).pixels.shape == (1, 3, 256, 256)
    assert result_of(whole.recall(lesson, None)) is None


def test_muon_steps_the_matrices_of_small_networks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("samari-tiny").model
    assert Learner(model, "full").by_muon
    assert not Learner(model, "decoder").by_muon
    assert not Learner(model, "lora").by_muon
    monkeypatch.setattr("samari.train.learner._SMALL", 10_000)
    assert not Learner(load("samari-tiny").model, "full").by_muon
    steps = {"steps": 2, "check_every": 2, "prompts": 1}
    assert tuned(load("samari-tiny").model, method="full", **steps).rate == 1e-4


def test_wrong_values_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="method is 'half'; known are decoder, lora, full"):
        FinetuneConfig(method="half")
    with pytest.raises(InputError, match=r"held_out is 1\.5"):
        FinetuneConfig(held_out=1.5)
    with pytest.raises(InputError, match=r"rehearsal is 1\.0; it must be at least 0 and below 1"):
        FinetuneConfig(rehearsal=1.0)
    with pytest.raises(InputError, match="seed is -1"):
        FinetuneConfig(seed=-1)
    with pytest.raises(InputError, match="minutes is nan"):
        FinetuneConfig(minutes=float("nan"))
    for name in ("steps", "minutes", "check_every", "patience", "prompts", "rank", "rate"):
        with pytest.raises(InputError, match=f"{name} is 0"):
            FinetuneConfig(**{name: 0})
    assert set(METHODS) == {"decoder", "lora", "full"}


def test_objects_too_small_for_a_mask_pixel_cannot_be_tried(model: SamModel) -> None:
    labels = np.zeros((96, 96), np.int32)
    labels[10, 10] = labels[30, 30] = 1
    tiny = dataclasses.replace(domes(9), labels=labels)
    with pytest.raises(InputError, match="large enough"):
        result_of(finetune_steps(model, TRAINED, [tiny], FinetuneConfig(steps=1)))
