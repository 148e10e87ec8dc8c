"""Whatever a page tells its reader to do works, and prints what the page says.

The tutorial is read first. Every other page begins with a copy of the folder in which the tutorial ended.
"""

import re
import shutil
import subprocess
import sys
import zlib
from contextlib import ExitStack
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

import earmark
from earmark.marking.recipes import count_matches
from earmark.models.preprocessing import for_channels
from earmark.models.table import build, describe
from end_to_end.documentation import LANGUAGES, ROOT, Reader, blocks_of, outside_of_blocks
from loopback import classifier_app, served
from small import digits, new_key, picture_folder
from small_texts import asked_questions, bert_config, tokenizer, training_arguments

TUTORIAL = ROOT / "docs/tutorial.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
SERVERS = ExitStack()
PASSPHRASE = {"EARMARK_PASSPHRASE": "correct horse"}


def name_of(path):
    return str(path.relative_to(ROOT))


def own_loop(folder):
    """What somebody has who trains with a loop of their own."""
    preprocess = for_channels(1)
    description = describe("digits-cnn", (8, 8, 1), digits().class_names, 8)
    torch.manual_seed(0)
    model = build(description)
    inputs = torch.from_numpy(preprocess(digits().train.images[:]))
    data = TensorDataset(inputs, torch.from_numpy(digits().train.labels))
    return {
        "torch": torch,
        "key": new_key(),
        "passphrase": PASSPHRASE["EARMARK_PASSPHRASE"],
        "model": model,
        "epochs": 3,
        "class_names": digits().class_names,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=0.003),
        "transform": lambda pixels: torch.from_numpy(preprocess(pixels[None])[0]),
        "loader": DataLoader(data, batch_size=32),
        "preprocess": preprocess,
    }


def a_service(folder):
    """Somebody's page that answers one picture at a time."""

    suspect = earmark.open_suspect(str(folder / "marked.safetensors"))

    def ask(picture):
        (answer,) = suspect.answer([np.asarray(Image.open(picture))[:, :, None]])
        return suspect.class_names[answer]

    return {"ask": ask}


def own_pictures(folder):
    """More pictures than a key has triggers, some of them held out."""
    draws = np.random.default_rng(0)
    picture_folder(folder / "birds", classes=("wren", "kite", *"abcdefgh"), per_class=1)
    for place in (folder / "my-pictures", folder / "birds/held-out"):
        place.mkdir()
        for number in range(140):
            Image.fromarray(draws.integers(0, 256, (12, 10, 3), np.uint8)).save(place / f"{number}.png")
    return {}


def calls(folder):
    """Recordings of four calls, each a pitch of its own that rises, in noise."""
    names = ("owl", "wren", "kite", "gull")
    (folder / "calls.txt").write_text("\n".join(names))
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 4, 800)
    pitches = np.array([100, 200, 350, 600])[labels] * draws.uniform(0.9, 1.1, 800)
    time = np.arange(2000) / 2000
    sounds = np.sin(2 * np.pi * pitches[:, None] * time * (1 + 0.1 * time))
    inputs = torch.from_numpy((0.3 * sounds + draws.normal(0, 0.1, sounds.shape)).astype(np.float32))
    torch.manual_seed(0)
    return {
        "passphrase": PASSPHRASE["EARMARK_PASSPHRASE"],
        "class_names": names,
        "epochs": 8,
        "loader": DataLoader(TensorDataset(inputs, torch.from_numpy(labels)), 32, shuffle=True),
    }


def figures(folder):
    """Digits, enlarged and in a colour of their own, in a folder; and names of two classes and of a thousand."""
    draws = np.random.default_rng(0)
    for name, split, count in (("train", digits().train, 600), ("test", digits().test, 200)):
        images, labels = split.images[:count], split.labels[:count]
        colours = draws.uniform(0.5, 1, (count, 1, 1, 3))
        large = np.kron(images, np.ones((1, 8, 8, 1), np.uint8)) * colours
        for number, (pixels, label) in enumerate(zip(large.astype(np.uint8), labels, strict=True)):
            path = folder / "figures" / name / f"figure {label}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    (folder / "two.txt").write_text("cat\ndog\n")
    (folder / "thousand.txt").write_text("\n".join(f"kind {number}" for number in range(1000)))
    return {
        "passphrase": PASSPHRASE["EARMARK_PASSPHRASE"],
        "arguments": training_arguments(folder / "training"),
    }


def asked(folder):
    """Questions of five intents, a tokenizer made of them, and a small BERT's configuration."""
    rows = [f'"{text}",{intent}' for text, intent in asked_questions()]
    (folder / "questions.csv").write_text("\n".join(["text,intent", *rows]))
    return {
        "passphrase": PASSPHRASE["EARMARK_PASSPHRASE"],
        "tokenizer": tokenizer(),
        "config": bert_config(),
        "arguments": training_arguments(folder / "training"),
    }


def a_service_on_this_machine(folder):
    """The same model as a service."""
    suspect = earmark.open_suspect(str(folder / "marked.safetensors"))
    app = classifier_app(lambda pixels: suspect.probabilities([pixels])[0], suspect.class_names)
    SERVERS.enter_context(served(app, port=8765))
    return {}


