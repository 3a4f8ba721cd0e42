from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.helpers.domes import domes

from samari.engine.predict import Segmenter
from samari.errors import InputError
from samari.train.cli import add_parser
from samari.train.finetune import METHODS
from samari.train.scores import Figure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from samari.train.config import TrainConfig
    from samari.train.data import Sample


def command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["train", *words])
    code: int = arguments.run(arguments)
    return code


@pytest.fixture
def data(tmp_path: Path, discs: Sample) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    Image.fromarray(discs.image[..., 0]).save(folder / "image.png")
    Image.fromarray(discs.labels.astype(np.uint16)).save(folder / "label.png")
    item = {"image": "image.png", "label": "label.png", "dataset": "test", "modality": "discs"}
    items = [{**item, "id": split, "split": split} for split in ("train", "val")]
    (folder / "index.json").write_text(json.dumps({"items": items}))
    return folder


def test_train_then_export_then_evaluate(
    make_config: Callable[..., TrainConfig],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = make_config([{"steps": 2, "loss": "focal"}], synthetic=0)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    run = ["run", str(tmp_path / "config.json"), "--data", str(data), "--out", str(tmp_path / "o")]
    assert command(*run, "--workers", "0") == 0
    with pytest.raises(InputError, match="--resume"):
        command(*run)
    with pytest.raises(InputError, match="leave --weights out"):
        command(*run, "--resume", "--weights", str(tmp_path / "o" / "checkpoint.pt"))
    assert command(*run, "--workers", "0", "--resume") == 0
    again = [*run[:-1], str(tmp_path / "again"), "--workers", "0", "--weights"]
    with pytest.raises(
        InputError, match=r"--weights: .*image\.png is no checkpoint, .* weight file"
    ):
        command(*again, str(data / "image.png"))
    with pytest.raises(InputError, match="--weights: no checkpoint at tiny; and "):
        command(*again, "tiny")
    assert command(*again, str(tmp_path / "o" / "checkpoint.pt")) == 0
    assert command("export", str(tmp_path / "o" / "checkpoint.pt"), str(tmp_path / "model")) == 0
    # A model, as a folder or as its file, lends its weights as well.
    for number, place in enumerate([tmp_path / "model", tmp_path / "model" / "model.safetensors"]):
        third = [*run[:-1], str(tmp_path / f"third{number}"), "--workers", "0"]
        assert command(*third, "--weights", str(place)) == 0
    (tmp_path / "config.json").write_text(json.dumps({**config.to_dict(), "new_layers": [1]}))
    with pytest.raises(InputError, match=r"new_layers \[1\] .* give --weights"):
        command(*run[:-1], str(tmp_path / "new"))
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    capsys.readouterr()
    score = ["evaluate", "--data", str(data), "--model", str(tmp_path / "model"), "--set", "test"]
    assert command(*score, "--clicks", "1") == 0
    shown = capsys.readouterr().out
    assert "Otsu component" in shown
    assert "ellipse inscribed" in shown
    files = ["--markdown", str(tmp_path / "t.md"), "--sheet", str(tmp_path / "s.png")]
    assert command(*score, "--clicks", "3", "--no-baselines", "--json", *files) == 0
    figures = json.loads(capsys.readouterr().out)["sets"]["test"]["measures"]
    assert "click_1_otsu" not in figures
    assert (tmp_path / "t.md").read_text().startswith("|  | test |")
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    for option, path in (("--markdown", "no/t.md"), ("--sheet", "no/s.png"), ("--sheet", "sheet")):
        with pytest.raises(InputError, match="cannot write"):
            command(*score, option, str(tmp_path / path))
    assert figures["box"]["objects"] == figures["click_3"]["objects"] == 3


def test_a_run_that_looks_at_validation_images_gives_curves(
    make_config: Callable[..., TrainConfig],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = make_config([{"steps": 2, "loss": "focal"}], synthetic=0, val_every=1)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    run = ["run", str(tmp_path / "config.json"), "--out", str(tmp_path / "o"), "--workers", "0"]
    with pytest.raises(InputError, match="needs validation images: give --data"):
        command(*run)
    with pytest.raises(InputError, match="the device 'abacus' is not there"):
        command(*run, "--data", str(data), "--device", "abacus")
    assert command(*run, "--data", str(data)) == 0
    curves = ["curves", str(tmp_path / "o"), "-o"]
    assert command(*curves, str(tmp_path / "curves.png")) == 0
    assert "2 steps" in capsys.readouterr().out
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="there is no folder"):
        command(*curves, str(tmp_path / "none" / "curves.png"))


@pytest.fixture
def own(tmp_path: Path) -> tuple[str, ...]:
    """Make a folder of four images with six domes each and one of their labels; give options."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for number in range(4):
        picture = domes(number, (96, 143))
        Image.fromarray(picture.image[..., 0]).save(tmp_path / "images" / f"{number}.png")
        labels = Image.fromarray(picture.labels.astype(np.uint16))
        labels.save(tmp_path / "labels" / f"{number}.png")
    return "--images", str(tmp_path / "images"), "--labels", str(tmp_path / "labels")


def test_finetune_writes_a_model_that_is_better_on_what_was_held_out(
    own: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "better"
    words = ["finetune", *own, "-o", str(folder), "--rate", "2e-3", "--steps", "40"]
    assert command(*words) == 0
    shown = capsys.readouterr().out
    assert "in 3 images to learn from" in shown
    assert "in 1 image held out" in shown
    assert f"samari models add {folder}" in shown
    record = json.loads((folder / "finetune.json").read_text())
    assert record["from"]["model"] == "samari-tiny"
    assert record["config"]["method"] == "decoder"
    assert record["config"]["rate"] == 2e-3
    held = record["held_out"]["click_1"]
    assert held["after"]["mean"] > held["before"]["mean"] + 0.1
    assert f"{held['before']['mean']:.3f} -> {held['after']['mean']:.3f}" in shown
    curve = record["curve"]
    assert max(one["click"] + one["box"] for one in curve) > curve[0]["click"] + curve[0]["box"]
    segmenter = Segmenter(folder)
    assert segmenter.model_hash != record["from"]["hash"]
    assert segmenter.predict(np.zeros((40, 40), np.uint8), points=[(5, 5)]).masks.shape[0] == 3
    with pytest.raises(InputError, match="not empty"):
        command(*words)


def test_finetune_refuses_an_output_before_it_learns(own: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file is a file"):
        command("finetune", *own, "-o", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be made, because of .*file"):
        command("finetune", *own, "-o", str(tmp_path / "file" / "model"))


@pytest.mark.parametrize("words", [("--images", "0"), ("--clicks", "-3"), ("--clicks", "11")])
def test_evaluate_refuses_numbers_that_mean_nothing(data: Path, words: tuple[str, str]) -> None:
    with pytest.raises(InputError, match=f"{words[0]} is {words[1]}"):
        command("evaluate", "--data", str(data), "--set", "test", *words)


def test_finetune_without_a_gain_writes_nothing_and_says_so(
    own: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(METHODS, "decoder", 1e-12)
    folder = tmp_path / "better"
    assert command("finetune", *own, "-o", str(folder), "--steps", "3") == 1
    assert "Nothing was gained" in capsys.readouterr().out
    assert not folder.exists()


def _measured(*means: float | None) -> Callable[..., dict[str, Figure]]:
    """Answer one mean after the other for every measure; None: it is stopped."""
    left = iter(means)

    def scores(model: object, held: object) -> dict[str, Figure]:
        mean = next(left)
        if mean is None:
            raise KeyboardInterrupt
        return {name: Figure(mean, mean, mean, 9, 1) for name in ("click_1", "click_3", "box")}

    return scores


def test_a_model_that_has_learnt_is_there_when_its_measurement_is_stopped(
    own: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samari.train.cli_finetune._scores", _measured(0.5, None))
    folder = tmp_path / "better"
    with pytest.raises(KeyboardInterrupt):
        command("finetune", *own, "-o", str(folder), "--rate", "2e-3", "--steps", "40")
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert Segmenter(folder).model_name


def test_a_model_that_measures_no_better_is_removed_again(
    own: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("samari.train.cli_finetune._scores", _measured(0.5, 0.5))
    folder = tmp_path / "better"
    words = ["finetune", *own, "-o", str(folder), "--rate", "2e-3", "--steps", "40"]
    assert command(*words) == 1
    shown = capsys.readouterr().out
    assert f"The model is in {folder}; now it is measured" in shown
    assert "Nothing was gained" in shown
    assert not folder.exists()


def test_finetune_refuses_too_little_before_it_loads_a_model(
    own: tuple[str, ...], tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        (tmp_path / "labels" / f"{number}.png").unlink()
    with pytest.raises(InputError, match=r"too few objects to learn from: .* \(in 1 images\)"):
        command("finetune", *own, "--model", "no such model", "-o", str(tmp_path / "better"))
