from __future__ import annotations

import pytest
import torch

from samari.train.average import follow


def test_the_average_forgets_the_start_and_then_follows_slowly() -> None:
    average = [torch.full((2,), 100.0), torch.full((3,), -100.0)]
    values = [torch.ones(2), torch.ones(3)]
    for step in range(1, 200):
        follow(average, values, step, 0.9)
    for mean, value in zip(average, values, strict=True):
        torch.testing.assert_close(mean, value, rtol=0, atol=1e-3)
    follow(average, [torch.full((2,), 11.0), torch.ones(3)], 200, 0.9)
    torch.testing.assert_close(average[0], torch.full((2,), 2.0), rtol=0, atol=1e-2)


def test_the_first_steps_weigh_most_and_lists_must_agree() -> None:
    average = [torch.zeros(1)]
    follow(average, [torch.ones(1)], 1, 0.9)
    assert average[0].item() == pytest.approx(1 - 2 / 11)
    with pytest.raises(ValueError, match="zip"):
        follow(average, [torch.ones(1), torch.ones(1)], 2, 0.9)
