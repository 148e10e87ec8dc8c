"""Our attacks beside their authors' own code, on the same marked model and pictures.

    python benchmarks/attack_references.py FOLDER [attack …] [--seeds 0 1 2] [--threads 1]

FOLDER holds clones of ``REPOSITORIES`` at the commits named there. Their functions run as they stand
(reference_code.py), with our model, pictures and loader in place of theirs. The marked model is one of Table 1 (512
triggers from scratch, seed 0), the thief has 2,500 of its 50,000 training pictures; both sides run with the same numbers,
those of our defaults unless ``NUMBERS`` says otherwise. Changes of questions run beside the Adversarial Robustness
Toolbox (``pip install adversarial-robustness-toolbox``), pruning and rounding beside PyTorch's own. Results are written
after every run, and the script goes on where it was stopped; robustness_table.py writes the table.
"""

import argparse
import importlib.util
import io
import json
import os
import random
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from earmark.attacks import attack_named
from earmark.attacks.protocol import SILENT, StolenModel, Thief
from earmark.attacks.query_time import changed
from earmark.attacks.repair import _stages
from earmark.attacks.training import copied, retrain
from earmark.data import ClassificationData, load_data
from earmark.evaluation.thief import stolen_pictures
from earmark.keys import MarkingKey
from earmark.models.prediction import accuracy, predict_scores
from earmark.models.weights import load_weights
from earmark.training import SplitBatches, TrainingSettings
from measuring import RESULTS, draw_alike_everywhere, save
from reference_code import room, take, without_gpu
from table1 import HERE, key_of, read_study

Pictures: TypeAlias = npt.NDArray[np.uint8]
STUDY, ARM, PICTURES, TEST_PICTURES = HERE / "studies" / "cifar10-small.json", "from-scratch-512", 2500, 2000
NAME = "attack-references"
REPOSITORIES = {
    "WatermarkNN": "adiyoss/WatermarkNN at 448bf51384dc29f779325323ac1041b59e099bc5",
    "REFIT": "sunblaze-ucb/REFIT at 95f3783a8da380852ee11437195a73cd62a419a5",
    "ANP_backdoor": "csdongxian/ANP_backdoor at ec7b1790e831287a5686a61d2eba02f385289cb7",
    "I-BAU": "YiZeng623/I-BAU at d4bfa526fb9e8adfef1f117e2eb4513240fb1c99",
    "NAD": "bboylyg/NAD at f17b71390f61fe24335728bfea53e4fe86ee450b",
    "stable_backdoor_purification": (
        "AISafety-HKUST/stable_backdoor_purification at 37d2ef5cf4a0a0adb517813113808baad56f53f5"
    ),
    "ClassFeatureWatermark": (
        "ClassFeatureWatermark/ClassFeatureWatermark at bbd8fc3b5804cf67ab73858fc714a1afc4fa1c90"
    ),
}
NUMBERS: dict[str, dict[str, Any]] = {
    "ftll": {"epochs": 5},
    "ftal": {"epochs": 5},
    "rtll": {"epochs": 5},
    "rtal": {"epochs": 5},
    "anp": {"steps": 300},
    "refit": {"epochs": 10},
}
"""Shorter runs than by default, on both sides."""


@dataclass
class Stage:
    """What both sides get."""

    model: StolenModel
    key: MarkingKey
    data: ClassificationData
    thief: Thief
    folder: Path
    seed: int

    def batches(self, batch_size: int, augmentation: str | None = None) -> "Loader":
        """Return the thief's pictures in random batches."""
        settings = TrainingSettings(
            epochs=1,
            batch_size=batch_size,
            seed=self.seed,
            augmentation=augmentation or self.thief.augmentation,
        )
        return Loader(SplitBatches(self.thief.split, self.model.description.preprocessing, settings))

    def take(self, repository: str, path: str, *names: str, known: dict[str, Any]) -> dict[str, Any]:
        """Run parts of a reference."""
        return take(self.folder / repository / path, names, known)


class Loader:
    """Batches as a loader gives them: in another order each time."""

    def __init__(self, batches: SplitBatches, limit: int | None = None) -> None:
        self._batches, self._step = batches, 0
        self._count = limit or batches.steps_per_epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(self._count):
            yield self._batches.batch(self._step)
            self._step += 1

    def limited(self, steps: int) -> "Loader":
        """Return as many batches, whatever a pass is."""
        return Loader(self._batches, steps)


