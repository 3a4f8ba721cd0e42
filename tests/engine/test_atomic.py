"""A file is complete or untouched: traps 41 and 44."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import nullcontext

import pytest

from samari.engine import atomic
from samari.engine.atomic import replacing
from samari.errors import ExportError


def test_the_file_appears_only_when_it_is_complete(tmp_path):
    """Trap 44."""
    path = tmp_path / "labels.tif"
    with replacing(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["labels.tif"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), ValueError(), KeyboardInterrupt()]
)
def test_an_existing_file_survives_a_failed_save(tmp_path, error):
    """Trap 44: and nothing is left beside it."""
    path = tmp_path / "labels.tif"
    path.write_bytes(b"old")
    expected = ExportError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected), replacing(path) as file:  # noqa: PT012
        file.write(b"half of the n")
        raise error
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["labels.tif"]


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "no permission"),
        (errno.EPERM, "no permission"),
        (errno.EROFS, "read-only"),
        (errno.EINVAL, "not allowed"),
        (errno.EIO, "Input/output error"),
    ],
)
@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_each_refusal_of_the_system_names_the_file_the_reason_and_what_survives(
    tmp_path, monkeypatch, code, advice, call
):
    """Trap 41: disk full, read-only folder, forbidden characters of Windows."""
    path = tmp_path / "labels.tif"
    path.write_bytes(b"old")

    def refuse(*_args, **_kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(atomic.Path if call == "open" else atomic.os, call, refuse)
    with pytest.raises(ExportError, match=f"labels.tif.*{advice}.*unchanged"), replacing(path):
        pass
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["labels.tif"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ExportError, match="folder does not exist"), replacing(tmp_path / "a" / "b"):
        pass


def test_a_folder_is_not_overwritten(tmp_path):
    with pytest.raises(ExportError, match="this is a folder"), replacing(tmp_path):
        pass


def test_a_null_character_in_the_name_is_a_clear_error(tmp_path):
    """Trap 41."""
    with pytest.raises(ExportError, match="another name"), replacing(f"{tmp_path}/a\0b"):
        pass


@pytest.mark.parametrize(
    "name", ["Zellkörper 細胞 🔬.tif", "n" * 251 + ".tif", "spaces  and 'quotes'.tif"]
)
def test_names_of_any_script_and_the_longest_allowed_work(tmp_path, name):
    """Trap 41: the temporary file has a short name of its own."""
    if len(os.fsencode(name)) > 255:
        pytest.skip("longer than this file system allows")
    with replacing(tmp_path / name) as file:
        file.write(b"x")
    assert os.listdir(tmp_path) == [name]


def test_a_name_that_is_too_long_is_a_clear_error(tmp_path):
    """Trap 41."""
    with pytest.raises(ExportError, match="too long"), replacing(tmp_path / ("n" * 300)):
        pass


def test_a_deep_path_works(tmp_path):
    """Trap 41: longer than the 260 characters of old Windows programs."""
    folder = tmp_path.joinpath(*["a folder with a long name of its own"] * 10)
    folder.mkdir(parents=True)
    with replacing(folder / "labels.tif") as file:
        file.write(b"x")
    assert (folder / "labels.tif").read_bytes() == b"x"


@pytest.mark.parametrize("name", ["a:b.tif", 'a"b.tif', "a<b>?.tif", "C:\\labels.tif"])
def test_names_that_windows_forbids_are_saved_or_clearly_refused(tmp_path, name):
    """Trap 41: drive letters and forbidden characters."""
    refused = os.name == "nt"
    with pytest.raises(ExportError, match=re.escape(name)) if refused else nullcontext():
        with replacing(tmp_path / name) as file:
            file.write(b"x")
    assert refused or (tmp_path / name).read_bytes() == b"x"


@pytest.mark.skipif(os.name != "posix", reason="permission bits are those of POSIX")
def test_permissions_follow_the_umask_and_those_of_an_existing_file_are_kept(tmp_path):
    path = tmp_path / "labels.tif"
    (tmp_path / "plain").write_bytes(b"")
    for expected in (stat.S_IMODE((tmp_path / "plain").stat().st_mode), 0o640):
        with replacing(path) as file:
            file.write(b"x")
        assert stat.S_IMODE(path.stat().st_mode) == expected
        path.chmod(0o640)


def test_a_write_protected_file_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "labels.tif"
    path.write_bytes(b"old")
    monkeypatch.setattr(atomic.os, "access", lambda *_: False)
    with pytest.raises(ExportError, match="no permission"), replacing(path):
        pass
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_link_is_followed(tmp_path):
    (tmp_path / "real.tif").write_bytes(b"old")
    (tmp_path / "link.tif").symlink_to(tmp_path / "real.tif")
    with replacing(tmp_path / "link.tif") as file:
        file.write(b"new")
    assert (tmp_path / "link.tif").is_symlink()
    assert (tmp_path / "real.tif").read_bytes() == b"new"
