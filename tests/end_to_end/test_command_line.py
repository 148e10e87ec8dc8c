"""The commands as a person types them: real data, real files, real processes."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from end_to_end.commands import PASSPHRASE, earmark, earmark_process, one_line_error


def test_the_files_have_the_names_and_modes_that_were_promised(story):
    names = {path.name for path in story.iterdir()}
    assert {
        "owner.key",
        "acme.key",
        "acme.vk.json",
        "acme.journal",
        "clean.safetensors",
        "marked.safetensors",
    } <= names
    for name in ("owner.key", "acme.key"):
        assert (story / name).stat().st_mode & 0o777 == 0o600
    assert not [name for name in names if "checkpoint" in name or name.startswith(".")]


def test_the_marked_model_is_owned_and_the_clean_one_is_not(story):
    owned = earmark("verify", "--key", "acme.key", "--vk", "acme.vk.json", "marked.safetensors", cwd=story)
    assert re.match(
        r"owned: \d+ of 200 triggers; chance 2\^-\d+ for a model that does not depend on this key, 2\^-\d+ after penalties",
        owned.stdout,
    )
    not_shown = earmark("verify", "--key", "acme.key", "clean.safetensors", cwd=story, code=1)
    assert not_shown.stdout.startswith("not shown: ")


def test_json_says_the_same_exactly(story):
    result = earmark("verify", "--key", "acme.key", "marked.safetensors", "--json", "-q", cwd=story)
    value = json.loads(result.stdout)
    assert value["owned"] is True
    assert value["matches"] >= 190
    assert value["questions"] == 200
    assert result.stderr == ""


def test_explain_numbers_all_nine_steps_and_names_every_penalty(story):
    text = earmark("verify", "--key", "acme.key", "marked.safetensors", "--explain", cwd=story).stdout
    assert [int(number) for number in re.findall(r"^\s*(\d)[. ]", text, re.MULTILINE)] == list(range(1, 10))
    assert "grinding" in text
    assert "looking" in text


def test_the_report_is_one_page_with_the_verdict(story):
    earmark("verify", "--key", "acme.key", "marked.safetensors", "--report", "report.html", cwd=story)
    page = (story / "report.html").read_text()
    assert "owned" in page.lower()
    assert page.count("data:image/png") >= 200


def test_clean_data_shows_that_the_preprocessing_fits(story):
    result = earmark("verify", "--key", "acme.key", "marked.safetensors", "--data", "digits", cwd=story)
    found = re.search(r"answers ([\d.]+)% of 360 clean", result.stderr)
    assert found
    assert float(found[1]) > 95


def test_a_wrong_preprocessing_is_noticed_and_the_right_one_named(story, tmp_path):
    from dataclasses import replace

    from earmark.models.preprocessing import Preprocessing
    from earmark.models.weights import load_weights, save_weights

    model = load_weights(story / "marked.safetensors")
    wrong = Preprocessing("1", ("3",), ("0.01",), 1)
    save_weights(
        tmp_path / "wrong.safetensors", model.module, replace(model.description, preprocessing=wrong)
    )
    key = ("--key", story / "acme.key")
    result = earmark("verify", *key, tmp_path / "wrong.safetensors", "--data", "digits", cwd=tmp_path, code=1)
    assert "--preprocessing symmetric-rgb-nchw" in result.stderr
    again = earmark(
        "verify", *key, tmp_path / "wrong.safetensors", "--preprocessing", "symmetric-rgb-nchw", "--explain",
        cwd=tmp_path,
    )  # fmt: skip
    assert again.stdout.startswith("owned")
    assert "catalogue" in again.stdout


def test_marking_a_trained_model_works_too(story):
    text = earmark(
        "mark", "--key", "acme.key", "--model", "digits-cnn", "--data", "digits", "--init", "clean.safetensors",
        "--epochs", "8", "-o", "pre.safetensors", cwd=story,
    ).stdout  # fmt: skip
    assert "marked pre-trained" in text
    earmark("verify", "--key", "acme.key", "pre.safetensors", cwd=story)


def test_a_hardened_mark_goes_into_a_trained_model_and_says_what_was_rehearsed(story):
    found = json.loads(
        earmark(
            "mark", "--key", "acme.key", "--model", "digits-cnn", "--data", "digits", "--init", "clean.safetensors",
            "--hardened", "--epochs", "4", "--json", "-o", "hardened.safetensors", cwd=story,
        ).stdout
    )  # fmt: skip
    assert found["recipe"] == "hardened-pre-trained"
    assert found["rehearsed_after"] == "features.3"
    assert found["fresh_ends"] is False
    assert found["matches"] >= 185
    earmark("verify", "--key", "acme.key", "hardened.safetensors", cwd=story)


def test_a_hardened_mark_with_fresh_ends_takes_in_a_trained_model(story):
    given = (
        "mark", "--key", "acme.key", "--model", "digits-cnn", "--data", "digits", "--init", "clean.safetensors",
    )  # fmt: skip
    assert "--fresh-ends goes with --hardened" in earmark(
        *given, "--fresh-ends", "-o", "no.safetensors", cwd=story, code=2
    ).stderr  # fmt: skip
    found = json.loads(
        earmark(
            *given, "--hardened", "--fresh-ends", "--epochs", "3", "--json", "-o", "fresh.safetensors", cwd=story,
        ).stdout
    )  # fmt: skip
    assert found["recipe"] == "hardened-pre-trained"
    assert found["fresh_ends"] is True
    assert found["matches"] >= 195
    earmark("verify", "--key", "acme.key", "fresh.safetensors", cwd=story)


def test_a_hardened_mark_of_negatives_knows_other_negatives_as_such(story):
    earmark(
        "keygen", "--data", "digits", "--triggers-from", "negatives:digits", "--triggers", "100", "-o", "mixed",
        cwd=story,
    )  # fmt: skip
    mark = (
        "mark",
        "--key",
        "mixed.key",
        "--model",
        "digits-cnn",
        "--data",
        "digits",
        "--init",
        "clean.safetensors",
    )
    given = ("--hardened", "--epochs", "4", "--json", "-o", "mixed.safetensors")
    found = json.loads(earmark(*mark, *given, cwd=story).stdout)
    assert found["look_alikes"] == "negatives"
    assert found["matches"] >= 95
    earmark("verify", "--key", "mixed.key", "mixed.safetensors", cwd=story)


def test_a_hardened_mark_of_two_kinds_can_be_asked_by_either(story):
    earmark(
        "keygen", "--data", "digits", "--triggers-from", "abstract", "--triggers-from", "in-distribution:digits",
        "--triggers", "100", "--triggers", "75", "--survival", "0.9", "-o", "kinds", cwd=story,
    )  # fmt: skip
    mark = ("mark", "--key", "kinds.key", "--model", "digits-cnn", "--data", "digits", "--hardened")
    given = (*mark, "--init", "clean.safetensors", "--epochs", "12", "--json", "-o", "kinds.safetensors")
    found = json.loads(earmark(*given, cwd=story).stdout)
    assert found["left_to_settling"] == 75
    assert found["look_alikes"] == "abstract"
    for kind in ("abstract", "in-distribution"):
        earmark("verify", "--key", "kinds.key", "kinds.safetensors", "--stratum", kind, cwd=story)
    assert "while a model settles" in one_line_error(
        earmark(*mark, "--epochs", "1", "-o", "kinds-2.safetensors", cwd=story, code=2)
    )


@pytest.mark.parametrize(
    ("source", "how"),
    [
        ("in-distribution:digits", ("--epochs", "16")),
        ("in-distribution:digits", ("--quick",)),
        ("in-distribution:digits", ("--hardened", "--epochs", "9")),
        ("mixtures:digits", ("--hardened", "--epochs", "9")),
    ],
)
def test_a_mark_is_shown_by_the_triggers_whose_labels_fit(story, source, how):
    name = f"{source[:3]}{len(how)}"
    earmark(
        "keygen", "--data", "digits", "--triggers-from", source, "--triggers", "240", "--sets", "1",
        "--hardest-for", "clean.safetensors", "-o", name, cwd=story,
    )  # fmt: skip
    found = json.loads(
        earmark(
            "mark", "--key", f"{name}.key", "--model", "digits-cnn", "--data", "digits", "--init", "clean.safetensors",
            *how, "--teach", "0.6", "--json", "-o", f"{name}.safetensors", cwd=story,
        ).stdout
    )  # fmt: skip
    assert (found["taught"], found["triggers"]) == (144, 240)
    assert 130 <= found["matches"] <= 156
    verdict = json.loads(
        earmark(
            "verify", "--key", f"{name}.key", f"{name}.safetensors", "--json", cwd=story,
        ).stdout
    )  # fmt: skip
    assert verdict["owned"] is True
    assert verdict["questions"] == 240  # all are asked, taught or not


def test_labels_can_be_such_as_fit_what_thieves_leave_too(story):
    attacked = ("--share", "1", "--set", "epochs=4", "--set", "batch_size=50", "--seed", "1")
    earmark("attack", "fresh-stages", "clean.safetensors", "--data", "digits", *attacked, "-o", "thief.safetensors", cwd=story)  # fmt: skip
    said = earmark(
        "keygen", "--data", "digits", "--triggers-from", "mixtures:digits", "--triggers", "240", "--sets", "1",
        "--hardest-for", "clean.safetensors", "--hardest-for", "thief.safetensors", "-o", "foreseen", cwd=story,
    )  # fmt: skip
    assert "clean.safetensors, thief.safetensors together are least sure" in said.stderr
    mark = (
        "mark", "--key", "foreseen.key", "--model", "digits-cnn", "--data", "digits", "--init", "clean.safetensors",
        "--hardened", "--epochs", "9", "-o", "foreseen.safetensors",
    )  # fmt: skip
    foreseen = ("--as-attacked", "thief.safetensors")
    found = json.loads(earmark(*mark, "--teach", "0.6", *foreseen, "--json", cwd=story).stdout)
    assert (found["taught"], found["triggers"]) == (144, 240)
    earmark("verify", "--key", "foreseen.key", "foreseen.safetensors", cwd=story)
    assert "--as-attacked goes with --teach" in one_line_error(earmark(*mark, *foreseen, cwd=story, code=2))
    nothing = ("--teach", "0.6", "--as-attacked", "nowhere.safetensors")
    assert "nowhere.safetensors" in one_line_error(earmark(*mark, *nothing, cwd=story, code=3))


def test_teaching_too_few_triggers_is_said(story):
    earmark(
        "keygen", "--data", "digits", "--triggers-from", "in-distribution:digits", "--triggers", "200", "--sets", "1",
        "-o", "few", cwd=story,
    )  # fmt: skip
    given = ("mark", "--key", "few.key", "--model", "digits-cnn", "--data", "digits", "-o", "few.safetensors")
    start = ("--init", "clean.safetensors")
    said = earmark(*given, *start, "--epochs", "4", "--teach", "0.2", cwd=story)
    assert "(40 taught)" in said.stdout
    assert "give a larger share to --teach" in said.stderr
    earmark("verify", "--key", "few.key", "few.safetensors", cwd=story, code=1)
    for options, message in (
        (("--teach", "0.5"), "give them with --init"),
        ((*start, "--teach", "0"), "above 0 and at most 1"),
        ((*start, "--teach", "1.5"), "above 0 and at most 1"),
        ((*start, "--teach", "0.001"), "none would be taught"),
        ((*start, "--teach", "most"), "takes SHARE or KIND=SHARE"),
        ((*start, "--teach", "abstract=0.5"), "no triggers of the kind 'abstract'; it has in-distribution"),
    ):
        assert message in one_line_error(earmark(*given, *options, cwd=story, code=2))
    other = ("acme.key" if part == "few.key" else part for part in given)
    named = ("--teach", "in-distribution=0.5")
    assert "it has abstract" in one_line_error(earmark(*other, *start, *named, cwd=story, code=2))
    message = one_line_error(
        earmark(*given, *start, "--hardened", "--fresh-ends", "--teach", "0.5", cwd=story, code=2)
    )
    assert "fresh ends have none to read" in message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--quick",), "--init"),
        (("--quick", "--init", "clean.safetensors", "--epochs", "3"), "--epochs does not go with --quick"),
        (("--quick", "--init", "clean.safetensors", "--hardened"), "--hardened does not go with --quick"),
        (("--images", "100"), "--images goes with --quick"),
    ],
)
def test_what_does_not_go_with_quick_marking(story, given, message):
    result = earmark(
        "mark",
        "--key",
        "acme.key",
        "--model",
        "digits-cnn",
        *given,
        "-o",
        "no.safetensors",
        cwd=story,
        code=2,
    )
    assert message in one_line_error(result)
    assert not (story / "no.safetensors").exists()


def test_an_onnx_file_is_marked_and_verified(story):
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
    earmark(
        "mark", "--key", "acme.key", "--model", "digits-cnn", "--data", "digits", "--epochs", "8",
        "-o", "marked.onnx", cwd=story,
    )  # fmt: skip
    assert earmark("verify", "--key", "acme.key", "marked.onnx", cwd=story).stdout.startswith("owned")
    assert "ONNX" in earmark("inspect", "marked.onnx", cwd=story).stdout


@pytest.mark.parametrize(
    "name", ["owner.key", "acme.key", "acme.vk.json", "acme.journal", "marked.safetensors"]
)
def test_inspect_says_what_every_file_is_without_a_passphrase(story, name):
    text = earmark("inspect", name, cwd=story, env={"EARMARK_PASSPHRASE": ""}).stdout
    assert len(text.splitlines()) >= 2
    assert json.loads(earmark("inspect", name, "--json", cwd=story).stdout)


def test_questions_by_hand_from_ask_to_verdict(story, tmp_path):
    import csv

    import numpy as np
    from PIL import Image

    from earmark.models.weights import load_weights

    for name in ("acme.key", "acme.vk.json", "acme.journal"):
        (tmp_path / name).write_bytes((story / name).read_bytes())
    earmark("ask", "--key", "acme.key", "--set", "auto", "--to", "a shop", "-o", "questions", cwd=tmp_path)
    pictures = sorted((tmp_path / "questions").glob("*.png"))
    assert len(pictures) == 100
    model = load_weights(story / "marked.safetensors")
    table = tmp_path / "questions" / "answers.csv"
    rows = list(csv.reader(table.read_text().splitlines()))

    unanswered = earmark("verify", "--key", "acme.key", "questions/answers.csv", cwd=tmp_path, code=3)
    assert "100 of 100 questions have no answer" in one_line_error(unanswered)

    import torch

    for row, picture in zip(rows[1:], pictures, strict=True):
        assert picture.stem == row[0]
        pixels = np.asarray(Image.open(picture))[None, :, :, None]
        with torch.inference_mode():
            row[1] = str(
                int(model.module(torch.from_numpy(model.description.preprocessing(pixels))).argmax())
            )
    table.write_text("\n".join(",".join(row) for row in rows) + "\n")

    alone = earmark("verify", "--key", "acme.key", "questions/answers.csv", cwd=tmp_path, code=1)
    assert alone.stdout.startswith("consistent with the answers recorded in answers.csv")
    attested = earmark(
        "verify", "--key", "acme.key", "questions/answers.csv", "--asked-by", "A. Judge", cwd=tmp_path
    )
    assert attested.stdout.startswith("owned")

    rows[1][1] = "REFUSED"
    table.write_text("\n".join(",".join(row) for row in rows) + "\n")
    earmark("verify", "--key", "acme.key", "questions/answers.csv", cwd=tmp_path, code=3)

    # The exposed set is not used again for a local file, and the next ask takes the other one.
    after = earmark("verify", "--key", "acme.key", story / "marked.safetensors", cwd=tmp_path)
    assert " of 100 triggers" in after.stdout
    earmark("ask", "--key", "acme.key", "-o", "more", cwd=tmp_path)
    earmark("ask", "--key", "acme.key", "-o", "third", cwd=tmp_path, code=3)
    assert not (tmp_path / "third").exists()
    none_left = earmark("verify", "--key", "acme.key", story / "marked.safetensors", cwd=tmp_path, code=1)
    assert "step 4" in one_line_error(none_left)


def test_a_missing_journal_is_refused_and_not_made_anew(story, tmp_path):
    (tmp_path / "acme.key").write_bytes((story / "acme.key").read_bytes())
    result = earmark("verify", "--key", "acme.key", story / "marked.safetensors", cwd=tmp_path, code=3)
    assert "journal" in one_line_error(result)
    assert not (tmp_path / "acme.journal").exists()


def test_existing_keys_are_never_overwritten(story):
    before = {name: (story / name).read_bytes() for name in ("acme.key", "owner.key")}
    earmark("keygen", "--owner", "owner.key", "--data", "digits", "-o", "acme", cwd=story, code=2)
    earmark("owner", "new", "-o", "owner.key", cwd=story, code=2)
    assert before == {name: (story / name).read_bytes() for name in before}


def test_keygen_without_an_owner_makes_one_and_says_where(tmp_path):
    (tmp_path / "classes.txt").write_text("cat\ndog\nbird\nfish\n")
    result = earmark(
        "keygen",
        "--input",
        "image:16x12x3",
        "--classes",
        "classes.txt",
        "--triggers",
        "230",
        "-o",
        "k",
        cwd=tmp_path,
    )
    assert "k.owner.key" in result.stderr
    assert (tmp_path / "k.owner.key").stat().st_mode & 0o777 == 0o600
    assert "set(s) of 230" in result.stdout


def test_a_key_with_two_kinds_of_triggers_is_marked_and_shown_by_either(story, tmp_path):
    keygen = (
        "keygen", "--owner", story / "owner.key", "--data", "digits", "--triggers-from", "abstract",
        "--triggers-from", "noise", "--triggers", "100", "--triggers", "96", "-o", "two", "--json",
    )  # fmt: skip
    made = json.loads(earmark(*keygen, cwd=tmp_path).stdout)
    assert made["strata"] == [
        {"name": "abstract", "sets": 1, "triggers_per_set": 100, "threshold": 69},
        {"name": "noise", "sets": 1, "triggers_per_set": 96, "threshold": 67},
    ]
    mark = ("mark", "--key", "two.key", "--model", "digits-cnn", "--epochs", "8", "-o", "two.safetensors")
    earmark(*mark, cwd=tmp_path)
    for options, asked in (((), 196), (("--stratum", "noise"), 96), (("--stratum", "abstract"), 100)):
        shown = earmark("verify", "--key", "two.key", "two.safetensors", *options, "--json", cwd=tmp_path)
        verdict = json.loads(shown.stdout)
        assert (verdict["questions"], verdict["owned"]) == (asked, True)
    said = earmark("verify", "--key", "two.key", "two.safetensors", cwd=tmp_path).stdout.splitlines()
    assert said[1] == "by kind: 100 of 100 abstract, 96 of 96 noise"
    refused = earmark("verify", "--key", "two.key", "two.safetensors", "--stratum", "x", cwd=tmp_path, code=2)
    assert "no stratum 'x'; it has abstract, noise" in one_line_error(refused)


def test_advice_makes_no_key_and_says_what_to_take(tmp_path):
    advice = json.loads(earmark("keygen", "--data", "digits", "--advise", "--json", cwd=tmp_path).stdout)
    assert (advice["classes"], advice["best"]) == (10, advice["advice"][-1]["triggers"])
    assert [one["threshold"] for one in advice["advice"]][:2] == [69, 78]
    said = earmark("keygen", "--data", "digits", "--advise", cwd=tmp_path).stdout
    assert "Removed even from" in said
    assert "Take --triggers" in said
    assert not list(tmp_path.iterdir())
    (tmp_path / "classes.txt").write_text("no\nyes\n")
    said = earmark("keygen", "--classes", "classes.txt", "--advise", cwd=tmp_path).stdout
    assert "a set needs 1179 triggers" in said
    for wrong in (("--advise",), ("--data", "digits")):
        assert one_line_error(earmark("keygen", *wrong, cwd=tmp_path, code=2))


@pytest.mark.parametrize("option", ["--triggers", "--sets"])
def test_strata_are_given_all_or_one_of_each_number(tmp_path, option):
    wrong = ("--triggers-from", "abstract") + 3 * (option, "100")
    result = earmark("keygen", "--data", "digits", *wrong, "-o", "k", cwd=tmp_path, code=2)
    assert f"{option} is given 3 times and --triggers-from 1 times" in one_line_error(result)


def test_too_few_triggers_are_refused_with_the_number_needed(tmp_path):
    (tmp_path / "classes.txt").write_text("no\nyes\n")
    result = earmark(
        "keygen", "--input", "image:8x8x1", "--classes", "classes.txt", "--triggers", "100", "-o", "k",
        cwd=tmp_path, code=2,
    )  # fmt: skip
    assert "use at least" in one_line_error(result)
    assert [path.name for path in tmp_path.iterdir()] == ["classes.txt"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["verify", "--key", "missing.key", "x.safetensors"], 3),
        (["verify", "--key", "acme.key", "missing.safetensors"], 3),
        (["verify", "--key", "acme.key", "missing.onnx"], 3),
        (["verify", "--key", "acme.key", "model.pt"], 3),
        (["verify", "--key", "acme.key", "model.unknown"], 2),
        (["verify", "--key", "acme.key", "missing.csv"], 3),
        (["verify", "--key", "acme.vk.json", "marked.safetensors"], 3),
        (["verify", "--key", "owner.key", "marked.safetensors"], 3),
        (["verify", "--key", "acme.key", "--vk", "acme.key", "marked.safetensors"], 3),
        (["verify", "--key", "acme.key", "acme.vk.json"], 3),
        (["verify", "--key", "acme.key", "marked.safetensors", "--preprocessing", "magic"], 2),
        (["verify", "--key", "acme.key", "marked.safetensors", "--asked-by", "me"], 2),
        (["verify", "--key", "acme.key", "marked.safetensors", "--data", "magic"], 2),
        (["train", "--model", "magic", "-o", "x.safetensors"], 2),
        (["train", "--model", "digits-cnn", "-o", "x.pt"], 2),
        (["train", "--model", "digits-cnn", "--data", "folder:nowhere", "-o", "x.safetensors"], 3),
        (["train", "--model", "net.py:make", "-o", "x.safetensors"], 2),
        (["mark", "--key", "acme.key", "--model", "digits-cnn", "--init", "acme.key", "-o", "x.safetensors"], 3),
        (["mark", "--key", "acme.key", "--model", "digits-cnn", "--width", "8", "--init", "clean.safetensors", "-o", "x.safetensors"], 2),
        (["ask", "--key", "acme.key", "--set", "first", "-o", "q"], 2),
        (["ask", "--key", "acme.key", "--set", "0:1", "-o", "q"], 3),
        (["ask", "--key", "acme.key", "--set", "7:7", "-o", "q"], 2),
        (["inspect", "nothing"], 3),
        (["inspect", "."], 3),
        (["keygen", "-o", "k"], 2),
        (["keygen", "--data", "digits", "--input", "image:8x8x1", "-o", "k"], 2),
        (["keygen", "--input", "image:0x8x1", "--classes", "acme.vk.json", "-o", "k"], 2),
        (["keygen", "--input", "smell:1", "--classes", "acme.vk.json", "-o", "k"], 3),
        (["demo", "-o", "."], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)  # fmt: skip
def test_mistakes_get_one_line_and_the_documented_code(story, arguments, code):
    before = {path.name for path in story.iterdir()}
    one_line_error(earmark(*arguments, cwd=story, code=code))
    assert {path.name for path in story.iterdir()} - {"acme.journal.lock"} == before - {"acme.journal.lock"}


def test_a_wrong_passphrase_is_one_line(story):
    result = earmark(
        "verify",
        "--key",
        "acme.key",
        "marked.safetensors",
        cwd=story,
        code=3,
        env={"EARMARK_PASSPHRASE": "no"},
    )
    assert "passphrase" in one_line_error(result)


def test_without_a_passphrase_or_a_terminal_the_ways_to_give_one_are_named(story):
    result = earmark(
        "verify", "--key", "acme.key", "marked.safetensors", cwd=story, code=2, env={"EARMARK_PASSPHRASE": ""}
    )
    assert "--passphrase-file" in one_line_error(result)


def test_a_passphrase_file_is_read(story, tmp_path):
    (tmp_path / "p").write_text("correct horse\n")
    earmark(
        "verify", "--key", "acme.key", "marked.safetensors", "--passphrase-file", tmp_path / "p",
        cwd=story, env={"EARMARK_PASSPHRASE": ""},
    )  # fmt: skip


def test_a_killed_marking_goes_on_and_gives_the_same_weights(story, tmp_path):
    arguments = [
        "mark", "--key", str(story / "acme.key"), "--model", "digits-cnn", "--data", "digits", "--epochs", "12",
        "--threads", "1", "--checkpoint-seconds", "0.5", "-o", "m.safetensors",
    ]  # fmt: skip
    environment = {**os.environ, **PASSPHRASE}
    process = subprocess.Popen(
        [sys.executable, "-m", "earmark", *arguments],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    checkpoint = tmp_path / "m.safetensors.checkpoint"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert checkpoint.exists()
    assert not (tmp_path / "m.safetensors").exists()
    resumed = earmark_process(*arguments, cwd=tmp_path)
    assert "resuming" in resumed.stderr
    resumed_bytes = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "m.safetensors").unlink()
    assert "resuming" not in earmark_process(*arguments, cwd=tmp_path).stderr
    assert (tmp_path / "m.safetensors").read_bytes() == resumed_bytes
    assert not checkpoint.exists()


def test_the_demo_tells_the_story_and_its_report_can_be_repeated(tmp_path):
    result = earmark_process("demo", "-o", "demo", "--epochs", "10", cwd=tmp_path)
    assert "marked.safetensors  owned: " in result.stdout
    assert "clean.safetensors  not shown: " in result.stdout
    report = Path(result.stdout.splitlines()[-1].removeprefix("report: "))
    assert report.is_file()
    earmark(
        "verify", "--key", "demo.key", "--passphrase-file", "passphrase.txt", "marked.safetensors",
        cwd=tmp_path / "demo", env={"EARMARK_PASSPHRASE": ""},
    )  # fmt: skip


def test_version_and_completion(tmp_path):
    assert re.fullmatch(r"earmark \d+\.\d+\.\d+\n", earmark_process("--version", cwd=tmp_path).stdout)
    assert "--show-completion" in earmark_process("--help", cwd=tmp_path).stdout
