"""Services as suspects, for the commands: on which terms they are asked, and what is said about it."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli.clean_data import read_clean
from earmark.cli.output import Output

if TYPE_CHECKING:
    from earmark.keys import MarkingKey
    from earmark.suspects import Suspect
    from earmark.suspects.http.mapping import ApiMapping
    from earmark.suspects.http.terms import Terms
    from earmark.verification import Measurement

_ENDINGS = (".toml", ".json")
_FILE_PREFIXES = ("hf:", "xgboost:")
_SCHEMES = ("https://", "http://")
_SHARE = 0.5
_ORDINARY_LIMIT = 2000

QuestionsPerSecond = Annotated[
    str | None, typer.Option(help="Services: the most requests per second, e.g. 0.5.")
]
BudgetQueries = Annotated[
    int | None, typer.Option(min=1, help="Services: the most requests, those of earlier runs included.")
]
PricePerQuery = Annotated[str | None, typer.Option(help="Services: what a request costs, e.g. 0.0015.")]
BudgetMoney = Annotated[str | None, typer.Option(help="Services: what all requests may cost, e.g. 2.50.")]
MixWith = Annotated[
    str | None,
    typer.Option(help="Services: ordinary inputs to put between the questions. As for 'earmark train'."),
]
MixShare = Annotated[
    float | None, typer.Option(help="Services: what share of all requests is ordinary; 0.5 with --mix-with.")
]
Connections = Annotated[
    int,
    typer.Option(
        min=1, max=64, help="Services: requests under way at once; so many are journalled, and all count."
    ),
]
PlainHttp = Annotated[bool, typer.Option("--plain-http", help="Services: allow http:// beyond this machine.")]
BearerFrom = Annotated[
    str | None,
    typer.Option(help="Services named by their address: the environment variable that holds a token."),
]


@dataclass(frozen=True)
class ServiceOptions:
    """What the command line says about a service; decimal numbers are texts, so that they are exact."""

    questions_per_second: str | None = None
    budget_queries: int | None = None
    price_per_query: str | None = None
    budget_money: str | None = None
    mix_with: str | None = None
    mix_share: float | None = None
    connections: int = 1
    plain_http: bool = False
    bearer_from: str | None = None

    def query_limit(self) -> int | None:
        """Return the most requests that both budgets allow, or None."""
        if (self.price_per_query is None) != (self.budget_money is None):
            raise ValueError("--price-per-query and --budget-money go together")
        limits = [] if self.budget_queries is None else [self.budget_queries]
        if self.price_per_query is not None and self.budget_money is not None:
            price = _positive(self.price_per_query, "--price-per-query")
            limits.append(int(_positive(self.budget_money, "--budget-money") / price))
        return min(limits, default=None)


PLAIN = ServiceOptions()
_DECLARED: dict[str, Any] = {
    "questions_per_second": QuestionsPerSecond,
    "budget_queries": BudgetQueries,
    "price_per_query": PricePerQuery,
    "budget_money": BudgetMoney,
    "mix_with": MixWith,
    "mix_share": MixShare,
    "connections": Connections,
    "plain_http": PlainHttp,
    "bearer_from": BearerFrom,
}


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all options for services, where it has one parameter ``service``.

    Args:
        command: With a keyword parameter ``service`` of type ``ServiceOptions``.

    Returns:
        The command as typer reads it: in place of that parameter stands one for each option.
    """

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        chosen = ServiceOptions(**{name: given.pop(name) for name in _DECLARED})
        command(**given, service=chosen)

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name == "service":
            parameters += [
                inspect.Parameter(name, kind, default=getattr(PLAIN, name), annotation=declared)
                for name, declared in _DECLARED.items()
            ]
        else:
            parameters.append(parameter.replace(kind=kind))
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # as PEP 362 allows
    wrapped.__annotations__ = {item.name: item.annotation for item in parameters}
    return wrapped


def is_service(name: str) -> bool:
    """Return whether a suspect's name is that of a service or of its mapping."""
    if name.startswith(_FILE_PREFIXES):
        return False
    return name.lower().startswith(_SCHEMES) or Path(name).suffix.lower() in _ENDINGS


def place_of(name: str) -> Path | None:
    """Return the file or folder that a suspect's name names; None for an address."""
    if "://" in name:
        return None
    for prefix in _FILE_PREFIXES:
        if name.startswith(prefix):
            return Path(name.removeprefix(prefix))
    return Path(name)


def is_mapping(file: Path) -> bool:
    """Return whether a file is a mapping of a service: by its ending, JSON by its content."""
    from earmark.files import read_bounded
    from earmark.suspects.http.mapping import FORMAT, SIZE_LIMIT_BYTES

    if file.suffix.lower() != ".json":
        return file.suffix.lower() == ".toml"
    is_small = file.is_file() and file.stat().st_size <= SIZE_LIMIT_BYTES
    return is_small and FORMAT.rpartition("/")[0].encode() in read_bounded(file, SIZE_LIMIT_BYTES, "file")


def mapping_facts(file: Path) -> list[tuple[str, str]]:
    """Return what a mapping says, for people; nothing is asked."""
    from earmark.suspects.http.mapping import FORMAT

    mapping = _mapping(file)
    answer, form = mapping.answer, mapping.request
    classes = f"{len(answer.classes)} by name" if answer.classes else f"{answer.class_count} in its own order"
    paths = ", ".join(f"{name} at {path}" for name, path in answer.paths.items())
    facts = [
        ("file", f"mapping of a service ({FORMAT})"),
        ("sha256", mapping.digest),
        ("service", f"{mapping.method} {mapping.url}"),
        (form.kind, f"{form.form} in {form.body}"),
        ("constants", ", ".join(map(repr, form.constants)) or "none"),
        ("credentials", ", ".join(mapping.credential_names) or "none"),
        ("answer", paths),
        ("classes", classes if answer.classes or answer.class_count else "the key's"),
    ]
    return [(name, text if text.isprintable() else ascii(text)) for name, text in facts]


