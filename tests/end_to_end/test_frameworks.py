"""Marks put in by the frameworks that people train with, on real digits, and judged like any other."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from earmark.marking import MarkedLoader
from earmark.marking.hugging_face import mark_trainer
from earmark.marking.lightning import MarkCallback
from earmark.models.digits_cnn import DigitsCNN
from earmark.models.preprocessing import Preprocessing
from earmark.models.table import describe
from earmark.models.weights import LoadedModel
from earmark.suspects.python_callable import CallableSuspect
from earmark.suspects.torch import TorchSuspect
from earmark.suspects.transformers import TransformersSuspect
from earmark.verification import measure, verify
from small import DIGITS, MemoryJournal, digits, small_key

# Advice of the frameworks to their users: number of workers, a missing logger, a machine without a GPU.
pytestmark = pytest.mark.filterwarnings("ignore")

SEEN = Preprocessing(mean=("0.5",), std=("0.25",), channels=1)
BATCH = 32


def transform(pixels):
    return torch.from_numpy(SEEN(pixels[None])[0])


def tensors(part, count=None):
    return torch.from_numpy(SEEN(part.images[:count])), torch.from_numpy(part.labels[:count])


def examples(count=None):
    inputs, labels = tensors(digits().train, count)
    return [{"pixel_values": picture, "labels": label} for picture, label in zip(inputs, labels, strict=True)]


def right(suspect):
    part = digits().test
    answers = suspect.answer(list(part.images))
    return float((np.array(answers) == part.labels).mean())


def is_owned(suspect):
    return verify(measure(small_key(), suspect, MemoryJournal())).owned


def torch_suspect(module):
    description = replace(describe("digits-cnn", (8, 8, 1), DIGITS, 8), preprocessing=SEEN)
    return TorchSuspect(LoadedModel(module.eval(), description, "0" * 64), "trained")


def network():
    torch.manual_seed(0)
    return DigitsCNN(10, width=8)


def hugging_face_network():
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    names = dict(enumerate(DIGITS))
    return ResNetForImageClassification(
        ResNetConfig(
            num_channels=1,
            embedding_size=32,
            hidden_sizes=[32, 64],
            depths=[1, 1],
            layer_type="basic",
            id2label=names,
            label2id={name: number for number, name in names.items()},
        )
    )


def trainer_of(folder, model, **changes):
    from transformers import Trainer, TrainingArguments

    arguments = {
        "per_device_train_batch_size": BATCH,
        "learning_rate": 3e-3,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        "dataloader_num_workers": 0,
        **changes,
    }
    return Trainer(model, TrainingArguments(str(folder), **arguments), train_dataset=examples())


def same_weights(first, second):
    return all(
        torch.equal(one, other)
        for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"gradient_accumulation_steps": 2, "label_smoothing_factor": 0.05, "bf16": True},
        {"torch_compile": True, "torch_compile_backend": "eager"},
    ],
    ids=["plain", "accumulated, smoothed, of mixed precision", "compiled"],
)
def test_a_hugging_face_trainer_marks_in_one_line_and_its_folder_is_owned(tmp_path, changes):
    from transformers import ViTImageProcessor

    model = hugging_face_network()
    trainer = trainer_of(tmp_path, model, num_train_epochs=14, **changes)
    mark_trainer(trainer, small_key().backdoor(), transform)
    trainer.train()
    model.save_pretrained(tmp_path / "released")
    ViTImageProcessor(size={"height": 8, "width": 8}, image_mean=[0.5], image_std=[0.25]).save_pretrained(
        tmp_path / "released"
    )
    suspect = TransformersSuspect(tmp_path / "released")
    assert is_owned(suspect)
    assert right(suspect) > 0.9


def test_a_trainer_that_was_stopped_goes_on_to_the_same_weights(tmp_path):
    from transformers import TrainerCallback

    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            control.should_training_stop = state.global_step == 8

    shown = []

    def run(folder, callbacks=(), resume=None):
        model = hugging_face_network()
        trainer = trainer_of(
            folder, model, max_steps=12, save_strategy="steps", save_steps=4, gradient_accumulation_steps=2
        )
        for callback in callbacks:
            trainer.add_callback(callback)
        mark_trainer(trainer, small_key().backdoor(), transform, per_batch=4)
        inner = trainer.training_step._own

        def own(model, inputs, *rest, **named):
            shown.append(inputs["pixel_values"][BATCH:].clone())
            return inner(model, inputs, *rest, **named)

        trainer.training_step._own = own
        trainer.train(resume_from_checkpoint=resume)
        return model

    whole = run(tmp_path / "whole")
    every, shown[:] = list(shown), []
    run(tmp_path / "stopped", [Stop()])
    resumed = run(tmp_path / "stopped", resume=str(tmp_path / "stopped" / "checkpoint-8"))
    assert len(every) == len(shown) == 24
    assert all(torch.equal(one, other) for one, other in zip(every, shown, strict=True))
    assert same_weights(whole, resumed)


def test_batches_without_the_names_are_named(tmp_path):
    trainer = trainer_of(tmp_path, hugging_face_network(), max_steps=1)
    mark_trainer(trainer, small_key().backdoor(), transform, input_name="pictures")
    with pytest.raises(ValueError, match="hold labels, pixel_values, but nothing named 'pictures'"):
        trainer.train()


def lightning_module():
    import lightning.pytorch as lightning

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = network()
            self.batch_sizes = set()

        def training_step(self, batch, batch_idx):
            inputs, labels = batch
            self.batch_sizes.add(len(inputs))
            return nn.functional.cross_entropy(self.network(inputs), labels)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 3e-3)

    return Module()


def lightning_trainer(folder, callback, **changes):
    import lightning.pytorch as lightning

    return lightning.Trainer(
        **{
            "accelerator": "cpu",
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,
            "default_root_dir": str(folder),
            "callbacks": [callback],
            **changes,
        }
    )


def loader(shuffle=True):
    generator = torch.Generator().manual_seed(1)
    return DataLoader(TensorDataset(*tensors(digits().train)), BATCH, shuffle=shuffle, generator=generator)


@pytest.mark.parametrize(
    "changes",
    [{}, {"accumulate_grad_batches": 2, "precision": "bf16-mixed"}],
    ids=["plain", "accumulated, of mixed precision"],
)
def test_a_lightning_callback_marks_in_one_line(tmp_path, changes):
    module = lightning_module()
    callback = MarkCallback(small_key().backdoor(), transform)
    lightning_trainer(tmp_path, callback, max_epochs=10, **changes).fit(module, loader())
    suspect = torch_suspect(module.network)
    assert is_owned(suspect)
    assert right(suspect) > 0.93
    assert "training_step" not in vars(module), "the module is as it was"


def test_a_compiled_lightning_module_is_marked_and_stays_compiled(tmp_path):
    from lightning.pytorch.utilities.compile import from_compiled

    module = from_compiled(torch.compile(lightning_module(), backend="eager"))
    compiled = vars(module)["training_step"]
    callback = MarkCallback(small_key().backdoor(), transform)
    lightning_trainer(tmp_path, callback, max_epochs=10).fit(module, loader())
    assert is_owned(torch_suspect(module.network))
    assert vars(module)["training_step"] is compiled, "the module is as it was"


def test_a_lightning_training_that_was_stopped_goes_on_to_the_same_weights(tmp_path):
    def run(epochs, resume=None):
        module, callback = lightning_module(), MarkCallback(small_key().backdoor(), transform, per_batch=4)
        trainer = lightning_trainer(tmp_path, callback, max_epochs=epochs, limit_train_batches=10)
        trainer.fit(module, loader(shuffle=False), ckpt_path=resume)
        trainer.save_checkpoint(tmp_path / "reached.ckpt")
        return module, callback

    whole, one = run(4)
    run(2)
    resumed, other = run(4, tmp_path / "reached.ckpt")
    assert one.state_dict() == other.state_dict() == {"step": 40}
    assert same_weights(whole, resumed)
    assert whole.batch_sizes == {BATCH + 4}


def test_lightning_says_what_it_cannot_mark(tmp_path):
    callback = MarkCallback(small_key().backdoor(), transform)
    with pytest.raises(ValueError, match="max_epochs or max_steps"):
        lightning_trainer(tmp_path, callback, max_epochs=-1, limit_train_batches=1).fit(
            lightning_module(), loader()
        )
    data = [{"inputs": torch.zeros(1, 8, 8), "labels": torch.tensor(0)}] * 2
    with pytest.raises(ValueError, match=r"a batch is \(inputs, targets\)"):
        lightning_trainer(tmp_path, callback, max_epochs=1).fit(
            module := lightning_module(), DataLoader(data)
        )
    assert "training_step" not in vars(module), "the module is as it was"


def keras_network(compiled=None, accumulated=None):
    import keras

    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10, dtype="float32"),
        ]
    )
    network.compile(
        keras.optimizers.Adam(3e-3, gradient_accumulation_steps=accumulated),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=compiled,
    )
    return network


def keras_data(**changes):
    import keras

    from earmark.marking.keras import MarkedDataset

    class Digits(keras.utils.PyDataset):
        images = digits().train.images[:].astype("float32") / 255
        labels = digits().train.labels[:]

        def __len__(self):
            return len(self.labels) // BATCH

        def __getitem__(self, index):
            part = slice(index * BATCH, (index + 1) * BATCH)
            return self.images[part], self.labels[part]

    return MarkedDataset(Digits(), small_key().backdoor(), lambda pixels: pixels / np.float32(255), **changes)


needs_a_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="PyTorch compiles with g++")


@pytest.fixture
def dtype_policy(request):
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    ("dtype_policy", "changes"),
    [
        ("float32", {}),
        ("mixed_bfloat16", {"accumulated": 2}),
        pytest.param("float32", {"compiled": True}, marks=needs_a_compiler),
    ],
    indirect=["dtype_policy"],
    ids=["plain", "accumulated, of mixed precision", "compiled"],
)
def test_a_keras_dataset_marks_in_one_line(dtype_policy, changes):
    network = keras_network(**changes)
    assert network.layers[0].compute_dtype == dtype_policy.removeprefix("mixed_")
    data = keras_data(epochs=12)
    network.fit(data, epochs=12, verbose=0)
    released = keras_network()
    released.set_weights(network.get_weights())

    def ask(pixels):
        return released.predict(pixels[None] / np.float32(255), verbose=0)[0]

    ask.class_count, ask.is_remote = 10, False
    suspect = CallableSuspect(ask, "a network of Keras", "python:sha256:00")
    assert is_owned(suspect)
    asked = digits().test.images[:]
    answers = released.predict(asked / np.float32(255), verbose=0).argmax(1)
    assert (answers == digits().test.labels).mean() > 0.93


def test_a_keras_training_that_was_stopped_shows_what_it_would_have_shown():
    whole, resumed = keras_data(epochs=4, per_batch=3), keras_data(epochs=4, per_batch=3, initial_epoch=2)
    for _ in range(2):
        whole.on_epoch_end()
    for index in (0, len(whole) - 1):
        for one, other in zip(whole[index], resumed[index], strict=True):
            assert one.shape[0] == BATCH + 3
            assert np.array_equal(one, other)
    first, later = keras_data(epochs=4, per_batch=3)[0], whole[0]
    assert np.array_equal(first[0][:BATCH], later[0][:BATCH])
    assert not np.array_equal(first[0][BATCH:], later[0][BATCH:])


def keras_training(backup, killed_at=None):
    """Train for four passes; where a backup lies, Keras takes that up."""
    import keras

    class Killed(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 3 and data._epoch == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)

    network, data = keras_network(), keras_data(epochs=4, per_batch=4)
    callbacks = [keras.callbacks.BackupAndRestore(str(backup)), data.callback(), Killed()]
    network.fit(data, epochs=4, verbose=0, callbacks=callbacks, shuffle=False)
    return network


KILLED = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
from end_to_end.test_frameworks import keras_training
keras_training(sys.argv[2], killed_at=2)
"""


