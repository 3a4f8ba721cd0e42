"""Segmenter: images and prompts in, masks out. The one place that joins model, frame and caches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from samari.engine.decoding import StepDecoder
from samari.engine.devices import choose_device, choose_dtype, for_inference, key_suffixes
from samari.engine.embedding import Embedding, EmbeddingCache, content_key
from samari.engine.frames import FrameRule
from samari.engine.inputs import as_plane, prompts_of, prompts_of_each
from samari.engine.mask_rule import MaskRule
from samari.engine.masks import masks_of
from samari.engine.pictures import ArrayPicture
from samari.engine.planes import to_rgb_uint8
from samari.engine.prediction import Prediction
from samari.engine.steps import result_of, watched
from samari.engine.tiled import answer_each, answer_steps
from samari.errors import InputError
from samari.zoo import LoadedModel, load

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from samari.engine.frames import Frame
    from samari.engine.prompts import PlanePrompts
    from samari.sam import SamModel
    from samari.zoo import ModelInfo

__all__ = ["Prediction", "Segmenter"]


class Segmenter:
    """A model, ready to segment 2D images.

    A mask is a function of the image, the ordered prompts, the candidates chosen and the model;
    what was predicted before changes nothing but the time it takes. `PlanePrompts` defines it.
    Of an image larger than `picture_size` the model sees a tile (`samari.engine.tiles`).

    One thread may predict while others read attributes and ask `cached`. No setting of torch is
    changed for the process.

    Parameters
    ----------
    model : str, path or LoadedModel
        A name of the model list, a folder or a weight file. A model loaded before is taken over:
        moved to the device and converted in place.
    device : str
        ``"auto"`` takes CUDA, then Apple's MPS, then the CPU; or any name torch knows.
    dtype : str
        Precision of the image encoder: ``"float32"``, ``"bfloat16"`` or ``"float16"``. ``"auto"``
        is bfloat16 on processors that multiply in it, and float32 elsewhere. Prompt encoder and
        mask decoder always compute in float32.
    cache : EmbeddingCache, optional
        Where embeddings are kept; one of its own by default.

    Raises
    ------
    ModelError
        If the model cannot be found or loaded.
    InputError
        If device or dtype are not known, or not there, or the model was rounded to another before.

    Examples
    --------
    >>> import numpy as np, samari
    >>> image = np.zeros((64, 96)); image[20:40, 30:60] = 1
    >>> segmenter = samari.Segmenter()
    >>> segmenter.predict(image, points=[(30, 45)]).masks.shape
    (3, 64, 96)
    """

    def __init__(
        self,
        model: str | Path | LoadedModel = "samari-tiny",
        device: str = "auto",
        dtype: str = "auto",
        *,
        cache: EmbeddingCache | None = None,
    ) -> None:
        self._device = choose_device(device)
        self._dtype = choose_dtype(dtype, self._device)
        self._loaded = model if isinstance(model, LoadedModel) else load(model)
        self.requested = self._loaded.name if model is self._loaded else str(model)
        self._model = network = for_inference(self._loaded.model, self._device, self._dtype)
        self._rule, self._masks = FrameRule.of(network.config), MaskRule.of(network.config)
        network.limit_attention(self._rule.reach)
        self._cache = EmbeddingCache() if cache is None else cache
        self._decoder = StepDecoder(network, self._masks)

    @property
    def model(self) -> SamModel:
        """The network."""
        return self._model

    @property
    def model_name(self) -> str:
        """Name of the model as it was found."""
        return self._loaded.name

    @property
    def model_hash(self) -> str:
        """Content hash of the weights."""
        return self._loaded.hash

    @property
    def info(self) -> ModelInfo | None:
        """What the model list says about the model; None for a file of the user's own."""
        return self._loaded.info

    @property
    def picture_size(self) -> int:
        """Longest edge of a plane that is encoded whole at its own resolution, in pixels."""
        return self._rule.image_size

    @property
    def zoom_size(self) -> int:
        """Side of the pictures in which small objects are seen enlarged; 0 if they are not."""
        return self._rule.zoom

    @property
    def device(self) -> str:
        """Where the network computes, as torch calls it."""
        return str(self._device)

    @property
    def dtype(self) -> str:
        """Precision of the image encoder."""
        return str(self._dtype).removeprefix("torch.")

    @property
    def cache(self) -> EmbeddingCache:
        """The embeddings held in memory."""
        return self._cache

    def predict(
        self,
        image: Any,
        points: Any = (),
        labels: Any = None,
        box: Any = None,
        mask: Any = None,
        *,
        multimask: bool | None = None,
        rgb: bool | None = None,
        contrast_limits: tuple[float, float] | None = None,
    ) -> Prediction:
        """Segment one object of a 2D image.

        Parameters
        ----------
        image : array-like, shape (H, W) or (H, W, 3 | 4)
            Boolean, integer or real floating point.
        points : sequence of (y, x)
            In the order of the clicks; in pixels, the centre of a pixel at its integer index.
        labels : sequence of int, optional
            Of every point: 1 in the object (the default), 0 not in it.
        box : (y0, x0, y1, x1), optional
            Two opposite corners around the object.
        mask : ndarray of bool, shape (H, W), optional
            A first guess.
        multimask : bool, optional
            Whether each step gives three candidates or one. By default three for a lone point,
            whose object may be a part or a whole, and one for everything else.
        rgb : bool, optional
            Whether the last axis is colour. By default it is for uint8 images of shape (H, W, 3)
            and (H, W, 4).
        contrast_limits : (float, float), optional
            Intensities shown as black and white; see `samari.engine.planes.to_rgb_uint8`.

        Returns
        -------
        Prediction
            ``prediction.best`` is the mask of the highest score.

        Raises
        ------
        InputError
            If the image is not 2D, or the prompts are missing, malformed or outside the image.
        """
        prompts = prompts_of(points, labels, box, mask)
        plane = as_plane(image, rgb)
        if prompts.is_empty:
            raise InputError("there is no prompt; give points, a box or a mask")
        prompts.check_fits(plane.shape[:2])
        picture = ArrayPicture(to_rgb_uint8(plane, contrast_limits))
        return result_of(answer_steps(self, picture, prompts, multimask))

    def predict_each(
        self,
        image: Any,
        points: Any = (),
        boxes: Any = (),
        *,
        multimask: bool | None = None,
        rgb: bool | None = None,
        contrast_limits: tuple[float, float] | None = None,
    ) -> list[Prediction]:
        """Segment one object for every point and every box of a 2D image.

        Parameters
        ----------
        image, multimask, rgb, contrast_limits
            As for `predict`, which also says what is raised.
        points, boxes : sequence of (y, x), sequence of (y0, x0, y1, x1)
            One object each.

        Returns
        -------
        list of Prediction
            Those of the points, then of the boxes.
        """
        prompts = prompts_of_each(points, boxes)
        plane = as_plane(image, rgb)
        if not prompts:
            raise InputError("there is no prompt; give points or boxes")
        for prompt in prompts:
            prompt.check_fits(plane.shape[:2])
        picture = ArrayPicture(to_rgb_uint8(plane, contrast_limits))
        return answer_each(self, picture, prompts, multimask)

    def encode(
        self,
        rgb: NDArray[np.uint8],
        progress: Callable[[int, int], object] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Embedding:
        """Encode a plane, or return its embedding if it is held; see `encode_steps`.

        Parameters
        ----------
        rgb : ndarray of uint8, shape (H, W, 3)
        progress, cancel : callable, optional
            After every block of the encoder, `progress` is called with (blocks done, blocks) and
            `cancel` is asked: True stops.

        Raises
        ------
        Cancelled
            If `cancel` said so. Nothing is held of what was computed.
        """
        return result_of(watched(self.encode_steps(rgb), progress, cancel))

    def encode_steps(
        self, rgb: NDArray[np.uint8], plane_shape: tuple[int, int] | None = None, enlarge: int = 1
    ) -> Generator[tuple[int, int], None, Embedding]:
        """Encode a plane block by block, so that the caller can stop or do something in between.

        Parameters
        ----------
        rgb : ndarray of uint8, shape (H, W, 3)
            Not to be changed until the end.
        plane_shape : (int, int), optional
            Rows and columns of the plane, if `rgb` shows all of it in fewer pixels.
        enlarge : int
            How many times enlarged the model sees it.

        Yields
        ------
        (int, int)
            Blocks done and blocks in all, after every block. Nothing if the embedding is held.

        Returns
        -------
        Embedding
            As the value of StopIteration; it is put into the cache.

        Raises
        ------
        InputError
            If `rgb` is not uint8 of shape (H, W, 3).
        """
        keys = self._keys(rgb, plane_shape, enlarge)
        held = self._held(keys)
        if held is not None:
            return held
        frame = self._rule.frame(plane_shape or (rgb.shape[0], rgb.shape[1]), enlarge)
        encoder = self._model.vision_encoder
        pixels = frame.pixels(rgb).to(self._device, encoder.dtype)
        steps, total = encoder.steps(pixels), len(encoder.layers)
        while True:
            # Inference mode belongs to the thread: between two steps it must be as it was.
            with torch.inference_mode():
                try:
                    done = next(steps)
                except StopIteration as end:
                    # The decoder reads it as tokens, once a click.
                    features = end.value.float().contiguous(memory_format=torch.channels_last)
                    break
            yield done, total
        embedding = Embedding(features, frame.plane_shape, frame.input_shape, keys[0])
        self._cache.put(embedding)
        self._decoder.prepare(embedding)
        return embedding

    def cached(self, rgb: NDArray[np.uint8]) -> Embedding | None:
        """Return the embedding of a plane if it is held; about 1 ms for a million pixels."""
        return self._held(self._keys(rgb))

    def predict_prompts(
        self, embedding: Embedding, prompts: PlanePrompts, multimask: bool | None = None
    ) -> Prediction:
        """Segment one object of an encoded plane.

        The steps that these prompts share with earlier ones are not computed again, so a further
        click costs one pass through the mask decoder.

        Parameters
        ----------
        embedding : Embedding
            From `encode` of this model.
        prompts : PlanePrompts
        multimask
            As for `predict`.

        Raises
        ------
        InputError
            If the prompts are empty, lie outside the plane or choose a candidate that is not
            there, or if the embedding is another model's.
        """
        return self._predictions(embedding, [prompts], multimask, keep=True)[0]

    def predict_many(
        self,
        embedding: Embedding,
        prompts: Sequence[PlanePrompts],
        multimask: bool | None = None,
    ) -> list[Prediction]:
        """Segment many objects of an encoded plane, independent of each other, in batches.

        Parameters
        ----------
        embedding, multimask : as for `predict_prompts`, which also says what is raised
        prompts : sequence of PlanePrompts
            One object each.

        Returns
        -------
        list of Prediction
            In the order of the prompts; each as `predict_prompts` gives it, within float32.
        """
        return self._predictions(embedding, list(prompts), multimask, keep=False)

    def _predictions(
        self,
        embedding: Embedding,
        prompts: list[PlanePrompts],
        multimask: bool | None,
        *,
        keep: bool,
    ) -> list[Prediction]:
        frame = self._frame_of(embedding)
        for prompt in prompts:
            if prompt.is_empty:
                raise InputError("there is no prompt; give points, a box or a mask")
            prompt.check_fits(embedding.plane_shape)
        answers = self._decoder.answer(embedding, frame, prompts, multimask, keep=keep)
        predictions = []
        for prompt, answer in zip(prompts, answers, strict=True):
            chosen = answer.chosen(prompt.choice(prompt.n_steps - 1))
            masks, boxes = masks_of(answer.logits, frame)
            masks, boxes = self._masks.cut(masks, boxes, prompt, frame.plane_shape)
            crops, bounds, shape = tuple(masks), tuple(boxes), frame.plane_shape
            known = answer.scores, answer.logits, chosen
            predictions.append(Prediction(crops, bounds, *known, shape))
        return predictions

    def _keys(
        self, rgb: NDArray[np.uint8], shape: tuple[int, int] | None = None, enlarge: int = 1
    ) -> list[str]:
        # Embeddings of another precision or size differ, and a cache may be shared. So may the
        # network, which a later Segmenter converts in place.
        size = "" if enlarge == 1 else f"/x{enlarge}"
        names = key_suffixes(self._model)
        return [content_key(rgb, self.model_hash + own + size, shape) for own in names]

    def _held(self, keys: list[str]) -> Embedding | None:
        held = next(filter(None, map(self._cache.get, keys)), None)
        if held is None or held.features.device == self._device:
            return held
        features = held.features.to(self._device)
        return Embedding(features, held.plane_shape, held.input_shape, held.key)

    def _frame_of(self, embedding: Embedding) -> Frame:
        """Return the frame in which an embedding was computed."""
        frame = self._rule.frame_seen(embedding.plane_shape, embedding.input_shape)
        shape = (1, self._model.config.mask_decoder_config.hidden_size, *frame.grid)
        if tuple(embedding.features.shape) != shape or embedding.input_shape != frame.input_shape:
            raise InputError(
                f"an embedding of shape {tuple(embedding.features.shape)} is not one of model "
                f"{self.model_name!r}, which makes {shape} of this plane; encode it again"
            )
        return frame
