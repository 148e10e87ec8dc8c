"""The command ``earmark ask``."""

from pathlib import Path
from typing import Annotated

import typer

from earmark.cli import keys
from earmark.cli.output import AsJson, Output, Quiet
from earmark.cli.passphrase import PassphraseFile

_README = """Questions to a suspect
======================

{count} questions, to be asked in the order of their numbers. Put each to the suspect once: the first answer
counts.
Write the answer beside the question's name in answers.csv: the class's name, as the suspect gives it, or
REFUSED where it gives none. Change nothing else. Then:

    earmark verify --key {key} {folder}/answers.csv --asked-by "YOUR NAME"

Classes of the key: {classes}
"""


def ask(
    key: keys.KeyPath,
    out: Annotated[Path, typer.Option("-o", "--output", help="New folder for the questions.")],
    which: Annotated[
        str, typer.Option("--set", help="'auto' for the next unexposed set, or STRATUM:NUMBER.")
    ] = "auto",
    to: Annotated[str, typer.Option(help="Who is questioned, for the journal.")] = "unnamed suspect",
    journal: Annotated[Path | None, typer.Option(help="Journal; default beside the key.")] = None,
    passphrase_file: PassphraseFile = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write one set's questions as numbered files, for an interrogation by hand.

    The set is journalled as exposed first: whoever is asked may keep the questions and unlearn them.

    Example: earmark ask --key acme.key --set auto -o questions/
    """
    from earmark.files import new_folder
    from earmark.formats import answers_v1
    from earmark.keys import SetId

    output = Output(quiet, as_json)
    marking_key = keys.read_key(key, passphrase_file)
    opened = keys.open_journal(key, journal, marking_key)
    if which == "auto":
        set_id = opened.next_set(marking_key.verification_key.set_ids)
    else:
        stratum, _, number = which.partition(":")
        if not (stratum.isdigit() and number.isdigit()):
            raise ValueError(f"--set is 'auto' or STRATUM:NUMBER, e.g. 0:1, not {which!r}")
        set_id = SetId(int(stratum), int(number))
        if set_id not in marking_key.verification_key.set_ids:
            raise ValueError(f"the key has no set {which}")
    root = marking_key.transcript.root
    questions_id = answers_v1.questions_id(root, set_id)
    order = marking_key.verification_key.order(set_id)
    with new_folder(out) as folder, output.progress("writing questions") as on_progress:
        # Journalled before the first file is written: a crash may waste a set, never expose one silently.
        opened.expose(set_id, to, questions_id, marking_key.verification_key.set_ids)
        names = answers_v1.question_names(questions_id, len(order))
        for done, (name, place) in enumerate(zip(names, order, strict=True), 1):
            exhibit = marking_key.triggers[set_id][place].show(marking_key.transcript.task.geometry)
            (folder / f"{name}{exhibit.suffix}").write_bytes(exhibit.data)
            on_progress(done, len(order))
        (folder / "answers.csv").write_bytes(answers_v1.template(names))
        classes = ", ".join(marking_key.transcript.task.class_names[:100])
        readme = _README.format(count=len(order), key=key, folder=out, classes=classes)
        (folder / "README.txt").write_text(readme, encoding="utf-8")
    output.result(
        f"{out}: {len(order)} questions and answers.csv; "
        f"set {set_id.stratum}:{set_id.number} is now exposed\n"
        f"Fill answers.csv, then: earmark verify --key {key} {out}/answers.csv --asked-by NAME",
        {"folder": str(out), "questions": len(order), "set": list(set_id), "questions_id": questions_id},
    )
