"""Features of the user's own, from a Python file: the same words as ours, and all that ours get."""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from ibis import _

from churnml.columns import AS_OF, CAUSE, CHURN_REASON, CHURN_TYPE, CHURNED, CUSTOMER_ID, DURATION_DAYS, VALUE
from churnml.errors import ChurnmlError
from churnml.feature_extraction.declaration import Contexts
from churnml.feature_extraction.declare import Feature, How, Layout, Measure, Theme, Worse, day_of
from churnml.feature_extraction.online import Online
from churnml.feature_extraction.usage import LOOK_BACK_DAYS
from churnml.tables.schema import SCHEMAS, Dtype, Kind

_TAKEN = {CUSTOMER_ID, AS_OF, CHURNED, VALUE, DURATION_DAYS, CAUSE}
_NEVER = {CUSTOMER_ID, CHURN_TYPE, CHURN_REASON}  # of customers: what names a person, or tells how it ended


def own_features(path: Path, layout: Layout) -> list[Feature]:
    """Run a user's file, and return the features that its function ``features(layout)`` gives.

    Parameters
    ----------
    path : Path
        A Python file.
    layout : Layout
        What it may depend on: windows, measures, attributes, tables, currency.

    Returns
    -------
    list of Feature
        Each as our own are.

    Raises
    ------
    ChurnmlError
        If the file cannot be run, or one of its features cannot be computed (the message names it).
    """
    features = _function(path)
    try:
        given = list(features(layout))
    except (Exception, SystemExit) as error:
        raise _failed(path, error) from error
    for feature in given:
        for wrong in _wrong(feature):
            name = feature.name if isinstance(feature, Feature) else repr(feature)
            raise ChurnmlError(f"features.python: {path.name}: {name} {wrong}", "mend it", file=str(path), feature=name)
    return given


def refuse_unknown_columns(
    path: Path, features: list[Feature], contexts: Contexts, kinds: Mapping[str, Mapping[str, Kind]]
) -> None:
    """Raise if a feature uses a column that no table has, or a word that not every engine knows.

    Parameters
    ----------
    path : Path
        Where they come from.
    features : list of Feature
        The user's own.
    contexts : mapping of tuple of RowContext
        Columns that rows of a table get from other rows, by table.
    kinds : mapping of mapping of str
        The columns of every table (see `catalogue.columns_of`).

    Raises
    ------
    ChurnmlError
        Naming the feature.
    """
    own = {name: kind for name, kind in kinds["customers"].items() if name not in _NEVER}
    allowed = dict(kinds) | {"customers": own}
    for feature in features:
        try:
            Online([feature], contexts, allowed)
        except ChurnmlError as error:
            raise ChurnmlError(
                f"features.python: {path.name}: {feature.name}: {error.problem}",
                error.remedy,
                file=str(path),
                feature=feature.name,
                **error.details,
            ) from error
        except (Exception, SystemExit) as error:
            raise _failed(path, error, feature.name) from error


