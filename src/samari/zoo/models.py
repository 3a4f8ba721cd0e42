"""The table of models. It is data: adding a model means adding an entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_SAM = "Kirillov et al. (2023), Segment Anything, arXiv:2304.02643"
_MICRO_SAM = (
    "Archit et al. (2025), Segment Anything for Microscopy, Nature Methods, "
    "doi:10.1038/s41592-024-02580-4"
)
_MEDSAM = (
    "Ma et al. (2024), Segment anything in medical images, Nature Communications, "
    "doi:10.1038/s41467-024-44824-z"
)
_ZOO = "https://uk1s3.embassy.ebi.ac.uk/public-datasets/bioimage.io"


@dataclass(frozen=True)
class ModelFile:
    """One file of a model.

    Parameters
    ----------
    name : str
        What it is called in the folder of the model.
    address : str
        Where it is downloaded from; empty for bundled files and for those of the model hub.
    size : int, optional
        Its exact size in bytes, where it is published.
    digest : str, optional
        Its published hash, as ``"sha256:<hex>"``, ``"xxh128:<hex>"`` or ``"md5:<hex>"``.
    """

    name: str
    address: str = ""
    size: int | None = None
    digest: str | None = None


@dataclass(frozen=True)
class ModelInfo:
    """What is known about a model before it is loaded.

    Parameters
    ----------
    name : str
        The name by which a user asks for it.
    source : {"bundled", "hub", "address"}
        Whether it is part of Samari, comes from the model hub, or from the address of its file.
    files : tuple of ModelFile
        Its files.
    licence : str
        SPDX identifier of the weights' licence.
    config : str, optional
        Size of the published network (see `samari.sam.vit_config`) that the weights fit; None where
        a ``config.json`` says it.
    size_bytes : int
        How much there is to download, rounded, for display.
    good_for : str
        One line for the list of models.
    citation : str
        What to cite when results are published.
    hub_id : str
        Name on the model hub; empty for other sources.
    """

    name: str
    source: Literal["bundled", "hub", "address"]
    files: tuple[ModelFile, ...]
    licence: str
    config: str | None
    size_bytes: int
    good_for: str
    citation: str
    hub_id: str = ""


def _hub(size: str, size_bytes: int, good_for: str) -> ModelInfo:
    # The hub names large files by their SHA-256, and that is checked after a download; so no
    # digest has to be kept here, and a corrected upload does not break the entry.
    return ModelInfo(
        name=f"sam-vit-{size}",
        source="hub",
        files=(ModelFile("config.json"), ModelFile("model.safetensors")),
        licence="Apache-2.0",
        config=size,
        size_bytes=size_bytes,
        good_for=good_for,
        citation=_SAM,
        hub_id=f"facebook/sam-vit-{size}",
    )


def _micro_sam(name: str, address: str, xxh128: str, good_for: str) -> ModelInfo:
    # Addresses and hashes: micro_sam/util.py, models(). Licence: as its model export declares.
    large = name.startswith("vit_l")
    return ModelInfo(
        name=name,
        source="address",
        files=(
            ModelFile(address.rpartition("/")[2], f"{_ZOO}/{address}", digest=f"xxh128:{xxh128}"),
        ),
        licence="CC-BY-4.0",
        config="large" if large else "base",
        size_bytes=1_250_000_000 if large else 375_000_000,
        good_for=good_for,
        citation=f"{_MICRO_SAM}; {_SAM}",
    )


_ENTRIES = (
    ModelInfo(
        name="samari-tiny",
        source="bundled",
        files=(ModelFile("config.json"), ModelFile("model.safetensors")),
        licence="BSD-3-Clause",
        config=None,
        size_bytes=11_100_000,
        good_for="cells and nuclei, fast on any laptop; works offline",
        citation=_SAM,
    ),
    _hub("base", 375_000_000, "everything, natural images first; the usual SAM"),
    _hub("large", 1_250_000_000, "everything, finer outlines; slow without a GPU"),
    _hub("huge", 2_560_000_000, "everything, the largest SAM; wants a GPU"),
    _micro_sam(
        "vit_b_lm",
        "diplomatic-bug/1.2/files/vit_b.pt",
        "fe9252a29f3f4ea53c15a06de471e186",
        "cells and nuclei in light microscopy",
    ),
    _micro_sam(
        "vit_l_lm",
        "idealistic-rat/1.2/files/vit_l.pt",
        "017f20677997d628426dec80a8018f9d",
        "cells and nuclei in light microscopy, finer; slow without a GPU",
    ),
    _micro_sam(
        "vit_b_em_organelles",
        "noisy-ox/1.2/files/vit_b.pt",
        "f3bf2ed83d691456bae2c3f9a05fb438",
        "mitochondria, nuclei and other round organelles in electron microscopy",
    ),
    _micro_sam(
        "vit_l_em_organelles",
        "humorous-crab/1.2/files/vit_l.pt",
        "810b084b6e51acdbf760a993d8619f2d",
        "organelles in electron microscopy, finer; slow without a GPU",
    ),
    ModelInfo(
        name="medsam",
        source="address",
        files=(
            ModelFile(
                "medsam_vit_b.pth",
                "https://zenodo.org/records/10689643/files/medsam_vit_b.pth",
                size=375_049_145,
                digest="md5:3bb6db55bd0c9ca30b61248bca72f8d6",
            ),
        ),
        licence="CC-BY-4.0",
        config="base",
        size_bytes=375_049_145,
        good_for="CT, MR, ultrasound, pathology; from a box, one mask (not from clicks)",
        citation=f"{_MEDSAM}; {_SAM}",
    ),
)

#: Every model Samari knows by name, in the order in which they are shown.
MODELS: dict[str, ModelInfo] = {entry.name: entry for entry in _ENTRIES}
