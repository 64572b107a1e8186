"""From scores to lists: campaign open, assignments, export."""

from __future__ import annotations

from typing import Any, Literal

from churnml.api.histories import AsOf, PathLike
from churnml.asof import parse_as_of
from churnml.campaigns.export import export_assignments, export_campaign
from churnml.campaigns.opening import Opened, open_campaign, planned
from churnml.config import ConfigLike, load_config
from churnml.scoring.daily import scores_at
from churnml.tables.histories import open_histories
from churnml.tiering.spend import monthly_spend_at
from churnml.wording import Language

Role = Literal["retention", "account_manager", "admin"]


def campaign_open(
    config: ConfigLike,
    name: str,
    as_of: AsOf,
    *,
    budget: float | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Opened:
    """Draw up a campaign: whom to contact with which offer, and who is left alone to compare with.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    name : str
        What the campaign is to be called; a name is used once.
    as_of : date or text
        The day of the scores; they are made where none are kept.
    budget : float, optional
        What the offers may cost together, in money, in place of ``campaign.budget``.
    seed : int
        The same seed and scores give the same campaign.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    Opened
        ``assignments`` (everyone at risk once) and their ``summary``.

    Raises
    ------
    ChurnmlError
        If the name was used, there is no champion, there are no bills, or offers and limits cannot be used.
    """
    settings = load_config(config)
    planned(settings, name, budget=budget, seed=seed)  # before what takes long
    day = parse_as_of(as_of)
    with open_histories(settings, progress=progress) as histories:
        scores = scores_at(histories, day, progress=progress)
        spend = monthly_spend_at(histories, day)
        return open_campaign(histories, scores, spend, name=name, as_of=day, budget=budget, seed=seed)


def campaign_assignments(config: ConfigLike, name: str, out: PathLike) -> dict[str, Any]:
    """Write the assignments of a campaign: everyone in the population, with arm, offer and propensity.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    name : str
        The campaign.
    out : path
        A ``.parquet``, ``.csv`` or ``.xlsx`` file.

    Returns
    -------
    dict
        ``rows`` and ``out``.

    Raises
    ------
    ChurnmlError
        If there is no such campaign, or the file cannot be written.
    """
    return export_assignments(load_config(config), out, name=name)


def campaign_export(
    config: ConfigLike,
    name: str,
    out: PathLike,
    *,
    role: Role = "retention",
    manager: str | None = None,
    lang: Language = "en",
) -> dict[str, Any]:
    """Write the call list of a campaign: the treated only, key accounts first.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    name : str
        The campaign.
    out : path
        A ``.csv``, ``.xlsx`` or ``.parquet`` file.
    role : {"retention", "account_manager", "admin"}
        Personal columns are shown to ``admin``, and to ``account_manager`` for their own customers only.
    manager : str, optional
        Whose customers, for ``account_manager``.
    lang : {"en", "zh"}
        Language of the reasons.

    Returns
    -------
    dict
        ``rows`` and ``out``.

    Raises
    ------
    ChurnmlError
        If there is no such campaign, the role is none, or the file cannot be written.
    """
    settings = load_config(config)
    with open_histories(settings) as histories:
        return export_campaign(histories, out, name=name, role=role, manager=manager, lang=lang)
