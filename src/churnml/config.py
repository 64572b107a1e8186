"""The configuration: frozen, typed, and strict about names."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
)
from pydantic import model_validator as _model_validator

from churnml import asof
from churnml.addresses import bare
from churnml.columns import CHURN_REASON, CHURN_TYPE, CHURNED_AT, CUSTOMER_ID
from churnml.errors import ChurnmlError

Share = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[int, Field(ge=0, le=36_500)]
Positive = Annotated[int, Field(ge=1, le=36_500)]


def _text(value: Any) -> Any:
    """Read a YAML number or date as text where text is meant (a column that is called 2024)."""
    return str(value) if isinstance(value, int | float | dt.date) else value


Name = Annotated[str, BeforeValidator(_text), Field(min_length=1)]


class Section(BaseModel):
    """A part of the configuration: frozen, and it knows no other keys than its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)


class Identities(Section):
    """How one system's customer numbers map onto another's."""

    path: str
    from_: Name = Field(alias="from")
    to: Name


class Source(Section):
    """Where rows come from: one of ``path``, ``url``, ``sql`` and ``data``, or a ``table`` of Spark alone."""

    name: Name | None = None
    path: str | None = None
    url: str | None = Field(default=None, repr=False)
    sql: str | None = None
    data: Any = Field(default=None, exclude=True, repr=False)
    table: Name | None = None
    sheet: Name | None = None
    columns: dict[Name, Name] = {}

    @_model_validator(mode="before")
    @classmethod
    def _frames_are_sources(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | Source) else {"data": value}

    @_model_validator(mode="after")
    def _has_one_source(self) -> Self:
        words = [word for word in ("path", "url", "sql", "sources") if word in type(self).model_fields]
        given = [word for word in words if getattr(self, word)] + (["data"] if self.data is not None else [])
        given += ["table"] if self.table and not given else []  # one of Spark's own
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(words)} (given: {', '.join(given) or 'none'})")
        return self

    @field_serializer("url", when_used="json")
    def _url_without_password(self, url: str | None) -> str | None:
        """Keep passwords out of whatever is written or hashed: a new one makes no other configuration."""
        return None if url is None else bare(url)


class Table(Source):
    """One table, of one source, or of several: customers are joined, rows of other tables are put together."""

    sources: tuple[Source, ...] = ()
    wins: dict[Name, Name] = {}
    identities: Identities | None = None

    @_model_validator(mode="after")
    def _sources_have_names(self) -> Table:
        if not self.sources:
            if self.wins:
                raise ValueError("wins needs sources")
            return self
        stray = [word for word in ("name", "table", "sheet", "columns") if getattr(self, word)]
        if stray:
            raise ValueError(f"{', '.join(stray)} belongs to each of the sources")
        names = [source.name or "" for source in self.sources]
        taken = {"customer_id", "column", "won"}  # columns beside theirs where conflicts are listed
        folded = [name.lower() for name in names]
        if "" in names or len(set(folded)) < len(names) or taken & set(folded):
            shown = ", ".join(name or "(none)" for name in names)
            raise ValueError(
                f"every source needs a name of its own, none of {', '.join(sorted(taken))} (given: {shown})"
            )
        for column, name in self.wins.items():
            if name not in names:
                raise ValueError(f"wins.{column}: {name} is none of the sources ({', '.join(names)})")
        return self

    @property
    def parts(self) -> tuple[Source, ...]:
        """The sources, or the one that the table itself is."""
        return self.sources or (self,)


class Tables(Section):
    """The tables that the operator has, by our names."""

    customers: Table
    subscriptions: Table | None = None
    usage: Table | None = None
    bills: Table | None = None
    complaints: Table | None = None
    surveys: Table | None = None
    costs: Table | None = None
    contacts: Table | None = None

    @_model_validator(mode="after")
    def _only_customers_are_joined(self) -> Tables:
        for name, table in self.given().items():
            if table.wins and name != "customers":
                raise ValueError(f"{name}.wins: rows of {name} are put together, not joined; take it out")
        return self

    def given(self) -> dict[str, Table]:
        """Return the tables that are there, by name."""
        return {name: getattr(self, name) for name in type(self).model_fields if getattr(self, name) is not None}


class Quarantine(Section):
    """How many bad rows are too many."""

    max_share: Share = 0.05


Activity = Literal["subscriptions", "usage", "bills", "complaints", "surveys", "costs", "contacts"]


class Label(Section):
    """What leaving means."""

    mode: Literal["terminated", "inactive"] = "terminated"
    types: tuple[Name, ...] | None = None
    lead_days: Days = 14
    horizon_days: Positive = 60
    activity: Activity = "usage"
    active_days: Positive = 90
    observed_until: dt.datetime | None = None
    settle_days: Days = 0

    @field_validator("observed_until")
    @classmethod
    def _is_of_our_time(cls, until: dt.datetime | None) -> dt.datetime | None:
        if until is not None:
            asof.parse_as_of(until.date())
        return until


class Value(Section):
    """What a customer brings."""

    horizon_days: Positive = 365
    margin_rate: float = 1.0