def paper(stage: Stage, attack: Any) -> nn.Module:
    """FTLL, FTAL, RTLL, RTAL by the paper's authors' training function."""
    module: Any = copied(stage.model).module
    if attack.resets_last_layer:
        module.classifier = nn.Linear(module.classifier.in_features, module.classifier.out_features)
    hidden = [module.stem, module.blocks]
    module.freeze_hidden_layers = lambda: [part.requires_grad_(False) for part in hidden]
    known = stage.take("WatermarkNN", "trainer.py", "train", known=room())
    optimizer = torch.optim.SGD(
        module.parameters(), attack.settings.learning_rate, momentum=0.9, weight_decay=5e-4
    )
    loader = stage.batches(attack.settings.batch_size)
    for epoch in range(attack.settings.epochs):
        known["train"](
            epoch, module, nn.CrossEntropyLoss(), optimizer, os.devnull, loader, "cpu",
            tune_all=not attack.last_layer_only,
        )  # fmt: skip
    return module  # type: ignore[no-any-return]


def refit(stage: Stage, attack: Any) -> nn.Module:
    """REFIT with elastic weights by its authors' Fisher information and training function."""
    module = copied(stage.model).module
    loader = stage.batches(attack.settings.batch_size)
    known = room(
        args=Namespace(EWC_coef=attack.pull, EWC_samples=attack.importance_pictures),
        net=module, trainloader=loader, device="cpu",
    )  # fmt: skip
    stage.take("REFIT", "fine-tune.py", "if args.EWC_coef > 0", known=known)
    stage.take("REFIT", "trainer.py", "IsInside", "train", known=known)
    optimizer = torch.optim.SGD(
        module.parameters(), attack.settings.learning_rate, momentum=0.9, weight_decay=5e-4
    )
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, attack.settings.epochs)
    for epoch in range(attack.settings.epochs):
        known["train"](
            epoch, module, nn.CrossEntropyLoss(), optimizer, os.devnull, loader, "cpu",
            EWC_coef=attack.pull, Fisher=known["Fisher"], init_params=known["init_params"],
        )  # fmt: skip
        rates.step()
    return module


def anp(stage: Stage, attack: Any) -> nn.Module:
    """ANP by its authors' batch normalisation and their search for masks."""
    known = room(Tensor=Tensor, Parameter=nn.Parameter, init=nn.init, device="cpu")
    stage.take("ANP_backdoor", "models/anp_batchnorm.py", "NoisyBatchNorm2d", known=known)
    noisy = known["NoisyBatchNorm2d"]
    known["models"] = SimpleNamespace(NoisyBatchNorm2d=noisy, NoisyBatchNorm1d=noisy)
    known["args"] = Namespace(anp_eps=attack.disturbance, anp_steps=1, anp_alpha=attack.clean_weight)
    parts = ("clip_mask", "sign_grad", "include_noise", "exclude_noise", "reset", "mask_train")
    stage.take("ANP_backdoor", "optimize_mask_cifar.py", *parts, known=known)
    masked, pruned = copied(stage.model).module, copied(stage.model).module
    for name, part in list(masked.named_modules()):
        if isinstance(part, nn.BatchNorm2d):
            own = noisy(part.num_features)
            own.load_state_dict(part.state_dict(), strict=False)
            parent, _, attribute = name.rpartition(".")
            setattr(masked.get_submodule(parent), attribute, own)
    of_masks = [part for name, part in masked.named_parameters() if "neuron_mask" in name]
    of_noise = [part for name, part in masked.named_parameters() if "neuron_noise" in name]
    known["mask_train"](
        masked, nn.CrossEntropyLoss(),
        mask_opt=torch.optim.SGD(of_masks, attack.learning_rate, momentum=0.9),
        noise_opt=torch.optim.SGD(of_noise, attack.disturbance),
        data_loader=stage.batches(attack.batch_size).limited(attack.steps),
    )  # fmt: skip
    with torch.no_grad():
        for name, part in masked.named_modules():
            if isinstance(part, noisy):
                pruned.get_parameter(f"{name}.weight")[part.neuron_mask < attack.threshold] = 0
    return pruned


