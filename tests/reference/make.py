"""Freezes outputs of the reference, transformers 4.37.2, for the tests in tests/sam.

Run in an environment of its own, as that version needs an older numpy::

    python -m venv reference
    reference/bin/pip install "transformers==4.37.2" "numpy<2" torch Pillow
    reference/bin/python tests/reference/make.py [PART ...]

The reference takes non-maximum suppression from torchvision; a few lines of numpy stand in for it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from transformers import SamConfig, SamImageProcessor, SamModel, SamProcessor
from transformers.models.sam import image_processing_sam
from transformers.pipelines import MaskGenerationPipeline

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from inputs import (  # noqa: E402
    crop_cases,
    filtered,
    method_cases,
    pipeline_cases,
    processor_cases,
    restored,
)


def batched_nms(
    boxes: torch.Tensor, scores: torch.Tensor, idxs: torch.Tensor, iou_threshold: float
) -> torch.Tensor:
    """Stand in for torchvision's function of this name; all boxes are of one class here."""
    b = boxes.numpy().astype(np.float32)
    area = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    order = np.argsort(-scores.numpy(), kind="stable")
    dropped = np.zeros(len(b), bool)
    kept = []
    for place, i in enumerate(order):
        if dropped[i]:
            continue
        kept.append(i)
        for j in order[place + 1 :]:
            width = min(b[i, 2], b[j, 2]) - max(b[i, 0], b[j, 0])
            height = min(b[i, 3], b[j, 3]) - max(b[i, 1], b[j, 1])
            common = max(width, 0) * max(height, 0)
            union = area[i] + area[j] - common
            dropped[j] |= union > 0 and common / union > iou_threshold
    return torch.tensor(kept, dtype=torch.int64)


def freeze_processor() -> None:
    """Write processor.npz and processor.json."""
    arrays: dict[str, np.ndarray] = {}
    records: list[dict[str, Any]] = []
    for case in processor_cases():
        record: dict[str, Any] = {"digest": case.digest(), "kind": case.kind}
        processor = SamProcessor(SamImageProcessor(**case.setup))
        try:
            encoding = processor(case.images, **case.arguments)
        except Exception as error:
            record["error"] = f"{type(error).__name__}: {error}"[:120]
            records.append(record)
            continue
        for key, value in encoding.items():
            listed = isinstance(value, (list, tuple))
            parts = [np.asarray(part) for part in (value if listed else [value])]
            record[key] = ["list" if listed else type(value).__name__, len(parts)]
            for number, part in enumerate(parts):
                arrays[f"{case.index}.{key}.{number}"] = thin(part)
                record.setdefault("shapes", {})[f"{key}.{number}"] = [part.dtype.name, *part.shape]
        records.append(record)
    np.savez_compressed(HERE / "processor.npz", **arrays)
    (HERE / "processor.json").write_text(json.dumps(records, indent=0) + "\n", encoding="utf-8")
    raised = [record for record in records if "error" in record]
    print(len(records), "processor cases,", len(raised), "of them raise")


def thin(array: np.ndarray) -> np.ndarray:
    """Return every value of a small array, every 997th of a large one."""
    return array if array.size <= 8192 else array.ravel()[::997]


def golden(name: str) -> SamModel:
    folder = HERE.parent / "golden"
    config = SamConfig.from_dict(json.loads((folder / f"{name}.config.json").read_text()))
    model = SamModel(config).eval()
    model.load_state_dict(load_file(folder / f"{name}.model.safetensors"))
    return model


def small_processor() -> SamImageProcessor:
    return SamImageProcessor(
        size={"longest_edge": 64},
        pad_size={"height": 64, "width": 64},
        mask_size={"longest_edge": 32},
    )


def freeze_pipeline() -> None:
    """Write pipeline.npz: scores, boxes and run lengths of every image."""
    model, arrays = golden("square"), {}
    pipeline = MaskGenerationPipeline(
        model=model, image_processor=small_processor(), framework="pt"
    )
    for index, case in enumerate(pipeline_cases()):
        output = pipeline(
            case.image, output_rle_mask=True, output_bboxes_mask=True, **case.arguments
        )
        store(arrays, str(index), output["scores"], output["bounding_boxes"], output["rle_mask"])
        print(index, case.image.size, len(output["masks"]), "masks")
    np.savez_compressed(HERE / "pipeline.npz", **arrays)


def freeze_crop_masks() -> None:
    """Write crop_masks.npz: as pipeline.npz, of one and of two layers of crops."""
    model, arrays = golden("square"), {}
    for index, case in enumerate(crop_cases()):
        for layers in (1, 2):
            store(arrays, f"{index}.{layers}", *by_crops(model, case, layers))
    np.savez_compressed(HERE / "crop_masks.npz", **arrays)


@torch.no_grad()
def freeze_network() -> None:
    """Write network.npz: what the golden files do not hold, of the network `square`."""
    model, arrays = golden("square"), {}
    cases = load_file(HERE.parent / "golden" / "square.cases.safetensors")
    given = {key[3:]: value for key, value in cases.items() if key.startswith("in.")}
    points = {key: given[key] for key in ("input_points", "input_labels")}
    output = model(
        given["pixel_values"],
        **points,
        output_attentions=True,
        output_hidden_states=True,
        return_dict=False,
    )
    arrays["tuple"] = np.array([len(part) if isinstance(part, tuple) else -1 for part in output])
    for layer, part in enumerate(output[4]):
        arrays[f"decoder.{layer}.shape"] = np.array(part.shape)
        arrays[f"decoder.{layer}"] = part[:, :, ::8].numpy()
    whole = model(given["pixel_values"])
    arrays["whole.pred_masks"] = whole.pred_masks[:, :, :, ::2, ::2].numpy()
    arrays["whole.iou_scores"] = whole.iou_scores.numpy()
    embeds = {"points": points}
    embeds["boxes"] = {"input_boxes": given["input_boxes"]}
    embeds["masks"] = {"input_masks": given["input_masks"]}
    for name, arguments in embeds.items():
        sparse, dense = model.get_prompt_embeddings(**arguments)
        arrays[f"{name}.sparse"], arrays[f"{name}.dense"] = sparse.numpy(), dense[:, :, 0].numpy()
        print(name, tuple(sparse.shape), tuple(dense.shape))
    np.savez_compressed(HERE / "network.npz", **arrays)