def _function(path: Path) -> Any:
    if not path.is_file():
        raise ChurnmlError(f"features.python: there is no file {path}", "mend the path", file=str(path))
    spec = importlib.util.spec_from_file_location(f"churnml_own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ChurnmlError(f"features.python: {path} is no Python file", "let its name end in .py", file=str(path))
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _failed(path, error) from error
    if not callable(getattr(module, "features", None)):
        raise ChurnmlError(
            f"features.python: {path} has no function features(layout)", "see docs/features.md", file=str(path)
        )
    return module.features


def _failed(path: Path, error: BaseException, feature: str = "") -> ChurnmlError:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f"{path.name}, line {lines[-1]}" if lines else path.name
    told = f"{type(error).__name__}: {error}"
    return ChurnmlError(
        f"features.python: {where}{f': {feature}' if feature else ''}: {told}", "mend it", file=str(path)
    )


def _wrong(feature: Any) -> Iterator[str]:
    """Yield what is wrong with a feature."""
    if not isinstance(feature, Feature):
        yield "is no Feature"
        return
    if not str(feature.name).isidentifier():
        yield "has a name that is not made of letters, digits and _"
    if str(feature.name).lower() in _TAKEN:
        yield "has the name of a column that every panel has: choose another"
    for word in ("unit", "meaning", "phrase_en", "phrase_zh"):
        if not isinstance(getattr(feature, word), str) or (word != "unit" and not getattr(feature, word)):
            yield f"has no {word}"
    for word in ("phrase_negative", "phrase_nothing"):
        told = [getattr(feature, f"{word}_{lang}") for lang in ("en", "zh")]
        if not all(isinstance(one, str) for one in told) or any(told) != all(told):
            yield f"has {word} that are not both texts: give both, or none"
        elif word == "phrase_negative" and any(told) and any(one.count("{}") != 1 for one in told):
            yield f"has {word} without one {{}} for the value"
    if feature.worse not in (None, *get_args(Worse)):
        yield f"is worse {feature.worse}: use one of {', '.join(get_args(Worse))}, or leave it out"
    if feature.theme not in get_args(Theme):
        yield f"has the theme {feature.theme}: use one of {', '.join(get_args(Theme))}"
    if feature.dtype not in get_args(Dtype):
        yield f"has the dtype {feature.dtype}: use one of {', '.join(get_args(Dtype))}"
    if not isinstance(feature.inputs, Mapping) or not all(isinstance(one, Measure) for one in feature.inputs.values()):
        yield "has inputs that are no mapping of Measure"
        return
    if feature.frequent is not None and (feature.dtype != "string" or feature.pool or feature.frequent < 1):
        yield "keeps the frequent values of what is no text: give dtype string, no pool, and how many to keep"
    for table in (feature.source, *(measure.source for measure in feature.inputs.values())):
        if table is not None and table not in SCHEMAS:
            yield f"has the source {table}: use one of {', '.join(SCHEMAS)}"
            return
    for name, measure in feature.inputs.items():
        for wrong in _wrong_measure(measure, measure.source or feature.source):
            yield f"has an input {name} that {wrong}"


def _wrong_measure(measure: Measure, table: str) -> Iterator[str]:
    if measure.how not in get_args(How):
        yield f"is taken by {measure.how}: use one of {', '.join(get_args(How))}"
    if measure.how != "count" and measure.value is None:
        yield "has no value"
    schema = SCHEMAS[table]
    at = measure.at or schema.event
    if measure.how == "days" and repr(measure.value) != repr(day_of(_[at])):
        yield f"counts days of something else than {at}, at which its window looks: use distinct"
    if measure.turn and measure.turn.source not in SCHEMAS:
        yield f"has a turn of {measure.turn.source}: use one of {', '.join(SCHEMAS)}"
    if measure.turn and not _is_days(measure.turn.window):
        yield f"has a turn with the window {measure.turn.window}: give whole days"
    if measure.turn and measure.how == "last":
        yield "is taken by last around a turn, which has no latest row"
    if measure.after and not measure.turn:
        yield "looks after a turn and has none"
    column = schema.column(measure.at) if measure.at else None
    if measure.at and (column is None or column.kind != "time"):
        yield f"looks at {measure.at}, which is no time of {table}"
    window = measure.window
    if window is not None and not _is_days(window):
        yield f"has the window {window}: give whole days"
    elif schema.large and window is None:
        yield f"looks back without end: give a window, of {LOOK_BACK_DAYS} days at most for {table}"
    elif schema.large and window is not None and window > LOOK_BACK_DAYS:
        yield f"looks back {window} days: {table} is read {LOOK_BACK_DAYS} days back at most"
    elif measure.until and not _is_days(measure.until):
        yield f"ends its window {measure.until} days before T: give whole days"
    elif measure.turn and window is None:
        yield "has a turn and no window"
    elif measure.until and (measure.turn or measure.how in ("last", "days", "distinct")):
        yield "ends its window before T, which only a sum, count, min or max of T can"
    elif measure.until and window is not None and measure.until >= window:
        yield f"has a window that ends {measure.until} days before T, before it begins"


def _is_days(days: Any) -> bool:
    return isinstance(days, int) and not isinstance(days, bool) and days >= 1
