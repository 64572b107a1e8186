"""Results as text for people."""

from __future__ import annotations

import io
import math
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from churnml.api.histories import CheckReport
from churnml.api.models import TrainReport
from churnml.reporting.words import Words
from churnml.wording import Language, reason_in, say

_WIDE = 200


def check_text(report: CheckReport, quarantine: Path, lang: Language) -> str:
    """Return what `check` found: a table of tables, the warnings, the verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for word in ("table", "rows", "accepted", "quarantined", "first", "last", "reasons"):
        table.add_column(say(word, lang), justify="right" if word in ("rows", "accepted", "quarantined") else "left")
    for name, found in report.tables.items():
        counts = [f"{count:,}" for count in (found.rows, found.accepted, found.quarantined)]
        span = [f"{moment:%Y-%m-%d}" if moment else "" for moment in (found.first, found.last)]
        reasons = ", ".join(f"{count:,} {reason_in(lang, reason)}" for reason, count in found.reasons.items())
        table.add_row(name, *counts, *span, reasons)
    lines = [_rendered(table)]
    if any(found.quarantined for found in report.tables.values()):
        lines += [say("quarantine_at", lang, folder=quarantine), ""]
    warnings = report.warnings(lang)
    lines.append(say("warnings" if warnings else "no_warnings", lang))
    for warning in warnings:
        place = ".".join(part for part in (warning["table"], warning["column"]) if part)
        lines.append(f"  - {place + ': ' if place else ''}{warning['message']}")
    lines += ["", say("enough" if report.enough_to_train else "not_enough", lang)]
    return "\n".join(lines)


def keys_text(keys: Sequence[Mapping[str, Any]], lang: Language) -> str:
    """Return the keys to the service as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = ("name", "role", "manager", "status", "created_at", "expires_at", "revoked_at")
    for name in columns:
        table.add_column(say(f"key_{name}", lang))
    for key in keys:
        told = {**key, "status": say(f"key_is_{key['status']}", lang)}
        table.add_row(*(str(told[name] or "") for name in columns))
    return _rendered(table) if keys else say("no_keys", lang)


_DRIVERS = 3  # themes of a group that are shown


def catalog_text(catalog: pd.DataFrame, lang: Language) -> str:
    """Return the catalogue as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = {"name": "feature", "source": "source", "window": "window", "unit": "unit", "theme": "theme"}
    columns |= {f"phrase_{lang}": "phrase", "meaning": "meaning"}
    for name, word in columns.items():
        table.add_column(say(word, lang), no_wrap=name == "name", justify="right" if name == "window" else "left")
    for row in catalog[list(columns)].astype(object).where(catalog[list(columns)].notna(), "").itertuples(index=False):
        table.add_row(*map(str, row))
    whys = dict(zip(catalog["theme"], catalog["why"], strict=True))
    return "\n".join([_rendered(table), "", *(f"{theme}: {why}" for theme, why in whys.items())])


def train_text(report: TrainReport, lang: Language) -> str:
    """Return what became of the models that were trained: verdict, gates, figures."""
    lines = []
    for name, model in report.models.items():
        key = "model_promoted" if model.promoted else "model_waits" if model.verdict.passed else "model_refused"
        lines.append(say(key, lang, model=say(f"model_{name}", lang), version=model.version))
        for gate in model.verdict.gates:
            lines.append(f"  {'+' if gate.passed else '-'} {gate.message(lang)}")
        figures = ", ".join(f"{metric} {value:.3f}" for metric, value in model.metrics.items())
        lines += [f"  {figures}", *_touched(report, name, lang), ""]
    return "\n".join(lines).rstrip()


def _touched(report: TrainReport, name: str, lang: Language) -> list[str]:
    """Say what our own campaigns did to the labels, where they did."""
    if report.training is None:
        return []
    touched = report.training.models[name].bundle.facts["touched"]
    if not touched["removed"] and not touched["own_calls"]:
        return []
    return [f"  {say(f'touched_{name}', lang, **touched)}"]


def explain_text(found: Mapping[str, Any], currency: str, lang: Language) -> str:
    """Return one customer's score, reasons and history, or what drives departures, and what has changed."""
    words = Words(lang, currency)
    lines = _customer_lines(found, words) if "score" in found else _driver_lines(found, words)
    if "changed" in found:
        key = "explained_change_of_one" if "score" in found else "explained_change"
        lines += ["", *_change_lines(key, found["changed"], words)]
    for name, rows in found.get("history", {}).items():
        table = Table(box=None, pad_edge=False, header_style="bold")
        columns = list(dict.fromkeys(column for row in rows for column in row))
        for column in columns:
            table.add_column(column)
        for row in rows:
            table.add_row(*(_cell(row.get(column)) for column in columns))
        lines += ["", name, _rendered(table).rstrip()]
    return "\n".join(lines)