def freeze_methods() -> None:
    """Write methods.npz: post_process_masks, filter_masks, post_process_for_mask_generation."""
    arrays: dict[str, np.ndarray] = {}
    for index, case in enumerate(method_cases()):
        masks = restored(SamImageProcessor, case)
        values = masks.numpy().ravel()
        name = f"{index}.masks"
        arrays[f"{name}.shape"] = np.array(masks.shape)
        arrays[name] = np.packbits(values) if case["binarize"] else values[::7]
        processor = SamImageProcessor()
        runs, scores, boxes = filtered(processor, case)
        store(arrays, f"{index}.filtered", scores, boxes, runs)
        print(index, tuple(masks.shape), len(runs), "masks pass")
        if runs:
            _, scores, runs, boxes = processor.post_process_for_mask_generation(
                runs, scores, boxes, case["overlap"]
            )
            store(arrays, f"{index}.kept", scores, boxes, runs)
    np.savez_compressed(HERE / "methods.npz", **arrays)


def store(arrays: dict[str, np.ndarray], name: str, scores: Any, boxes: Any, runs: Any) -> None:
    arrays[f"{name}.scores"] = scores.numpy()
    arrays[f"{name}.boxes"] = boxes.numpy().astype(np.int32)
    counts = [[int(count) for count in run["counts"]] for run in runs]
    arrays[f"{name}.lengths"] = np.array([len(run) for run in counts], np.int32)
    arrays[f"{name}.counts"] = np.array([count for run in counts for count in run], np.int32)


@torch.no_grad()
def by_crops(model: SamModel, case: Any, layers: int) -> tuple[Any, Any, Any]:
    """Put the reference's own steps together for crops, where its pipeline raises.

    Points are scaled by the size of their crop, and boxes are moved to their place in the image.
    """
    processor = small_processor()
    image, size = np.array(case.image), case.image.size[::-1]
    settings = case.arguments
    ratio, factor = settings["crop_overlap_ratio"], settings["crop_n_points_downscale_factor"]
    boxes, _, crops, _ = processor.generate_crop_boxes(image, 64, layers, ratio, 1)
    scores, places, runs = [], [], []
    levels = [level for level in range(layers + 1) for _ in range(4**level)]
    for box, crop, level in zip(boxes.tolist(), crops, levels, strict=True):
        per_side = max(1, int(settings["points_per_crop"] / factor**level))
        _, points, _, labels = processor.generate_crop_boxes(crop, 64, 0, points_per_crop=per_side)
        inputs = processor(crop, return_tensors="pt", input_data_format="channels_last")
        output = model(
            pixel_values=inputs["pixel_values"], input_points=points, input_labels=labels
        )
        logits = processor.post_process_masks(
            output.pred_masks,
            inputs["original_sizes"].tolist(),
            inputs["reshaped_input_sizes"].tolist(),
            binarize=False,
        )
        run, score, place = processor.filter_masks(
            logits[0],
            output.iou_scores[0],
            size,
            [int(value) for value in box],
            settings["pred_iou_thresh"],
            settings["stability_score_thresh"],
            settings["mask_threshold"],
            settings["stability_score_offset"],
        )
        runs += run
        scores.append(score)
        places.append(place + torch.tensor([box[0], box[1], box[0], box[1]]).long())
    _, kept, rle, where = processor.post_process_for_mask_generation(
        runs, torch.cat(scores), torch.cat(places), settings["crops_nms_thresh"]
    )
    print(layers, "layers of crops", size, len(rle), "masks")
    return kept, where, rle


def freeze_crops() -> None:
    """Write crops.npz: boxes and points of generate_crop_boxes."""
    arrays = {}
    for height, width in [(40, 60), (101, 33), (64, 64), (17, 300)]:
        image = np.zeros((height, width, 3), np.uint8)
        for layers in (0, 1, 2):
            for ratio in (512 / 1500, 0.1):
                boxes, points, crops, labels = SamImageProcessor().generate_crop_boxes(
                    image, 256, layers, ratio, points_per_crop=4
                )
                name = f"{height}.{width}.{layers}.{ratio:.2f}"
                arrays[f"{name}.boxes"], arrays[f"{name}.points"] = boxes.numpy(), points.numpy()
                assert labels.shape == points.shape[:3]
                assert labels.dtype == torch.int64
                assert len(crops) == len(boxes)
    np.savez_compressed(HERE / "crops.npz", **arrays)


if __name__ == "__main__":
    assert transformers.__version__ == "4.37.2", transformers.__version__
    image_processing_sam.batched_nms = batched_nms
    parts = {"processor": freeze_processor, "crops": freeze_crops}
    parts |= {"pipeline": freeze_pipeline, "network": freeze_network}
    parts |= {"crop_masks": freeze_crop_masks, "methods": freeze_methods}
    for part in sys.argv[1:] or parts:
        parts[part]()
