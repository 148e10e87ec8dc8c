"""``earmark publish`` and ``earmark release`` against real authorities on this machine, and against bad ones."""

import contextlib
import hashlib
import io
import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from authority import REPLY, new_authority, serving, stamped_by
from earmark.claims.certificates import read_roots
from earmark.claims.key_stamps import check_key_stamps, key_digest
from earmark.cli import main
from earmark.formats import release_record_v1, verification_key_v1
from earmark.keys import OwnerKey
from forged_stamps import Wish, forged_response, forged_token
from small import small_key

pytest.importorskip("httpx2")
PASSPHRASE = "correct horse"


def run(*arguments, code=0):
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main([str(argument) for argument in arguments])
    assert (ended.value.code or 0) == code, err.getvalue()
    return out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return new_authority(tmp_path_factory.mktemp("first"), "First")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return new_authority(tmp_path_factory.mktemp("second"), "Second")


@pytest.fixture
def folder(tmp_path, authority, other):
    (tmp_path / "acme.vk.json").write_bytes(verification_key_v1.write(small_key().verification_key))
    (tmp_path / "first.pem").write_bytes(authority.root_pem)
    (tmp_path / "both.pem").write_bytes(authority.root_pem + other.root_pem)
    (tmp_path / "model.onnx").write_bytes(b"weights")
    return tmp_path


