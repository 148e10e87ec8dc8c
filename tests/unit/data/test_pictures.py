import numpy as np
import pytest
from PIL import Image

from earmark.data import load_data
from earmark.data import pictures as pictures_module
from earmark.data.held_out import held_out_pictures, named_pictures
from earmark.data.pictures import list_pictures, open_picture, seen_picture
from earmark.errors import FormatError
from small import picture_folder

FILES = ("a.png", "b.JPG", "c.jpeg", "d.bmp", "e.webp", "f.tif", "g.tiff", "h.ppm", "i.pgm", "j.gif")


def stripes(mode="RGB", size=(12, 8)):
    """Left half dark, right half light."""
    picture = Image.new(mode, size, 40 if mode == "L" else (40,) * len(mode))
    picture.paste(200 if mode == "L" else (200,) * len(mode), (size[0] // 2, 0, *size))
    return picture


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_named_format_is_found_and_read(tmp_path, name, mode):
    (tmp_path / "within").mkdir()
    stripes(mode).save(tmp_path / "within" / name)
    found = list_pictures(tmp_path)
    assert found.names == (str(tmp_path / "within" / name),)
    picture = found.picture(0)
    pixels = np.asarray(picture.convert("L")).astype(int)
    assert picture.mode in ("L", "RGB")
    assert np.abs(pixels[:, :4] - 40).max() <= 12
    assert np.abs(pixels[:, -4:] - 200).max() <= 12


def test_pictures_come_in_the_order_of_their_paths_and_hidden_ones_not_at_all(tmp_path):
    (tmp_path / ".cache").mkdir()
    for name in ("2.png", "10.png", "._2.png", ".cache/3.png"):
        stripes().save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    assert list_pictures(tmp_path).paths == (tmp_path / "10.png", tmp_path / "2.png")


def test_a_hidden_folder_may_be_named_itself(tmp_path):
    (tmp_path / ".mine").mkdir()
    stripes().save(tmp_path / ".mine" / "1.png")
    assert len(list_pictures(tmp_path / ".mine").paths) == 1


def test_a_folder_without_pictures_or_with_too_many_files_is_refused(tmp_path, monkeypatch):
    with pytest.raises(FormatError, match="is not a folder"):
        list_pictures(tmp_path / "nowhere")
    with pytest.raises(FormatError, match="holds no pictures"):
        list_pictures(tmp_path)
    monkeypatch.setattr(pictures_module, "_FILES_LIMIT", 2)
    for number in range(3):
        stripes().save(tmp_path / f"{number}.png")
    with pytest.raises(FormatError, match="more than 2 files"):
        list_pictures(tmp_path)


def test_a_picture_is_upright_as_its_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the scene is at the right of the file
    stripes().save(tmp_path / "a.jpg", exif=exif)
    pixels = np.asarray(seen_picture(tmp_path / "a.jpg").convert("L")).astype(int)
    assert pixels.shape == (12, 8)
    assert np.abs(pixels[:4] - 40).max() < 12
    assert np.abs(pixels[-4:] - 200).max() < 12


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white_whatever_its_hidden_colour(tmp_path, mode):
    picture = stripes("RGBA")
    picture.putalpha(Image.new("L", picture.size, 0))
    picture.convert(mode).save(tmp_path / "a.png")
    seen = np.asarray(seen_picture(tmp_path / "a.png").convert("L"))
    assert seen.min() == 255


def test_sixteen_bit_greys_keep_their_steps(tmp_path):
    values = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    seen = seen_picture(tmp_path / "a.png")
    assert seen.mode == "L"
    assert np.array_equal(np.asarray(seen).ravel(), np.arange(256))


def test_numbers_that_are_no_greys_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(FormatError, match="no greys"):
        seen_picture(tmp_path / "a.tif")


def test_other_decoders_are_never_started_whatever_the_file_is_called(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    stripes().save(path, "EPS")

    def refuse(*_args, **_options):
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.check_call", refuse)
    monkeypatch.setattr("subprocess.Popen", refuse)
    with pytest.raises(FormatError, match="not a readable picture"):
        open_picture(path)


def test_a_picture_of_too_many_pixels_is_not_decoded(tmp_path, monkeypatch):
    stripes().save(tmp_path / "a.png")
    monkeypatch.setattr(pictures_module, "_PIXEL_LIMIT", 12 * 8 - 1)
    with pytest.raises(FormatError, match="more than 95 pixels"):
        seen_picture(tmp_path / "a.png")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on altered metadata
@pytest.mark.parametrize("name", FILES)
def test_altered_files_are_read_or_refused_and_nothing_else(tmp_path, name):
    path = tmp_path / name
    exif = Image.Exif()
    exif[0x0112] = 3
    stripes().save(path, **({"exif": exif} if name[0] in "abce" else {}))
    whole = path.read_bytes()
    rng = np.random.default_rng(list(name.encode()))
    refused = 0
    for _ in range(150):
        data = bytearray(whole[: int(rng.choice((len(whole), rng.integers(1, len(whole)))))])
        for place in rng.integers(len(data), size=rng.integers(4)):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            seen_picture(path)
        except FormatError as error:
            assert str(path) in str(error)  # noqa: PT017 - most alterations are read all the same
            refused += 1
    assert refused > 20


class TestHeldOut:
    def test_the_test_part_is_the_default_and_can_be_named(self, tmp_path):
        name = f"folder:{picture_folder(tmp_path)}"
        data = load_data(name)
        for text in (name, f"{name}#test"):
            held_out = held_out_pictures(text, (12, 10, 3), load_data)
            assert held_out.is_test_part
            assert len(held_out.names) == len(data.test) == 12
            assert np.array_equal(held_out.pixels(11), data.test.images[11:12][0])

    def test_a_named_part_is_read_as_the_data_is_for_training_and_by_nobody_else(self, tmp_path):
        root = picture_folder(tmp_path)
        before = load_data(f"folder:{root}@20x16")
        (root / "kept" / "cat").mkdir(parents=True)
        for number, size in enumerate([(40, 30), (16, 20), (9, 9)]):
            stripes(size=size).save(root / "kept" / "cat" / f"{number}.png")
        held_out = held_out_pictures(f"folder:{root}@20x16#kept", (20, 16, 3), load_data)
        assert not held_out.is_test_part
        assert [held_out.pixels(place).shape for place in range(3)] == [(20, 16, 3)] * 3
        after = load_data(f"folder:{root}@20x16")
        assert (len(before.train), len(before.test)) == (len(after.train), len(after.test))

    def test_without_a_size_a_part_of_another_size_is_refused(self, tmp_path):
        root = picture_folder(tmp_path)
        (root / "kept").mkdir()
        stripes(size=(40, 30)).save(root / "kept" / "1.png")
        held_out = held_out_pictures(f"folder:{root}#kept", (12, 10, 3), load_data)
        with pytest.raises(FormatError, match="30x40"):
            held_out.pixels(0)

    @pytest.mark.parametrize("part", ["train", "", ".", "..", "a/b"])
    def test_what_training_reads_or_lies_elsewhere_is_no_part(self, tmp_path, part):
        root = picture_folder(tmp_path)
        with pytest.raises(ValueError, match=r"part"):
            held_out_pictures(f"folder:{root}#{part}", (12, 10, 3), load_data)

    def test_data_without_folders_has_only_its_test_part(self):
        with pytest.raises(ValueError, match="digits has no part 'kept'"):
            held_out_pictures("digits#kept", (8, 8, 1), load_data)

    def test_a_part_that_is_not_there_is_named(self, tmp_path):
        root = picture_folder(tmp_path)
        with pytest.raises(FormatError, match="missing is not a folder"):
            held_out_pictures(f"folder:{root}#missing", (12, 10, 3), load_data)


class TestNamedPictures:
    def test_each_has_a_name_and_what_is_written_of_them_is_short(self):
        images = load_data("digits").train.images
        named = named_pictures(images, "digits")
        assert len(named.names) == len(images)
        assert named.names[3] == "picture 3 of digits"
        assert np.array_equal(named.pixels(3), images[3])
        assert len(repr(named)) < 100
