"""What a campaign must be, slowly and plainly: one customer after another, every choice tried, exact numbers.

It shares no line with `churnml.campaigns`. Offers and settings are plain dicts, customers are plain dicts.
"""

import itertools
import math
from fractions import Fraction


def exact(number):
    """The decimal that people wrote."""
    return Fraction(str(number))


def uplift(customer, offer):
    return customer["churn_probability"] * offer["assumed_save_rate"]


def expected_profit(customer, offer):
    gained = uplift(customer, offer)
    takes_it = 1 - customer["churn_probability"] + gained
    discount = offer.get("discount", 0) * customer["monthly_spend"] * offer.get("discount_days", 0) / 30
    return gained * customer["value_if_stays"] - takes_it * discount - offer["cost"]


def exclusion(customer, contacts, earlier, as_of, cool_down_days):
    """Why a customer is left alone; contacts and earlier are (customer_id, arm, date)."""
    if customer["status"] != "scored":
        return "not_scored"
    if customer["value_if_stays"] is None:
        return "no_value"
    for customer_id, arm, day in contacts:
        days = (as_of - day).days
        if customer_id == customer["customer_id"] and arm in ("treated", "control") and 0 < days <= cool_down_days:
            return "cool_down"
    for customer_id, arm, day in earlier:
        near = abs((as_of - day).days) < cool_down_days
        if customer_id == customer["customer_id"] and arm in ("treated", "control") and near:
            return "in_campaign"
    return None


def used(offers, chosen):
    """Money and contacts by channel that a list of offers (None for nobody) takes."""
    money, contacts = Fraction(0), {}
    for number in chosen:
        if number is not None:
            money += exact(offers[number]["cost"])
            channel = offers[number]["channel"]
            contacts[channel] = contacts.get(channel, 0) + 1
    return money, contacts


def allowed(offers, chosen, budget, capacity):
    money, contacts = used(offers, chosen)
    return (budget is None or money <= budget) and all(
        contacts.get(channel, 0) <= most for channel, most in capacity.items()
    )


def left_over(offers, settings, treated):
    """Budget and capacity after some treated, enlarged so that the control group is in it, too."""
    money, contacts = used(offers, treated)
    part = 1 - exact(settings["control_share"])
    budget = None if settings["budget"] is None else (exact(settings["budget"]) - money) / part
    return budget, {name: (most - contacts.get(name, 0)) / part for name, most in settings["capacity"].items()}


def best_sum(customers, offers, budget, capacity):
    """The most that any choice of at most one profitable offer for each customer brings, by trying them all."""
    choices = []
    for customer in customers:
        profits = [expected_profit(customer, offer) for offer in offers]
        choices.append([(None, 0.0), *((number, gain) for number, gain in enumerate(profits) if gain > 0)])
    best = 0.0
    for tried in itertools.product(*choices):
        if allowed(offers, [number for number, _ in tried], budget, capacity):
            best = max(best, math.fsum(gain for _, gain in tried))
    return best


def rounded_up(share, count):
    return math.ceil(exact(share) * count)
