"""The command ``earmark release``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import authorities, keys, stampable
from earmark.cli.output import AsJson, Output, Quiet, warn
from earmark.cli.passphrase import OwnerPassphraseFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from earmark.claims.certificates import TrustedRoots
    from earmark.claims.release_record import ReleasedModel, ReleaseRecord
    from earmark.keys import OwnerKey, VerificationKey


def release(
    model: Annotated[str, typer.Argument(help="What is released, as for verify: a file, or hf:FOLDER.")],
    vk: Annotated[Path, typer.Option("--vk", help="Public key file, e.g. acme.vk.json.")],
    owner_key: keys.OwnerKeyPath = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Record to write; default MODEL.release.json beside the model."),
    ] = None,
    tsa: authorities.Authorities = [],  # noqa: B006 - typer makes a new list
    tsa_root: authorities.Roots = [],  # noqa: B006 - as above
    timeout: authorities.Seconds = authorities.DEFAULT_SECONDS,
    in_toto: Annotated[
        Path | None,
        typer.Option("--in-toto", help="Also write the statement of OpenSSF model signing, with the record."),
    ] = None,
    owner_passphrase_file: OwnerPassphraseFile = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Sign which model is released under which key, and have that stamped with the time.

    The record is written before any authority is asked. Exit code 4 if authorities were named and none gave
    a stamp: the record is there without stamps, and "earmark publish" can stamp it later.

    Example: earmark release marked.safetensors --vk acme.vk.json
    """
    from earmark.errors import TimestampError
    from earmark.files import write_new
    from earmark.formats import release_record_v1

    output = Output(quiet, as_json)
    out = out or _beside(model)
    keys.refuse_existing(out, *([in_toto] if in_toto else []))
    authorities.check_asked(tsa, timeout)
    roots = authorities.read_roots(tsa_root)
    key = keys.read_verification_key(vk)
    released, files = _read_model(model, output, for_model_signing=in_toto is not None)
    record = _sign(
        key, released, roots, keys.read_owner(owner_key or keys.owner_path(vk), owner_passphrase_file)
    )
    if not record.release.key_stamps and not quiet:
        warn(f"{vk} carries no stamp, so no order can be shown; next time: earmark publish {vk} --tsa URL")
    write_new(out, release_record_v1.write(record))
    outcomes: list[authorities.Stamped | authorities.Failed] = []
    refused = None
    if tsa:
        try:
            outcomes, _ = stampable.stamp(out, tsa, roots, timeout, output)
        except TimestampError as error:
            refused = error
    record = _read_record(out)
    if in_toto:
        _write_in_toto(in_toto, record, files)
    if refused is not None:
        raise refused
    _say(output, out, (record, key, roots), outcomes)


def _beside(model: str) -> Path:
    """Return marked.release.json for marked.safetensors, and folder.release.json for hf:folder."""
    path = Path(model.removeprefix("hf:").removeprefix("xgboost:"))
    path = path if path.name else path.absolute()
    return path.with_name(f"{path.name if model.startswith('hf:') else path.stem}.release.json")


def _read_model(
    name: str, output: Output, *, for_model_signing: bool
) -> "tuple[ReleasedModel, Mapping[str, bytes]]":
    from earmark.cli.released_model import read_model

    with output.progress("reading the model") as on_progress:
        return read_model(name, on_progress, for_model_signing=for_model_signing)


def _sign(
    key: "VerificationKey", released: "ReleasedModel", roots: "TrustedRoots", owner: "OwnerKey"
) -> "ReleaseRecord":
    from earmark.claims.key_stamps import check_key_stamps
    from earmark.claims.release_record import sign_release
    from earmark.claims.timestamps import TimestampEvidence

    stamps = [
        stamp for stamp in check_key_stamps(key, roots, keys.now()) if isinstance(stamp, TimestampEvidence)
    ]
    return sign_release(key, released, stamps, owner)


def _read_record(path: Path) -> "ReleaseRecord":
    from earmark.files import read_bounded
    from earmark.formats import release_record_v1

    return release_record_v1.read(read_bounded(path, release_record_v1.SIZE_LIMIT_BYTES, "release record"))


def _write_in_toto(path: Path, record: "ReleaseRecord", files: "Mapping[str, bytes]") -> None:
    from earmark.files import write_new
    from earmark.formats import in_toto

    write_new(path, in_toto.write(record, files))


def _say(
    output: Output,
    path: Path,
    checked: "tuple[ReleaseRecord, VerificationKey, TrustedRoots]",
    outcomes: list[authorities.Stamped | authorities.Failed],
) -> None:
    from earmark.claims.release_record import check_release

    findings = check_release(*checked, keys.now())
    output.result(
        "\n".join(
            (
                f"{path}: {findings.model.name} ({findings.model.identity}) under the key of "
                f"{checked[1].transcript.owner.name!a}",
                *authorities.in_words(outcomes),
                f"order: {findings.order.reason}",
            )
        ),
        {"record": str(path), **findings.to_json(), **authorities.as_json(outcomes)},
    )
