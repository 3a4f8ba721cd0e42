"""Answers of the model, found again by the question."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from samari.engine.lru import ByteLru

if TYPE_CHECKING:
    from collections.abc import Iterable

    from samari.engine.pending import Request
    from samari.engine.prediction import Prediction

MAX_BYTES = 1 << 28


class AnswerTable:
    """Predictions by (plane, prompts), so that undo finds an earlier answer without the model.

    Which candidate is chosen last does not change the candidates: such requests share an answer.
    Answers to what is pending now are always kept, earlier ones up to a limit in bytes; an answer
    that was dropped is a function of its request, and is computed again.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._current: dict[Request, Prediction] = {}
        self._earlier: ByteLru[Prediction] = ByteLru(max_bytes)

    def get(self, request: Request) -> Prediction | None:
        """Return the answer, with the candidate that the request chose; None if there is none.

        Also None if there is no such candidate.
        """
        key = _question(request)
        answer = self._current.get(key) or self._earlier.get(key)
        if answer is None:
            return None
        choice = request.prompts.choice(request.prompts.n_steps - 1)
        chosen = answer.best_index if choice is None else choice
        if chosen >= len(answer):
            return None  # the model says what is wrong with such a request
        return answer if answer.chosen == chosen else replace(answer, chosen=chosen)

    def put(self, request: Request, prediction: Prediction) -> None:
        """Keep an answer."""
        key = _question(request)
        self._current[key] = prediction
        self._earlier.put(key, prediction, prediction.nbytes)

    def keep(self, requests: Iterable[Request]) -> None:
        """Say what is pending now: only its answers are kept beyond the limit."""
        keys = [_question(request) for request in requests]
        held = {key: self._current.get(key) or self._earlier.get(key) for key in keys}
        self._current = {key: answer for key, answer in held.items() if answer is not None}

    def clear(self) -> None:
        """Forget everything: another model answers from now on."""
        self._current.clear()
        self._earlier.clear()


def _question(request: Request) -> Request:
    """Return the request without the choice among the candidates that it asks for."""
    prompts = request.prompts
    if prompts.is_empty or prompts.choice(prompts.n_steps - 1) is None:
        return request
    return replace(request, prompts=prompts.with_choice(None))
