from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from samari.errors import InputError
from samari.train.cli import add_parser

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
    assert command(*run, "--workers", "0", "--resume") == 0
    assert command("export", str(tmp_path / "o" / "checkpoint.pt"), str(tmp_path / "model")) == 0
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
