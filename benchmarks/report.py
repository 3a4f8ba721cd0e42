"""Put the results of the benchmarks into docs: ``python benchmarks/report.py``."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib
import numpy as np
from measure import RESULTS, spread

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- begin of make bench -->\n", "<!-- end of make bench -->\n"


def main() -> None:
    """Write tables and plot of all results that are there."""
    results = {
        file.stem: json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(RESULTS.glob("*.json"))
    }
    runs = {name: run for name, run in results.items() if name.startswith("encoder-")}
    text = [
        *_encoders(runs),
        *_decoders(results),
        *_automatic(results),
        *_memory(results),
        *_accuracy(results),
        *_shapes(results.get("shapes")),
        *_padding(results.get("padding")),
        *_startup(results.get("startup")),
    ]
    if runs:
        _plot(runs)
    page = DOCS / "performance.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    body = "\n".join(text) + "\n"
    page.write_text(before + BEGIN + body + END + after, encoding="utf-8")
    (DOCS / "performance.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(body)


def _encoders(runs: dict) -> list[str]:
    if not runs:
        return []
    lines = [
        "**ViT-B encoder, 1024 x 1024.** What took turns in one process ends with the floor, and",
        "is compared with nothing else. Median seconds and their range; the error is the largest",
        "difference from the reference of the run.",
        "",
        "| encoder | seconds | over Samari | over the floor of its run | largest error |",
        "|---|---|---|---|---|",
    ]
    for run in runs.values():
        for name, values in run["seconds"].items():
            over = run["over_samari"].get(name)
            paired = "1" if over is None else f"{over['median']:.2f} ({_range(over)})"
            error = run["max_error"].get(name)
            lines.append(
                f"| {name} | {spread(values)}, n = {run['n']} | {paired} | "
                f"{run['over_floor'][name]:.2f} | {'' if error is None else f'{error:.1e}'} |"
            )
        lines.append(
            f"| *floor ({run['floor']['dtype']})* | {run['floor']['seconds']:.2f} | | 1 | |"
        )
    machines = sorted({run["machine"] for run in runs.values()})
    return [
        *lines,
        "",
        f"Measured on: {'; '.join(machines)}.",
        "",
        "![Seconds of each encoder, and the floor of its run](images/performance.png)",
        "",
    ]


def _decoders(results: dict) -> list[str]:
    lines = []
    for name, run in results.items():
        if "samari_over_transformers" in run:
            over, times = run["samari_over_transformers"], run["summary_ms"]
            lines.append(
                f"| {name} | {times['samari']} | {times['transformers']} | {over['median']:.2f} "
                f"({_range(over)}) | {run['n']} | {run['logit_error_over_std']:.1e} |"
            )
    if not lines:
        return []
    head = "| prompts | Samari, ms | transformers, ms | ratio of pairs | n | error |"
    return [
        "**From an embedding to boolean masks of the image.** Error: of the logits, over their",
        "standard deviation.",
        "",
        head,
        "|---|---|---|---|---|---|",
        *lines,
        "",
    ]


def _automatic(results: dict) -> list[str]:
    rows = [
        f"| {name.removeprefix('automatic-')}, {run['side']} x {run['side']} | "
        f"{run['summary_s']['samari']} | {run['summary_s']['transformers']} | "
        f"{run['transformers_over_samari']['median']:.1f} "
        f"({_range(run['transformers_over_samari'])}) | {run['n']} | {run['masks']} | "
        f"{run['pixels_that_differ']} | {run['gib_above_the_embedding']:.2f} |"
        for name, run in results.items()
        if name.startswith("automatic-")
    ]
    if not rows:
        return []
    head = [
        "**Automatic masks**, 32 x 32 points: from an embedding to the masks that pass, beside the",
        "pipeline of transformers 4.37.2 with the same limits.",
        "",
        "| model | Samari, s | transformers, s | how many times as long | n | masks | share of "
        "pixels that differ | Samari's memory above the embedding, GiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return [*head, *rows, ""]


def _memory(results: dict) -> list[str]:
    peaks = {}
    for name, run in results.items():
        if name.startswith("memory-"):
            model = f"ViT-{run['model'][0].upper()}"
            peaks.update({f"{model}, {one}": peak for one, peak in run["peak_gib"].items()})
    if not peaks:
        return []
    rows = [f"| {name} | {peak:.2f} |" for name, peak in peaks.items()]
    head = [
        "| in a process of its own: load, one encoding of 1024 x 1024 | peak resident, GiB |",
        "|---|---|",
    ]
    return [*head, *rows, ""]


def _accuracy(results: dict) -> list[str]:
    rows = [
        f"| {name.removeprefix('accuracy-')} | {run['masks']} | {run['mean']:.4f} | "
        f"{run['5th percentile']:.4f} | {run['minimum']:.4f} |"
        for name, run in results.items()
        if name.startswith("accuracy-")
    ]
    if not rows:
        return []
    head = "| bfloat16 masks against float32 | masks | mean IoU | 5th percentile | minimum |"
    return [head, "|---|---|---|---|---|", *rows, ""]


def _shapes(run: dict | None) -> list[str]:
    if run is None:
        return []
    rows = [
        f"| {name} | {found['median']:.2f} ({_range(found)}) |"
        for name, found in run["ratios"].items()
    ]
    head = [f"| seconds of one over the other's, n = {run['n']} | ratio of pairs |", "|---|---|"]
    return [*head, *rows, ""]


def _padding(run: dict | None) -> list[str]:
    if run is None:
        return []
    rows = [
        f"| {name}, {kind} | {one['objects']} ({one['images']}) | {one['agree']:.3f} "
        f"| {one['own']:.3f} | {one['padded']:.3f} |"
        for name, kinds in run["sets"].items()
        for kind, one in kinds.items()
    ]
    head = (
        "| samari-tiny on half images | objects (images) | IoU of masks without and with padding "
    )
    return [f"{head}| without, IoU to the label | with |", "|---|---|---|---|---|", *rows, ""]


def _startup(run: dict | None) -> list[str]:
    if run is None:
        return []
    seconds = run["summary"]
    rows = [
        f"| import {room} | {found['seconds']} | {', '.join(found['loads'])} |"
        for room, found in run["rooms"].items()
    ]
    return [
        f"**Start of a fresh process**, {run['model']}, n = {run['n']}.",
        "",
        "| | seconds | loads |",
        "|---|---|---|",
        f"| model's name to the first embedding | {seconds['start']} | |",
        f"| a further embedding | {seconds['encode']} | |",
        f"| a plain read of the file | {seconds['read']} | |",
        f"| the first over the other two together | {run['start_over_read_and_encode']} | |",
        *rows,
        "",
    ]


def _range(ratio: dict) -> str:
    return f"{ratio['low']:.2f} to {ratio['high']:.2f}"


def _plot(runs: dict) -> None:
    rows = [
        (name, values, run["floor"]["seconds"])
        for run in runs.values()
        for name, values in run["seconds"].items()
    ]
    figure, axes = plt.subplots(figsize=(7, 0.8 + 0.4 * len(rows)), layout="constrained")
    for row, (name, values, floor) in enumerate(rows):
        middle = np.median(values)
        axes.barh(row, middle, color="#2a7" if name.startswith("samari") else "#999")
        reach = [[middle - min(values)], [max(values) - middle]]
        axes.errorbar(middle, row, xerr=reach, color="black", capsize=3)
        axes.plot([floor, floor], [row - 0.45, row + 0.45], color="#c30")
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel("seconds of one ViT-B encoding; red: the floor of the same run")
    (DOCS / "images").mkdir(exist_ok=True)
    figure.savefig(DOCS / "images" / "performance.png", dpi=120)


if __name__ == "__main__":
    main()
