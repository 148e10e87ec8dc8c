import errno
import os
import stat
from pathlib import Path

import pytest

from earmark import files
from earmark.errors import EarmarkError, FormatError
from earmark.files import SECRET_MODE, new_folder, read_bounded, replacing, write_new, write_replacing


def failing(error):
    def fail(*args, **kwargs):
        raise error

    return fail


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def place(tmp_path):
    return tmp_path / "acme.key"


def test_a_file_is_read_whole_and_at_exactly_its_limit(place):
    place.write_bytes(b"12345")
    assert read_bounded(place, 5, "key") == b"12345"
    with pytest.raises(FormatError, match="key: .*acme.key is larger than 4 bytes"):
        read_bounded(place, 4, "key")


def test_a_link_to_a_file_is_followed(place, tmp_path):
    place.write_bytes(b"1")
    (tmp_path / "link").symlink_to(place)
    assert read_bounded(tmp_path / "link", 1, "key") == b"1"


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(FormatError, match="does not exist"):
        read_bounded(tmp_path / "none", 1, "key")
    with pytest.raises(FormatError, match="is a folder"):
        read_bounded(tmp_path, 1, "key")


def test_pipes_and_devices_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(FormatError, match="not a regular file"):
            read_bounded(path, 1, "key")


def test_an_unreadable_file_is_reported_with_the_reason(place, monkeypatch):
    monkeypatch.setattr(os, "open", failing(PermissionError(errno.EACCES, "Permission denied")))
    with pytest.raises(FormatError, match="cannot be read: Permission denied"):
        read_bounded(place, 1, "key")


def test_a_file_whose_stated_size_is_not_what_it_gives_is_refused():
    with pytest.raises(FormatError, match="changed while it was read"):
        read_bounded(Path("/proc/self/status"), 1000, "key")


def test_reading_leaves_no_descriptor_open(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in (tmp_path, tmp_path / "none", Path("/dev/zero")):
        with pytest.raises(FormatError):
            read_bounded(path, 1, "key")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_name_with_line_feeds_stays_on_one_line(tmp_path):
    with pytest.raises(FormatError) as caught:
        read_bounded(tmp_path / "a\nb\x1b", 1, "key")
    assert str(caught.value).isprintable()


def test_a_new_file_has_its_content_and_its_mode_and_nothing_beside_it(place):
    write_new(place, b"secret", SECRET_MODE)
    assert place.read_bytes() == b"secret"
    assert mode_of(place) == 0o600
    assert list(place.parent.iterdir()) == [place]


def test_a_secret_is_never_readable_by_others_while_it_is_written(place, monkeypatch):
    seen = []
    monkeypatch.setattr(os, "fsync", lambda fd: seen.append(stat.S_IMODE(os.fstat(fd).st_mode)))
    write_new(place, b"secret", SECRET_MODE)
    assert seen[0] == 0o600


def test_an_existing_file_is_never_overwritten(place):
    place.write_bytes(b"old")
    with pytest.raises(EarmarkError, match="exists already; keys are never overwritten"):
        write_new(place, b"new")
    assert place.read_bytes() == b"old"
    assert list(place.parent.iterdir()) == [place]


def test_a_dangling_link_counts_as_existing(place, tmp_path):
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EarmarkError, match="exists already"):
        write_new(place, b"new")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["fsync", "link", "open"])
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")], ids=["^C", "EIO"]
)
def test_an_interrupted_write_leaves_no_file_and_no_temporary_file(place, monkeypatch, name, error):
    real = getattr(os, name)
    calls = []

    def interrupted(*args, **kwargs):
        calls.append(args)
        if name == "link" and isinstance(error, OSError):
            raise FileNotFoundError(errno.ENOENT, "vanished") if len(calls) > 1 else error
        raise error

    monkeypatch.setattr(os, name, interrupted)
    if name == "link" and isinstance(error, OSError):
        monkeypatch.setattr(Path, "replace", failing(error))  # the fallback fails as well
    with pytest.raises(EarmarkError if isinstance(error, OSError) else KeyboardInterrupt):
        write_new(place, b"secret")
    monkeypatch.setattr(os, name, real)
    assert list(place.parent.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")])
def test_a_new_file_whose_name_cannot_be_made_durable_is_taken_back(place, monkeypatch, error):
    monkeypatch.setattr(files, "_sync_folder", failing(error))
    with pytest.raises(EarmarkError if isinstance(error, OSError) else KeyboardInterrupt):
        write_new(place, b"secret")
    assert list(place.parent.iterdir()) == []


def test_where_there_are_no_hard_links_a_new_file_is_still_written_and_still_exclusive(place, monkeypatch):
    monkeypatch.setattr(os, "link", failing(OSError(errno.EPERM, "no links here")))
    write_new(place, b"first", SECRET_MODE)
    assert (place.read_bytes(), mode_of(place)) == (b"first", 0o600)
    with pytest.raises(EarmarkError, match="exists already"):
        write_new(place, b"second")
    assert place.read_bytes() == b"first"
    assert list(place.parent.iterdir()) == [place]


def test_a_folder_that_cannot_be_synced_by_its_file_system_is_no_error(place, monkeypatch):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_new(place, b"1")
    assert place.read_bytes() == b"1"


def test_a_folder_that_cannot_be_synced_for_another_reason_is_an_error(place, monkeypatch):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(EarmarkError, match="Input/output error"):
        write_new(place, b"1")
    assert list(place.parent.iterdir()) == []


def test_a_missing_folder_is_reported(tmp_path):
    with pytest.raises(EarmarkError, match="cannot be written: No such file"):
        write_new(tmp_path / "none" / "acme.key", b"")


@pytest.mark.parametrize("path", [Path(), Path("/"), Path("..")])
def test_a_folder_in_place_of_a_file_name_is_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EarmarkError):
        write_new(path, b"")
    with pytest.raises(EarmarkError):
        write_replacing(path, b"")
    assert list(tmp_path.iterdir()) == []


