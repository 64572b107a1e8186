"""Declarations that nobody has thought of, in words that every engine knows."""

from dataclasses import replace

from ibis import _

from churnml.feature_extraction.declare import Feature, Measure, Pool, Turn, day_of, greatest, share

ROWS = {
    "usage": ("used_at", [_.data_mb, _.voice_minutes / _.dropped_calls], _.data_mb / _.dropped_calls > 50),
    "bills": (
        "billed_at",
        [_.amount / _.paid_amount, (_.paid_amount - _.amount).sqrt(), (_.amount / 7).cast("int64")],
        _.paid_at.notnull(),
    ),
    "complaints": ("opened_at", [day_of(_.resolved_at) - day_of(_.opened_at), _.satisfaction], _.kind == "fault"),
    "surveys": ("answered_at", [_.score - 3.5, (_.score - 3).abs()], _.answered_at.day_of_week.index() < 5),
}
TIMES = {"bills": ["due_at", "paid_at"], "complaints": ["resolved_at"]}
FORMULAS = [
    _.part,
    _.part.fill_null(0) / _.whole,
    (_.part - 0.1) * 3 / (_.whole - _.whole),
    greatest(_.part, _.whole),
    share(_.part, _.whole),
    (_.part > _.whole).ifelse(_.as_of_day - day_of(_.signed_up_at), -_.whole),
]


def drawn(number, rng):
    """Return a feature with a name of its own."""
    table = rng.choice(list(ROWS))
    event, values, condition = ROWS[table]
    value, days = rng.choice(values), rng.randint(2, 300)
    how = rng.choice(["sum", "count", "min", "max", "last", "distinct", "days"])
    part = Measure(how, day_of(_[event]) if how == "days" else value, rng.choice([None, condition]), window=days)
    if how == "days" and table != "usage" and rng.random() < 0.5:
        part = replace(part, window=None)
    whole = Measure("sum", value, at=rng.choice([None, *TIMES.get(table, [])]), window=days + 17)
    if how in ("sum", "count", "min", "max") and rng.random() < 0.3:
        part = replace(part, until=rng.randint(1, days - 1))
    elif how != "last" and part.window and rng.random() < 0.3:
        turn = Turn("subscriptions", rng.randint(20, 400), rng.choice([None, _.monthly_fee > 20]))
        part = replace(part, turn=turn, window=rng.randint(5, 60), after=rng.random() < 0.5)
    pooled = rng.random() < 0.2
    return Feature(
        f"mine_{number}",
        table,
        {"part": part, "whole": whole},
        formula=rng.choice(FORMULAS),
        pool=Pool(_.region, _.part, _.whole.fill_null(0) + 1, rng.choice([0.5, 100.0])) if pooled else None,
        empty=None if pooled else rng.choice([None, -1.5]),
        unit="",
        meaning="",
        phrase_en="",
        phrase_zh="",
        theme="usage",
    )
