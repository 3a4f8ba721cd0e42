from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from samari.engine.answers import AnswerTable
from samari.engine.pending import PendingPart, Request
from samari.engine.planes import PlaneIndex
from samari.engine.prompts import PlanePrompts
from samari.engine.session import Session


@pytest.fixture
def flat(discs):
    return Session(np.zeros((40, 60), np.uint8), segmenter=discs)


@pytest.fixture
def stack(discs):
    return Session(np.zeros((12, 40, 60), np.uint8), axes="ZYX", segmenter=discs)


def compute(session, request):
    """Run a request to its end, as the inference thread does."""
    steps = session.compute_steps(request)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_prompts_wait_for_an_answer_and_adding_them_asks_the_model_nothing(flat, discs):
    flat.add_point((20, 30))
    (request,) = flat.requests()
    assert request == Request(PlaneIndex("YX"), PlanePrompts(((20, 30),), (1,)))
    assert flat.prediction(flat.pending[0].newest) is None
    assert discs.decoded == []


def test_an_answer_is_taken_and_told(flat):
    flat.add_point((20, 30))
    (request,) = flat.requests()
    kinds = []
    flat.connect(lambda event: kinds.append(event.kind))
    assert flat.answer(request, compute(flat, request)) is True
    assert kinds == ["answer"]
    assert flat.requests() == []
    assert flat.prediction(flat.pending[0].newest).mask[20, 30]


def test_accept_uses_the_answers_that_are_there(flat, discs):
    flat.add_point((20, 30))
    (request,) = flat.requests()
    flat.answer(request, compute(flat, request))
    flat.accept()
    assert len(discs.decoded) == 1


def test_accept_computes_the_answers_that_are_not_there(stack, discs):
    stack.add_point((3, 20, 30))
    stack.add_point((4, 20, 30))
    newest, oldest = stack.requests()
    stack.answer(newest, compute(stack, newest))
    stack.accept()
    assert [prompts.points for prompts in discs.decoded] == [
        newest.prompts.points,
        oldest.prompts.points,
    ]
    assert stack.labels[3, 20, 30] == stack.labels[4, 20, 30] == 1


def test_a_superseded_answer_is_ignored_and_found_again_by_undo(flat, discs):
    flat.add_point((20, 30))
    (first,) = flat.requests()
    flat.add_point((20, 40))
    assert flat.answer(first, compute(flat, first)) is False
    (second,) = flat.requests()
    assert second.prompts.points == ((20, 30), (20, 40))
    assert flat.prediction(flat.pending[0].newest) is None
    assert flat.answer(second, compute(flat, second))
    assert len(discs.decoded) == 2
    flat.undo()
    assert flat.requests() == []
    assert not flat.prediction(flat.pending[0].newest).mask[20, 40]
    flat.redo()
    assert flat.requests() == []
    assert flat.prediction(flat.pending[0].newest).mask[20, 40]
    assert len(discs.decoded) == 2


def test_of_60_clicks_before_the_first_answer_none_is_lost(flat, discs):
    """Trap 29, session side."""
    for x in range(60):
        flat.add_point((20, x))
    (request,) = flat.requests()
    assert len(request.prompts.points) == 60
    flat.answer(request, compute(flat, request))
    flat.accept()
    assert (flat.labels[20] == 1).all()
    assert len(flat.history) == 61
    assert len(discs.decoded) == 1


def test_the_newest_prompts_are_asked_first(stack):
    stack.add_box((3, 2, 2), (3, 8, 8))
    stack.add_box((5, 2, 2), (5, 8, 8))
    stack.add_point((6, 4, 4))
    assert [request.plane.index for request in stack.requests()] == [(6,), (5,), (3,)]


def test_an_answer_after_accept_or_discard_is_superseded(flat):
    flat.add_point((20, 30))
    (request,) = flat.requests()
    prediction = compute(flat, request)
    flat.discard()
    assert flat.answer(request, prediction) is False
    assert not flat.labels.any()


def test_a_choice_does_not_ask_the_model_again(flat, discs):
    flat.add_point((20, 30))
    (request,) = flat.requests()
    flat.answer(request, compute(flat, request))
    flat.choose(2)
    assert flat.requests() == []
    assert flat.prediction(flat.pending[0].newest).chosen == 2
    flat.add_point((20, 40))
    (request,) = flat.requests()
    assert request.prompts.choices == (2,)


def test_progress_is_told_block_by_block_and_can_be_cancelled_and_begun_again(flat):
    flat.add_point((20, 30))
    (request,) = flat.requests()
    steps = flat.compute_steps(request)
    assert next(steps) == (1, 3)
    steps.close()
    assert flat.requests() == [request]
    assert list(flat.compute_steps(request)) == [(1, 3), (2, 3), (3, 3)]


def test_answers_computed_in_another_thread_while_prompts_change(stack):
    stack.add_point((3, 20, 30))
    with ThreadPoolExecutor(1) as inference:
        for z in range(4, 9):
            running = [(r, inference.submit(compute, stack, r)) for r in stack.requests()]
            stack.add_point((z, 20, 30))
            for request, future in running:
                stack.answer(request, future.result())
        (last,) = stack.requests()
        assert last.plane.index == (8,)
        assert stack.answer(last, inference.submit(compute, stack, last).result())
    assert stack.accept() == [1]


def test_another_model_is_asked_again_and_answers_of_the_old_one_are_superseded(flat, discs):
    flat.add_point((20, 30))
    (request,) = flat.requests()
    old = compute(flat, request)
    flat.answer(request, old)
    other = type(discs)(model_name="other", model_hash="07e4")
    kinds = []
    flat.connect(lambda event: kinds.append(event.kind))
    flat.segmenter = other
    assert kinds == ["answer"]
    assert flat.answer(request, old) is False
    (again,) = flat.requests()
    assert flat.prediction(flat.pending[0].newest) is None
    assert flat.answer(again, compute(flat, again))
    flat.accept()
    assert len(other.decoded) == 1
    assert flat.objects[1].model == "other"


def test_the_answers_to_what_is_pending_are_kept_whatever_their_size(flat):
    table = AnswerTable(max_bytes=0)
    flat.add_point((20, 30))
    (first,) = flat.requests()
    prediction = compute(flat, first)
    table.put(first, prediction)
    table.keep([first])
    assert table.get(first) is prediction
    table.keep([])
    assert table.get(first) is None


def test_earlier_answers_are_kept_up_to_the_limit(flat):
    flat.add_point((20, 30))
    (first,) = flat.requests()
    prediction = compute(flat, first)
    table = AnswerTable(max_bytes=2 * prediction.nbytes)
    requests = [Request(PlaneIndex("YX"), PlanePrompts(((y, 3),), (1,))) for y in range(3)]
    for request in requests:
        table.put(request, prediction)
    table.keep([])
    assert [table.get(request) is prediction for request in requests] == [False, True, True]


def test_a_choice_that_does_not_exist_has_no_answer(flat):
    flat.add_point((20, 30))
    flat.candidates.chosen  # noqa: B018  computed
    prompts = flat.pending[0].newest.prompts
    part = PendingPart(PlaneIndex("YX"), prompts.with_choice(7))
    assert flat.prediction(part) is None