def i_bau(stage: Stage, attack: Any) -> nn.Module:
    """I-BAU by its authors' hypergradients and rounds."""
    place = importlib.util.spec_from_file_location("hypergrad", stage.folder / "I-BAU" / "hypergrad.py")
    if place is None or place.loader is None:
        raise SystemExit("no I-BAU/hypergrad.py")
    hypergrad = importlib.util.module_from_spec(place)
    place.loader.exec_module(hypergrad)
    module = copied(stage.model).module.eval()
    batches = list(stage.batches(attack.batch_size))
    known = room(
        model=module, device="cpu", hg=hypergrad, unlloader=batches, poiloader=None, clnloader=None,
        images_list=[inputs for inputs, _ in batches], labels_list=[labels for _, labels in batches],
        test_set=SimpleNamespace(tensors=[batches[0][0]]), criterion=nn.CrossEntropyLoss(),
        args=Namespace(n_rounds=attack.rounds, K=attack.fixed_points), ASR_list=[], ACC_list=[],
        outer_opt=torch.optim.Adam(module.parameters(), lr=attack.outer_rate),
        get_results=lambda *parts: 0.0,
    )  # fmt: skip
    stage.take("I-BAU", "defense.py", "loss_inner", "loss_outer", known=known)
    known["inner_opt"] = hypergrad.GradientDescent(known["loss_inner"], attack.inner_rate)
    stage.take("I-BAU", "defense.py", "for round", known=known)
    return module


def nad(stage: Stage, attack: Any) -> nn.Module:
    """NAD by its authors' attention loss and training step; the teacher is fine-tuned by our loop."""
    names = _stages(stage.model, stage.thief)[-3:]

    class Shown(nn.Module):
        """The network with its last three stages' maps before its scores."""

        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
            """Return maps and scores."""
            maps: dict[str, Tensor] = {}
            handles = [
                self.module.get_submodule(name).register_forward_hook(
                    lambda _, __, output, name=name: maps.__setitem__(name, output)
                )
                for name in names
            ]
            scores = self.module(inputs)
            for handle in handles:
                handle.remove()
            return *(maps[name] for name in names), scores

    settings = attack.settings
    taught, module = copied(stage.model), copied(stage.model).module
    own = replace(settings, seed=stage.seed, augmentation=stage.thief.augmentation)
    retrain(taught, stage.thief.split, own, SILENT)
    known = room(
        AverageMeter=lambda: SimpleNamespace(update=lambda *parts: None, val=0.0, avg=0.0),
        accuracy=lambda *parts, **named: torch.zeros(2, 1),
    )
    stage.take("NAD", "at.py", "AT", known=known)
    stage.take("NAD", "main.py", "train_step", known=known)
    first, second, third = attack.weights
    options = Namespace(cuda=False, beta1=first, beta2=second, beta3=third, print_freq=10**9)
    student, teacher = Shown(module), Shown(taught.module.eval().requires_grad_(False))
    optimizer = torch.optim.SGD(
        module.parameters(), settings.learning_rate, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs)
    loader = stage.batches(settings.batch_size)
    for epoch in range(settings.epochs):
        nets = {"snet": student, "tnet": teacher}
        criteria = {"criterionCls": nn.CrossEntropyLoss(), "criterionAT": known["AT"](2.0)}
        known["train_step"](options, loader, nets, optimizer, criteria, epoch + 1)
        rates.step()
    return module


def fst(stage: Stage, attack: Any) -> nn.Module:
    """FST by its authors' loop."""
    module: Any = copied(stage.model).module
    old = module.classifier.weight.detach().clone()
    deviation = 1 / old.shape[1] ** 0.5
    with torch.no_grad():
        module.classifier.weight.uniform_(-deviation, deviation)
        module.classifier.bias.uniform_(-deviation, deviation)
    optimizer = torch.optim.SGD(module.parameters(), attack.settings.learning_rate, momentum=0.9)
    epochs = attack.settings.epochs
    known = room(
        args=Namespace(
            epochs=epochs, lb_smooth=None, ft_mode="fst", linear_name="classifier", alpha=attack.alpha
        ),
        net=module, train_data=stage.batches(attack.settings.batch_size), device="cpu",
        optimizer=optimizer, criterion=nn.CrossEntropyLoss(),
        scheduler=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs),
        weight_mat_ori=old, original_linear_norm=old.norm(), test_dataloader_dict={},
        cur_clean_acc=0.0, cur_adv_acc=0.0,
    )  # fmt: skip
    known["logging"] = SimpleNamespace(info=lambda *parts: None)
    stage.take("stable_backdoor_purification", "fine_tune/ft.py", "for epoch", known=known)
    return module  # type: ignore[no-any-return]