class Features(Section):
    """Which features are made."""

    windows: tuple[Positive, ...] = (7, 30, 90, 180)
    python: str | None = None

    @field_validator("windows")
    @classmethod
    def _sorted(cls, windows: tuple[int, ...]) -> tuple[int, ...]:
        if not windows:
            raise ValueError("at least one window is needed")
        return tuple(sorted(set(windows)))


class Training(Section):
    """The as-of dates to train on."""

    first: dt.date
    last: dt.date
    every: str = "1mo"

    @_model_validator(mode="after")
    def _dates_exist(self) -> Training:
        for day in (self.first, self.last):
            asof.parse_as_of(day)
        if not self.dates():
            raise ValueError(f"first {self.first} lies after last {self.last}")
        return self

    def dates(self) -> list[dt.date]:
        """List the as-of dates from first to last."""
        return asof.dates_between(self.first, self.last, self.every)


class Tracking(Section):
    """Where MLflow keeps runs and models."""

    uri: str = "sqlite:///mlflow.db"
    experiment: Name = "churnml"


class TierScheme(Section):
    """How customers are graded: each level from its amount on."""

    by: Literal["monthly_spend"] = "monthly_spend"
    levels: Annotated[dict[Name, float], Field(min_length=1)]
    key: tuple[Name, ...] = ()

    @_model_validator(mode="after")
    def _key_levels_exist(self) -> TierScheme:
        for name in self.key:
            if name not in self.levels:
                raise ValueError(f"the key level {name} is none of the levels ({', '.join(self.levels)})")
        return self


class Tiers(Section):
    """The grading schemes, and the one that scores and lists use."""

    primary: Name
    schemes: dict[Name, TierScheme]

    @_model_validator(mode="after")
    def _primary_exists(self) -> Tiers:
        if self.primary not in self.schemes:
            raise ValueError(f"the primary scheme {self.primary} is none of the schemes ({', '.join(self.schemes)})")
        return self

    @property
    def first(self) -> TierScheme:
        """The primary scheme."""
        return self.schemes[self.primary]


class Offer(Section):
    """What a customer can be offered."""

    id: Name
    channel: Name
    cost: Annotated[float, Field(ge=0)]
    discount: Share = 0.0
    discount_days: Days = 0
    assumed_save_rate: Share | None = None


class Campaign(Section):
    """Offers and limits of campaigns."""

    offers: tuple[Offer, ...] = ()
    capacity: dict[Name, Annotated[int, Field(ge=0)]] = {}
    budget: Annotated[float, Field(ge=0)] | None = None
    control_share: Share = 0.10
    explore_share: Share = 0.0
    cool_down_days: Days = 60


class State(Section):
    """Where churnml keeps what it keeps."""

    folder: str = "state"
    url: str | None = Field(default=None, repr=False)

    @field_serializer("url", when_used="json")
    def _url_without_password(self, url: str | None) -> str | None:
        return None if url is None else bare(url)


class Gates(Section):
    """What a model has to show before it may score customers."""

    level_low: Annotated[float, Field(ge=0, le=1)] = 0.9
    level_high: Annotated[float, Field(ge=1)] = 1.1
    ece_excess: Share = 0.01
    slice_churners: Annotated[int, Field(ge=1, strict=True)] = 100
    slice_auc: Share = 0.1
    train_churners: Annotated[int, Field(ge=0, strict=True)] = 200
    test_churners: Annotated[int, Field(ge=0, strict=True)] = 50
    approval: bool = False


class Service(Section):
    """Limits of the HTTP service."""

    workers: Annotated[int, Field(ge=1, le=64)] = 1
    max_customers: Annotated[int, Field(ge=1, le=1_000)] = 1_000
    max_body_mib: Annotated[int, Field(ge=1, le=16)] = 16
    timeout_seconds: Annotated[float, Field(gt=0, le=12)] = 10.0
    max_concurrency: Annotated[int, Field(ge=1, le=10_000)] = 64
    rate_limit: Annotated[int, Field(ge=1)] = 120_000
    stale_after_days: Days = 7
    expires_after_days: Days | None = None
    trust_proxy: bool = False

    @_model_validator(mode="after")
    def _is_stale_before_it_expires(self) -> Self:
        if self.expires_after_days is not None and self.expires_after_days < self.stale_after_days:
            raise ValueError(
                f"expires_after_days {self.expires_after_days} lies below stale_after_days {self.stale_after_days}"
            )
        return self


