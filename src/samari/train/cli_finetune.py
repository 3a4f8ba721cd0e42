"""``samari train finetune``: a model learns from the user's own labels."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from samari.train.data import Sample
    from samari.train.finetune import FinetuneConfig, Finetuned
    from samari.train.scores import Figure
    from samari.zoo import LoadedModel

#: What is told of the held-out part.
_TOLD = {"click_1": "one click", "click_3": "three clicks", "box": "box"}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    tune = commands.add_parser("finetune", help="improve a model with your own labels")
    tune.add_argument("--images", type=Path, required=True, metavar="DIR", help="folder of images")
    tune.add_argument(
        "--labels",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of label files of the same names (NAME.tif, NAME_labels.tif, ...)",
    )
    tune.add_argument("--model", default="samari-tiny", help="name, folder or weights file")
    tune.add_argument(
        "-o", "--output", type=Path, required=True, metavar="MODEL", help="folder of the new model"
    )
    tune.add_argument(
        "--method",
        default="decoder",
        choices=("decoder", "lora", "full"),
        help="what learns: the mask decoder (default), also the encoder's attention, or all",
    )
    tune.add_argument("--minutes", type=float, default=15.0, help="at most so long (default: 15)")
    tune.add_argument("--steps", type=int, default=600, help="at most so many (default: 600)")
    tune.add_argument(
        "--held-out",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="share that is not trained on but measures the gain (default: 0.2)",
    )
    tune.add_argument(
        "--rehearsal",
        type=float,
        metavar="SHARE",
        help="share of the steps on generated pictures, so that less is forgotten (default: 0.4 "
        "for lora and full, 0 for decoder)",
    )
    tune.add_argument("--rate", type=float, help="learning rate (default: that of the method)")
    tune.add_argument("--seed", type=int, default=0)
    tune.set_defaults(run=_finetune)


def _finetune(arguments: argparse.Namespace) -> int:
    from samari.engine.steps import result_of, watched
    from samari.sam.weights import save_model
    from samari.terminal import progress_line
    from samari.train.finetune import FinetuneConfig, finetune_steps, told_steps
    from samari.train.heldout import split
    from samari.train.pairs import load_pairs
    from samari.zoo import LoadedModel, load

    folder = arguments.output
    _check_output(folder)
    config = FinetuneConfig(
        method=arguments.method,
        steps=arguments.steps,
        minutes=arguments.minutes,
        held_out=arguments.held_out,
        rehearsal=arguments.rehearsal,
        rate=arguments.rate,
        seed=arguments.seed,
    )
    samples = load_pairs(arguments.images, arguments.labels)
    trained, held = split(samples, config.held_out, config.seed)
    print(f"{_told(trained)} to learn from, {_told(held)} held out", flush=True)
    before = _scores(arguments.model, held)
    loaded = load(arguments.model)
    with progress_line("fine-tuning") as tell:
        steps = finetune_steps(loaded.model, trained, held, config)
        result = result_of(watched(told_steps(steps), tell, None))
    print(f"{result.steps} steps in {result.seconds:.0f} s, ended: {_ENDED[result.ended]}")
    after = before
    if result.gained:
        # Before it is measured, which may take long: nothing is lost if that is stopped.
        save_model(loaded.model, folder)
        print(f"The model is in {folder}; now it is measured", flush=True)
        after = _scores(LoadedModel(loaded.model, str(folder), "tuned", None), held)
    if sum(after[name].mean - before[name].mean for name in _TOLD) <= 0:
        if result.gained:
            _remove_model(folder)
        print(
            f"Nothing was gained on the held-out part, so {arguments.model} stays the better model "
            "and no folder is kept. More labels, or another --method, may help"
        )
        return 1
    record = _record(arguments.model, loaded.hash, config, result, before, after)
    (folder / "finetune.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for name, title in _TOLD.items():
        one, two = before[name], after[name]
        print(
            f"{title:12}  {one.mean:.3f} -> {two.mean:.3f}  ({one.objects} objects of "
            f"{one.images} held-out images)"
        )
    print(f"The model is in {folder}: give it as --model, or add it to the dock's list by")
    print(f"samari models add {folder}")
    return 0


def _check_output(folder: Path) -> None:
    """Refuse a folder that the model could not be written to, before minutes of training."""
    from samari.errors import InputError

    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give another -o")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} exists and is not empty; give another -o")
    above = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise InputError(f"{folder} cannot be made, because of {above}; give another -o")


def _remove_model(folder: Path) -> None:
    """Remove what `save_model` wrote, and the folder if nothing else is in it."""
    for name in ("model.safetensors", "config.json"):
        (folder / name).unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


_ENDED = {"flat": "no further gain", "steps": "all steps done", "minutes": "out of time"}


def _told(samples: list[Sample]) -> str:
    from samari.train.heldout import count_objects

    objects = sum(count_objects(sample) for sample in samples)
    images = len({sample.group for sample in samples})
    return f"{objects} objects in {images} image{'s' if images > 1 else ''}"


def _scores(model: str | LoadedModel, held: list[Sample]) -> dict[str, Figure]:
    """Measure a model as users get it."""
    from samari.engine.predict import Segmenter
    from samari.train.evaluate import evaluate

    scores = evaluate(Segmenter(model, dtype="float32"), held, clicks=3, baselines=False)
    return {name: scores.figure(name) for name in _TOLD}


def _record(
    model: str,
    content: str,
    config: FinetuneConfig,
    result: Finetuned,
    before: dict[str, Figure],
    after: dict[str, Figure],
) -> dict[str, Any]:
    from dataclasses import asdict

    from samari import __version__

    return {
        "samari": __version__,
        "from": {"model": model, "hash": content},
        "config": {**asdict(config), "rate": result.rate, "rehearsal": result.rehearsal},
        "steps": result.steps,
        "best_step": result.best_step,
        "seconds": round(result.seconds, 1),
        "ended": result.ended,
        "held_out": {
            name: {"before": asdict(before[name]), "after": asdict(after[name])} for name in _TOLD
        },
        "curve": [
            {"step": step, "click": trial.click, "box": trial.box} for step, trial in result.curve
        ],
    }
