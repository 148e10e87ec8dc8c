"""The command ``earmark train``."""

from pathlib import Path
from typing import Annotated

import typer

from earmark.cli import training as shared
from earmark.cli.output import AsJson, Output, Quiet


def train(
    out: Annotated[Path, typer.Option("-o", "--output", help="Model to write: .safetensors or .onnx.")],
    model: shared.ModelName,
    data: shared.DataName = "digits",
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
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a classifier without a mark.

    Killed, the same command goes on from its last checkpoint and gives the same weights.

    Example: earmark train --model digits-cnn --data digits -o clean.safetensors
    """
    from earmark.training import SplitBatches
    from earmark.training import train as run

    output = Output(quiet, as_json)
    shared.check_output(out, model)
    shared.use_processor(threads)
    loaded = shared.read_data(data, data_root, output)
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
    module, description = shared.new_model(model, loaded, width, seed, trust_code)
    checkpoint = shared.checkpoint_for(
        out, f"train {description.to_text()} {data}", checkpoint_seconds, output
    )
    with output.progress("training") as on_progress:
        run(
            module,
            SplitBatches(loaded.train, description.preprocessing, settings),
            settings,
            checkpoint=checkpoint,
            on_step=on_progress,
        )
    accuracy = shared.test_accuracy(module, description, loaded, output)
    shared.write_model(out, module, description)
    output.result(
        f"{out}: {model} trained on {data}, test accuracy {accuracy:.2%}",
        {"model": str(out), "test_accuracy": accuracy},
    )
