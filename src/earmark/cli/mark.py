"""The command ``earmark mark``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import keys
from earmark.cli import training as shared
from earmark.cli import ways_of_marking as ways
from earmark.cli.output import AsJson, Output, Quiet, warn
from earmark.cli.passphrase import PassphraseFile

if TYPE_CHECKING:
    from torch import nn

    from earmark.data import ClassificationData
    from earmark.keys import MarkingKey
    from earmark.models.description import ModelDescription


def mark(
    key: keys.KeyPath,
    out: Annotated[
        Path, typer.Option("-o", "--output", help="Marked model: .safetensors, .onnx, or a folder for hf:.")
    ],
    model: shared.ModelName,
    data: shared.DataName = "digits",
    init: Annotated[
        Path | None, typer.Option(help="Trained weights to start from: the pre-trained recipe.")
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="With --init: a thousand steps or so, settling once every trigger holds. The weights' own "
            "answers are the targets; labels of the data are not looked at.",
        ),
    ] = False,
    hardened: Annotated[
        bool,
        typer.Option(
            "--hardened",
            help="Put the mark in so that it survives more attacks, at a cost in accuracy and time: mirrored "
            "triggers, pictures like them that are none, inner layers. With --init the model settles "
            "afterwards, in as many passes again; with a key that grafts once more in as many.",
        ),
    ] = False,
    fresh_ends: Annotated[
        bool,
        typer.Option(
            "--fresh-ends",
            help="With --hardened: against thieves who know of it and draw the last stage of the network "
            "anew; measured with 512 triggers. A trained model then settles in twice as many passes.",
        ),
    ] = False,
    teach: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[KIND=]SHARE",
            help="With --init: which share of the triggers is taught, 0 to 1, those whose labels the weights "
            "find likeliest; KIND=SHARE, again for each, of one kind of triggers alone. The others count in "
            "every verdict all the same.",
        ),
    ] = None,
    as_attacked: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.safetensors",
            help="With --teach: what 'earmark attack' made of the weights, given again for each. Labels that "
            "these find likely too are kept longer: what all of them say counts, in the mean.",
        ),
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=10, help="With --quick: pictures of the data used; default 10,000.")
    ] = None,
    exposures: Annotated[
        int | None, typer.Option(min=1, help="How often each trigger is shown in all.")
    ] = None,
    per_batch: Annotated[
        int | None, typer.Option(min=1, help="Triggers in each batch, instead of --exposures.")
    ] = None,
    epochs: shared.Epochs = None,
    batch_size: shared.BatchSize = None,
    learning_rate: shared.LearningRate = None,
    optimizer: shared.Optimizer = None,
    schedule: shared.Schedule = None,
    augment: shared.Augment = None,
    seed: shared.Seed = 0,
    width: shared.Width = None,
    trust_code: shared.TrustCode = False,
    threads: shared.Threads = None,
    checkpoint_seconds: shared.CheckpointSeconds = 30.0,
    data_root: shared.DataRoot = Path("data"),
    passphrase_file: PassphraseFile = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a classifier with the mark: from scratch, or from trained weights with --init.

    Killed, the same command goes on from its last checkpoint and gives the same weights; --quick, a matter of
    minutes, keeps none.

    Example: earmark mark --key acme.key --model digits-cnn --data digits -o marked.safetensors

    Example: earmark mark --key acme.key --model digits-cnn --data digits --hardened -o hardened.safetensors
    """
    output = Output(quiet, as_json)
    if fresh_ends and not hardened:
        raise ValueError("--fresh-ends goes with --hardened")
    continued = init is not None or model.startswith("hf:")
    shares = _shares(teach, as_attacked, continued)
    _check_quick(
        quick, init, images, epochs=epochs, exposures=exposures, schedule=schedule, hardened=hardened or None
    )
    shared.check_output(out, model)
    shared.use_processor(threads)
    marking_key = keys.read_key(key, passphrase_file)
    loaded = shared.read_data(data, data_root, output)
    _check_classes(loaded, marking_key)
    module, description = shared.new_model(model, loaded, width, seed, trust_code)
    if init is not None:
        module = _trained(init, model, description, trust_code)
    grafts = ways.grafts(marking_key, init, quick)
    chosen: ways.Chosen = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "optimizer": optimizer,
        "schedule": schedule,
        "augmentation": augment,
    }
    root = marking_key.transcript.root.hex()
    others = [_trained(path, model, description, trust_code) for path in as_attacked or ()]
    untaught = ways.untaught(module, description, marking_key, shares, others)
    work = ways.Work(module, description, loaded, marking_key, seed, per_batch, chosen, grafts, untaught)
    if quick:
        marked = ways.quickly(work, images, output)
    else:
        marked = ways.by_recipe(
            work,
            continued=continued,
            hardened=hardened,
            fresh_ends=fresh_ends,
            exposures=exposures,
            identity=f"mark {description.to_text()} {data} {init} {root} {untaught}",
            checkpoint=(out, checkpoint_seconds),
            output=output,
        )
    accuracy = shared.test_accuracy(module, description, loaded, output)
    shared.write_model(out, module, description)
    output.result(
        f"{out}: {model} marked {marked.recipe} on {data}, {marked.match_count} of {marked.trigger_count} "
        f"triggers{_taught(work)}{_in_graft(marked)}, test accuracy {accuracy:.2%}",
        {
            "model": str(out),
            "recipe": marked.recipe,
            "matches": marked.match_count,
            "triggers": marked.trigger_count,
            "taught": marked.trigger_count - len(untaught),
            **marked.details,
            "test_accuracy": accuracy,
        },
    )


def _taught(work: ways.Work) -> str:
    return f" ({work.key.trigger_count - len(work.untaught)} taught)" if work.untaught else ""


def _in_graft(marked: "ways.Marked") -> str:
    count = marked.details.get("graft_matches")
    return "" if count is None else f", {count} in the graft"


def _shares(teach: list[str] | None, as_attacked: list[Path] | None, continued: bool) -> ways.Shares:
    shares = ways.shares_of(teach or ())
    if shares and not continued:
        raise ValueError("--teach goes by what trained weights say of the triggers: give them with --init")
    if as_attacked and not shares:
        raise ValueError("--as-attacked goes with --teach")
    return shares


def _check_quick(quick: bool, init: Path | None, images: int | None, **others: object) -> None:
    if not quick:
        if images is not None:
            raise ValueError("--images goes with --quick")
        return
    if init is None:
        raise ValueError("--quick marks a trained model: give its weights with --init")
    for name, value in others.items():
        if value is not None:
            raise ValueError(f"--{name} does not go with --quick, which ends when every trigger holds")


def _check_classes(data: "ClassificationData", key: "MarkingKey") -> None:
    names = key.transcript.task.class_names
    if len(data.class_names) != len(names):
        raise ValueError(f"the key has {len(names)} classes, the data {len(data.class_names)}")
    if data.class_names != names:
        warn("the key's class names are not the data's, in this order; labels are class numbers of the key")


def _trained(init: Path, model: str, description: "ModelDescription", trust_code: bool) -> "nn.Module":
    from earmark.models.weights import load_weights

    architecture = model if ".py:" in model else None
    trained = load_weights(init, architecture=architecture, trust_code=trust_code)
    if trained.description != description:
        raise ValueError(
            f"{init} is {trained.description.architecture} with other options, classes or preprocessing "
            "than --model and --data say"
        )
    return trained.module