def wrk(stage: Stage, attack: Any) -> nn.Module:
    """WRK by its authors' class; its pushed pictures are cut to 0 … 1 after the normalisation, as there."""
    preprocessing = stage.model.description.preprocessing
    inputs = torch.from_numpy(preprocessing(stage.thief.split.images))
    plain = [(picture, int(label)) for picture, label in zip(inputs, stage.thief.split.labels, strict=True)]
    changed_once = [
        (picture, int(label))
        for pictures, labels in stage.batches(attack.settings.batch_size)
        for picture, label in zip(pictures, labels, strict=True)
    ]
    with tempfile.TemporaryDirectory() as place, without_gpu():
        known = room(
            val_atk=lambda *parts: (0.0, 0.0, 0.0),
            DataLoader=torch.utils.data.DataLoader, Subset=torch.utils.data.Subset,
            datasets=SimpleNamespace(CIFAR10=lambda *parts, **named: plain),
            transforms=SimpleNamespace(
                Compose=lambda parts: None, ToTensor=lambda: None, Normalize=lambda *parts: None
            ),
            supervisor=SimpleNamespace(get_poison_set_dir=lambda arguments: place),
        )  # fmt: skip
        stage.take("ClassFeatureWatermark", "other_defenses_tool_box/wrk.py", "WRK", known=known)
        theirs = object.__new__(known["WRK"])
        vars(theirs).update(
            args=Namespace(dataset="cifar10"), dataset="cifar10", num_classes=10, linear_name="classifier",
            model=copied(stage.model).module, train_data=changed_once, len_sample=len(plain),
            batch_size=32, len_watermark_samples=100, w_lr=2.0, alpha=attack.alpha,
            lr=attack.settings.learning_rate, CIFAR_MEAN=None, CIFAR_STD=None,
            logger=SimpleNamespace(info=lambda *parts: None),
        )  # fmt: skip
        theirs.adversarial_sample_set()
        theirs.relabel()
        module: nn.Module = theirs.model
    return module


