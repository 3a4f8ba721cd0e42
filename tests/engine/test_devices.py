from __future__ import annotations

import pytest
import torch

from samari.engine.devices import choose_device, choose_dtype
from samari.errors import InputError


def test_auto_is_a_device_that_computes():
    assert torch.ones(2, device=choose_device("auto")).sum().item() == 2


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", ""])
def test_a_device_that_is_not_there_is_named_with_the_way_out(name):
    with pytest.raises(InputError, match=f"{name}.*'cpu' or 'auto'"):
        choose_device(name)


def test_dtypes_by_name():
    assert choose_dtype("auto") == choose_dtype("float32") == torch.float32
    assert choose_dtype("bfloat16") == torch.bfloat16
    with pytest.raises(InputError, match=r"float64.*bfloat16"):
        choose_dtype("float64")
