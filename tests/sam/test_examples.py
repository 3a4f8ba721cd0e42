"""The example scripts of the reference documents run with their import line changed."""

from __future__ import annotations

import ast
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from samari.sam import SamImageProcessor, SamProcessor, vit_config

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parents[2] / "docs" / "examples"
#: What the scripts fetch.
IMAGE = "/ybelkada/segment-anything/resolve/main/assets/car.png"
#: Its size for scripts that click at (450, 600), and for those that have a grid of points.
LARGE, SMALL = (640, 480), (32, 24)

pytestmark = [
    # The scripts do not close the connections that they open.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def _picture(size: tuple[int, int]) -> bytes:
    """Return a bright corner on dark ground, as PNG."""
    rows, columns = np.indices(size)
    grey = np.where((rows > 0.8 * size[0]) & (columns > 0.8 * size[1]), 220, 30).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(file, "png")
    return file.getvalue()


@pytest.fixture
def run(web: Any, small_model: Callable[..., Any], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run a script with a small network and a made image on loopback; return its variables."""
    pytest.importorskip("requests", reason="the scripts fetch their image with it")
    model = small_model()
    # Scores and stability that pass the pipeline's thresholds, so that there are masks to draw.
    with torch.no_grad():
        model.mask_decoder.iou_prediction_head.proj_out.weight.zero_()
        model.mask_decoder.iou_prediction_head.proj_out.bias.fill_(1)
        for head in model.mask_decoder.output_hypernetworks_mlps:
            head.proj_out.weight.mul_(1e4)
            head.proj_out.bias.mul_(1e4)
    model.save_pretrained(tmp_path / "model")
    settings = SamImageProcessor.from_model_config(model.config.to_dict())
    SamProcessor(settings).save_pretrained(tmp_path / "model")
    for name in ("facebook/sam-vit-huge", "facebook/sam-vit-base"):
        web.add_model(name, tmp_path / "model")

    def script(name: str, size: tuple[int, int] = LARGE) -> dict[str, Any]:
        web.files[IMAGE] = _picture(size)
        text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        text = text.replace("https://huggingface.co", web.address)
        found: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(text, name, "exec"), found)
        return found

    return script


@pytest.mark.parametrize("name", ["prompted_masks", "segmentation_map", "model_card"])
def test_a_script_with_a_prompt_gives_masks_of_the_image(
    run: Callable[..., dict[str, Any]], name: str
) -> None:
    found = run(name)
    (masks,) = found["masks"]
    assert masks.shape == (1, 3, *LARGE)
    assert masks.dtype == torch.bool
    assert found["scores"].shape == (1, 1, 3)
    assert torch.allclose(found["scores"], torch.ones(3), atol=1e-6)
    assert ("labels" in found["inputs"]) == (name == "segmentation_map")


def test_the_map_of_a_script_becomes_labels_of_the_networks_size(
    run: Callable[..., dict[str, Any]],
) -> None:
    labels = run("segmentation_map")["inputs"]["labels"]
    assert labels.shape == (1, 32, 32)
    assert set(labels.unique().tolist()) == {0, 30, 220}


def test_the_script_of_configurations_makes_the_published_network(
    run: Callable[..., dict[str, Any]],
) -> None:
    found = run("configurations")
    assert found["configuration"] == found["config"] == vit_config("base")
    assert sum(value.numel() for value in found["model"].parameters()) == 93_735_472


def test_the_script_of_automatic_masks_uses_1024_points(
    run: Callable[..., dict[str, Any]],
) -> None:
    found = run("automatic_masks", SMALL)
    generator, outputs = found["generator"], found["outputs"]
    assert len(outputs["masks"]) == len(outputs["scores"]) > 0
    assert outputs["masks"][0].shape == SMALL
    assert next(generator.steps(np.zeros((8, 8, 3), np.uint8))) == (256, 1024)


def test_the_script_of_the_overlay_draws_the_image_and_every_mask(
    run: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="the script draws with it")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(len(plt.gca().images)))
    try:
        found = run("overlay", SMALL)
        plt.gcf().canvas.draw()
    finally:
        plt.close("all")
    assert shown == [1 + len(found["outputs"]["masks"])]
    assert shown[0] > 1


def test_there_are_six_scripts_and_each_imports_only_what_is_public() -> None:
    import samari.sam

    scripts = sorted(FOLDER.glob("*.py"))
    assert len(scripts) == 6
    for path in scripts:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        ours = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.module == "samari.sam"]
        assert len(ours) == 1
        assert {alias.name for alias in ours[0].names} <= set(samari.sam.__all__)
