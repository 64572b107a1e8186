"""What a retention campaign by a model's probabilities would earn, in money for each customer scored.

A leaver who is contacted takes the offer with probability gamma and then brings what they are worth less the offer; a
customer who would have stayed takes the offer all the same. Who is contacted costs the contact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betainc
from sklearn.isotonic import isotonic_regression

from churnml.evaluation.metrics import places

Array = npt.NDArray[np.float64]
MoneyMetric = Callable[[Array, Array, Array, Array], float]  # of observed, predicted, weights, worth, each (n,)


@dataclass(frozen=True)
class Retention:
    """The terms of the campaign that is thought of; the defaults are those of the literature.

    Attributes
    ----------
    offer, contact : float
        What an accepted offer and a contact cost, in money.
    worth : float
        What a customer who stays brings, in money, where no customer's own value is known.
    alpha, beta : float
        Of the Beta distribution of gamma, the share of contacted leavers who accept.
    """

    offer: float = 10.0
    contact: float = 1.0
    worth: float = 200.0
    alpha: float = 6.0
    beta: float = 14.0

    @property
    def accepts(self) -> float:
        """The mean of gamma."""
        return self.alpha / (self.alpha + self.beta)


TERMS = Retention()


def expected_maximum_profit(
    observed: Array, predicted: Array, weight: Array, worth: Array, terms: Retention = TERMS
) -> float:
    """Return the profit of contacting the best share of the highest probabilities, expected over gamma.

    Contacting the first t customers earns gamma G(t) - C(t), where G sums worth less offer over leavers and C what is
    spent in any case. For each gamma the best t is where the slope of the concave hull of G over C falls below
    1 / gamma; an isotonic regression gives these slopes, and the Beta distribution the expectation in closed form.

    Parameters
    ----------
    observed, predicted, weight : array of shape (n,)
        1 for who left; probabilities; how often each row counts. Rows of one prediction are contacted together.
    worth : array of shape (n,)
        What each customer brings who stays, in money.
    terms : Retention
        Of the campaign.

    Returns
    -------
    float
        Money for each customer; 0 is what contacting nobody earns.

    References
    ----------
    Verbraken, Verbeke and Baesens (2013), A novel profit maximizing metric for measuring classification performance of
    customer churn prediction models, IEEE Transactions on Knowledge and Data Engineering 25(5), where every customer
    has the same worth.
    """
    gain = observed * (worth - terms.offer) * weight
    spent = np.maximum(terms.contact + (1 - observed) * terms.offer, 1e-12) * weight
    place = places(-predicted)
    gains, costs = np.bincount(place, gain), np.bincount(place, spent)
    slopes = np.maximum(isotonic_regression(gains / costs, sample_weight=costs, increasing=False), 1e-12)
    from_gamma = np.minimum(1 / slopes, 1.0)  # a group is contacted where gamma is greater
    share = 1 - betainc(terms.alpha, terms.beta, from_gamma)
    mean = terms.accepts * (1 - betainc(terms.alpha + 1, terms.beta, from_gamma))
    return float(np.sum(costs * (slopes * mean - share)) / np.sum(weight))


def profit_at_bayes_cut(
    observed: Array, predicted: Array, weight: Array, worth: Array, terms: Retention = TERMS
) -> float:
    """Return the profit of contacting each customer whose expected profit is above 0, by the probabilities as they are.

    Unlike `expected_maximum_profit` this asks the probabilities to be right, not only their order (the cost-sensitive
    Bayes decision; Elkan, 2001).

    Parameters
    ----------
    observed, predicted, weight, worth : array of shape (n,)
        As for `expected_maximum_profit`.
    terms : Retention
        Of the campaign; gamma is taken as its mean.

    Returns
    -------
    float
        Money for each customer.
    """
    if_leaving = terms.accepts * (worth - terms.offer) - terms.contact
    if_staying = -(terms.offer + terms.contact)
    contacted = predicted * if_leaving + (1 - predicted) * if_staying > 0
    earned = np.where(observed > 0, if_leaving, if_staying) * contacted
    return float(np.sum(earned * weight) / np.sum(weight))


MONEY_METRICS: dict[str, MoneyMetric] = {"emp": expected_maximum_profit, "profit_at_bayes_cut": profit_at_bayes_cut}
