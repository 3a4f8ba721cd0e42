"""The command line from its words to the file it writes, its exit codes and its one-line errors."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from skimage import io

from samari.cli import main
from samari.engine.export import read_labels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Write a PNG of 48 x 64 pixels with two bright rectangles."""
    image = np.full((48, 64), 20, np.uint8)
    image[10:20, 10:30] = 200
    image[30:40, 40:60] = 120
    io.imsave(tmp_path / "picture.png", image, check_contrast=False)
    return tmp_path / "picture.png"


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """Write a TIFF of 5 planes with a voxel size."""
    image = np.random.default_rng(0).integers(0, 4000, (5, 48, 64)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "stack.ome.tif",
        image,
        metadata={
            "axes": "ZYX",
            "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm",
            "PhysicalSizeZ": 2.0, "PhysicalSizeZUnit": "µm",
        },
    )  # fmt: skip
    return tmp_path / "stack.ome.tif"


@pytest.fixture
def segment(tiny_model_folder: Path, tmp_path: Path) -> Callable[..., tuple[int, Path]]:
    """Run ``samari segment`` with the tiny model; give the exit code and the output."""

    def run(*words: object, output: str = "labels.tif") -> tuple[int, Path]:
        path = tmp_path / output
        model = ["--model", str(tiny_model_folder), "--device", "cpu"]
        return main(["segment", *map(str, words), "-o", str(path), *model]), path

    return run


def _error(capsys: pytest.CaptureFixture[str]) -> str:
    """Give the one line on standard error."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert "Traceback" not in lines[0]
    return lines[0]


def test_repeated_prompts_refine_one_object(
    picture: Path, segment: Callable[..., tuple[int, Path]], tiny_model_folder: Path
) -> None:
    from samari.engine.predict import Segmenter

    code, output = segment(picture, "--point", 15, 20, "--negative", 40, 50, "--point", 12.5, 11)
    segmenter = Segmenter(tiny_model_folder, device="cpu")
    points = [(15, 20), (40, 50), (12.5, 11)]
    wanted = segmenter.predict(io.imread(picture), points=points, labels=[1, 0, 1]).best
    labels = read_labels(output).labels
    assert code == 0
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, wanted.astype(np.uint8))


def test_a_box_and_points_make_one_object_in_any_order(
    picture: Path, segment: Callable[..., tuple[int, Path]]
) -> None:
    box, point = ["--box", 8, 8, 22, 32], ["--point", 15, 20]
    first = read_labels(segment(picture, *box, *point, output="a.tif")[1]).labels
    second = read_labels(segment(picture, *point, *box, output="b.tif")[1]).labels
    assert first.max() == 1
    np.testing.assert_array_equal(first, second)


def test_each_makes_an_object_of_every_prompt(
    picture: Path,
    segment: Callable[..., tuple[int, Path]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Trap 21: as many ids as prompts, printed as they are given."""
    code, output = segment(
        picture, "--point", 15, 20, "--negative", 20, 31, "--point", 35, 50, "--each"
    )
    printed = capsys.readouterr().out
    assert code == 0
    assert "object 1: label 1" in printed
    assert "object 2: label 2" in printed
    assert str(output) in printed
    assert set(np.unique(read_labels(output).labels)) <= {0, 1, 2}


def test_a_stack_is_prompted_on_its_plane_and_keeps_its_voxel_size(
    stack: Path, segment: Callable[..., tuple[int, Path]]
) -> None:
    """Trap 9: only the plane that was named has labels."""
    code, output = segment(stack, "--plane", 3, "--box", 5, 5, 40, 50)
    found = read_labels(output)
    assert code == 0
    assert found.axes == "ZYX"
    assert found.labels.shape == (5, 48, 64)
    assert np.flatnonzero(found.labels.any(axis=(1, 2))).tolist() == [3]
    assert tuple(found.scale) == (2.0, 0.5, 0.5)


def test_axes_that_the_user_names_keep_the_voxel_size(
    stack: Path, segment: Callable[..., tuple[int, Path]]
) -> None:
    code, output = segment(stack, "--axes", "CYX", "--channel", 3, "--box", 5, 5, 40, 50)
    found = read_labels(output)
    assert code == 0
    assert (found.axes, tuple(found.scale)) == ("YX", (0.5, 0.5))


