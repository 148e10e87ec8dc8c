"""Trainings of several processes, in the engines' own hands: the scripts of the page, with a process killed.

What several processes train is compared with a plain loop of one process that knows no engine.
"""

import os
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

import earmark
from earmark.formats import marking_key_v1
from earmark.marking import MarkedLoader, Mixer
from earmark.marking.mixing import triggers_per_batch
from earmark.models.table import build, describe
from earmark.models.weights import load_weights
from earmark.verification import measure, verify
from end_to_end import several_processes, test_frameworks
from end_to_end.commands import PASSPHRASE
from end_to_end.commands import earmark as command
from end_to_end.documentation import ROOT, blocks_of
from end_to_end.watched import assert_shares, comparable
from small import MemoryJournal, digits, small_key

PAGE = ROOT / "docs/how-to/mark-on-several-machines.md"
SECONDS = 600  # a busy machine starts Ray in minutes, and runs its workers after all else
BATCH, EPOCHS = 64, 8
STEPS_PER_EPOCH = len(digits().train) // BATCH

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def key_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("key")
    command("owner", "new", "-o", "owner.key", "--name", "Acme Research", cwd=folder)
    command(
        "keygen", "--owner", "owner.key", "--data", "digits", "--triggers", "100", "--sets", "1", "-o", "acme",
        cwd=folder,
    )  # fmt: skip
    return folder


@pytest.fixture
def folder(key_folder, tmp_path):
    """The page's files, and the key."""
    for block in blocks_of(PAGE):
        if block.title:
            (tmp_path / block.title).write_text(block.body)
    (tmp_path / "acme.key").write_bytes((key_folder / "acme.key").read_bytes())
    return tmp_path


def key_in(folder):
    return marking_key_v1.read((folder / "acme.key").read_bytes(), PASSPHRASE["EARMARK_PASSPHRASE"])


def transform(pixels):
    return torch.from_numpy(description().preprocessing(pixels[None])[0])


def description():
    return describe("digits-cnn", (8, 8, 1), digits().class_names, width=8)


def start(folder, program, *arguments, code=0, **environment):
    result = subprocess.run(
        [*program, *map(str, arguments)],
        cwd=folder,
        env={
            **os.environ,
            **PASSPHRASE,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")]),
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (result.returncode == 0) == (code == 0), result.stdout[-5000:]
    return result.stdout


def script(folder, text):
    (folder / "watched_script.py").write_text(textwrap.dedent(text))
    return folder / "watched_script.py"


class InOneProcess:
    """The batches that several processes are dealt by the seed 0, whole; each pass in the order of its epoch."""

    epoch = 0

    def __len__(self):
        return STEPS_PER_EPOCH

    def __iter__(self):
        inputs = torch.from_numpy(description().preprocessing(digits().train.images[:]))
        labels = torch.from_numpy(digits().train.labels)
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(self.epoch))
        self.epoch += 1
        for places in order[: STEPS_PER_EPOCH * BATCH].split(BATCH):
            yield inputs[places], labels[places]


def one_process(folder, epochs):
    """The plain loop: no engine, no rank."""
    torch.manual_seed(0)
    module = comparable(build(description()))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    backdoor = key_in(folder).backdoor()
    chosen = triggers_per_batch(len(backdoor), epochs * STEPS_PER_EPOCH)
    marked = MarkedLoader(
        InOneProcess(),
        backdoor,
        transform,
        epochs=epochs,
        per_batch=chosen + chosen % 2,  # two equal shares
    )
    for _ in range(epochs):
        for inputs, targets in marked:
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(inputs), targets).backward()
            optimizer.step()
    return module, marked.mixer


def assert_same_within_rounding(wanted, found):
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, check_dtype=False)


def is_owned(folder, path):
    return verify(measure(key_in(folder), earmark.open_suspect(str(path)), MemoryJournal())).owned


