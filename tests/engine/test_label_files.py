"""Label TIFFs of any origin."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from samari.engine.export import is_label_file, read_labels, save_labels
from samari.errors import InputError

LABELS = np.random.default_rng(0).integers(0, 900, (3, 20, 25)).astype(np.uint16)


def test_only_our_files_are_recognised(tmp_path):
    save_labels(tmp_path / "ours.tif", LABELS)
    tifffile.imwrite(tmp_path / "theirs.tif", LABELS, photometric="minisblack")
    tifffile.imwrite(tmp_path / "theirs.ome.tif", LABELS, photometric="minisblack", ome=True)
    (tmp_path / "text.tif").write_text("no TIFF")
    (tmp_path / "empty.tif").write_bytes(b"")
    (tmp_path / "cut.tif").write_bytes((tmp_path / "ours.tif").read_bytes()[:40])
    assert is_label_file(tmp_path / "ours.tif")
    for name in (
        "theirs.tif",
        "theirs.ome.tif",
        "text.tif",
        "empty.tif",
        "cut.tif",
        "missing.tif",
        "",
    ):
        assert not is_label_file(tmp_path / name), name


def test_recognising_a_file_reads_its_first_page_only(tmp_path, monkeypatch):
    save_labels(tmp_path / "ours.tif", np.zeros((50, 20, 25), np.uint8))
    pages = []
    init = tifffile.TiffPage.__init__

    def counted(self, parent, *args, **kwargs):
        pages.append(kwargs.get("index", args[0] if args else None))
        init(self, parent, *args, **kwargs)

    monkeypatch.setattr(tifffile.TiffPage, "__init__", counted)
    monkeypatch.setattr(tifffile.TiffFile, "series", property(lambda _: pytest.fail("all pages")))
    assert is_label_file(tmp_path / "ours.tif")
    assert len(pages) == 1


@pytest.mark.parametrize(
    ("options", "axes"),
    [
        ({}, "ZYX"),
        ({"imagej": True, "metadata": {"axes": "TYX"}}, "TYX"),
        ({"ome": True, "metadata": {"axes": "ZYX"}}, "ZYX"),
    ],
)
def test_labels_of_other_programs_are_read(tmp_path, options, axes):
    tifffile.imwrite(tmp_path / "a.tif", LABELS, photometric="minisblack", **options)
    file = read_labels(tmp_path / "a.tif")
    assert (file.labels == LABELS).all()
    assert file.labels.dtype == np.uint16
    assert file.axes == axes
    assert file.scale is file.units is file.translate is None


def test_whole_numbered_floats_are_labels_as_fiji_saves_many_of_them(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", LABELS.astype(np.float32) * 100, imagej=True)
    file = read_labels(tmp_path / "a.tif")
    assert file.labels.dtype == np.uint32
    assert (file.labels == LABELS.astype(np.uint32) * 100).all()


@pytest.mark.parametrize("values", [LABELS / 7, -LABELS.astype(float), LABELS * np.nan])
def test_fractions_are_no_labels(tmp_path, values):
    tifffile.imwrite(tmp_path / "a.tif", values.astype(np.float32), photometric="minisblack")
    with pytest.raises(InputError, match=r"a\.tif.*no labels"):
        read_labels(tmp_path / "a.tif")


def test_a_colour_image_is_no_label_file(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 25, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="colour"):
        read_labels(tmp_path / "a.tif")


def test_the_voxel_size_of_an_imagej_file_is_kept(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        LABELS,
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "ZYX", "spacing": 1.5, "unit": "um"},
    )
    file = read_labels(tmp_path / "a.tif")
    assert file.scale == (1.5, 0.5, 0.25)
    assert file.units == ("micrometer",) * 3


def test_one_of_our_files_whose_note_was_damaged_is_read_like_any_other(tmp_path):
    save_labels(tmp_path / "a.tif", LABELS, scale=(2, 0.5, 0.5), units="um", translate=(1, 2, 3))
    data = (tmp_path / "a.tif").read_bytes()
    for old, new in (
        (b'K="axes"', b'K="sexa"'),
        (b"[3, 20, 25]", b"[3, 20, 26]"),
        (b"samari/labels", b"samari/xxxxxx"),
    ):
        assert old in data
        (tmp_path / "b.tif").write_bytes(data.replace(old, new))
        file = read_labels(tmp_path / "b.tif")
        assert (file.labels == LABELS).all()
        assert (file.axes, file.scale, file.translate) == ("ZYX", (2, 0.5, 0.5), None)


@pytest.mark.parametrize("keep", [0, 4, 40, 0.5, 0.9])
def test_a_truncated_file_is_a_clear_error(tmp_path, keep):
    noise = np.random.default_rng(0).integers(0, 9, (3, 200, 200))
    save_labels(tmp_path / "a.tif", noise)
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[: int(keep * len(data)) if keep < 1 else keep])
    with pytest.raises(InputError, match=r"cut\.tif"):
        read_labels(tmp_path / "cut.tif")


def test_labels_survive_a_cut_that_only_took_the_note_at_the_end(tmp_path):
    save_labels(tmp_path / "a.tif", LABELS, scale=(2, 1, 1), units="um")
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[:-20])
    file = read_labels(tmp_path / "cut.tif")
    assert (file.labels == LABELS).all()
    assert file.axes == "ZYX"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no file.*gone\.tif"):
        read_labels(tmp_path / "gone.tif")
