"""The methods of the image processor that work on masks give what the reference gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from samari.sam import SamImageProcessor

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


def assert_runs(
    arrays: dict[str, np.ndarray], name: str, scores: Any, boxes: Any, runs: list[dict[str, Any]]
) -> None:
    """Compare scores, boxes and run lengths with frozen ones."""
    counts = [count for run in runs for count in run["counts"]]
    assert [len(run["counts"]) for run in runs] == arrays[f"{name}.lengths"].tolist(), name
    assert counts == arrays[f"{name}.counts"].tolist(), name
    np.testing.assert_allclose(scores, arrays[f"{name}.scores"], atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(boxes, arrays[f"{name}.boxes"].reshape(-1, 4), err_msg=name)


def test_masks_come_back_to_their_image_as_in_the_reference(
    reference_inputs: ModuleType, frozen: Callable[[str], Any]
) -> None:
    arrays = frozen("methods.npz")
    cases = reference_inputs.method_cases()
    assert len(cases) == 24
    for index, case in enumerate(cases):
        masks = reference_inputs.restored(SamImageProcessor, case)
        wanted = arrays[f"{index}.masks"]
        assert list(masks.shape) == arrays[f"{index}.masks.shape"].tolist()
        values = masks.numpy().ravel()
        if case["binarize"]:
            assert masks.dtype == torch.bool
            np.testing.assert_array_equal(np.packbits(values), wanted, err_msg=str(index))
        else:
            np.testing.assert_allclose(values[::7], wanted, atol=1e-5, err_msg=str(index))


def test_masks_pass_the_filters_and_survive_each_other_as_in_the_reference(
    reference_inputs: ModuleType, frozen: Callable[[str], Any]
) -> None:
    arrays, passed, dropped = frozen("methods.npz"), 0, 0
    processor = SamImageProcessor()
    for index, case in enumerate(reference_inputs.method_cases()):
        runs, scores, boxes = reference_inputs.filtered(processor, case)
        assert_runs(arrays, f"{index}.filtered", scores, boxes, runs)
        passed += len(runs)
        masks, scores, kept, boxes = processor.post_process_for_mask_generation(
            runs, scores, boxes, case["overlap"]
        )
        assert len(masks) == len(kept) == len(scores) == len(boxes)
        dropped += len(runs) - len(kept)
        if runs:
            assert_runs(arrays, f"{index}.kept", scores, boxes, kept)
    assert passed > 30
    assert dropped > 3