def _customer_lines(found: Mapping[str, Any], words: Words) -> list[str]:
    score, lang = found["score"], words.lang
    lines = [
        say(
            "explained",
            lang,
            customer=score["customer_id"],
            as_of=score["as_of"],
            probability=score["churn_probability"],
            lower=math.floor(100 * found["higher_than"]),
            band=words.name("band", score["risk_band"]),
        )
    ]
    if score["value_if_stays"] is not None:
        money = {name: score[name] for name in ("value_if_stays", "value_at_risk")}
        tier = words.name("tier", score["value_tier"] or "-")
        lines.append(say("explained_value", lang, currency=words.currency, tier=tier, **money))
    if score["cause_probabilities"] is not None:
        chances = [
            f"{words.name('cause', cause)} {chance:.1%}" for cause, chance in score["cause_probabilities"].items()
        ]
        lines.append(say("explained_causes", lang, causes=", ".join(chances)))
        lines.append(say("explained_causes_why", lang, as_of=score["as_of"]))
    lines += ["", say("explained_why" if score["reasons"] else "explained_no_why", lang)]
    return lines + [f"  - {reason[f'text_{lang}']}" for reason in score["reasons"]]


def _driver_lines(found: Mapping[str, Any], words: Words) -> list[str]:
    lang, everyone = words.lang, found["drivers"][0]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for word in ("group", "customers_count", "mean_probability", "first_reasons"):
        table.add_column(
            say(word, lang), justify="right" if word in ("customers_count", "mean_probability") else "left"
        )
    for group in found["drivers"]:
        name = say("everyone", lang)
        if group["by"]:
            by = group["by"]
            name = f"{say(f'by_{by}', lang)}: {words.name(by, group['group'])}"
        told = ", ".join(_driver(theme, words) for theme in group["themes"][:_DRIVERS])
        table.add_row(name, f"{group['customers']:,}", f"{group['churn_probability']:.1%}", told)
    begin = say("explained_base", lang, as_of=found["as_of"], **everyone)
    return [begin, "", say("explained_drivers", lang), _rendered(table).rstrip()]


def _driver(theme: Mapping[str, Any], words: Words) -> str:
    told = f"{theme['first']:.0%} {words.name('theme', theme['code'])}"
    return told if theme["effect"] is None else f"{told} ({theme['effect']:+.2f})"


def _change_lines(key: str, changed: Mapping[str, Any], words: Words) -> list[str]:
    lines = [say(key, words.lang, **changed)]
    for theme in changed["themes"]:
        text = theme[f"text_{words.lang}"]
        lines.append(f"  {theme['effect']:+.2f}  {words.name('theme', theme['code'])}{f': {text}' if text else ''}")
    return lines if changed["themes"] else [*lines, f"  {say('explained_no_change', words.lang)}"]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return "" if value is None else re.sub(r"^(\d{4}-\d\d-\d\d)T(\d\d:)", r"\1 \2", str(value))


def _rendered(table: Table) -> str:
    """Return a rich table as text: as wide as the terminal, and wide elsewhere; bold only on a terminal."""
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else _WIDE
    text = io.StringIO()
    Console(file=text, width=width, force_terminal=terminal, markup=False, highlight=False, emoji=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"
