"""The application: its commands, and what errors become."""

import os
import sys

import typer

from earmark.cli import (
    ask,
    attack,
    check,
    claim,
    compare,
    demo,
    evaluate,
    inspect,
    keygen,
    mark,
    output,
    owner,
    prove,
    publish,
    release,
    train,
    verify,
)
from earmark.errors import (
    ClaimError,
    EarmarkError,
    FormatError,
    InvalidKeyError,
    JournalError,
    MarkingError,
    MissingExtraError,
    ProofError,
    SimilarTriggersError,
    SuspectError,
    TimestampError,
    TriggerSetTooSmallError,
    VerificationError,
)

OWNED, NOT_SHOWN, USAGE, MALFORMED, UNREACHABLE, INTERNAL = 0, 1, 2, 3, 4, 70
_INTERRUPTED = 130

_EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (SuspectError, UNREACHABLE),
    (TimestampError, UNREACHABLE),
    (FormatError, MALFORMED),
    (InvalidKeyError, MALFORMED),
    (JournalError, MALFORMED),
    (VerificationError, NOT_SHOWN),
    (ClaimError, NOT_SHOWN),
    (ProofError, NOT_SHOWN),
    (MarkingError, NOT_SHOWN),
    (MissingExtraError, USAGE),
    (TriggerSetTooSmallError, USAGE),
    (SimilarTriggersError, USAGE),
    (EarmarkError, USAGE),
    (ValueError, USAGE),
    (TypeError, USAGE),
)

app = typer.Typer(
    name="earmark",
    help=(
        "Mark a classifier as yours, and prove it later.\n\n"
        "keygen → publish → mark → release → verify. Start with: earmark demo"
    ),
    epilog="Exit codes: 0 owned, 1 not shown, 2 usage, 3 malformed input, 4 unreachable, 70 internal.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from earmark import __version__

        print(f"earmark {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


app.command("demo")(demo.demo)
app.add_typer(owner.app, name="owner")
app.command("keygen")(keygen.keygen)
app.command("train")(train.train)
app.command("mark")(mark.mark)
app.command("publish")(publish.publish)
app.command("release")(release.release)
app.command("verify")(verify.verify)
app.command("prove")(prove.prove)
app.command("claim")(claim.claim)
app.command("check")(check.check)
app.command("compare")(compare.compare)
app.command("ask")(ask.ask)
app.command("inspect")(inspect.inspect)
app.command("attack")(attack.attack)
app.command("evaluate")(evaluate.evaluate)


def exit_code(error: BaseException) -> int:
    """Return the exit code that an error becomes."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), INTERNAL)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with one of the documented codes."""
    try:
        app(arguments)  # exits by itself: 0, a command's own code, or 2 with the usage
        code = 0
    except KeyboardInterrupt:
        output.error("interrupted; nothing half-written was left")
        code = _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        code = NOT_SHOWN
    except Exception as error:
        if os.environ.get("EARMARK_DEBUG"):
            raise
        code = exit_code(error)
        if code == INTERNAL:
            output.error(f"internal error: {type(error).__name__}: {error}")
            output.hint("this is a fault of Earmark; EARMARK_DEBUG=1 shows where it happened")
        else:
            output.error(str(error))
    sys.exit(code)
