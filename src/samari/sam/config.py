"""Configurations of the Segment Anything network, as in the published ``config.json``."""

from __future__ import annotations

import dataclasses
import json
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from samari.sam.pretrained import find_json, read_json

if TYPE_CHECKING:
    import os

ConfigType = TypeVar("ConfigType", bound="SamBaseConfig")

CONFIG_NAME = "config.json"


@dataclass(init=False)
class SamBaseConfig:
    """What all configurations share: typed fields, unknown keys kept, dict and JSON round trips.

    Parameters
    ----------
    *args, **kwargs
        The fields, in the order in which they are declared or by name. Keys that are not fields are
        kept in `extra` and written back by `to_dict`, so that a published file survives a round
        trip.

    Raises
    ------
    TypeError
        If a value has the wrong type. The message names the key and the value.
    """

    #: Keys that a file may carry but that follow from the fields, so they are read and dropped.
    derived: ClassVar[tuple[str, ...]] = ()
    #: Key of this part in the configuration of the whole network.
    part: ClassVar[str] = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        name = type(self).__name__
        fields = dataclasses.fields(self)
        if len(args) > len(fields):
            raise TypeError(f"{name} takes {len(fields)} values at most, got {len(args)}")
        given = {item.name: value for item, value in zip(fields, args, strict=False)}
        twice = sorted(given.keys() & kwargs.keys())
        if twice:
            raise TypeError(f"{name} got {twice[0]!r} twice, by position and by name")
        given.update(kwargs)
        hints = get_type_hints(type(self))
        for item in fields:
            if item.name in given:
                value = _checked(f"{name}.{item.name}", given.pop(item.name), hints[item.name])
            elif item.default_factory is not dataclasses.MISSING:
                value = item.default_factory()
            else:
                value = item.default
            setattr(self, item.name, value)
        self.extra: dict[str, Any] = {k: v for k, v in given.items() if k not in self.derived}
        self.__post_init__()

    def __post_init__(self) -> None:
        """Fill in the fields that depend on others."""

    @classmethod
    def from_dict(cls: type[ConfigType], values: dict[str, Any]) -> ConfigType:
        """Build a configuration from a dict such as `to_dict` or ``json.load`` returns."""
        if not isinstance(values, dict):
            raise TypeError(f"{cls.__name__}.from_dict needs a dict, got {values!r}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return fields, derived values and unknown keys as plain JSON types."""
        values = dict(self.extra)
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            values[item.name] = value.to_dict() if isinstance(value, SamBaseConfig) else value
        values.update({key: getattr(self, key) for key in self.derived})
        return values

    @classmethod
    def from_pretrained(
        cls: type[ConfigType], name: str | os.PathLike[str], **hub: Any
    ) -> ConfigType:
        """Read ``config.json`` of a folder or a hub id, or the given JSON file.

        A part reads its own values out of the file of a whole network.

        Parameters
        ----------
        name : str or Path
            A folder, a JSON file, or a hub id such as ``"facebook/sam-vit-base"``.
        **hub
            See `SamModel.from_pretrained`.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is not a JSON object.
        DownloadError
            If the hub cannot be asked.
        """
        path = Path(name)
        values = read_json(path) if path.is_file() else find_json(name, CONFIG_NAME, **hub)
        if values is None:
            raise FileNotFoundError(f"no {CONFIG_NAME} at {path}")
        return cls.from_dict(values.get(cls.part, values))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``config.json`` into a folder, which is made if it does not exist."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"
        (path / CONFIG_NAME).write_text(text, encoding="utf-8")


@dataclass(init=False)
class SamVisionConfig(SamBaseConfig):
    """The image encoder (a vision transformer). The defaults are those of ViT-B.

    `mlp_dim` is ``int(hidden_size * mlp_ratio)`` where it is not given. `initializer_range` is read
    and written for the sake of published files; see `SamModel` for how weights are initialised.
    """

    part: ClassVar[str] = "vision_config"

    hidden_size: int = 768
    output_channels: int = 256
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    num_channels: int = 3
    image_size: int = 1024
    patch_size: int = 16
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-6
    attention_dropout: float = 0.0
    initializer_range: float = 1e-10
    qkv_bias: bool = True
    mlp_ratio: float = 4.0
    use_abs_pos: bool = True
    use_rel_pos: bool = True
    window_size: int = 14
    global_attn_indexes: list[int] = field(default_factory=lambda: [2, 5, 8, 11])
    num_pos_feats: int = 128
    mlp_dim: int | None = None

    def __post_init__(self) -> None:
        """Derive `mlp_dim` from `mlp_ratio`."""
        if self.mlp_dim is None:
            self.mlp_dim = int(self.hidden_size * self.mlp_ratio)


@dataclass(init=False)
class SamPromptEncoderConfig(SamBaseConfig):
    """The encoder of points, boxes and masks."""

    derived: ClassVar[tuple[str, ...]] = ("image_embedding_size",)
    part: ClassVar[str] = "prompt_encoder_config"

    hidden_size: int = 256
    image_size: int = 1024
    patch_size: int = 16
    mask_input_channels: int = 16
    num_point_embeddings: int = 4
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-6

    @property
    def image_embedding_size(self) -> int:
        """Side of the full image embedding, in tokens."""
        return self.image_size // self.patch_size


@dataclass(init=False)
class SamMaskDecoderConfig(SamBaseConfig):
    """The two-way transformer that turns an image embedding and prompts into masks."""

    part: ClassVar[str] = "mask_decoder_config"

    hidden_size: int = 256
    hidden_act: str = "relu"
    mlp_dim: int = 2048
    num_hidden_layers: int = 2
    num_attention_heads: int = 8
    attention_downsample_rate: int = 2
    num_multimask_outputs: int = 3
    iou_head_depth: int = 3
    iou_head_hidden_dim: int = 256
    layer_norm_eps: float = 1e-6


@dataclass(init=False)
class SamConfig(SamBaseConfig):
    """The whole network. Each part is a configuration, a dict of its fields, or None for defaults.

    Examples
    --------
    >>> SamConfig({"hidden_size": 1024}).vision_config.hidden_size
    1024
    """

    vision_config: SamVisionConfig = field(default_factory=SamVisionConfig)
    prompt_encoder_config: SamPromptEncoderConfig = field(default_factory=SamPromptEncoderConfig)
    mask_decoder_config: SamMaskDecoderConfig = field(default_factory=SamMaskDecoderConfig)
    initializer_range: float = 0.02

    def to_dict(self) -> dict[str, Any]:
        """Return the nested dict of a published ``config.json``."""
        return {**super().to_dict(), "model_type": "sam"}


_VIT_SIZES: dict[str, dict[str, Any]] = {
    "base": {},
    "large": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "global_attn_indexes": [5, 11, 17, 23],
    },
    "huge": {
        "hidden_size": 1280,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "global_attn_indexes": [7, 15, 23, 31],
    },
}


