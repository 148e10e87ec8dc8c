"""Fine-tuning on clean data: the paper's four ways, strong ones, and transfer to other classes.

One family of numbers: which layers learn, whether the last one starts anew, how fast, how long.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from earmark.attacks.protocol import SILENT, Access, Card, Need, StolenModel, Thief, Watch, require
from earmark.attacks.training import copied, fresh_last_layer, network_inputs, retrain
from earmark.models.last_layer import last_layer
from earmark.models.stages import parts_after, stage_ends
from earmark.training import TrainingSettings

_PAPER = "Adi et al. 2018, Section 5.3 and the authors' code"
_PAPER_DEFAULTS = (
    "20 epochs in batches of 100 at 0.001, momentum 0.9, weight decay 0.0005: the last rate of the paper's "
    "own training and the number of epochs of the authors' code. Nesterov momentum here, plain there"
)


@dataclass(frozen=True, slots=True)
class FineTuning:
    """Train a stolen model on, with clean pictures and without triggers.

    Attributes:
        card: What it is.
        settings: Of the training loop; the seed is replaced.
        last_layer_only: Whether only the last layer learns (LL) or all layers (AL).
        resets_last_layer: Whether the last layer starts with new random weights (RT) or not (FT).
        fresh_stages: How many of the last stages of a convolutional network start with new weights too.
        to_other_task: Whether it moves the model to the thief's other task; the last layer is then new.
    """

    card: Card
    settings: TrainingSettings
    last_layer_only: bool = False
    resets_last_layer: bool = False
    fresh_stages: int = 0
    to_other_task: bool = False

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        stolen = copied(model)
        split = thief.split
        if self.to_other_task and thief.other_task is not None:
            split = thief.other_task
            description = replace(stolen.description, class_names=thief.other_class_names)
            stolen = StolenModel(stolen.module, description)
        if self.resets_last_layer or self.to_other_task:
            fresh_last_layer(stolen, seed)
        if self.fresh_stages:
            _reset_stages(stolen, network_inputs(stolen, split.images[:1]), self.fresh_stages, seed)
        if self.last_layer_only:
            _freeze_all_but(stolen.module, last_layer(stolen.module)[1])
        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        retrain(stolen, split, settings, watch)
        stolen.module.requires_grad_(True)
        return stolen


def _reset_stages(stolen: StolenModel, inputs: Tensor, count: int, seed: int) -> None:
    ends = stage_ends(stolen.module, inputs)
    if len(ends) <= count:
        raise ValueError(f"the network has {len(ends)} stages; one at least keeps its weights")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for part in parts_after(stolen.module, ends[-1 - count], inputs):
            if callable(reset := getattr(part, "reset_parameters", None)):
                reset()


def _freeze_all_but(module: nn.Module, layer: nn.Module) -> None:
    # Statistics of batch normalisation still move, as they do in the authors' code.
    module.requires_grad_(False)
    layer.requires_grad_(True)


def _paper(title: str, last_layer_only: bool, resets_last_layer: bool) -> FineTuning:
    needs = frozenset({Need.LABELLED})
    card = Card(title, "fine-tuning", Access.WEIGHTS, needs, _PAPER, _PAPER_DEFAULTS)
    settings = TrainingSettings(epochs=20, learning_rate=0.001, schedule="constant")
    return FineTuning(card, settings, last_layer_only, resets_last_layer)


FTLL = _paper("Fine-tune last layer", last_layer_only=True, resets_last_layer=False)
FTAL = _paper("Fine-tune all layers", last_layer_only=False, resets_last_layer=False)
RTLL = _paper("Re-train last layer", last_layer_only=True, resets_last_layer=True)
RTAL = _paper("Re-train all layers", last_layer_only=False, resets_last_layer=True)

STRONG = FineTuning(
    Card(
        "Strong fine-tuning",
        "fine-tuning",
        Access.WEIGHTS,
        frozenset({Need.LABELLED}),
        "Gan et al. 2023 (ICCV), Section 5, fine-tuning attack",
        "30 epochs at 0.05, halved after each sixth of the run: every 5 epochs as there for 30 of them, and "
        "sooner in a shorter run; there with a fifth of the training data",
    ),
    TrainingSettings(epochs=30, learning_rate=0.05, schedule="halving"),
)

FRESH_STAGES = FineTuning(
    Card(
        "Fresh stages",
        "adaptive",
        Access.WEIGHTS,
        frozenset({Need.LABELLED}),
        "ours, against marks that are learned before the last stage",
        "the last layer and as many stages before it as are named drawn anew, then as strong fine-tuning",
    ),
    TrainingSettings(epochs=30, learning_rate=0.05, schedule="halving"),
    resets_last_layer=True,
    fresh_stages=1,
)

TRANSFER = FineTuning(
    Card(
        "Transfer to other classes",
        "fine-tuning",
        Access.WEIGHTS,
        frozenset({Need.OTHER_CLASSES}),
        "Adi et al. 2018, Section 5.5 (transfer learning)",
        "re-train all layers on another task, 20 epochs as in the paper; the rate, 0.01 to 0, is ours",
    ),
    TrainingSettings(epochs=20, learning_rate=0.01),
    to_other_task=True,
)
