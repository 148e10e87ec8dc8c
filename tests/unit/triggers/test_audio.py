import io
import wave

import numpy as np
import pytest

from earmark.commitment import Stream, frame
from earmark.errors import FormatError
from earmark.triggers import Trigger
from earmark.triggers.audio import AUDIO, AudioGeometry
from earmark.triggers.image import ImageGeometry
from earmark.triggers.sounds import SoundSampler

SECOND = AudioGeometry(8000, 8000)


def sound(number, geometry=SECOND):
    return SoundSampler().sample(geometry, Stream("sound", number))


def test_a_recording_is_its_bytes_and_back():
    data = AUDIO.encode(np.array([1, -2, 3], np.int16), 8000)
    assert data == frame("earmark/trigger/audio/v1", 3, 8000, "int16", np.array([1, -2, 3], ">i2").tobytes())
    found = Trigger("audio", data).value
    assert (found.tolist(), found.rate, found.dtype) == ([1, -2, 3], 8000, np.int16)
    assert AUDIO.encode(found) == data
    assert AUDIO.fits(data, AudioGeometry(3, 8000))
    assert not AUDIO.fits(data, AudioGeometry(3, 16000))
    assert not AUDIO.fits(data, AudioGeometry(4, 8000))
    assert not AUDIO.fits(data, ImageGeometry(8, 8, 1))
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        (np.zeros(3, np.int16), None),
        (np.zeros(3), 8000),
        (np.zeros((1, 3), np.int16), 8000),
        (np.zeros(0, np.int16), 8000),
        (np.zeros(3, np.int16), 0),
        ([1, 2], 8000),
    ],
)
def test_what_is_no_recording_has_no_bytes(value, rate):
    with pytest.raises(ValueError, match="recording|rate"):
        AUDIO.encode(value, rate)


@pytest.mark.parametrize(
    "data", [b"", b"x" * 100, AUDIO.encode(np.zeros(3, np.int16), 8000) + b"\0", b"\xff" * 1000]
)
def test_other_bytes_are_refused(data):
    with pytest.raises(FormatError, match="malformed recording"):
        AUDIO.value(data)


def test_geometries_are_read_and_written():
    assert AUDIO.geometry_from_text("8000@8000") == SECOND
    assert str(SECOND) == "audio:8000@8000"
    assert AUDIO.geometry_from_json(SECOND.to_json()) == SECOND
    for text in ("8000", "8000x8000", "@", "0@8000", "8000@0", "8000@400000"):
        with pytest.raises(ValueError, match=r"audio|samples|rate"):
            AUDIO.geometry_from_text(text)
    for changes in ({"samples": 0}, {"rate": "8000"}, {"dtype": "float32"}, {"more": 1}):
        with pytest.raises(FormatError):
            AUDIO.geometry_from_json(SECOND.to_json() | changes)


def test_a_recording_is_shown_as_a_file_that_players_read():
    trigger = sound(1)
    shown = trigger.show()
    assert (shown.media_type, shown.suffix) == ("audio/wav", ".wav")
    with wave.open(io.BytesIO(shown.data)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, 8000, 8000)
        frames = np.frombuffer(file.readframes(8000), "<i2")
    assert np.array_equal(frames, trigger.value)


def test_sounds_are_loud_and_not_cut_off():
    for number in range(30):
        value = sound(number).value.astype(int)
        assert 20_000 < np.abs(value).max() < 32_767
        assert np.sqrt(np.mean(value**2)) > 1000


def test_the_nearest_are_found_whatever_their_loudness():
    first = sound(1).value.astype(float)
    others = [sound(number).value for number in (2, 3, 4)]
    alike = (0.95 * first).astype(np.int16)
    encoded = [AUDIO.encode(np.asarray(each), 8000) for each in (*others, first.astype(np.int16), alike)]
    assert AUDIO.nearest(encoded)[:2] == (3, 4)
    assert AUDIO.nearest(encoded)[2] < AUDIO.too_near < AUDIO.nearest(encoded[:4])[2]
    silent = [AUDIO.encode(np.zeros(5, np.int16), 8000)] * 2
    assert AUDIO.nearest(silent)[2] == 0


def test_sounds_are_made_for_recordings_only():
    with pytest.raises(ValueError, match="recording"):
        SoundSampler().sample(ImageGeometry(8, 8, 1), Stream("x"))
    assert len(sound(1, AudioGeometry(1, 1)).value) == 1
