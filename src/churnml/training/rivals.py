"""The champion as a rival: its predictions for the rows that a new model is tested on.

What scores was fitted on every date whose outcome was known, so soon after its training it has seen the very outcomes
that the next test asks for, and no honest model beats it there. Fair is who learned from dates whose outcome was known
at the test date. Kept with every version is therefore also the model that was judged, which learned from earlier dates,
as the new one does before its test: where the champion itself would be favoured, that one stands for it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from churnml.asof import DAY
from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.models.bundle import Bundle
from churnml.registry import champions, promotion
from churnml.registry.address import address_of
from churnml.registry.question import differences
from churnml.training.dates import Schedule

CHAMPION = "champion"  # the column of its predictions

Case = Literal["compared", "favoured", "none", "unusable", "other_question", "other_columns", "unreachable"]


@dataclass(frozen=True)
class Comparison:
    """How a new model stands to the champion.

    Attributes
    ----------
    case : str
        ``compared`` fairly; with a champion that is ``favoured``, because it has seen outcomes of the test; or why not
        at all: there is ``none``, its files are ``unusable``, it answers an ``other_question``, reads ``other_columns``
        than there are now, or MLflow was ``unreachable``.
    version : int or None
        The champion.
    """

    case: Case
    version: int | None = None

    @property
    def predicted(self) -> bool:
        """Whether the champion has predicted the test's rows."""
        return self.case in ("compared", "favoured")


NO_CHAMPION = Comparison("none")


@dataclass(frozen=True)
class Rival:
    """The champion, before it is known which rows it will be asked for.

    Attributes
    ----------
    comparison : Comparison
        ``compared`` where there is one to compare with.
    bundles : tuple of Bundle
        As it scores; then, where it was kept, as it was judged.
    """

    comparison: Comparison = NO_CHAMPION
    bundles: tuple[Bundle, ...] = ()

    def standing_for(self, schedule: Schedule, columns: list[str]) -> tuple[Comparison, Bundle | None]:
        """Choose who stands for the champion in a test.

        Parameters
        ----------
        schedule : Schedule
            Of the new model.
        columns : list of str
            The features that there are now.

        Returns
        -------
        Comparison, Bundle or None
            How fair the comparison is, and who predicts; the champion itself where that is fair.
        """
        able = [bundle for bundle in self.bundles if set(bundle.columns) <= set(columns)]
        version = self.comparison.version
        if not self.bundles:
            return self.comparison, None
        if not able:
            return Comparison("other_columns", version), None
        fair = [bundle for bundle in able if _is_fair(bundle, schedule)]
        return (Comparison("compared", version), fair[0]) if fair else (Comparison("favoured", version), able[-1])


def rival_of(config: Config, model: str) -> Rival:
    """Look for the champion of a model.

    Parameters
    ----------
    config : Config
        Names the project and the store.
    model : str
        ``churn`` or ``value``.

    Returns
    -------
    Rival
        With bundles only where the champion can be used and answers the same question.
    """
    database = address_of(config).database
    if database and not database.exists():
        return Rival()
    version = None
    try:
        version = promotion.champion(config, model)
        if version is None:
            return Rival()
        loaded = champions.load(config, model, judged=True)
    except ChurnmlError as error:
        return Rival(Comparison("unreachable" if "uri" in error.details or version is None else "unusable", version))
    if differences(config, model, loaded.bundle.facts):
        return Rival(Comparison("other_question", version))
    kept = (loaded.bundle,) if loaded.judged is None else (loaded.bundle, loaded.judged)
    return Rival(Comparison("compared", version), kept)


def predicted_by(bundle: Bundle, output: str, features: pd.DataFrame) -> npt.NDArray[np.float64] | None:
    """Return what a champion predicts, or None where columns have another type than it learned."""
    try:
        return bundle.predict(features)[output].to_numpy(dtype=np.float64)
    except ChurnmlError:
        return None


def _is_fair(bundle: Bundle, schedule: Schedule) -> bool:
    """Tell whether the outcome of every date that a champion learned from was known at the first test date."""
    learned = max(dt.date.fromisoformat(day) for day in bundle.facts["as_of"])
    return learned + schedule.outcome_days * DAY <= min(schedule.test)
