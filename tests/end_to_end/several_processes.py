"""What each process of a Trainer's or a Lightning training runs; started by torchrun, or alone.

    several_processes.py FRAMEWORK FOLDER [RANK STEP]

With a rank and a step, that process kills itself there, once; started again, the training goes on from its
last checkpoint.
"""

import os
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from earmark.marking.hugging_face import mark_trainer
from earmark.marking.lightning import MarkCallback
from end_to_end.test_frameworks import (
    BATCH,
    examples,
    hugging_face_network,
    lightning_module,
    lightning_trainer,
    tensors,
    transform,
)
from end_to_end.watched import comparable, leave_group, watch
from small import digits, small_key

EPOCHS = 6
ACCUMULATED = 2
RANK, COUNT = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def momentum(module):
    """Not Adam: what it makes of gradients that are zero but for rounding differs between any two sums."""
    return torch.optim.SGD(module.parameters(), 0.05, momentum=0.9)


def trainer(folder):
    from transformers import Trainer, TrainingArguments

    model = comparable(hugging_face_network())
    arguments = TrainingArguments(
        str(folder),
        per_device_train_batch_size=BATCH // COUNT,
        gradient_accumulation_steps=ACCUMULATED,
        num_train_epochs=EPOCHS,
        lr_scheduler_type="constant",
        # Else the Trainer multiplies the loss by the number of processes for models that take any argument
        # and ignore its count of labels, as those of images do: a step of another length, marked or not.
        average_tokens_across_devices=False,
        dataloader_drop_last=True,
        save_strategy="epoch",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
    )
    own = Trainer(model, arguments, train_dataset=examples(), optimizers=(momentum(model), None))
    mark_trainer(own, small_key().backdoor(), transform)
    own.train(resume_from_checkpoint=any(folder.glob("checkpoint-*")))
    return model


def lightning(folder):
    from lightning.pytorch.callbacks import ModelCheckpoint

    module = lightning_module()
    comparable(module.network)
    module.configure_optimizers = lambda: momentum(module)
    pairs = TensorDataset(*tensors(digits().train))
    if COUNT == 1:  # in the order in which Lightning deals a shuffled loader to several
        loader = DataLoader(
            pairs, BATCH, sampler=DistributedSampler(pairs, num_replicas=1, rank=0), drop_last=True
        )
    else:
        loader = DataLoader(pairs, BATCH // COUNT, shuffle=True, drop_last=True)
    own = lightning_trainer(
        folder,
        MarkCallback(small_key().backdoor(), transform),
        max_epochs=EPOCHS,
        accumulate_grad_batches=ACCUMULATED,
        devices=COUNT,
        strategy="ddp" if COUNT > 1 else "auto",
        enable_checkpointing=True,
    )
    own.callbacks.append(ModelCheckpoint(folder, "{epoch}", save_top_k=-1, every_n_epochs=1))
    reached = sorted(folder.glob("*.ckpt"))
    own.fit(module, loader, ckpt_path=reached[-1] if reached else None)
    return module.network


if __name__ == "__main__":
    place = Path(sys.argv[2])
    killed = tuple(int(number) for number in sys.argv[3:])
    watch(place, killed=killed or None)
    network: nn.Module = {"trainer": trainer, "lightning": lightning}[sys.argv[1]](place)
    if RANK == 0:
        torch.save(network.state_dict(), place / "trained.pt")
    leave_group()
