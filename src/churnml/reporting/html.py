"""The report as one page that needs nothing but a browser."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from churnml.columns import CUSTOMER_ID
from churnml.evaluation import plots
from churnml.evaluation.plots import percent
from churnml.reporting.listing import listed, told_of_list
from churnml.reporting.numbers import call_list, groups, headline, reasons
from churnml.reporting.pages import write_page
from churnml.reporting.report import KEY_SEGMENT, ModelName, Report, TrainedModel
from churnml.reporting.svg import inline_svg
from churnml.reporting.trust import by_slice, comparison, told_of_test
from churnml.reporting.words import Words, cautions, head, lead, shown
from churnml.wording import Language

_GROUPS = {  # by which columns customers are grouped: what their names are, and their heading
    "risk_band": ("band", "report_risk_band"),
    "value_tier": ("tier", "report_tier"),
    "segment": ("segment", "report_segment"),
}


def write_report(report: Report, target: Path, lang: Language = "en") -> None:
    """Write a report as one HTML file that asks nothing of the network.

    Parameters
    ----------
    report : Report
        What is told.
    target : Path
        The file to make; its folder must exist. It appears whole, or not at all.
    lang : {"en", "zh"}
        Language.

    Raises
    ------
    ChurnmlError
        If the file cannot be written.
    """
    write_page("report.html.j2", target, _facts(report, Words(lang, shown(report.currency))))


def _facts(report: Report, words: Words) -> dict[str, Any]:
    return {
        "t": words.say,
        "lang": "zh-CN" if words.lang == "zh" else "en",
        "project": shown(report.project),
        "as_of": words.date(report.as_of),
        "span": words.span(report.window),
        "days": report.value_horizon_days,
        "unit": plots.unit(words.currency, words.lang),
        "has_value": headline(report).value_at_risk is not None,
        "head": head(report, words),
        "lead": lead(report, words),
        "cautions": cautions(report, words),
        "cards": _cards(report, words),
        "listed": listed(report, words),
        "told_of_list": told_of_list(report, words),
        "with_campaign": report.campaign is not None,
        "groups": [grouped for column in _GROUPS if (grouped := _groups(report, column, words))],
        "reasons": _reasons(report, words),
        "models": [told_of_model(name, model, words) for name, model in report.models.items()],
        "steps": _steps(report, words),
    }


def _cards(report: Report, words: Words) -> list[dict[str, str]]:
    """Return the numbers that stand on top, each with what it is."""
    found, currency = headline(report), plots.unit(words.currency, words.lang)
    profit = plots.money(found.expected_profit, "", words.lang)
    cards = [
        ("population", f"{found.scored:,}", "", words.say("report_population_note", as_of=words.date(report.as_of))),
        ("leavers", words.about(found.leavers), "", words.say("report_leavers_note", share=percent(found.share))),
    ]
    if found.value_at_risk is not None:
        note = words.say("report_at_risk_note", days=report.value_horizon_days)
        cards.append(("value_at_risk", plots.money(found.value_at_risk, "", words.lang), currency, note))
    if report.campaign is not None:
        cards += [
            ("treated", f"{found.treated:,}", "", words.say("report_treated_note", cost=words.money(found.cost))),
            ("expected_profit", profit, currency, words.say("report_profit_note")),
            ("kept_aside", f"{found.control:,}", "", words.say("report_control_note")),
        ]
    return [
        {"name": words.say(f"report_{key}"), "number": number, "unit": unit, "note": note}
        for key, number, unit, note in cards
    ]


def _groups(report: Report, column: str, words: Words) -> dict[str, Any] | None:
    """Return a table and a picture of who is at risk, or nothing where no customer has such a group."""
    table = groups(report, column)
    if table.empty:
        return None
    kind, heading = _GROUPS[column]
    has_value = "value_at_risk" in table
    if column == "risk_band":
        table = table.sort_values("churn_probability", ascending=False)
    amounts = table["value_at_risk"] if has_value else pd.Series(0.0, index=table.index)
    others = {None: words.say("report_unknown_group"), "": words.say("report_other_groups")}
    names = [others[group] if group in others else words.name(kind, group) for group in table["group"]]
    bands = {band: 100 * begin for band, begin in report.risk_bands.items()} if column == "risk_band" else {}
    rows = [
        {
            "name": name,
            "key": group in {"value_tier": report.key_tiers, "segment": (KEY_SEGMENT,)}.get(column, ()),
            "from": words.say("report_from", risk=f"{begins:.3g}%") if (begins := bands.get(group, 0)) else "",
            "customers": f"{count:,}",
            "risk": percent(risk),
            "leavers": words.about(leavers),
            "value_at_risk": plots.money(amount, "", words.lang, amounts.abs().max()),
            "share": percent(amount / amounts.sum()) if amounts.sum() > 0 else "–",
        }
        for name, group, count, risk, leavers, amount in zip(
            names, table["group"], table["customers"], table["churn_probability"], table["leavers"], amounts,
            strict=True,
        )
    ]  # fmt: skip
    return {
        "title": words.say(f"report_by_{column}"),
        "heading": words.say(heading),
        "has_value": has_value,
        "rows": rows,
        "figure": _figure(plots.segments(table.assign(group=names), words.lang, words.currency), f"by-{column}"),
    }


def _reasons(report: Report, words: Words) -> dict[str, Any] | None:
    table = reasons(report).head(10)
    if table.empty:
        return None
    table = table.assign(label=[words.name("theme", code) for code in table["code"]])
    phrases = {feature: shown(phrase[words.lang == "zh"]) for feature, phrase in report.phrases.items()}
    columns = (table["label"], table["feature"], table["share"], table["share_riskiest"])
    return {
        "figure": _figure(plots.drivers(table, words.lang), "drivers"),
        "rows": [
            {
                "label": label,
                "mostly": words.say("report_mostly", phrase=phrases[feature]) if feature in phrases else "",
                "share": percent(share),
                "share_riskiest": percent(riskiest),
            }
            for label, feature, share, riskiest in zip(*columns, strict=True)
        ],
    }


def told_of_model(name: ModelName, model: TrainedModel, words: Words) -> dict[str, Any]:
    """Return what is told of a model: test, figures, slices, gates."""
    names, rows = comparison(model, words)
    metrics, slices = by_slice(model, words)
    gates = [
        {"name": shown(gate.name), "passed": gate.passed, "message": _sentence(gate.message(words.lang))}
        for gate in model.verdict.gates
    ]
    draw: dict[ModelName, Callable[[TrainedModel, Words], list[dict[str, Any]]]] = {
        "churn": _churn_figures,
        "value": _value_figures,
    }
    return {
        "title": words.say(f"report_the_model_{name}"),
        "version": shown(model.version),
        "promoted": model.promoted,
        "told": told_of_test(name, model, words),
        "figures": draw[name](model, words),
        "names": names,
        "rows": rows,
        "metrics": metrics,
        "slices": slices,
        "gates": gates,
        "passed": model.verdict.passed,
    }


def _sentence(told: str) -> str:
    return shown(told[:1].upper() + told[1:])


def _churn_figures(model: TrainedModel, words: Words) -> list[dict[str, Any]]:
    tested = model.tested
    scores = {words.say("report_this_model"): tested["predicted"]}
    scores |= {words.name("baseline", name): tested[name] for name in model.baselines}
    return [
        _figure(plots.gain_and_lift(tested["observed"], scores, words.lang, weight=model.weight), "gain"),
        _figure(
            plots.calibration(tested["observed"], tested["predicted"], words.lang, weight=model.weight), "calibration"
        ),
    ]


def _value_figures(model: TrainedModel, words: Words) -> list[dict[str, Any]]:
    observed, predicted = model.tested["observed"], model.tested["predicted"]
    drawn = plots.value_by_decile(observed, predicted, words.lang, words.currency, weight=model.weight)
    return [_figure(drawn, "value")]


def _figure(figure: Figure, name: str) -> dict[str, Any]:
    title, svg = inline_svg(figure, name)
    return {"title": title, "svg": Markup(svg)}  # noqa: S704 - text in it was escaped when it was serialised


def _steps(report: Report, words: Words) -> list[dict[str, str]]:
    """Return the commands to go on with."""
    config, day = shlex.quote(report.config), report.as_of.isoformat()
    end = report.window[1]
    after = (end + dt.timedelta(days=1)).isoformat()
    commands: dict[str, str] = {}
    if report.campaign is not None and len(report.campaign.assignments):
        campaign = shlex.quote(str(report.campaign.assignments["campaign_id"].iloc[0]))
        commands["export"] = f"churnml campaign export {config} --name {campaign} --out call-list.xlsx"
        commands["outcomes"] = f"churnml campaign outcomes {config} --name {campaign} --file outcomes.csv"
        commands["report"] = f"churnml campaign report {config} --name {campaign} --as-of {after}"
    elif report.campaign is None and report.value is not None:
        commands["open"] = f"churnml campaign open {config} --name {report.as_of:%Y-%m} --as-of {day}"
    first = call_list(report)[CUSTOMER_ID].head(1).tolist()
    if first and str(first[0]).isprintable():
        commands["explain"] = f"churnml explain {config} --customer {shlex.quote(str(first[0]))} --as-of {day}"
    return [
        {"why": words.say(f"report_step_{step}", end=words.date(end)), "command": shown(commands[step])}
        for step in report.next_steps
        if step in commands
    ]
