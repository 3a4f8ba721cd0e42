"""An evaluation as a table for the terminal, as Markdown, as plain data for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from samari.train.scores import MEASURES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from samari.train.scores import Figure, Scores


def report(scores: Scores) -> dict[str, Any]:
    """Return all figures of a data set as plain data.

    Returns
    -------
    dict
        ``measures``: what each is, its mean, 95 % interval, objects and images. ``modalities``: the
        same for each of several modalities. ``better by``: the differences to the baselines.
        ``score loss``: what the choice by score costs against the best candidate.
    """
    data: dict[str, Any] = {
        "measures": {
            name: {"what": MEASURES[name], **_plain(figure)}
            for name, figure in scores.table().items()
        },
        "better by": {
            name: {other: _plain(figure) for other, figure in others.items()}
            for name, others in scores.differences().items()
        },
    }
    if "click_1_oracle" in scores.records:
        data["score loss"] = _plain(scores.difference("click_1_oracle", "click_1"))
    if len(scores.modalities) > 1:
        data["modalities"] = {
            modality: {name: _plain(figure) for name, figure in scores.table(modality).items()}
            for modality in scores.modalities
        }
    return data


def _plain(figure: Figure) -> dict[str, Any]:
    return {
        "mean": round(figure.mean, 4),
        "interval": [round(figure.low, 4), round(figure.high, 4)],
        "objects": figure.objects,
        "images": figure.images,
    }


def as_text(scores: Scores) -> str:
    """Return all figures of a data set as a table for the terminal."""
    lines = [f"{'mean':<40}{'':>7}   95 % interval      n"]
    for name, figure in scores.table().items():
        lines.append(_line(MEASURES[name], figure))
    for name, others in scores.differences().items():
        if not others:
            continue
        lines.append(f"{MEASURES[name]}: better by")
        lines += [_line(f"  {MEASURES[other]}", figure) for other, figure in others.items()]
    return "\n".join(lines)


def _line(what: str, figure: Figure) -> str:
    # Images are drawn for the interval: of one image there is none.
    interval = "one image" if figure.images < 2 else f"[{figure.low:.3f}, {figure.high:.3f}]"
    return f"{what:<40}{figure.mean:>7.3f}   {interval:<14}   {figure.objects}"


def as_markdown(sets: Mapping[str, Scores]) -> str:
    """Return the figures of several data sets as one table, one column a set.

    Parameters
    ----------
    sets : mapping of str to Scores
        By the data set's name; one of several modalities has a column for each of these, too.
    """
    columns: dict[str, dict[str, Figure]] = {}
    for name, scores in sets.items():
        columns[name] = scores.table()
        if len(scores.modalities) > 1:
            for modality in scores.modalities:
                columns[f"{name}, {modality}"] = scores.table(modality)
    present = [name for name in MEASURES if any(name in column for column in columns.values())]
    rows = [["", *columns], ["---"] * (1 + len(columns))]
    rows.append(["objects (images)", *(_count(column) for column in columns.values())])
    for name in present:
        cells = [_cell(column.get(name)) for column in columns.values()]
        rows.append([MEASURES[name], *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _count(column: Mapping[str, Figure]) -> str:
    figure = next(iter(column.values()))
    return f"{figure.objects} ({figure.images})"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure.images < 2:
        return f"{figure.mean:.3f}"
    return f"{figure.mean:.3f} ({figure.low:.3f} to {figure.high:.3f})"
