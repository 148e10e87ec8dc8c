"""A study from its file to its results: prepared, planned, run, kept."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from earmark.errors import EarmarkError, FormatError
from earmark.evaluation.cells import Cell, Facts, ModelFacts, plan
from earmark.evaluation.code import study_code
from earmark.evaluation.engine import Done, Engine, Event, Failed
from earmark.evaluation.judging import question_count
from earmark.evaluation.run_cell import Setup, read_key
from earmark.evaluation.store import FAILED, Record, Store
from earmark.evaluation.study import Step, Study, StudyModel
from earmark.evaluation.thief import read_study_data
from earmark.files import shown
from earmark.keys import MarkingKey
from earmark.models.weights import file_digest, read_description

STORE_NAME = "cells.sqlite"


@dataclass(frozen=True)
class Prepared:
    """A study whose files were looked at.

    Attributes:
        study: The study.
        facts: What its files are.
        cells: The plan.
        passphrases: Of the models' keys, by name.
        code: A digest of the code of every step.
    """

    study: Study
    facts: Facts
    cells: tuple[Cell, ...]
    passphrases: Mapping[str, str]
    code: Mapping[Step, str]

    def __repr__(self) -> str:
        return f"Prepared({self.study.name!r}, {len(self.cells)} cells)"


def prepare(
    study: Study,
    passphrases: Mapping[str, str],
    data_root: Path,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Prepared:
    """Look at every file of a study before anything is run.

    Args:
        study: The study.
        passphrases: Of the models' keys, by name.
        data_root: Where ``torchvision:`` data lies.
        on_progress: Called with pictures read and in all.

    Returns:
        The study with its plan.

    Raises:
        FormatError: A file is missing or malformed.
        InvalidKeyError: A key contradicts itself.
        ValueError: Key, model and data do not have the same classes; a key has no stratum of the name given;
            the study asks for more pictures than there are; or two cells are the same.
    """
    models = {}
    for model in study.models:
        for path in (model.weights, *(() if model.unmarked is None else (model.unmarked,))):
            if ".py:" in read_description(path).architecture:
                raise FormatError(f"{path.name} names code as its architecture; a study does not run it")
        key = read_key(model, passphrases[model.name])
        if key.chosen_labels is not None:
            raise ValueError(
                f"the labels of {model.key.name} were chosen; only keys with derived labels are judged"
            )
        models[model.name] = (
            ModelFacts(
                file_digest(model.weights),
                None if model.unmarked is None else file_digest(model.unmarked),
                key.transcript.root.hex(),
                _question_count(model, key),
            ),
            key.transcript.task.class_names,
        )
    data = read_study_data(study.data, study.other_pictures, study.other_task, data_root, on_progress)
    for model in study.models:
        named = (models[model.name][1], read_description(model.weights).class_names)
        if any(set(names) != set(data.task.class_names) for names in named):
            raise ValueError(f"{model.name}: key, model and data do not have the same classes")
    facts = Facts({name: found for name, (found, _) in models.items()}, data.digest(), len(data.task.train))
    code = study_code(study)
    return Prepared(study, facts, plan(study, facts, code), passphrases, code)


def _question_count(model: StudyModel, key: MarkingKey) -> int:
    try:
        return question_count(key, model.stratum)
    except ValueError as error:
        raise ValueError(f"{model.name}: {error}") from error


@contextmanager
def open_results(folder: Path, *, resume: bool) -> Iterator[Store]:
    """Open a study's folder for one driver.

    Args:
        folder: Made if it is not there.
        resume: Allow results that are there already.

    Yields:
        The results.

    Raises:
        EarmarkError: There are results and ``resume`` is not given, or another driver is at work.
    """
    path = folder / STORE_NAME
    if path.exists() and not resume:
        raise EarmarkError(
            f"{shown(path)} holds results; go on with --resume, or choose another folder with -o"
        )
    try:
        for part in (folder, folder / "logs", folder / "references", folder / "attacked"):
            part.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EarmarkError(f"{shown(folder)} cannot be written: {error.strerror}") from error
    lock = FileLock(folder / "cells.lock", timeout=0)
    try:
        # The system releases it with the process, however that ends.
        with lock, Store(path) as store:
            yield store
    except Timeout as error:
        raise EarmarkError(f"another earmark evaluate is at work in {shown(folder)}") from error


def left_over(prepared: Prepared, store: Store, *, retry_failed: bool = False) -> tuple[Cell, ...]:
    """Return the cells that are still to be run.

    Args:
        prepared: The study.
        store: Its results.
        retry_failed: Whether those that failed are to be run again.
    """
    ended = store.records(prepared.cells)
    return tuple(
        cell
        for cell in prepared.cells
        if cell.id not in ended or (retry_failed and ended[cell.id].state == FAILED)
    )


def run(
    prepared: Prepared,
    cells: tuple[Cell, ...],
    store: Store,
    engine: Engine,
    *,
    folder: Path,
    data_root: Path,
    threads: int,
    on_event: Callable[[Event], None] = lambda event: None,
) -> dict[str, Record]:
    """Run cells and keep what comes of them.

    Args:
        prepared: The study.
        cells: Those that are still to be run.
        store: Where results go, one by one.
        engine: Runs them.
        folder: Of the results.
        data_root: Where ``torchvision:`` data lies.
        threads: Of each worker.
        on_event: Called with everything that happens.

    Returns:
        What became of every cell of the plan, by id.

    Raises:
        EarmarkError: No worker can be started, or there is no room for results.
    """
    setup = Setup(
        prepared.study,
        folder.resolve(),
        data_root.resolve(),
        prepared.passphrases,
        prepared.facts.data,
        threads,
        prepared.code,
    )
    events = engine.run(setup, cells)
    try:
        for event in events:
            if isinstance(event, Done):
                store.record_done(event.cell, event.result)
            elif isinstance(event, Failed):
                store.record_failed(event.cell, event.message, event.log)
            on_event(event)
    finally:
        events.close()  # type: ignore[attr-defined]  # a generator: its workers end with it
    return store.records(prepared.cells)
