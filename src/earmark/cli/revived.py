"""A suspect after the revival that its key committed, for the command verify."""

from pathlib import Path
from typing import TYPE_CHECKING

from earmark.cli.output import Output
from earmark.cli.training import read_data

if TYPE_CHECKING:
    from earmark.keys import MarkingKey
    from earmark.models.preprocessing import Preprocessing
    from earmark.models.weights import LoadedModel
    from earmark.suspects import Suspect


def revived_weights(
    path: Path,
    key: "MarkingKey",
    data: str,
    root: Path,
    architecture: str | None,
    trust_code: bool,
    output: Output,
) -> "LoadedModel":
    """Return a suspect's weights, trained as the key committed it.

    Args:
        path: The suspect, a safetensors file.
        key: With a revival in its transcript.
        data: Name of the committed data.
        root: Where ``torchvision:`` data lies.
        architecture: FILE.py:FACTORY, for weights that do not name one.
        trust_code: Whether that file may run.
        output: For progress.
    """
    from earmark.models.weights import load_weights
    from earmark.revival import committed_plan, revive

    plan = committed_plan(key.transcript.revival)
    suspect = load_weights(path, architecture=architecture, trust_code=trust_code)
    loaded = read_data(data, root, output)
    with output.progress("reviving") as on_progress:
        return revive(suspect, loaded.train, loaded.class_names, plan, on_progress)


def revived_suspect(model: "LoadedModel", path: Path, picked: "Preprocessing | None") -> "Suspect":
    """Return the suspect that a revived model is."""
    from earmark.suspects.torch import TorchSuspect

    return TorchSuspect(model, f"weights {path.name}, revived as the key committed it", picked)


def check_revival(suspect: str, rule: str, owner_layer: Path | None) -> None:
    """Raise ValueError for what does not go with a revival, before anything is trained."""
    if not suspect.endswith(".safetensors"):
        raise ValueError("--revive is for weights: a suspect that ends in .safetensors")
    if rule != "exact" or owner_layer is not None:
        raise ValueError("--revive goes with the exact rule and the suspect's own last layer")
