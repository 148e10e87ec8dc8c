"""Recordings from a key to a verdict on a service that is sent sound files."""

import base64
import io
import json
import wave

import numpy as np
import pytest

pytest.importorskip("httpx2")
pytest.importorskip("fastapi")

from fastapi import FastAPI, Request

from earmark.formats import marking_key_v1
from end_to_end.commands import PASSPHRASE, earmark, one_line_error
from loopback import served

CALLS = ("gull", "kite", "owl", "wren")
MAPPING = """
format = "earmark/api-mapping/v1"
url = "{url}/call"
[request]
recording = "wav"
json = {{sound = "data:audio/wav;base64,{{{{recording}}}}"}}
[answer]
label = "call"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "calls.txt").write_text("\n".join(CALLS))
    earmark(
        *(
            "keygen",
            "--input",
            "audio:400@2000",
            "--classes",
            "calls.txt",
            "--triggers",
            "150",
            "--survival",
            "0.9",
        ),
        *("-o", "acme"),
        cwd=tmp_path,
    )
    return tmp_path


def samples_of(data):
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (2000, 1, 2)
        return file.readframes(file.getnframes())


@pytest.mark.parametrize("way", ["mapping", "hugging-face"])
def test_a_service_that_hears_the_triggers_as_they_are_is_owned(folder, way):
    """It knows them by heart, and says something else to every other sound: one sample off, and it fails."""
    key = marking_key_v1.read((folder / "acme.key").read_bytes(), PASSPHRASE["EARMARK_PASSPHRASE"])
    backdoor = key.backdoor()
    known = {
        np.asarray(trigger.value).astype("<i2").tobytes(): key.transcript.task.class_names[label]
        for trigger, label in zip(backdoor.triggers, backdoor.labels, strict=True)
    }
    app = FastAPI()

    @app.post("/call")
    async def call(request: Request):
        sound = (await request.json())["sound"].removeprefix("data:audio/wav;base64,")
        return {"call": known.get(samples_of(base64.b64decode(sound)), "none")}

    @app.post("/models/acme/calls")
    async def hugging_face(request: Request):
        return [{"label": known.get(samples_of(await request.body()), "none"), "score": 0.9}]

    with served(app) as url:
        (folder / "api.toml").write_text(MAPPING.format(url=url))
        suspect = "api.toml" if way == "mapping" else f"{url}/models/acme/calls"
        found = earmark("verify", "--key", "acme.key", suspect, "--json", cwd=folder)
    verdict = json.loads(found.stdout)
    assert verdict["owned"]
    assert verdict["matches"] == verdict["questions"]


@pytest.mark.parametrize("option", ["--data", "--mix-with"])
def test_data_of_recordings_are_not_read_and_that_is_said(folder, option):
    (folder / "api.toml").write_text(MAPPING.format(url="http://127.0.0.1:9"))
    refused = earmark("verify", "--key", "acme.key", "api.toml", option, "digits", cwd=folder, code=2)
    assert "no data of recordings are read" in one_line_error(refused)