def _mapping(file: Path) -> "ApiMapping":
    from earmark.suspects.http.credentials import Credentials
    from earmark.suspects.http.mapping import load_mapping

    return load_mapping(file, check_name=Credentials(lambda _: None).check_name)


def record_path(journal: Path) -> Path:
    """Return where the record lies that belongs to a journal: beside it."""
    return journal.with_name(f"{journal.name.removesuffix('.journal')}.api-record")


@contextmanager
def terms_for(
    name: str, options: ServiceOptions, key: "MarkingKey", journal: Path, data_root: Path, output: Output
) -> "Iterator[Terms | None]":
    """Yield the terms on which a service is asked, with its record open; None for other suspects."""
    if not is_service(name):
        if options != ServiceOptions():
            raise ValueError(
                "options for services go with https://HOST/PATH or a mapping, FILE.toml or FILE.json"
            )
        yield None
        return
    from earmark.cli import keys
    from earmark.formats.api_record_v1 import ApiRecord
    from earmark.formats.journal_v1 import Journal
    from earmark.suspects.http.terms import Terms

    if Path(name).suffix.lower() in _ENDINGS and not name.lower().startswith(_SCHEMES):
        _mapping(Path(name))  # before a record is begun for what is no service
    share = options.mix_share if options.mix_share is not None else _SHARE * (options.mix_with is not None)
    if share and options.mix_with is None:
        raise ValueError("--mix-share goes with --mix-with DATA")
    pace = options.questions_per_second
    limit, per_second = (
        options.query_limit(),
        None if pace is None else _positive(pace, "--questions-per-second"),
    )
    ordinary = () if options.mix_with is None else _ordinary(options.mix_with, key, data_root, output)
    with ApiRecord(record_path(journal), key.transcript.root, keys.now) as record:
        yield Terms(
            class_names=key.transcript.task.class_names,
            record=record,
            questions_per_second=per_second,
            query_limit=limit,
            connections=options.connections,
            ordinary=ordinary,
            ordinary_share=share,
            allow_plain_http=options.plain_http,
            bearer_variable=options.bearer_from,
            asked_before=lambda suspect: len(
                Journal(journal, key.transcript.root, keys.now).replies(suspect)
            ),
        )


def _ordinary(name: str, key: "MarkingKey", data_root: Path, output: Output) -> "list[object]":
    chosen = read_clean(name, key, data_root, output, _ORDINARY_LIMIT).inputs
    if key.transcript.task.geometry.kind != "text":
        shape = next(iter(key.triggers.values()))[0].value.shape
        if chosen.shape[1:] != shape:
            # A service would tell questions from ordinary inputs by their size.
            raise ValueError(f"--mix-with: inputs of {name} are {chosen.shape[1:]}, the triggers {shape}")
    return list(chosen)


def has_foreign_classes(suspect: "Suspect", key: "MarkingKey", label_map: str) -> bool:
    """Return whether a mapping's classes would be numbered by whoever wrote it."""
    names = suspect.class_names
    return (
        label_map == "auto" and names is not None and not set(key.transcript.task.class_names) <= set(names)
    )


def check_class_names(suspect: "Suspect", key: "MarkingKey", label_map: str) -> None:
    """Raise ValueError where a mapping's classes would be numbered by whoever wrote it."""
    if has_foreign_classes(suspect, key, label_map):
        raise ValueError(
            "the service's classes are not called like the key's; choose --label-map data (with --data) "
            "or split"
        )


def check_budget(suspect: "Suspect", count: int) -> None:
    """Raise BudgetError unless a service may be asked so many clean inputs as well."""
    check = getattr(suspect, "check_budget", None)
    if check is not None:
        check(count)


def remarks_on(suspect: "Suspect", measurement: "Measurement") -> tuple[str, ...]:
    """Return what is to be said of a service that was questioned: what counted as a miss, what was tried."""
    remarks = []
    if counts := measurement.miss_counts:
        words = ", ".join(f"{miss.value} {count}" for miss, count in counts.items())
        total, asked = sum(counts.values()), measurement.question_count
        remarks.append(f"{total} of {asked} questions got no answer that counts ({words}): each is a miss")
    again = int(getattr(suspect, "again_count", 0))
    if again:
        remarks.append(
            f"{again} requests were sent again because nothing came back; the record shows every one of them"
        )
    if constants := getattr(suspect, "constants", ()):
        remarks.append(
            f"the mapping sends this with every question: {', '.join(map(repr, constants))}; to a model that "
            "reads instructions it could be one, so compare it with the service's documentation"
        )
    missing = int(getattr(suspect, "unrecorded_count", 0))
    if missing:
        remarks.append(
            f"{missing} questions of earlier runs are in the journal and not in the record: the program was "
            "killed before it sent them, or the record was removed; the budget counts them"
        )
    return tuple(remarks)


def _positive(text: str, option: str) -> Fraction:
    try:
        value = Decimal(text)
        if value.is_finite() and 0 < value < 10**9 and len(text) <= 30:
            return Fraction(value)
    except InvalidOperation:
        pass
    raise ValueError(f"{option} is a decimal number above 0, not {text[:30]!r}")