def test_the_image_is_never_overwritten_by_its_labels(
    stack: Path, segment: Callable[..., tuple[int, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    before = stack.read_bytes()
    words = ["--plane", 3, "--point", 15, 20, "--overwrite"]
    assert segment(stack, *words, output=stack.name)[0] == 1
    assert "is the image itself" in _error(capsys)
    assert stack.read_bytes() == before


def test_of_several_images_in_a_file_the_user_is_told_which_one(
    tmp_path: Path, segment: Callable[..., tuple[int, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    with tifffile.TiffWriter(tmp_path / "two.tif") as tiff:
        for rows in (48, 30):
            tiff.write(np.eye(rows, 64, dtype=np.uint8) * 200, metadata=None)
    assert segment(tmp_path / "two.tif", "--box", 5, 5, 40, 50)[0] == 0
    assert _error(capsys) == "samari: two.tif has 2 images; the first is used"


def test_a_prompt_file_gives_objects_on_their_planes(
    stack: Path, tmp_path: Path, segment: Callable[..., tuple[int, Path]]
) -> None:
    file = tmp_path / "Prompts für 細胞.csv"
    file.write_text("object,z,y,x,y0,x0,y1,x1\na,1,,,5,5,40,50\nb,2,20,30,,,,\nb,3,22,30,,,,\n")
    code, output = segment(stack, "--prompts", file)
    labels = read_labels(output).labels
    assert code == 0
    assert set(np.unique(labels)) == {0, 1, 2}
    assert np.flatnonzero((labels == 1).any(axis=(1, 2))).tolist() == [1]
    assert np.flatnonzero((labels == 2).any(axis=(1, 2))).tolist() == [2, 3]


def test_an_existing_output_is_kept_unless_told_otherwise(
    picture: Path,
    segment: Callable[..., tuple[int, Path]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, output = segment(picture, "--point", 15, 20)
    output.write_bytes(b"mine")
    capsys.readouterr()
    assert segment(picture, "--point", 15, 20)[0] == 1
    assert "--overwrite" in _error(capsys)
    assert output.read_bytes() == b"mine"
    assert segment(picture, "--point", 15, 20, "--overwrite")[0] == 0
    assert read_labels(output).labels.shape == (48, 64)


def test_a_journal_of_other_labels_is_kept_unless_told_otherwise(
    picture: Path,
    segment: Callable[..., tuple[int, Path]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, output = segment(picture, "--box", 8, 8, 22, 32)
    journal = output.with_name(f"{output.name}.samari.jsonl")
    output.rename(output.with_name("elsewhere.tif"))
    before = journal.read_bytes()
    capsys.readouterr()
    assert segment(picture, "--point", 15, 20)[0] == 1
    assert f"{journal.name} exists" in _error(capsys)
    assert journal.read_bytes() == before
    assert segment(picture, "--point", 15, 20, "--overwrite")[0] == 0


def test_a_plane_is_named_by_time_and_depth_in_any_file(
    tmp_path: Path, segment: Callable[..., tuple[int, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    image = np.random.default_rng(0).integers(0, 4000, (3, 2, 48, 64)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "zt.ome.tif", image, metadata={"axes": "ZTYX"}, photometric="minisblack"
    )
    code, output = segment(tmp_path / "zt.ome.tif", "--plane", 1, 2, "--box", 5, 5, 40, 50)
    found = read_labels(output)
    assert (code, found.axes) == (0, "ZTYX")
    assert np.argwhere(found.labels.any(axis=(2, 3))).tolist() == [[2, 1]]
    assert segment(tmp_path / "zt.ome.tif", "--plane", 1, "--point", 5, 5, output="x.tif")[0] == 1
    assert "give --plane T Z (got [1])" in _error(capsys)


def test_an_object_without_pixels_does_not_cost_the_others(
    picture: Path,
    segment: Callable[..., tuple[int, Path]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, output = segment(picture, *["--box", 8, 8, 22, 32] * 2, "--each")
    assert code == 1
    assert "saved without object 2" in _error(capsys)
    assert read_labels(output).labels.max() == 1


def test_nothing_is_written_when_no_object_has_pixels(
    picture: Path,
    segment: Callable[..., tuple[int, Path]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, output = segment(picture, "--negative", 15, 20)
    assert code == 1
    assert "nothing to save" in _error(capsys)
    assert not output.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--point", "-5", "3"], "outside"),
        (["--point", "15", "64"], "outside"),
        (["--box", "60", "70", "80", "90"], "outside"),
        (["--box", "1", "1", "9", "9", "--box", "2", "2", "9", "9"], "second box"),
        (["--point", "1", "1", "--plane", "3"], "leave --plane out"),
        (["--point", "1", "1", "--axes", "ZYX"], "ZYX"),
        (["--point", "1", "1", "--channel", "2"], "channel"),
        (["--prompts", "nowhere.csv"], "no prompt file nowhere.csv"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_code_1(
    picture: Path,
    segment: Callable[..., tuple[int, Path]],
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    code, output = segment(picture, *words)
    assert code == 1
    assert message in _error(capsys)
    assert not output.exists()


def test_a_stack_without_a_plane_is_asked_for_one(
    stack: Path,
    segment: Callable[..., tuple[int, Path]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert segment(stack, "--point", 1, 1)[0] == 1
    assert "give --plane Z" in _error(capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "COMMAND"),
        (["segmentise"], "'segmentise'"),
        (["segment"], "IMAGE"),
        (["segment", "a.png", "-o", "b.tif"], "either --point and --box, or --prompts"),
        (["segment", "a.png", "--point", "1", "-o", "b.tif"], "--point"),
        (["segment", "a.png", "--point", "one", "2", "-o", "b.tif"], "'one' is not a number"),
        (["segment", "a.png", "--point", "nan", "2", "-o", "b.tif"], "not a finite number"),
        (["segment", "a.png", "--point", "1,5", "2", "-o", "b.tif"], "write 1.5"),
        (["segment", "a.png", "--point", "-1,5", "2", "-o", "b.tif"], "write -1.5"),
        (["segment", "a.png", "--prompts", "p", "--each", "-o", "b.tif"], "columns"),
    ],
)
def test_what_is_not_understood_is_one_line_and_code_2(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    """Trap 42: a decimal comma is named, before "-1,5" is taken for an option."""
    assert main(words) == 2
    assert message in _error(capsys)


@pytest.mark.parametrize(
    ("image", "output", "message"),
    [
        ("missing.tif", "labels.tif", "missing.tif"),
        ("broken.tif", "labels.tif", "broken.tif"),
        ("picture.png", "labels.png", "must end in .tif"),
        ("picture.png", "no folder/labels.tif", "no folder"),
    ],
)
def test_files_that_cannot_be_used_are_named(
    picture: Path,
    segment: Callable[..., tuple[int, Path]],
    capsys: pytest.CaptureFixture[str],
    image: str,
    output: str,
    message: str,
) -> None:
    (picture.parent / "broken.tif").write_bytes(b"II*\0 this is no TIFF")
    assert segment(picture.parent / image, "--point", 1, 1, output=output)[0] == 1
    assert message in _error(capsys)


def test_an_unknown_model_is_one_line(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["segment", picture, "--point", 1, 1, "-o", tmp_path / "a.tif", "--model", "sam-9000"]
    assert main(list(map(str, words))) == 1
    assert "sam-9000" in _error(capsys)


def test_ctrl_c_ends_with_its_own_code(
    picture: Path,
    segment: Callable[..., tuple[int, Path]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(path: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("samari.engine.images.read_image", interrupted)
    assert segment(picture, "--point", 15, 20)[0] == 130
    assert _error(capsys) == "samari: interrupted"


def test_the_installed_program_works_in_a_foreign_folder_and_locale(
    picture: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    """Traps 41 and 42: non-ASCII paths, and a locale that has neither UTF-8 nor decimal points."""
    folder = tmp_path / "Zürich 細胞"
    folder.mkdir()
    picture = picture.rename(folder / "Bild ü.png")
    done = subprocess.run(
        [
            sys.executable, "-m", "samari", "segment", str(picture), "--point", "15", "20.5",
            "--model", str(tiny_model_folder), "-o", "Ergebnis ä.tif",
        ],
        cwd=folder, capture_output=True, timeout=120,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PYTHONIOENCODING": "ascii:strict",
             "LC_NUMERIC": "de_DE.UTF-8", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert read_labels(folder / "Ergebnis ä.tif").labels.max() == 1


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["segment", "--help"]])
def test_help_is_printed_with_code_0(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 0
    assert "samari" in capsys.readouterr().out


def test_the_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    from samari.zoo import MODELS

    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in MODELS)


def test_a_reader_that_stops_early_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "samari", "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_help_comes_in_less_than_three_tenths_of_a_second(
    figure: Callable[[str, float, str], None],
) -> None:
    # Time of the processor, which other programs on the machine do not change.
    code = "import atexit, time; atexit.register(lambda: print(time.process_time()));"
    code += "from samari.cli import main; main(['--help'])"
    times = []
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        times.append(float(done.stdout.split()[-1]))
    figure("samari --help", min(times), "s")
    assert min(times) < 0.3
