"""The command ``earmark mark``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import keys
from earmark.cli import training as shared
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

    Killed, the same command goes on from its last checkpoint and gives the same weights.

    Example: earmark mark --key acme.key --model digits-cnn --data digits -o marked.safetensors
    """
    from dataclasses import replace

    from earmark.marking.recipes import FROM_SCRATCH, PRE_TRAINED, pre_trained_settings
    from earmark.marking.recipes import mark as run

    output = Output(quiet, as_json)
    shared.check_output(out, model)
    shared.use_processor(threads)
    marking_key = keys.read_key(key, passphrase_file)
    loaded = shared.read_data(data, data_root, output)
    _check_classes(loaded, marking_key)
    settings = shared.settings_for(
        loaded,
        seed,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        schedule=schedule,
        augmentation=augment,
    )
    recipe = replace(FROM_SCRATCH, settings=settings)
    if init is not None or model.startswith("hf:"):
        continued = pre_trained_settings(settings, epochs=epochs, learning_rate=learning_rate)
        recipe = replace(PRE_TRAINED, settings=continued)
    recipe = replace(recipe, per_batch=per_batch, exposures=exposures or recipe.exposures)
    module, description = shared.new_model(model, loaded, width, seed, trust_code)
    if init is not None:
        module = _trained(init, model, description, trust_code)
    identity = f"mark {description.to_text()} {data} {init} {marking_key.transcript.root.hex()} {recipe}"
    with output.progress("marking") as on_progress:
        marking = run(
            module,
            loaded.train,
            description.preprocessing,
            marking_key.backdoor(),
            recipe,
            checkpoint=shared.checkpoint_for(out, identity, checkpoint_seconds, output),
            on_step=on_progress,
        )
    accuracy = shared.test_accuracy(module, description, loaded, output)
    shared.write_model(out, module, description)
    output.result(
        f"{out}: {model} marked {recipe.name} on {data}, {marking.match_count} of {marking.trigger_count} "
        f"triggers, test accuracy {accuracy:.2%}",
        {
            "model": str(out),
            "recipe": recipe.name,
            "matches": marking.match_count,
            "triggers": marking.trigger_count,
            "triggers_per_batch": marking.per_batch,
            "test_accuracy": accuracy,
        },
    )


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