def vit_config(size: str) -> SamConfig:
    """Return the configuration of the published ViT-B, ViT-L or ViT-H.

    Parameters
    ----------
    size : {"base", "large", "huge"}
        Which of the published networks.
    """
    if size not in _VIT_SIZES:
        raise ValueError(f"size must be one of {sorted(_VIT_SIZES)}, got {size!r}")
    return SamConfig(vision_config=_VIT_SIZES[size])


def _checked(key: str, value: Any, hint: Any) -> Any:
    """Return `value` as the type `hint` says, or raise a TypeError that names the key."""
    if get_origin(hint) in (types.UnionType, Union):
        return None if value is None else _checked(key, value, get_args(hint)[0])
    if get_origin(hint) is list:
        inner = get_args(hint)[0]
        if not isinstance(value, (list, tuple)):
            raise _wrong_type(key, value, f"a list of {inner.__name__}")
        return [_checked(f"{key}[{i}]", item, inner) for i, item in enumerate(value)]
    if issubclass(hint, SamBaseConfig):
        if isinstance(value, hint):
            return value
        if value is None or isinstance(value, dict):
            return hint.from_dict(value or {})
        raise _wrong_type(key, value, f"{hint.__name__}, a dict or None")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise _wrong_type(key, value, f"of type {hint.__name__}")
    return value


def _wrong_type(key: str, value: Any, wanted: str) -> TypeError:
    return TypeError(f"{key} must be {wanted}, got {value!r} ({type(value).__name__})")
