"""What can be cancelled is asked after every step, and no step has more than one encoder block."""

from __future__ import annotations

import numpy as np
import pytest

from samari.engine.predict import Segmenter
from samari.engine.session import Session
from samari.errors import Cancelled


@pytest.fixture
def counted(tiny_model_folder):
    """Give a session on a stack, and a list to which every encoder block adds its number."""
    segmenter = Segmenter(tiny_model_folder)
    blocks = []
    for number, layer in enumerate(segmenter.model.vision_encoder.layers):
        # A block computes these in parts, one after the other.
        def note(*_, number=number):
            if blocks[-1:] != [number]:
                blocks.append(number)

        layer.attn.qkv.register_forward_hook(note)
    image = np.random.default_rng(0).integers(0, 255, (4, 40, 48), np.uint8)
    return Session(image, axes="ZYX", segmenter=segmenter), blocks


def _clicks(session):
    session.add_point((1, 20, 20))
    (request,) = session.requests()
    return session.compute_steps(request)


def _everything(session):
    return session.everything_steps(points_per_side=4)


def _propagation(session):
    labels = session.labels
    labels[1, 10:20, 10:20] = 1
    session.record_edit(lambda: None, lambda: None)
    return session.propagation_steps(session.plan_propagation(1))


@pytest.mark.parametrize("job", [_clicks, _everything, _propagation])
def test_no_step_of_a_job_has_more_than_one_block_of_the_encoder(counted, job):
    session, blocks = counted
    steps = job(session)
    most = 0
    while True:
        before = len(blocks)
        try:
            next(steps)
        except StopIteration:
            break
        finally:
            most = max(most, len(blocks) - before)
    assert most == 1
    assert len(blocks) >= 2


@pytest.mark.parametrize("name", ["segment_everything", "propagate"])
def test_cancel_is_asked_after_every_block(counted, name):
    """Trap 31: and it works again afterwards."""
    session, blocks = counted
    session.labels[1, 10:20, 10:20] = 1
    session.record_edit(lambda: None, lambda: None)
    before = session.labels.copy()
    asked = []

    def cancel():
        asked.append(len(blocks))
        return len(blocks) == 1

    if name == "propagate":
        assert session.propagate(1, cancel=cancel).cancelled
    else:
        with pytest.raises(Cancelled):
            session.segment_everything(points_per_side=4, cancel=cancel)
    assert asked in ([1], [0, 1])  # a propagation also asks before its first block
    assert len(blocks) == 1
    np.testing.assert_array_equal(session.labels, before)
    session.add_point((2, 20, 20))
    assert session.candidates.shape == (40, 48)
