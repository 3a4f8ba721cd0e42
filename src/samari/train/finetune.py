"""Fine-tuning: any model of the zoo learns from some images with labels, within minutes.

Training sees the pictures that the engine makes of these images for prompts on their objects: tiles
at the image's own resolution, small objects enlarged. While only the mask decoder learns, every
picture is encoded once, so a step costs what some clicks cost.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from samari.engine.frames import LOGITS_PER_TOKEN, FrameRule
from samari.errors import InputError
from samari.train.config import Stage
from samari.train.learner import Learner
from samari.train.lessons import LessonBook, lessons_of
from samari.train.rehearsal import Rehearsal, drift
from samari.train.simulate import Simulation, choose_targets
from samari.train.trial import Trial, try_out

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from samari.sam.model import SamModel
    from samari.train.data import Sample

#: What learns, with the learning rate that suits it.
METHODS = {"decoder": 2e-4, "lora": 3e-4, "full": 1e-4}
#: With Muon so many times that rate.
_BY_MUON = 5.0
#: Looks without a gain after which it ends: for the decoder alone, and where the encoder learns,
#: which gains by little and little, the most of it towards the end.
_PATIENCE = (4, 8)
#: Share of rehearsal where the encoder learns. The decoder alone forgets little, and to encode more
#: pictures takes most of its time.
_REHEARSAL = 0.4
#: What is asked in a picture; where small objects are seen enlarged, it is boxes alone.
_CLICKS_TOO = Stage(1, correction_share=0.4, box_share=0.4)
_BOXES_ONLY = Stage(1, correction_share=0.4, box_share=1.0)
#: Tokens a side of what a learning encoder sees at once, if its pictures may be of any size: its
#: attention takes the fourth power of the side.
_WINDOW = 32
#: Weight of what holds the encoder to what it made of the generator's pictures.
_HOLD = 4.0
#: A gain of mean IoU that counts as one.
_GAIN = 0.005


@dataclass(frozen=True)
class FinetuneConfig:
    """How to fine-tune.

    Attributes
    ----------
    method : str
        ``decoder``: the mask decoder learns. ``lora``: and low-rank changes of the encoder's
        attention. ``full``: everything, of small networks by `samari.train.muon`.
    steps : int
        At most so many; the learning rate falls to zero towards the last.
    minutes : float
        When they are over, what was reached is looked at, and it ends.
    held_out : float
        Share of the images, or of the picture if there are few, that is not trained on but says
        what is gained.
    check_every, patience : int, optional
        Steps between looks at the held-out part (by default a fifteenth of all), and looks without
        a gain after which it ends (by default 8, with ``decoder`` 4).
    prompts : int
        Objects prompted a step.
    rank : int
        Of ``lora``.
    rehearsal : float, optional
        Share of the steps that go to the generator's pictures, so that less is forgotten (see
        `samari.train.rehearsal`); by default 0.4, with ``decoder`` 0.
    rate : float, optional
        Learning rate; by default that of the method, with Muon five times as much.
    seed : int
    """

    method: str = "decoder"
    steps: int = 600
    minutes: float = 15.0
    held_out: float = 0.2
    check_every: int | None = None
    patience: int | None = None
    prompts: int = 8
    rank: int = 4
    rehearsal: float | None = None
    rate: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        if self.method not in METHODS:
            raise InputError(f"method is {self.method!r}; known are {', '.join(METHODS)}")
        if not 0 < self.held_out < 1:
            raise InputError(f"held_out is {self.held_out}; it must lie between 0 and 1")
        if self.rehearsal is not None and not 0 <= self.rehearsal < 1:
            raise InputError(f"rehearsal is {self.rehearsal}; it must be at least 0 and below 1")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; it must not be less than 0")
        for name in ("steps", "minutes", "check_every", "patience", "prompts", "rank", "rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} is {value}; it must be more than 0")


@dataclass(frozen=True)
class Progress:
    """Where a fine-tuning is.

    Attributes
    ----------
    step, steps : int
    trial : Trial or None
        The newest look at the held-out part.
    best : Trial or None
        The best so far, the unchanged model included.
    """

    step: int
    steps: int
    trial: Trial | None
    best: Trial | None


@dataclass(frozen=True)
class Finetuned:
    """What came of it.

    Attributes
    ----------
    before, after : Trial
        On the held-out part: the model as it was, and the best weights, which it has now. They are
        the best of some looks at that part, so the gain is a little flattered.
    best_step : int
        Steps after which it had them; 0: nothing was gained, and it is as it was.
    steps : int
        Steps made.
    seconds : float
    ended : str
        ``"flat"``: no gain any more. ``"steps"``, ``"minutes"``: as many as asked for.
    curve : tuple of (int, Trial)
        Every look at the held-out part.
    rate, rehearsal : float
        As they were in the end, where the config left them open.
    """

    before: Trial
    after: Trial
    best_step: int
    steps: int
    seconds: float
    ended: str
    curve: tuple[tuple[int, Trial], ...]
    rate: float
    rehearsal: float

    @property
    def gained(self) -> bool:
        """Whether the model is better than it was on what it had not seen."""
        return self.best_step > 0


def finetune_steps(
    model: SamModel,
    trained: Sequence[Sample],
    held: Sequence[Sample],
    config: FinetuneConfig | None = None,
) -> Generator[Progress, None, Finetuned]:
    """Fine-tune a model step by step, so that a caller can cancel or serve others in between.

    Parameters
    ----------
    model : SamModel
        In float32 on the CPU, its layers plain (not packed for inference). Changed in place: at the
        end it has the best weights, those it had if nothing was gained. A caller who stops in the
        middle is left with weights that nobody looked at.
    trained, held : sequence of Sample
        See `samari.train.heldout.split`.
    config : FinetuneConfig, optional

    Yields
    ------
    Progress
        After every picture of the held-out part and every step.

    Returns
    -------
    Finetuned
        As the value of StopIteration.

    Raises
    ------
    InputError
        If there is nothing to learn from, or the loss is not finite.
    """
    config = config or FinetuneConfig()
    began = time.monotonic()
    rng = np.random.default_rng([config.seed, 7])
    model.limit_attention(FrameRule.of(model.config).reach)
    frozen = config.method == "decoder"
    tests = lessons_of(model, held, rng, most=24)
    course = _Course(model, trained, config, rng)
    learner = Learner(model, config.method, config.rank, config.seed)
    rate = config.rate or METHODS[config.method] * (_BY_MUON if learner.by_muon else 1.0)
    start = Progress(0, config.steps, None, None)
    before = best = yield from try_out(model, tests, start, keep=frozen)
    curve, best_step = [(0, before)], 0
    # Over the whole schedule: as long as the rate is high, a gain takes more steps to be seen.
    between = config.check_every or max(1, config.steps // 15)
    patience = config.patience or _PATIENCE[not frozen]
    step, since, ended = 0, 0, "steps"
    mark = before.mean
    last: Trial | None = None
    while step < config.steps:
        loss = yield from course.loss(Progress(step, config.steps, last, best))
        learner.step(loss, rate * _schedule(step, config.steps))
        step += 1
        here = Progress(step, config.steps, last, best)
        yield here
        late = time.monotonic() - began > 60 * config.minutes
        if step % between and step < config.steps and not late:
            continue
        with learner.averaged():
            last = yield from try_out(model, tests, here, keep=frozen)
        curve.append((step, last))
        if last.mean > max(best.mean, before.mean + _GAIN):
            best, best_step = last, step
            learner.keep()
        since += 1
        if last.mean > mark + _GAIN:
            mark, since = last.mean, 0
        if late or since >= patience:
            ended = "minutes" if late else "flat"
            break
    learner.finish()
    seconds = time.monotonic() - began
    told = (tuple(curve), rate, course.rehearsal)
    return Finetuned(before, best, best_step, step, seconds, ended, *told)


class _Course:
    """What is asked step by step: objects of the user's pictures, and of generated ones.

    Parameters
    ----------
    model : SamModel
        As it is before the first step.
    trained : sequence of Sample
    config : FinetuneConfig
    rng : numpy.random.Generator

    Attributes
    ----------
    rehearsal : float
        Share of the generated ones.
    """

    def __init__(
        self,
        model: SamModel,
        trained: Sequence[Sample],
        config: FinetuneConfig,
        rng: np.random.Generator,
    ) -> None:
        self._model, self._rng, self._prompts = model, rng, config.prompts
        self._generator = torch.Generator().manual_seed(config.seed)
        learns = self._encoder_learns = config.method != "decoder"
        rule = FrameRule.of(model.config)
        self._patch = rule.patch
        self._window = 0 if rule.pad or not learns else _WINDOW * rule.patch
        self._book = LessonBook(model, trained, seed=config.seed)
        default = _REHEARSAL if learns else 0.0
        self.rehearsal = default if config.rehearsal is None else config.rehearsal
        self._generated: Rehearsal | None = None
        if self.rehearsal:
            self._generated = Rehearsal(
                model, window=self._window, method=config.method, seed=config.seed
            )

    def loss(self, tell: Progress) -> Generator[Progress, None, torch.Tensor]:
        """Return the loss of the next step; ``tell`` is yielded while pictures are encoded.

        Raises
        ------
        InputError
            It is not finite.
        """
        known = None
        if self._generated is not None and self._rng.random() < self.rehearsal:
            lesson = self._generated.draw(self._rng)
            known = yield from self._generated.recall(lesson, tell)
        else:
            lesson = self._book.draw(self._rng)
            if self._window:
                lesson = lesson.window(self._window, self._patch, self._rng)
        if self._encoder_learns:
            features = lesson.features(self._model)
        else:
            features = yield from lesson.kept_features(self._model, tell)
        stride = self._patch // LOGITS_PER_TOKEN
        targets = choose_targets(lesson.labels, self._prompts, stride, self._rng)
        stage = _CLICKS_TOO if lesson.clicked else _BOXES_ONLY
        rounds = stage.draw_corrections(self._rng)
        loss, _ = Simulation(
            self._model, features, targets, stage, self._generator, rounds=rounds
        ).run()
        if known is not None:
            loss = loss + _HOLD * drift(features, known)
        if not torch.isfinite(loss):
            raise InputError(f"the loss is {float(loss)} after step {tell.step}: lower the rate")
        return loss


def told_steps(
    steps: Generator[Progress, None, Finetuned],
    told: Callable[[Progress], object] | None = None,
) -> Generator[tuple[int, int], None, Finetuned]:
    """Go through `finetune_steps`, and tell of each; yields (steps done, steps in all)."""
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            result: Finetuned = end.value
            return result
        if told is not None:
            told(progress)
        yield progress.step, progress.steps


def _schedule(step: int, steps: int, warmup: int = 20) -> float:
    """Return the factor on the rate: a short warm-up, then a cosine to zero."""
    return min(1.0, (step + 1) / warmup) * 0.5 * (1 + float(np.cos(np.pi * step / steps)))