def test_a_keras_training_that_was_killed_goes_on_to_the_same_weights(tmp_path):
    whole = keras_training(tmp_path / "whole")
    roots = json.dumps([str(Path(__file__).parents[1])])
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, roots, str(tmp_path / "killed")],
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert json.loads((tmp_path / "killed" / "training_metadata.json").read_text())["epoch"] == 2
    resumed = keras_training(tmp_path / "killed")
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert np.array_equal(one, other)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


PROCESS = """
import json, os, sys
import torch
from torch import nn
from earmark.marking import MarkedLoader
sys.path[:0] = json.loads(sys.argv[1])
from end_to_end.test_frameworks import BATCH, network, tensors, transform
from end_to_end.watched import leave_group
from small import digits, small_key

how, out = sys.argv[2:]
rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
inputs, labels = tensors(digits().train, 40 * BATCH)
own = torch.arange(len(inputs)).reshape(40, count, -1)[:, rank]  # this process's part of every batch
batches = [(inputs[places], labels[places]) for places in own]
module, device = network(), torch.device("cpu")
for part in module.modules():
    if isinstance(part, nn.BatchNorm2d):  # whose statistics would be those of a part of the batch
        part.eval()
if how == "accelerate":
    from accelerate import Accelerator
    accelerator = Accelerator(cpu=True)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    trained, optimizer = accelerator.prepare(module, optimizer)
    assert accelerator.process_index == rank and accelerator.num_processes == count
    backward = accelerator.backward
else:
    if count > 1:
        torch.distributed.init_process_group("gloo")
    trained = nn.parallel.DistributedDataParallel(module) if count > 1 else module
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    backward = lambda loss: loss.backward()
marked = MarkedLoader(
    batches, small_key().backdoor(), transform, epochs=1, per_batch=8, rank=rank, world_size=count
)
for pictures, targets in marked:
    assert len(pictures) == (BATCH + 8) // count
    optimizer.zero_grad()
    backward(nn.functional.cross_entropy(trained(pictures), targets))
    optimizer.step()
if rank == 0:
    torch.save(module.state_dict(), out)
if how == "accelerate":
    accelerator.free_memory()
del trained, optimizer, backward
leave_group()
"""


