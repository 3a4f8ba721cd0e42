"""The prompt layers are rewritten without an event, whatever napari drew before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from samari.plugin.layers import PointRow, make_points, read_points, write_points
from samari.plugin.source import ImageSource


@pytest.mark.parametrize("visible", [True, False])
def test_fewer_points_with_other_features_replace_what_was_drawn(
    make_napari_viewer: Any, visible: bool
) -> None:
    viewer = make_napari_viewer()
    image = viewer.add_image(np.zeros((40, 60), np.uint8))
    layer = make_points(ImageSource(image), "YX")
    viewer.add_layer(layer)
    told: list[Any] = []
    before = [PointRow((5.0, 6.0), 1, 0, "YX"), PointRow((7.0, 8.0), 1, 1, "YX")]
    after = [PointRow((20.0, 30.0), 0, 0, "YX")]
    write_points(layer, before)
    layer.events.data.connect(told.append)
    layer.visible = visible

    write_points(layer, after)

    assert read_points(layer) == after
    assert told == []
    layer.visible = True
    np.testing.assert_array_equal(layer._view_data, [[20, 30]])
