"""The command ``earmark publish``."""

from pathlib import Path
from typing import Annotated

import typer

from earmark.cli import authorities, stampable
from earmark.cli.output import AsJson, Output, Quiet, hint


def publish(
    file: Annotated[Path, typer.Argument(help="Public key file, or a release record.")],
    tsa: authorities.Authorities,
    tsa_root: authorities.Roots = [],  # noqa: B006 - typer makes a new list
    timeout: authorities.Seconds = authorities.DEFAULT_SECONDS,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Have a public key stamped with the time, before the model is released.

    The stamps are added to the file; the key itself stays the same. Exit code 0 if at least one authority
    gave a stamp, 4 if none did.

    Example: earmark publish acme.vk.json --tsa http://timestamp.example --tsa-root root.pem
    """
    output = Output(quiet, as_json)
    authorities.check_asked(tsa, timeout)
    roots = authorities.read_roots(tsa_root)
    outcomes, count = stampable.stamp(file, tsa, roots, timeout, output)
    if not roots.anchors and not quiet:
        hint("no root was given, so none was checked; whoever relies on a stamp needs its authority's root")
    stamps = [item for item in outcomes if isinstance(item, authorities.Stamped)]
    output.result(
        "\n".join(
            (
                f"{file}: {len(stamps)} of {len(tsa)} stamps added, {count} in all",
                *authorities.in_words(outcomes),
            )
        ),
        {"file": str(file), "timestamps": count, **authorities.as_json(outcomes)},
    )
