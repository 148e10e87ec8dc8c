"""Piracy: a second mark, with a backdoor of the pirate's own."""

from dataclasses import dataclass, replace

from earmark.attacks.protocol import SILENT, Access, Card, Need, StolenModel, Thief, Watch, require
from earmark.attacks.training import copied, network_inputs, retrain
from earmark.marking.mixing import EXPOSURES, Mixer
from earmark.marking.recipes import MixedBatches
from earmark.training import SplitBatches, TrainingSettings


@dataclass(frozen=True, slots=True)
class Piracy:
    """Mark a marked model once more.

    Attributes:
        card: What it is.
        settings: Of the training loop; the seed is replaced.
        exposures: How often each of the pirate's triggers is shown in all.
    """

    card: Card
    settings: TrainingSettings
    exposures: int = EXPOSURES

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        stolen = copied(model)
        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        batches = SplitBatches(thief.split, stolen.description.preprocessing, settings)
        if thief.backdoor is None:
            raise AssertionError("the thief's needs were looked at above")
        mixer = Mixer(
            thief.backdoor,
            lambda pixels: network_inputs(stolen, pixels[None])[0],
            settings.epochs * batches.steps_per_epoch,
            exposures=self.exposures,
            seed=seed,
        )
        retrain(stolen, MixedBatches(batches, mixer), settings, watch)
        return stolen


PIRACY = Piracy(
    Card(
        "Piracy: a second mark",
        "piracy",
        Access.WEIGHTS,
        frozenset({Need.LABELLED, Need.BACKDOOR}),
        "Adi et al. 2018, Section 5.4 (ownership piracy)",
        "20 epochs at 0.01 falling to 0, each trigger shown as often as the owner's; the paper trains as "
        "long as the first mark took",
    ),
    TrainingSettings(epochs=20, learning_rate=0.01),
)
