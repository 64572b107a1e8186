"""The one catalogue of features: every declaration, in the order of the panel's columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.feature_extraction import account, bills, complaints, contacts, surroundings, surveys, usage, value
from churnml.feature_extraction.declare import Feature, Layout, RowContext
from churnml.feature_extraction.own import own_features, refuse_unknown_columns
from churnml.tables.schema import SCHEMAS, Kind

ROW_CONTEXT: dict[str, tuple[RowContext, ...]] = {
    "subscriptions": account.ROW_CONTEXT,
    "complaints": complaints.ROW_CONTEXT,
}


_SUBJECTS = (usage, bills, complaints, surveys, account, value, contacts, surroundings)


def layout_of(config: Config, extras: dict[str, dict[str, Kind]]) -> Layout:
    """Return what the declarations depend on.

    Parameters
    ----------
    config : Config
        For windows and currency.
    extras : dict of dict
        The further columns of each table with their kind, personal ones left out.

    Returns
    -------
    Layout
        Windows, measures, attributes.
    """
    measures = tuple(name for name, kind in extras.get("usage", {}).items() if kind == "number")
    return Layout(
        config.features.windows,
        measures,
        extras.get("customers", {}),
        frozenset(config.tables.given()),
        config.currency,
        config.value.margin_rate,
    )


def catalogue_of(config: Config, extras: dict[str, dict[str, Kind]]) -> list[Feature]:
    """List every feature of an operator: ours, then those of the file that ``features.python`` names.

    Parameters
    ----------
    config : Config
        The configuration.
    extras : dict of dict
        As for `layout_of`.

    Returns
    -------
    list of Feature
        In the order of the panel's columns.

    Raises
    ------
    ChurnmlError
        If a feature of the user's own cannot be computed, or a name is taken.
    """
    layout = layout_of(config, extras)
    if config.features.python is None:
        return catalogue(layout)
    path = config.path(config.features.python)
    own = own_features(path, layout)
    refuse_unknown_columns(path, own, ROW_CONTEXT, columns_of(extras))
    return catalogue(layout, own)


def catalogue(layout: Layout, own: Sequence[Feature] = ()) -> list[Feature]:
    """List every feature of a layout, and further ones.

    Raises
    ------
    ChurnmlError
        If one of the operator's columns would make a feature of a name that is taken.
    """
    listed = [feature for subject in _SUBJECTS for feature in subject.features(layout)]
    seen = {feature.name.lower() for feature in listed}
    for feature in own:
        if feature.name.lower() in seen:
            told = f"features.python: the name {feature.name} is taken"
            raise ChurnmlError(told, "choose another", feature=feature.name)
        seen.add(feature.name.lower())
    listed += own
    taken = [name for name, count in Counter(feature.name for feature in listed).items() if count > 1]
    if taken:
        raise ChurnmlError(
            f"the feature name {taken[0]} is taken twice",
            "one of your columns of customers or usage makes it: give the column another name under columns:",
            feature=taken[0],
        )
    return listed


def columns_of(extras: Mapping[str, Mapping[str, Kind]]) -> dict[str, dict[str, Kind]]:
    """Return the columns that declarations may use, by table, with what they hold.

    Parameters
    ----------
    extras : mapping of mapping of str
        The further columns of each table (see `Histories.extras`).

    Returns
    -------
    dict of dict of str
        Kinds by column, by table.
    """
    return {
        name: {column.name: column.kind for column in schema.columns} | dict(extras.get(name, {}))
        for name, schema in SCHEMAS.items()
    }