@pytest.fixture
def owner(folder):
    from earmark.formats import envelope, owner_key_v1

    owner = OwnerKey("Test owner", bytes(range(32)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(envelope, "SCRYPT_N", 2)
        (folder / "owner.key").write_bytes(owner_key_v1.write(owner, PASSPHRASE))
    (folder / "passphrase").write_text(PASSPHRASE)
    return ["--owner-key", folder / "owner.key", "--owner-passphrase-file", folder / "passphrase"]


def key_in(folder):
    return verification_key_v1.read((folder / "acme.vk.json").read_bytes())


def test_two_authorities_one_after_the_other(folder, authority, other):
    vk = folder / "acme.vk.json"
    with serving(stamped_by(authority)) as first, serving(stamped_by(other)) as second:
        out, _ = run("publish", vk, "--tsa", first, "--tsa-root", folder / "first.pem")
        assert "1 of 1 stamps added, 1 in all" in out
        assert "root checked: CN=First root" in out
        out, err = run("publish", vk, "--tsa", second, "--json")
        assert "no root was given" in err
    said = json.loads(out)
    assert (said["timestamps"], len(said["added"]), said["failed"]) == (2, 1, [])
    key = key_in(folder)
    assert key_digest(key) == key_digest(small_key().verification_key)
    found = check_key_stamps(key, read_roots((folder / "both.pem").read_bytes()), datetime.now(UTC))
    assert [stamp.authority for stamp in found] == ["CN=First time stamps", "CN=Second time stamps"]
    assert all(stamp.is_root_checked for stamp in found)
    out, _ = run("inspect", vk, "--tsa-root", folder / "first.pem", "--json")
    facts = json.loads(out)
    assert "(root checked: CN=First root" in facts["timestamp 1"]
    assert "(root not checked: CN=Second" in facts["timestamp 2"]


def replayed(authority):
    """An old answer to somebody else's request."""
    token = forged_token(Wish(bytes(32), datetime.now(UTC), nonce=1), authority.signer, authority.middle)
    return lambda body: (200, REPLY, [forged_response(token)])


def endless(chunk):
    def chunks():
        while True:
            yield chunk

    return lambda body: (200, REPLY, chunks())


def slow(body):
    def chunks():
        for _ in range(1000):
            time.sleep(0.2)
            yield b"0"

    return 200, REPLY, chunks()


HOSTILE = {
    "replay": (replayed, "another nonce"),
    "gigabytes": (lambda authority: endless(b"0" * 65_536), "too large"),
    "a byte now and then": (lambda authority: slow, "broke off"),
    "a page": (lambda authority: lambda body: (200, {"Content-Type": "text/html"}, [b"<html>"]), "a page"),
    "a page that says it is a stamp": (
        lambda authority: lambda body: (200, REPLY, [b"<html>"]),
        "not a time",
    ),
    "an error": (lambda authority: lambda body: (503, {}, [b"no"]), "HTTP status 503"),
    "elsewhere": (
        lambda authority: lambda body: (302, {"Location": "http://127.0.0.1:1/"}, []),
        "sends elsewhere",
    ),
    "nothing": (lambda authority: lambda body: (200, REPLY, []), "not a time stamp"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_authority_is_named_and_costs_the_good_one_nothing(folder, authority, name):
    make, words = HOSTILE[name]
    vk = folder / "acme.vk.json"
    began = time.monotonic()
    with serving(make(authority)) as bad, serving(stamped_by(authority)) as good:
        out, _ = run("publish", vk, "--tsa", bad, "--tsa", good, "--timeout", 2, "--json", "-q")
    assert time.monotonic() - began < 30
    said = json.loads(out)
    (failed,) = said["failed"]
    assert failed["url"] == bad
    assert words in failed["reason"]
    assert [item["url"] for item in said["added"]] == [good]
    assert len(key_in(folder).timestamps) == 1


def test_a_stamp_that_came_is_kept_when_the_next_authority_is_interrupted(folder, authority, monkeypatch):
    from earmark.cli import authorities

    honest, asked = authorities._fetch, []

    def fetch(url, request, seconds):
        asked.append(url)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return honest(url, request, seconds)

    monkeypatch.setattr(authorities, "_fetch", fetch)
    with serving(stamped_by(authority)) as url:
        run("publish", folder / "acme.vk.json", "--tsa", url, "--tsa", f"{url}/2", code=130)
    assert len(key_in(folder).timestamps) == 1


@pytest.mark.parametrize(("status", "count"), [(0, 1), (1, 1), (2, 0), (3, 0)])
def test_a_stamp_that_is_granted_with_modifications_is_a_stamp(folder, authority, status, count):
    """PKIStatus 1, grantedWithMods (RFC 3161 section 2.4.2): what was modified, the checks see."""
    from pyasn1.codec.der.decoder import decode
    from pyasn1_modules import rfc3161

    def answer(body):
        request, _ = decode(body, asn1Spec=rfc3161.TimeStampReq())
        imprint, nonce = bytes(request["messageImprint"]["hashedMessage"]), int(request["nonce"])
        wish = Wish(imprint, datetime.now(UTC), nonce=nonce)
        token = forged_token(wish, authority.signer, authority.middle)
        return 200, REPLY, [forged_response(token, status)]

    with serving(answer) as url:
        run("publish", folder / "acme.vk.json", "--tsa", url, code=0 if count else 4)
    assert len(key_in(folder).timestamps) == count


def test_if_no_stamp_can_be_had_the_file_stays_as_it_was(folder, authority):
    vk = folder / "acme.vk.json"
    before = vk.read_bytes()
    with serving(replayed(authority)) as lying:
        _, err = run("publish", vk, "--tsa", "http://127.0.0.1:9/tsa", "--tsa", lying, code=4)
    assert "http://127.0.0.1:9/tsa: no stamp: cannot be reached" in err
    assert f"{lying}: no stamp: the answer has another nonce" in err
    assert vk.read_bytes() == before


def test_an_authority_whose_clock_is_off_by_days_is_refused(folder, authority):
    from pyasn1.codec.der.decoder import decode
    from pyasn1_modules import rfc3161

    def answer(body):
        request, _ = decode(body, asn1Spec=rfc3161.TimeStampReq())
        imprint, nonce = bytes(request["messageImprint"]["hashedMessage"]), int(request["nonce"])
        wish = Wish(imprint, datetime.now(UTC) - timedelta(days=3), nonce=nonce)
        return 200, REPLY, [forged_response(forged_token(wish, authority.signer, authority.middle))]

    with serving(answer) as late:
        _, err = run("publish", folder / "acme.vk.json", "--tsa", late, code=4)
    assert "one of the two clocks is wrong" in err


def test_with_roots_an_authority_of_another_root_is_refused(folder, other):
    with serving(stamped_by(other)) as url:
        _, err = run(
            "publish", folder / "acme.vk.json", "--tsa", url, "--tsa-root", folder / "first.pem", code=4
        )
    assert "ends in none of the given roots, but in CN=Second" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tsa", "ftp://example.org"], "--tsa 'ftp://example.org'"),
        (["--tsa", "http://me:secret@example.org"], "user name or password"),
        (["--tsa", "http://127.0.0.1:9", "--tsa", "http://127.0.0.1:9"], "named twice"),
        (["--tsa", "http://127.0.0.1:9", "--timeout", "0"], "1 to 600"),
        ([*["--tsa", "http://127.0.0.1:9", "--tsa", "x"][:2], "--timeout", "nan"], "1 to 600"),
        ([], "--tsa"),
    ],
)
def test_mistakes_are_said_before_anybody_is_asked(folder, options, words):
    _, err = run("publish", folder / "acme.vk.json", *options, code=2)
    assert words in err


def test_a_full_file_is_said_before_anybody_is_asked(folder):
    from dataclasses import replace

    full = replace(small_key().verification_key, timestamps=(b"x",) * 16)
    (folder / "acme.vk.json").write_bytes(verification_key_v1.write(full))
    _, err = run("publish", folder / "acme.vk.json", "--tsa", "http://127.0.0.1:9", code=2)
    assert "room for 16" in err


def test_a_release_after_a_published_key_is_evident(folder, owner, tmp_path_factory):
    # The order is evident only if the intervals are apart: the key's stamp is a forged one of yesterday's.
    from dataclasses import replace

    signer = new_authority(tmp_path_factory.mktemp("dated"), "Dated")
    key = small_key().verification_key
    wish = Wish(key_digest(key), datetime.now(UTC) - timedelta(days=1))
    token = forged_token(wish, signer.signer, signer.middle)
    (folder / "acme.vk.json").write_bytes(verification_key_v1.write(replace(key, timestamps=(token,))))
    (folder / "root.pem").write_bytes(signer.root_pem)
    record, statement = folder / "model.release.json", folder / "model.intoto.json"
    with serving(stamped_by(signer)) as url:
        options = ["--vk", folder / "acme.vk.json", *owner, "--tsa", url, "--tsa-root", folder / "root.pem"]
        out, _ = run("release", folder / "model.onnx", *options, "-o", record, "--in-toto", statement)
    assert re.search("order: the key was there at least (23 h 59 min|1 day) before the release", out)
    found = release_record_v1.read(record.read_bytes())
    assert found.release.model.identity == f"sha256:{hashlib.sha256(b'weights').hexdigest()}"
    assert (found.release.model.name, found.release.model.size_bytes) == ("model.onnx", 7)
    value = json.loads(statement.read_bytes())
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    # OpenSSF model signing: SHA-256 over the SHA-256 of each file, and here there is one.
    expected = hashlib.sha256(hashlib.sha256(b"weights").digest()).hexdigest()
    assert value["subject"] == [{"name": "model.onnx", "digest": {"sha256": expected}}]
    assert value["predicateType"] == "https://model_signing/signature/v1.0"
    assert value["predicate"]["earmark_release_record"].encode() == record.read_bytes()
    out, _ = run(
        "inspect", record, "--vk", folder / "acme.vk.json", "--tsa-root", folder / "root.pem", "--json"
    )
    assert json.loads(out)["order"].startswith("the key was there at least")
    out, _ = run("inspect", record, "--vk", folder / "acme.vk.json", "--json")
    assert json.loads(out)["order"].startswith(
        "not evident: no stamp whose root was checked dates the key and"
    )
    assert json.loads(run("inspect", record, "--json")[0])["order"].startswith("give the public key")


def test_a_release_without_authorities_is_signed_and_can_be_stamped_later(folder, owner, authority):
    record = folder / "model.release.json"
    options = ["--vk", folder / "acme.vk.json", *owner, "-o", record]
    out, err = run("release", folder / "model.onnx", *options)
    assert "carries no stamp" in err
    assert "dates the key and the release" in out
    with serving(stamped_by(authority)) as url:
        run("publish", record, "--tsa", url, "--tsa-root", folder / "first.pem")
    assert len(release_record_v1.read(record.read_bytes()).timestamps) == 1
    assert "exists already" in run("release", folder / "model.onnx", *options, code=2)[1]


@pytest.mark.parametrize("name", ["owner.key", "acme.owner.key"])
def test_a_release_in_one_short_line(folder, owner, name):
    """The signing key lies beside the public key file, and the record comes to lie beside the model."""
    if name != "owner.key":
        (folder / "owner.key").rename(folder / name)
        (folder / "owner.key").write_bytes(b"somebody else's")
    with contextlib.chdir(folder):
        run("release", "model.onnx", "--vk", "acme.vk.json", *owner[2:])
        (folder / "net").mkdir()
        (folder / "net" / "config.json").write_text("{}")
        run("release", "hf:net", "--vk", "acme.vk.json", *owner[2:])
    for record, model in (("model.release.json", "model.onnx"), ("net.release.json", "net")):
        assert release_record_v1.read((folder / record).read_bytes()).release.model.name == model


def test_a_release_that_nobody_stamps_is_kept_and_said(folder, owner):
    record = folder / "model.release.json"
    options = ["--vk", folder / "acme.vk.json", *owner, "-o", record, "--tsa", "http://127.0.0.1:9"]
    _, err = run("release", folder / "model.onnx", *options, "--in-toto", folder / "x.json", code=4)
    assert "cannot be reached" in err
    assert release_record_v1.read(record.read_bytes()).timestamps == ()
    assert (folder / "x.json").exists()


def test_a_folder_is_released_under_the_identity_that_it_has_as_a_suspect(folder, owner):
    from earmark.models.hf_folder import folder_digest

    model = folder / "net"
    (model / "deep").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "deep.txt").write_text("b")
    (model / "deep" / "a").write_text("a")
    (model / ".git").write_text("not counted")
    (model / "deep" / ".git").write_text("counted by model signing, and not by us")
    record, statement = folder / "r.json", folder / "s.json"
    run(
        "release",
        f"hf:{model}",
        "--vk",
        folder / "acme.vk.json",
        *owner,
        "-o",
        record,
        "--in-toto",
        statement,
    )
    found = release_record_v1.read(record.read_bytes()).release.model
    assert (found.kind, found.size_bytes, found.digest.hex()) == ("folder", 4, folder_digest(model))
    value = json.loads(statement.read_bytes())
    names = [item["name"] for item in value["predicate"]["resources"]]
    assert names == ["config.json", "deep/.git", "deep/a", "deep.txt"]  # by parts of paths, not by letters
    parts = b"".join(hashlib.sha256((model / name).read_bytes()).digest() for name in names)
    assert value["subject"][0]["digest"]["sha256"] == hashlib.sha256(parts).hexdigest()


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [
        ("gone.onnx", 3, "there is no file"),
        ("hf:gone", 3, "there is no folder"),
        ("model.pt", 2, "is neither"),
        ("code.py:name", 2, "is neither"),
        ("api.toml", 2, "is neither"),
        ("api.json", 2, "is neither"),
        ("https://example.org/model.safetensors", 3, "there is no file"),
    ],
)
def test_what_is_no_model_is_not_released(folder, owner, model, code, words):
    with contextlib.chdir(folder):
        _, err = run("release", model, "--vk", "acme.vk.json", *owner, "-o", "r.json", code=code)
    assert words in err
    assert not Path(folder / "r.json").exists()