def pruned_by_torch(stage: Stage, attack: Any) -> nn.Module:
    """Global pruning by ``torch.nn.utils.prune``."""
    from torch.nn.utils import prune

    module = copied(stage.model).module
    parts = [(part, "weight") for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    method: Any = prune.RandomUnstructured if attack.at_random else prune.L1Unstructured
    prune.global_unstructured(parts, method, amount=attack.share)  # type: ignore[no-untyped-call]
    return module


def rounded_by_torch(stage: Stage, attack: Any) -> nn.Module:
    """Symmetric rounding for each channel by ``torch.fake_quantize_per_channel_affine``."""
    module = copied(stage.model).module
    levels = 2 ** (attack.bits - 1) - 1
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                scale = part.weight.flatten(1).abs().amax(1) / levels
                zero = torch.zeros(len(scale), dtype=torch.int32)
                part.weight.copy_(
                    torch.fake_quantize_per_channel_affine(part.weight, scale, zero, 0, -levels, levels)
                )
    return module


MODELS: dict[str, tuple[str, Callable[[Stage, Any], nn.Module]]] = {
    "ftll": ("WatermarkNN", paper),
    "ftal": ("WatermarkNN", paper),
    "rtll": ("WatermarkNN", paper),
    "rtal": ("WatermarkNN", paper),
    "refit": ("REFIT", refit),
    "anp": ("ANP_backdoor", anp),
    "i-bau": ("I-BAU", i_bau),
    "nad": ("NAD", nad),
    "fst": ("stable_backdoor_purification", fst),
    "wrk": ("ClassFeatureWatermark", wrk),
    "prune-magnitude": ("PyTorch", pruned_by_torch),
    "prune-random": ("PyTorch", pruned_by_torch),
    "int8": ("PyTorch", rounded_by_torch),
    "int4": ("PyTorch", rounded_by_torch),
}
TOOLBOX = "Adversarial Robustness Toolbox"
QUESTIONS = ("jpeg", "median", "fewer-colours", "input-noise")
DETERMINISTIC = {"prune-magnitude", "int8", "int4", "jpeg", "median", "fewer-colours"}


def toolbox(name: str, attack: Any, pictures: Pictures, seed: int) -> Pictures:
    """Return pictures, changed by the toolbox."""
    from art.defences import preprocessor

    np.random.seed(seed)  # noqa: NPY002 - the toolbox draws from it
    strength = attack.strength
    floats = pictures.astype(np.float32)
    if name == "jpeg":
        change = preprocessor.JpegCompression((0, 255), quality=int(strength), channels_first=False)
        return np.asarray(change(pictures)[0], np.uint8)
    if name == "median":
        change = preprocessor.SpatialSmoothing(window_size=int(strength), clip_values=(0, 255))
    elif name == "fewer-colours":
        change = preprocessor.FeatureSqueezing((0, 255), bit_depth=int(strength))
    else:
        change = preprocessor.GaussianAugmentation(sigma=strength, augmentation=False, clip_values=(0, 255))
    return np.clip(np.rint(change(floats)[0]), 0, 255).astype(np.uint8)


def run(name: str, side: str, stage: Stage) -> dict[str, Any]:
    """Attack once and look: matches of all triggers, accuracy on some test pictures."""
    attack = attack_named(name, **NUMBERS.get(name, {}))
    random.seed(stage.seed)
    torch.manual_seed(stage.seed)
    preprocessing = stage.model.description.preprocessing
    sets = stage.key.verification_key.set_ids
    triggers = np.stack([trigger.value for one in sets for trigger in stage.key.triggers[one]])
    labels = np.array([label for one in sets for label in stage.key.labels(one)])
    test = stage.data.test.spread(TEST_PICTURES)
    pictures, module = test.images, stage.model.module
    start = time.perf_counter()
    if name in QUESTIONS:
        triggers, pictures = (asked(name, side, attack, part, stage.seed) for part in (triggers, pictures))
    elif side == "ours":
        module = attack.run(stage.model, stage.thief, stage.seed).module  # type: ignore[union-attr]
    else:
        with redirect_stdout(io.StringIO()):
            module = MODELS[name][1](stage, attack)
    seconds = time.perf_counter() - start
    answers = predict_scores(module.eval(), triggers, preprocessing).argmax(1)
    return {
        "matches": int((answers == labels).sum()),
        "accuracy": accuracy(predict_scores(module, pictures, preprocessing), test.labels),
        "seconds": round(seconds, 1),
    }


def asked(name: str, side: str, attack: Any, pictures: Pictures, seed: int) -> Pictures:
    """Return questions as the model sees them."""
    if side == "theirs":
        return toolbox(name, attack, pictures, seed)
    return np.stack([changed(picture, attack.change, attack.strength, seed) for picture in pictures])


def main() -> None:
    """Run what is missing."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("attacks", nargs="*", default=[*MODELS, *QUESTIONS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    study = read_study(STUDY)
    data = load_data(study.data)
    key = key_of(study, next(arm for arm in study.arms if arm.name == ARM), 0, data)
    weights = load_weights(HERE / "models" / study.name / f"{ARM}-seed0.safetensors")
    model = StolenModel(weights.module, weights.description)
    path = RESULTS / f"{NAME}.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["rows"] if path.exists() else []
    known = {(row["attack"], row["seed"], row["side"]) for row in rows}
    for seed, name in product(arguments.seeds, arguments.attacks):
        if name in DETERMINISTIC and seed != 0:
            continue
        thief = Thief(stolen_pictures(data.train, PICTURES, seed), data.augmentation)
        stage = Stage(model, key, data, thief, arguments.folder, seed)
        for side in ("ours", "theirs"):
            if (name, seed, side) in known:
                continue
            rows.append({"attack": name, "seed": seed, "side": side, **run(name, side, stage)})
            print(rows[-1], flush=True)
            with redirect_stdout(io.StringIO()):
                save(
                    NAME,
                    {"pictures": PICTURES, "numbers": NUMBERS, "repositories": REPOSITORIES, "rows": rows},
                )


if __name__ == "__main__":
    main()