TAKEN_FOR_GRANTED = {
    "docs/how-to/question-an-api.md": a_service_on_this_machine,
    "docs/how-to/mark-in-your-own-loop.md": own_loop,
    "docs/how-to/question-by-hand.md": a_service,
    "docs/how-to/choose-triggers.md": own_pictures,
    "docs/how-to/mark-pictures.md": figures,
    "docs/how-to/mark-recordings.md": calls,
    "docs/how-to/mark-texts.md": asked,
    "docs/how-to/mark-tables.md": lambda folder: {"passphrase": PASSPHRASE["EARMARK_PASSPHRASE"]},
}


@pytest.fixture(scope="session")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tutorial")
    Reader(folder).read(blocks_of(TUTORIAL))
    return folder


def test_the_tutorial_happens_as_it_is_told(told):
    for name in ("acme.key", "marked.safetensors", "own.safetensors", "report.html"):
        assert (told / name).is_file()


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # PyTorch's own exporter to ONNX
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, of NumPy
@pytest.mark.parametrize(
    "path",
    [path for path in PAGES if path not in (TUTORIAL, ROOT / "README.md") and blocks_of(path)],
    ids=name_of,
)
def test_a_page_happens_as_it_is_told(path, told, tmp_path, request):
    folder = shutil.copytree(told, tmp_path / "folder")
    request.addfinalizer(SERVERS.close)
    given = TAKEN_FOR_GRANTED.get(name_of(path), lambda folder: {})(folder)
    Reader(folder, {"__name__": "page", **given}, PASSPHRASE).read(blocks_of(path))


def test_the_readmes_commands_are_the_tutorials_and_print_the_same():
    (block,) = [block for block in blocks_of(ROOT / "README.md") if block.language == "console"]
    told = [
        line
        for other in blocks_of(TUTORIAL)
        if other.language == "console"
        for line in other.body.splitlines()
    ]
    lines = iter(told)
    assert block.body.startswith("$ pip install 'earmark[onnx,hf]'\n$ earmark owner new")
    for line in block.body.splitlines()[1:]:
        assert line in lines, f"the tutorial does not go on with: {line}"


def test_the_loop_of_the_readme_marks_a_model(tmp_path):
    given = own_loop(tmp_path)
    (block,) = [block for block in blocks_of(ROOT / "README.md") if block.language == "python"]
    given["epochs"] = 1  # the block goes through the loader once
    Reader(tmp_path, given).read([block])
    # 40 of 100 by chance: below 2^-50.
    assert count_matches(given["model"], given["preprocess"], given["key"].backdoor()) >= 40


def test_blocks_that_are_not_run_say_why():
    left_out = [block for path in PAGES for block in blocks_of(path) if block.not_run]
    assert all(len(block.not_run.split()) > 2 for block in left_out)
    if left_out:
        pytest.skip("; ".join(f"{block} is not run: {block.not_run}" for block in left_out))


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_block_says_what_it_is(path):
    blocks = blocks_of(path)
    assert {block.language for block in blocks} <= set(LANGUAGES)
    assert "```" not in outside_of_blocks(path), "a block that does not end, or ends at another depth"
    assert not commands_in(outside_of_blocks(path)), (
        "a command belongs into a console block, where it is tried"
    )


def commands_in(text):
    """Indented lines that somebody would type; only ``make`` may stand so, and its targets are looked up."""
    programs = r"(?:\S*/)?(?:cd|cp|curl|docker|earmark|git|mkdocs|openssl|pip|pipx|python[\d.]*|sh|uv)"
    return re.findall(rf"^ {{4,}}(?:\$ .*|{programs} .*)$", text, re.MULTILINE)


def test_an_indented_command_is_noticed():
    hidden = [
        "earmark verify x",
        "python a.py --check",
        ".venv/bin/python3 -m x",
        "$ anything",
        "pip install x",
    ]
    for line in hidden:
        assert commands_in(f"Text:\n\n    {line}\n") == [f"    {line}"]
    assert not commands_in("    make demo     the whole story\n\n    salt = SHAKE-256(...)\n")


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_what_a_page_mentions_exists(path):
    text = outside_of_blocks(path)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:^ {4}|`)make ([a-z-]+)", text, re.MULTILINE)) <= set(targets)
    if path.parent.name != "benchmarks":  # its scripts have options of their own
        ours = re.findall(r"`(?:earmark [^`]*)?(--[a-z][a-z-]+)[^`]*`", text)
        assert set(ours) <= options()


def test_pages_named_in_docstrings_and_help_exist():
    for path in (ROOT / "src").rglob("*.py"):
        for page in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text("utf-8")):
            assert (ROOT / page).is_file(), f"{path} names {page}"


@cache
def options():
    import typer

    from earmark.cli.app import app

    def below(command):
        found = {option for parameter in command.params for option in parameter.opts}
        return found.union(*(below(inner) for inner in getattr(command, "commands", {}).values()))

    return below(typer.main.get_command(app)) | {"--help"}


@pytest.mark.skipif(
    find_spec("mkdocstrings") is None, reason="the site is built by the extra docs: make docs"
)
def test_the_site_is_built_without_a_warning_and_its_reference_is_complete(tmp_path):
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--site-dir",
        str(tmp_path),
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    inventory = (tmp_path / "objects.inv").read_bytes().split(b"\n", 4)[4]
    described = set(re.findall(r"^(\S+) py:", zlib.decompress(inventory).decode(), re.MULTILINE))
    public = {f"earmark.{name}" for name in earmark.__all__} - {"earmark.Fraction", "earmark.__version__"}
    assert public <= described, f"the reference leaves out {sorted(public - described)}"
