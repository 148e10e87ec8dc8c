"""Which triggers each process of a training is shown, and a process that is killed once in between."""

import gc
import hashlib
import json
import os
import signal
from collections import defaultdict
from pathlib import Path

import torch
from torch import nn

from earmark.marking import Mixer


def watch(folder, killed=None):
    """Write down every step's triggers of this process; with ``killed`` = (rank, step), die there once."""
    inner = Mixer.triggers

    def triggers(self, step):
        rank = self._showing._rank
        flag = Path(folder, "killed")
        if (rank, step) == killed and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        inputs, labels = inner(self, step)
        with Path(folder, f"shown-{rank}.jsonl").open("a") as file:
            file.write(json.dumps([step, digests(inputs)]) + "\n")
        return inputs, labels

    Mixer.triggers = triggers


def digests(inputs):
    return [hashlib.sha256(value.numpy().tobytes()).hexdigest()[:16] for value in inputs]


def leave_group():
    """End a process's part in a training of several.

    What averages gradients must be gone by then: PyTorch 2.13 ends a process by SIGABRT where the interpreter
    goes while a thread of Gloo still holds its tensors.
    """
    gc.collect()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def shown(folder, rank):
    """Return the triggers by step, each list of the times that the step was taken."""
    found = defaultdict(list)
    for line in Path(folder, f"shown-{rank}.jsonl").read_text().splitlines():
        step, triggers = json.loads(line)
        found[step].append(triggers)
    return dict(found)


def assert_shares(folder, mixer, steps, count=2):
    """Every rank was shown its share of what one process would be shown, and nothing else."""
    shares = [shown(folder, rank) for rank in range(count)]
    for step in range(steps):
        for share in shares:
            assert all(times == share[step][0] for times in share[step]), "a step taken again is the same"
        together = [value for share in shares for value in share[step][0]]
        assert together == digests(mixer.triggers(step)[0])
    assert all(sorted(share) == list(range(steps)) for share in shares)
    return shares


def comparable(module):
    """A network that several processes train to what one does, but for rounding, and with rounding kept small.

    Batch normalisation would see a part of the batch in each process. And a training is chaotic: what differs
    in the seventh digit at first differs in the first after some hundred steps, so double precision.
    """
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval().train = lambda mode=True, part=part: part

    def doubled(module, arguments, named):
        return tuple(_double(value) for value in arguments), {name: _double(named[name]) for name in named}

    module.register_forward_pre_hook(doubled, with_kwargs=True)
    return module.double()


def _double(value):
    return value.double() if torch.is_tensor(value) and value.is_floating_point() else value
