"""What a key commits of a revival, and a suspect after it: for the commands keygen and verify."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from earmark.cli.output import Output
from earmark.cli.training import read_data

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from earmark.commitment.canonical import Json
    from earmark.data import ClassificationData
    from earmark.keys import MarkingKey, Task
    from earmark.models.preprocessing import Preprocessing
    from earmark.models.weights import LoadedModel
    from earmark.suspects import Suspect


def revival_to_commit(
    revivable: str | None, graft_onto: Path | None, task: "Task", load: "Callable[[str], ClassificationData]"
) -> "Mapping[str, Json] | None":
    """Return what the transcript says of a revival with this data; None for none."""
    if revivable is None:
        if graft_onto is not None:
            raise ValueError("--graft-onto goes with --revivable: batch statistics are those of clean data")
        return None
    if task.geometry.kind != "image":
        raise ValueError("--revivable is for pictures: no other suspects are trained again")
    from earmark.revival import GraftPlan, RevivalPlan, data_digest

    data = load(revivable)
    if set(data.class_names) != set(task.class_names):
        raise ValueError("--revivable: the data's classes are not the key's")
    digest = data_digest(data.train, data.class_names)
    if graft_onto is None:
        return RevivalPlan(digest, augmentation=data.augmentation).to_json()
    from earmark.models.weights import file_digest, read_description

    if set(read_description(graft_onto).class_names) != set(task.class_names):
        raise ValueError("--graft-onto: the classes of these weights are not the key's")
    return GraftPlan(digest, file_digest(graft_onto)).to_json()


class Revival(NamedTuple):
    """What the user says of a revival.

    Attributes:
        data: Name of the committed data; None for no revival.
        graft_onto: The committed weights before they were marked, for a key that grafts.
    """

    data: str | None
    graft_onto: Path | None


def revived_weights(
    suspect: str,
    key: "MarkingKey",
    revival: Revival,
    root: Path,
    architecture: str | None,
    trust_code: bool,
    output: Output,
) -> "LoadedModel | None":
    """Return what the key committed to make of a suspect's weights; None if it is to be asked as it is.

    Args:
        suspect: A safetensors file.
        key: With a revival in its transcript.
        revival: What the user says of it.
        root: Where ``torchvision:`` data lies.
        architecture: FILE.py:FACTORY, for weights that do not name one.
        trust_code: Whether that file may run.
        output: For progress.
    """
    if revival.data is None:
        return None
    from earmark.models.grafting import CODE
    from earmark.models.weights import load_weights
    from earmark.revival import RevivalPlan, committed_plan, revive, revive_by_graft

    plan, onto = committed_plan(key.transcript.revival), revival.graft_onto
    if isinstance(plan, RevivalPlan):
        if onto is not None:
            raise ValueError("the key does not graft, it trains: leave out --graft-onto")
        change = partial(revive, plan=plan)
    elif onto is None:
        raise ValueError("the key grafts: give the weights before they were marked with --graft-onto")
    elif architecture is not None:
        raise ValueError("a graft is of weights whose file names their architecture: leave out --model")
    else:
        change = partial(revive_by_graft, original=load_weights(onto), plan=plan, seed=key.seed(CODE))
    model = load_weights(Path(suspect), architecture=architecture, trust_code=trust_code)
    data = read_data(revival.data, root, output)
    with output.progress("reviving") as on_progress:
        return change(model, split=data.train, class_names=data.class_names, on_step=on_progress)


def revived_suspect(
    model: "LoadedModel", path: Path, picked: "Preprocessing | None", architecture: str | None
) -> "Suspect":
    """Return the suspect that a revived model is; code that was its architecture is named with it."""
    from earmark.suspects.torch import TorchSuspect, identity_in_code

    identity = None if architecture is None else identity_in_code(model.digest, architecture)
    name = f"weights {path.name}, revived as the key committed it"
    return TorchSuspect(model, name, picked, identity=identity)


def check_revival(suspect: str, rule: str, owner_layer: Path | None, revival: Revival) -> None:
    """Raise ValueError for what does not go with a revival, before anything is trained."""
    if revival.data is None:
        if revival.graft_onto is not None:
            raise ValueError("--graft-onto goes with --revive, which names the committed data")
        return
    if not suspect.endswith(".safetensors"):
        raise ValueError("--revive is for weights: a suspect that ends in .safetensors")
    if rule != "exact" or owner_layer is not None:
        raise ValueError("--revive goes with the exact rule and the suspect's own last layer")
