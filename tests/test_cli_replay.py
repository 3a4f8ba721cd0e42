"""``samari replay``: from a journal and an image to labels."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch

from samari.cli import main
from samari.engine.export import read_labels
from samari.engine.journal import beside
from samari.engine.predict import Segmenter
from samari.engine.session import Session
from samari.sam.weights import save_model
from samari.zoo import load

IMAGE = np.random.default_rng(3).integers(0, 4000, (3, 48, 64)).astype(np.uint16)


@pytest.fixture
def saved(tmp_path, tiny_model_folder):
    """Save labels with their journal, and the image."""
    tifffile.imwrite(
        tmp_path / "image.ome.tif", IMAGE, metadata={"axes": "ZYX"}, photometric="minisblack"
    )
    session = Session(
        IMAGE, axes="ZYX", segmenter=Segmenter(tiny_model_folder), scale=(2, 0.5, 0.5), units="µm"
    )
    session.add_box((1, 10, 10), (1, 30, 40))
    session.add_point((1, 20, 20))
    session.accept()
    session.add_point((2, 8, 8))
    session.accept()
    session.brush(np.ones((1, 3, 4), bool), 1, (0, 5, 5))
    session.save(tmp_path / "labels.ome.tif")
    return tmp_path


def run(*words):
    return main(["replay", *map(str, words)])


@pytest.mark.parametrize("options", [[], ["--stored"], ["--device", "cpu"]])
@pytest.mark.parametrize("journal", ["labels.ome.tif", "labels.ome.tif.samari.jsonl"])
def test_a_journal_gives_its_labels_again(saved, options, journal, capsys):
    out = saved / "again.tif"
    assert run(saved / journal, saved / "image.ome.tif", "-o", out, *options) == 0
    here, again = read_labels(saved / "labels.ome.tif"), read_labels(out)
    np.testing.assert_array_equal(again.labels, here.labels)
    assert (again.scale, again.units, again.axes) == (here.scale, here.units, here.axes)
    assert "again.tif: 2 objects in (3, 48, 64) ZYX" in capsys.readouterr().out
    assert (saved / "again.tif.samari.jsonl").exists(), "the result can be replayed as well"


def test_another_model_is_asked(saved, tiny_model_folder, capsys):
    out = saved / "again.tif"
    words = (saved / "labels.ome.tif", saved / "image.ome.tif", "-o", out)
    assert run(*words, "--model", tiny_model_folder) == 0
    assert run(*words, "--overwrite", "--model", "samari-tiny") in (0, 1)
    assert run(*words, "--overwrite", "--model", "no such model") == 1
    assert "no model" in capsys.readouterr().err


@pytest.fixture
def changed(tmp_path, tiny_model_folder):
    """Save labels of two models, the second one set midway."""
    other = load(tiny_model_folder).model
    torch.manual_seed(0)
    for parameter in other.mask_decoder.parameters():
        parameter.data += torch.randn_like(parameter)
    save_model(other, tmp_path / "other")
    tifffile.imwrite(tmp_path / "image.tif", IMAGE[0], photometric="minisblack")
    session = Session(IMAGE[0], model=tiny_model_folder)
    for model, top in ((None, 2), (tmp_path / "other", 24)):
        if model is not None:
            session.segmenter = Segmenter(model)
        session.add_box((top, 10), (top + 20, 50))
        session.accept()
    session.save(tmp_path / "labels.tif")
    first, second = session.objects.values()
    assert first.model_hash != second.model_hash
    return tmp_path


def objects(journal):
    return Session.restore(journal, IMAGE[0], resume=False).objects


@pytest.mark.parametrize("options", [[], ["--device", "cpu"]])
def test_each_object_is_asked_of_its_own_model_on_every_device(changed, options):
    out = changed / "again.tif"
    assert run(changed / "labels.tif", changed / "image.tif", "-o", out, *options) == 0
    here, again = (read_labels(file).labels for file in (changed / "labels.tif", out))
    np.testing.assert_array_equal(again, here)
    assert dict(objects(beside(out))) == dict(objects(beside(changed / "labels.tif")))


@pytest.mark.parametrize("options", [[], ["--device", "cpu"]])
def test_a_model_that_is_named_answers_all(changed, tiny_model_folder, options):
    words = (changed / "labels.tif", changed / "image.tif", "-o", changed / "again.tif")
    assert run(*words, "--model", changed / "other", *options) == 0
    _, second = objects(beside(changed / "labels.tif")).values()
    found = objects(beside(changed / "again.tif"))
    assert {one.model_hash for one in found.values()} == {second.model_hash}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere.jsonl", "image.ome.tif"], "nowhere.jsonl cannot be read"),
        (["image.ome.tif", "image.ome.tif"], "image.ome.tif.samari.jsonl cannot be read"),
        (["labels.ome.tif", "other.tif"], "belongs to an image of"),
        (["labels.ome.tif", "same.tif", "--stored"], "belongs to another image"),
        (["damaged.jsonl", "image.ome.tif"], "line 2 of the journal"),
    ],
)
def test_what_is_wrong_is_one_line(saved, words, says, capsys):
    tifffile.imwrite(saved / "other.tif", IMAGE[0], photometric="minisblack")
    tifffile.imwrite(saved / "same.tif", IMAGE[::-1], photometric="minisblack")
    content = (saved / "labels.ome.tif.samari.jsonl").read_bytes()
    (saved / "damaged.jsonl").write_bytes(content.replace(b"pixels", b"pixel", 1))
    words = [saved / word if "." in word else word for word in words]
    assert run(*words, "-o", saved / "out.tif") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert says in lines[0]
    assert not (saved / "out.tif").exists()


def test_an_image_of_other_values_is_replayed_with_a_word(saved, capsys):
    tifffile.imwrite(saved / "same.tif", IMAGE[::-1], photometric="minisblack")
    assert run(saved / "labels.ome.tif", saved / "image.ome.tif", "-o", saved / "a.tif") == 0
    assert "the values of" not in capsys.readouterr().err
    run(saved / "labels.ome.tif", saved / "same.tif", "-o", saved / "b.tif")
    assert f"the values of {saved / 'same.tif'} are not those" in capsys.readouterr().err


def test_the_labels_of_the_journal_itself_are_not_overwritten(saved, capsys):
    out = saved / "labels.ome.tif"
    assert run(out, saved / "image.ome.tif", "-o", out, "--overwrite") == 1
    assert "give it another name" in capsys.readouterr().err
    out.unlink()
    (saved / "link").symlink_to(saved, target_is_directory=True)
    journal = saved / "link" / "labels.ome.tif.samari.jsonl"
    before = journal.read_bytes()
    assert run(journal, saved / "image.ome.tif", "-o", out, "--stored") == 1
    assert journal.read_bytes() == before, "not even where the labels are gone"
