"""The command ``earmark owner new``."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from earmark.cli import keys
from earmark.cli.output import AsJson, Output, Quiet
from earmark.cli.passphrase import OWNER_VARIABLE, VARIABLE, OwnerPassphraseFile, passphrase

app = typer.Typer(help="The owner's signing key.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _owner() -> None:
    pass


@app.command("new", epilog='Example: earmark owner new --name "Acme Research" -o owner.key')
def new(
    out: Annotated[Path, typer.Option("-o", "--output", help="File to write, e.g. owner.key.")],
    name: Annotated[str, typer.Option(help="The owner's name, as it stands in keys.")] = "",
    owner_passphrase_file: OwnerPassphraseFile = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Make the signing key of an owner: once, and kept apart from marking keys."""
    from earmark.keys import OwnerKey

    keys.refuse_existing(out)
    secret = passphrase(out.name, owner_passphrase_file, (OWNER_VARIABLE, VARIABLE), new=True)
    owner = OwnerKey.generate(name or getpass.getuser())
    keys.write_owner(out, owner, secret)
    fingerprint = owner.owner.public_key.hex()
    Output(quiet, as_json).result(
        f"{out}: signing key of {owner.name}, public key {fingerprint}\n"
        "Keep it apart from marking keys, with a copy: whoever has it can sign keys in this name.",
        {"owner_key": str(out), "name": owner.name, "public_key": fingerprint},
    )