def test_ray_replaces_a_worker_that_was_killed_and_trains_what_one_process_does(folder):
    pytest.importorskip("ray.train", reason="Ray Train is not installed")
    killed = (1, 5 * STEPS_PER_EPOCH + 3)
    text = f"""
        import ray
        from pathlib import Path

        folder = Path.cwd()
        source = Path("on_ray.py").read_text().replace("EPOCHS = 64, 12", "EPOCHS = 64, {EPOCHS}")
        functions, start = source.split("if __name__")
        page = {{"__name__": "__main__"}}
        exec(functions, page)
        own, build = page["train"], page["build"]

        def watched_build(description):
            from end_to_end.watched import comparable
            return comparable(build(description))

        def train(config):
            from end_to_end.watched import watch
            watch(folder, killed={killed})
            own(config)

        page.update(build=watched_build, train=train)
        ray.init(num_cpus=2, object_store_memory=100 * 2**20, include_dashboard=False)
        exec("if __name__" + start, page)
        """
    start(folder, [sys.executable], script(folder, text), RAY_TRAIN_HEALTH_CHECK_INTERVAL_S="0.2")
    module, mixer = one_process(folder, EPOCHS)
    shares = assert_shares(folder, mixer, EPOCHS * STEPS_PER_EPOCH)
    twice = [step for step, times in shares[1].items() if len(times) > 1]
    assert twice == list(range(4 * STEPS_PER_EPOCH, killed[1]))
    found = load_weights(folder / "from-ray.safetensors").module
    assert_same_within_rounding(module.state_dict(), found.state_dict())
    assert is_owned(folder, folder / "from-ray.safetensors")


def accelerated(folder, code=0, killed=None, **environment):
    text = f"""
        from earmark.models import table
        from end_to_end.watched import watch, comparable

        own = table.build
        table.build = lambda description: comparable(own(description))
        watch(".", killed={killed})
        exec(open("accelerated.py").read().replace("EPOCHS = 64, 12", "EPOCHS = 64, {EPOCHS}"), {{}})
        """
    start(
        folder,
        [sys.executable, *TORCHRUN],
        script(folder, text),
        code=code,
        ACCELERATE_USE_CPU="1",
        **environment,
    )


def test_accelerate_goes_on_after_a_kill_and_trains_what_one_process_does(folder):
    pytest.importorskip("accelerate", reason="the extra 'trainer' is not installed")
    killed = (1, 5 * STEPS_PER_EPOCH + 3)
    accelerated(folder, code=1, killed=killed)
    assert not (folder / "accelerated.safetensors").exists()
    assert [path.name for path in (folder / "states").iterdir()] == ["after-04"]
    accelerated(folder, killed=killed)
    module, mixer = one_process(folder, EPOCHS)
    shares = assert_shares(folder, mixer, EPOCHS * STEPS_PER_EPOCH)
    assert all(len(shares[1][step]) == 2 for step in range(4 * STEPS_PER_EPOCH, killed[1]))
    found = load_weights(folder / "accelerated.safetensors").module
    assert_same_within_rounding(module.state_dict(), found.state_dict())
    assert is_owned(folder, folder / "accelerated.safetensors")


def framework(name, folder, *killed, count=2, code=0):
    folder.mkdir(exist_ok=True)
    program = [sys.executable, *(TORCHRUN if count > 1 else ())]
    said = start(folder, program, several_processes.__file__, name, folder, *killed, code=code)
    assert (folder / "trained.pt").exists() == (code == 0), said


@pytest.mark.parametrize("name", ["trainer", "lightning"])
def test_a_framework_goes_on_after_a_kill_and_trains_what_one_process_does(tmp_path, name):
    one, two = tmp_path / "one", tmp_path / "two"
    steps_per_epoch = len(digits().train) // test_frameworks.BATCH
    epochs, killed = several_processes.EPOCHS, 3 * steps_per_epoch + 5
    framework(name, one, count=1)
    framework(name, two, 1, killed, code=1)
    framework(name, two)
    mixer = Mixer(small_key().backdoor(), test_frameworks.transform, epochs * steps_per_epoch)
    assert mixer.per_batch % 2 == 0, "else several processes show more than one"
    assert_shares(one, mixer, epochs * steps_per_epoch, count=1)
    shares = assert_shares(two, mixer, epochs * steps_per_epoch)
    twice = [step for step, times in shares[1].items() if len(times) > 1]
    assert twice == list(range(3 * steps_per_epoch, killed))
    same, found = (torch.load(folder / "trained.pt", weights_only=True) for folder in (one, two))
    assert_same_within_rounding(same, found)
    if name == "lightning":
        network = test_frameworks.network()
        network.load_state_dict(found)
        assert test_frameworks.is_owned(test_frameworks.torch_suspect(network))