class Config(Section):
    """All of the configuration; build it with `load_config`."""

    project: Name = "churnml"
    timezone: str = "UTC"
    currency: str = ""
    tables: Tables
    personal: tuple[Name, ...] = ()
    quarantine: Quarantine = Quarantine()
    label: Label
    value: Value = Value()
    features: Features = Features()
    training: Training | None = None
    tracking: Tracking = Tracking()
    tiers: Tiers | None = None
    risk_bands: dict[Name, Share] = {"low": 0.0, "medium": 0.05, "high": 0.15}
    campaign: Campaign = Campaign()
    state: State = State()
    gates: Gates = Gates()
    service: Service = Service()
    sensitive: tuple[Name, ...] = ()
    folder: Path = Field(default=Path(), exclude=True)

    @field_validator("sensitive")
    @classmethod
    def _sensitive_are_attributes(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [name for name in names if name in (CUSTOMER_ID, CHURNED_AT, CHURN_TYPE, CHURN_REASON)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} is no attribute that groups could be compared by")
        return names

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone {zone!r}: use an IANA name such as Asia/Shanghai") from None
        return zone

    @property
    def hash(self) -> str:
        """The SHA-256 of everything that was configured, as hexadecimal text."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def state_folder(self) -> Path:
        """The folder of everything that churnml keeps."""
        return self.path(self.state.folder)

    def path(self, text: str) -> Path:
        """Return a path of the configuration, taken relative to the configuration's own folder."""
        return self.folder / text

    def now(self) -> dt.datetime:
        """Return the present wall-clock time in the project's zone."""
        return dt.datetime.now(ZoneInfo(self.timezone)).replace(tzinfo=None)


ConfigLike = str | os.PathLike[str] | Mapping[str, Any] | Config


def load_config(config: ConfigLike) -> Config:
    """Read and check a configuration.

    Parameters
    ----------
    config : path, mapping or Config
        A YAML file, or the same as a mapping, in which a table may also be a pandas DataFrame or an Arrow table
        (``{"tables": {"customers": frame}, ...}``, or ``{"data": frame, "columns": {...}}``). Paths are relative to
        the file, or to the working folder for a mapping.

    Returns
    -------
    Config
        Frozen.

    Raises
    ------
    ChurnmlError
        If the file is missing or no YAML, a key is unknown (the allowed ones are listed), a value is wrong, or an
        environment variable is not set.
    """
    if isinstance(config, Config):
        return config
    if isinstance(config, Mapping):
        return _checked(dict(config), Path.cwd(), "the configuration")
    path = Path(config).absolute()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ChurnmlError(f"the configuration {config} does not exist", "churnml init DIR writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ChurnmlError(f"the configuration {config} cannot be read ({error})", "name a YAML file") from error
    try:
        content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader that refuses duplicate keys
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "context_mark", None) or getattr(error, "problem_mark", None)
        told = f"{getattr(error, 'problem', error)}{f', line {mark.line + 1}' if mark else ''}"
        raise ChurnmlError(f"{config} is no YAML ({told})", "mend the line") from None
    if not isinstance(content, dict):
        raise ChurnmlError(f"{config} holds no keys", "churnml init DIR writes a configuration to fill in")
    return _checked(content, path.parent, str(config))


def _checked(content: dict[str, Any], folder: Path, origin: str) -> Config:
    if "folder" in content:
        raise _unknown_key(Config, (), "folder", origin)
    try:
        return Config.model_validate({**_with_environment(content), "folder": folder})
    except RecursionError:
        raise ChurnmlError(f"{origin} holds itself", "take the YAML alias out that leads back") from None
    except ValidationError as error:
        raise _explained(error, origin) from None


_WORDS = {
    "missing": "is missing",
    "model_type": "holds no keys (a section that keeps every default is written {})",
    "dict_type": "holds no keys",
    "string_type": "is no text",
    "invalid_key": "is a key that is no text",
}


def _explained(error: ValidationError, origin: str) -> ChurnmlError:
    problem = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    *place, last = [part for part in problem["loc"] if part != "[key]"] or [""]
    if problem["type"] == "extra_forbidden":
        return _unknown_key(Config, tuple(place), str(last), origin)
    where = ".".join(str(part) for part in (*place, last) if part != "")
    what = _WORDS.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    given = problem["input"]
    shown = f" (given: {given!r})" if isinstance(given, str | int | float) and problem["type"] != "missing" else ""
    more = error.error_count() - 1
    others = f"; {more} more after that" if more else ""
    value = str(given) if shown else None  # a whole section may hold a password
    return ChurnmlError(f"{origin}: {where} {what}{shown}{others}", "", key=where, value=value)


def _unknown_key(model: type[BaseModel], place: tuple[Any, ...], key: str, origin: str) -> ChurnmlError:
    for part in place:
        field = model.model_fields.get(str(part))
        for inner in _models_in(field.annotation if field else None):
            model = inner
    allowed = [field.alias or name for name, field in model.model_fields.items()]
    allowed = [name for name in allowed if name not in ("data", "folder")]
    where = ".".join(str(part) for part in (*place, key))
    return ChurnmlError(
        f"{origin}: the key {where} is unknown",
        f"allowed here: {', '.join(allowed)}",
        key=where,
        allowed=allowed,
    )


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _with_environment(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_environment(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_environment(inner) for inner in value]
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: _environment(found[1]), value)
    return value


def _environment(name: str) -> str:
    if name not in os.environ:
        raise ChurnmlError(f"the environment variable {name} is not set", "set it, the configuration uses it")
    return os.environ[name]


class _StrictLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key} stands twice", key_node.start_mark)
            seen.add(key if isinstance(key, str) else id(key_node))
        return super().construct_mapping(node, deep)
