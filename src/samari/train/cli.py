"""``samari train``: run a training, evaluate, fine-tune, export a checkpoint, draw curves."""

from __future__ import annotations

import itertools
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samari.train import cli_finetune

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the ``train`` command; each handler takes the arguments and returns an exit code."""
    parser = subparsers.add_parser("train", help="train or evaluate a model")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="train a model from a config file")
    run.add_argument("config", metavar="CONFIG", type=Path, help="JSON, see samari.train.config")
    run.add_argument("--data", type=Path, help="data folder (default: synthetic images only)")
    run.add_argument("--out", type=Path, required=True, help="gets checkpoint.pt and log.jsonl")
    run.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt")
    run.add_argument(
        "--weights",
        metavar="CHECKPOINT|MODEL",
        help="begin with the weights of another run (its checkpoint.pt), or those of a model",
    )
    run.add_argument("--workers", type=int, default=1, help="processes that prepare batches")
    run.add_argument("--device", default="cpu", help="cpu (default), cuda, mps or auto")
    run.set_defaults(run=_run)

    score = commands.add_parser("evaluate", help="score a model on labelled images")
    score.add_argument("--data", type=Path, required=True, help="folder with index.json")
    score.add_argument("--model", default="samari-tiny", help="name, folder or weights file")
    score.add_argument(
        "--set",
        dest="sets",
        action="append",
        metavar="NAME",
        help="data set; may be given several times (default: dsb2018)",
    )
    score.add_argument("--split", default="val", choices=("train", "val"))
    score.add_argument("--images", type=int, help="score so many images only, evenly chosen")
    score.add_argument(
        "--clicks", type=int, default=10, help="longest click sequence (default and most: 10)"
    )
    score.add_argument(
        "--automatic", action="store_true", help="also find everything, and score each image"
    )
    score.add_argument("--no-baselines", action="store_true", help="score the model alone")
    score.add_argument("--json", action="store_true", help="print JSON in place of tables")
    score.add_argument("--markdown", type=Path, metavar="FILE", help="write one table of all sets")
    score.add_argument(
        "--sheet", type=Path, metavar="FILE", help="write a picture of examples, PNG or JPEG"
    )
    score.set_defaults(run=_evaluate)

    cli_finetune.add_parser(commands)

    curves = commands.add_parser("curves", help="draw the losses and validation figures of a run")
    curves.add_argument("folder", metavar="OUT", type=Path, help="folder of samari train run")
    curves.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="PNG, SVG")
    curves.set_defaults(run=_curves)

    export = commands.add_parser("export", help="write a checkpoint as a model folder")
    export.add_argument("checkpoint", metavar="CHECKPOINT", type=Path)
    export.add_argument("folder", metavar="FOLDER", type=Path)
    export.add_argument("--half", action="store_true", help="store float16")
    export.set_defaults(run=_export)


def _run(arguments: argparse.Namespace) -> int:
    from samari.engine.devices import choose_device
    from samari.errors import InputError
    from samari.terminal import progress_line
    from samari.train.config import load_config
    from samari.train.data import load_samples
    from samari.train.loop import CHECKPOINT, train
    from samari.train.parallel import join_processes, own_device, rank
    from samari.train.stream import synthetic_samples
    from samari.train.trainer import Trainer
    from samari.train.validation import Validation

    # A line of the log takes the place of the line that tells how far it is.
    start = "\r" if sys.stderr.isatty() else ""
    logging.basicConfig(level=logging.INFO, format=f"{start}%(asctime)s %(message)s")
    config = load_config(arguments.config)
    kept = arguments.out / CHECKPOINT
    if arguments.resume and arguments.weights is not None:
        raise InputError("--resume goes on with the run's own weights: leave --weights out")
    if kept.exists() and not arguments.resume:
        raise InputError(f"{kept} exists: give --resume to go on, or another --out")
    if config.new_layers and not arguments.resume and arguments.weights is None:
        raise InputError(
            f"new_layers {list(config.new_layers)} in the config needs the weights of a model "
            "without them: give --weights"
        )
    if config.val_every and arguments.data is None:
        raise InputError("val_every in the config needs validation images: give --data")
    device = choose_device(own_device(arguments.device))
    weights = None if arguments.weights is None else _beginning(arguments.weights)
    samples = synthetic_samples(config.synthetic, config.seed, arguments.out / "synthetic.npz")
    if arguments.data is not None:
        samples += load_samples(arguments.data, "train")
    join_processes(device)
    trainer = Trainer.load(kept, config, device) if arguments.resume else Trainer(config, device)
    if weights is not None:
        trainer.take_weights(weights)
    validation = None
    if config.val_every and not rank():
        held = load_samples(arguments.data, "val")
        validation = Validation(config.model, held, config.val_images)
    with progress_line("training") as tell:
        train(
            trainer,
            samples,
            arguments.out,
            workers=arguments.workers,
            validation=validation,
            progress=tell,
        )
    print(f"{trainer.step} steps done, checkpoint in {kept}")
    return 0


def _beginning(name: str) -> dict[str, Any]:
    """Return the weights of a checkpoint, or those of a model given as elsewhere."""
    from samari.errors import InputError, ModelError
    from samari.train.trainer import read_checkpoint
    from samari.zoo import load

    try:
        return read_checkpoint(Path(name))
    except InputError as no_checkpoint:
        try:
            return {"model": load(name).model.state_dict()}
        except ModelError as no_model:
            raise InputError(f"--weights: {no_checkpoint}; and {no_model}") from no_model


def _evaluate(arguments: argparse.Namespace) -> int:
    from samari.engine.predict import Segmenter
    from samari.errors import InputError
    from samari.terminal import progress_line
    from samari.train.data import load_samples
    from samari.train.evaluate import MOST_CLICKS, evaluate
    from samari.train.report import as_markdown, as_text, report
    from samari.train.sheet import Sheet

    if arguments.images is not None and arguments.images < 1:
        raise InputError(f"--images is {arguments.images}; it must be at least 1")
    if not 1 <= arguments.clicks <= MOST_CLICKS:
        raise InputError(f"--clicks is {arguments.clicks}; it must be from 1 to {MOST_CLICKS}")
    _check_files(arguments.markdown, arguments.sheet)
    segmenter = Segmenter(arguments.model)
    sheet, tables, found = Sheet(), {}, {}
    for name in arguments.sets or ["dsb2018"]:
        samples = load_samples(arguments.data, arguments.split, [name])
        if arguments.images is not None and arguments.images < len(samples):
            every = len(samples) / arguments.images
            samples = [samples[int(i * every)] for i in range(arguments.images)]
        with progress_line(f"evaluating {name}") as tell:
            scores = evaluate(
                segmenter,
                samples,
                clicks=arguments.clicks,
                baselines=not arguments.no_baselines,
                automatic=arguments.automatic,
                progress=None if tell is None else _counted(tell, len(samples)),
                show=None if arguments.sheet is None else sheet.add,
            )
        found[name], tables[name] = scores, report(scores)
        if not arguments.json:
            print(f"{name} {arguments.split}, {segmenter.model_name} {segmenter.model_hash[:12]}")
            print(as_text(scores), flush=True)
    if arguments.json:
        head = {"model": segmenter.model_name, "hash": segmenter.model_hash}
        print(json.dumps({**head, "split": arguments.split, "sets": tables}, indent=1), flush=True)
    if arguments.markdown is not None:
        arguments.markdown.write_text(as_markdown(found))
    if arguments.sheet is not None:
        sheet.save(arguments.sheet)
    return 0


def _check_files(markdown: Path | None, sheet: Path | None) -> None:
    """Raise an InputError, before hours of work, where their results could not be written."""
    if markdown is not None:
        _check_folder(markdown)
    if sheet is not None:
        _check_picture(sheet, (".png", ".jpg", ".jpeg"))


def _check_picture(path: Path, endings: tuple[str, ...]) -> None:
    from samari.errors import InputError

    _check_folder(path)
    if path.suffix.lower() not in endings:
        raise InputError(f"cannot write {path}: the name must end with {', '.join(endings)}")


def _check_folder(path: Path) -> None:
    from samari.errors import InputError

    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}")


def _counted(tell: Callable[[int, int], None], total: int) -> Callable[[str], None]:
    """Return what tells, called once a sample, how many of them are done."""
    done = itertools.count(1)
    return lambda key: tell(next(done), total)


def _curves(arguments: argparse.Namespace) -> int:
    from samari.train.curves import draw, read_log

    _check_picture(arguments.output, (".png", ".svg", ".pdf"))
    log = read_log(arguments.folder)
    draw(log, arguments.output)
    print(f"{arguments.output}: {log[-1]['step']} steps")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from samari.train.export import export

    steps = export(arguments.checkpoint, arguments.folder, half=arguments.half)
    print(f"{arguments.folder}: weights after {steps} steps")
    return 0