def test_replacing_puts_a_file_in_the_place_of_another(place):
    place.write_bytes(b"old")
    write_replacing(place, b"new", 0o640)
    assert place.read_bytes() == b"new"
    assert mode_of(place) == 0o640
    assert list(place.parent.iterdir()) == [place]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("disk full")])
def test_an_interrupted_replacement_leaves_what_was_there(place, monkeypatch, error):
    place.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", failing(error))
    with pytest.raises(EarmarkError if isinstance(error, OSError) else KeyboardInterrupt):
        write_replacing(place, b"new")
    assert place.read_bytes() == b"old"
    assert list(place.parent.iterdir()) == [place]


def test_a_library_writes_beside_the_file_and_takes_its_place_only_in_the_end(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.suffix == ".safetensors"
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_library_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_library_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(EarmarkError, match="cannot be written"), replacing(tmp_path / "model.onnx"):
        pass


def test_a_new_folder_appears_only_when_it_is_full(tmp_path):
    with new_folder(tmp_path / "questions") as folder:
        (folder / "1.png").write_bytes(b"1")
        assert not (tmp_path / "questions").exists()
    assert (tmp_path / "questions" / "1.png").read_bytes() == b"1"
    assert list(tmp_path.iterdir()) == [tmp_path / "questions"]


def test_a_folder_that_was_not_filled_is_removed_with_what_it_holds(tmp_path):
    def fill():
        with new_folder(tmp_path / "questions") as folder:
            (folder / "1.png").write_bytes(b"1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_a_folder_is_never_put_in_the_place_of_anything(tmp_path, make):
    make(tmp_path / "questions")
    entered = []
    with pytest.raises(EarmarkError, match="exists already"), new_folder(tmp_path / "questions"):
        entered.append(True)
    assert not entered, "refused before the body does anything else"


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    with pytest.raises(EarmarkError, match="cannot be written"), new_folder(tmp_path / "none" / "questions"):
        pass