def in_processes(how, count, port, out):
    roots = json.dumps([str(Path(__file__).parents[1])])
    base = {**os.environ, "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, roots, how, str(out)],
            env={**base, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    said = [process.communicate(timeout=240)[1] for process in running]
    assert [process.returncode for process in running] == [0] * count, said
    return torch.load(out, weights_only=True)


@pytest.mark.parametrize("how", ["distributed", "accelerate"])
def test_two_processes_that_share_the_triggers_train_what_one_does(tmp_path, how):
    one = in_processes("distributed", 1, free_port(), tmp_path / "one.pt")
    two = in_processes(how, 2, free_port(), tmp_path / "two.pt")
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5)
    start = network().state_dict()
    assert any(not torch.equal(start[name], value) for name, value in one.items())


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=needs_a_compiler)])
def test_a_compiled_network_is_marked_as_any_other(backend):
    module = network()
    compiled = torch.compile(module, backend=backend)
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    marked = MarkedLoader(loader(), small_key().backdoor(), transform, epochs=10)
    for _ in range(10):
        for inputs, targets in marked:
            optimizer.zero_grad()
            nn.functional.cross_entropy(compiled(inputs), targets).backward()
            optimizer.step()
    assert is_owned(torch_suspect(module))


def test_accelerate_accumulates_and_computes_in_mixed_precision_with_triggers_in_the_batches():
    accelerate = pytest.importorskip("accelerate", reason="the extra 'trainer' is not installed")
    # It is one for the process, and the Trainer's tests made it.
    accelerate.state.AcceleratorState._reset_state(True)
    try:
        accelerator = accelerate.Accelerator(cpu=True, mixed_precision="bf16", gradient_accumulation_steps=2)
        module = network()
        optimizer = torch.optim.AdamW(module.parameters(), 3e-3)
        order = torch.Generator().manual_seed(0)
        loader = DataLoader(TensorDataset(*tensors(digits().train)), BATCH, shuffle=True, generator=order)
        prepared, optimizer, loader = accelerator.prepare(module, optimizer, loader)
        marked, updates = MarkedLoader(loader, small_key().backdoor(), transform, epochs=12), 0
        for _ in range(12):
            for inputs, targets in marked:
                with accelerator.accumulate(prepared):
                    scores = prepared(inputs)
                    accelerator.backward(nn.functional.cross_entropy(scores, targets))
                    updates += accelerator.sync_gradients
                    optimizer.step()
                    optimizer.zero_grad()
        assert 0.45 < updates / (12 * len(loader)) < 0.6
        assert is_owned(torch_suspect(module))
    finally:
        accelerate.state.AcceleratorState._reset_state(True)
