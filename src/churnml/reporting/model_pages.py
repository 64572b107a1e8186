"""Two pages that go with every trained version: the report of its test, and its model card."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pandas as pd

from churnml.columns import CUSTOMER_ID
from churnml.config import Config
from churnml.evaluation.judge import ALL, SLICE_DRAWS
from churnml.evaluation.profit import TERMS
from churnml.evaluation.verdict import Verdict
from churnml.reporting.html import told_of_model
from churnml.reporting.pages import write_page
from churnml.reporting.report import ModelName, TrainedModel
from churnml.reporting.words import Words, shown
from churnml.wording import Language

LANGUAGES: tuple[Language, ...] = ("en", "zh")
TESTED = "tested.parquet"  # the rows of the test, without customers, until the pages are written
_NUMBERS = {name: [""] for name in ("value", "low", "high")}  # where nothing is written there is none; a name stays one


def write_model_pages(config: Config, name: ModelName, folder: Path) -> None:
    """Write report and card of a model into the folder that training hands over, in English and Chinese.

    Parameters
    ----------
    config : Config
        For currency and sensitive columns.
    name : {"churn", "value"}
        Which model.
    folder : Path
        With ``model/bundle.json``, ``facts.json``, ``verdict.json``, ``evaluation.csv`` and ``tested.parquet``. It gets
        ``report.html``, ``report.zh.html``, ``model_card.html`` and ``model_card.zh.html``.

    Raises
    ------
    ChurnmlError
        If a file cannot be written.
    """
    bundle = json.loads((folder / "model" / "bundle.json").read_text(encoding="utf-8"))["facts"]
    handed = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    model = _read(folder, handed["tags"], bundle.get("touched", {}))
    for lang in LANGUAGES:
        words = Words(lang, shown(config.currency))
        ending = "" if lang == "en" else f".{lang}"
        told = told_of_model(name, model, words)
        card = {
            "purpose": _purpose(name, bundle, words),
            "data": _data(model, bundle, handed, words),
            "limits": _limits(name, model, config, words),
        }
        facts = _page(handed["tags"], words)
        title = {"project": facts["project"], "model": words.say(f"model_{name}")}
        report = {**facts, "title": words.say("model_report_title", **title), "model": told, "card": None}
        write_page("model.html.j2", folder / f"report{ending}.html", report)
        without = {**facts, "title": words.say("model_card_title", **title), "model": told | {"figures": []}}
        write_page("model.html.j2", folder / f"model_card{ending}.html", {**without, "card": card})


def _read(folder: Path, tags: dict[str, str], touched: dict[str, Any]) -> TrainedModel:
    tested = pd.read_parquet(folder / TESTED)
    verdict = Verdict.from_dict(json.loads((folder / "verdict.json").read_text(encoding="utf-8")))
    return TrainedModel(
        version="",
        promoted=verdict.passed,
        trained_on=tuple(map(dt.date.fromisoformat, tags["train_dates"].split())),
        tested_on=tuple(map(dt.date.fromisoformat, tags["test_dates"].split())),
        out_of_time=tags["out_of_time"] == "true",
        tested=tested.assign(**{CUSTOMER_ID: ""}),
        evaluation=pd.read_csv(folder / "evaluation.csv", keep_default_na=False, na_values=_NUMBERS),
        verdict=verdict,
        touched=touched,
    )


def _page(tags: dict[str, str], words: Words) -> dict[str, Any]:
    return {
        "t": words.say,
        "lang": "zh-CN" if words.lang == "zh" else "en",
        "project": shown(tags["project"]),
        "trained_at": shown(tags["trained_at"]),
        "training_id": shown(tags["training_id"]),
    }


def _purpose(name: ModelName, bundle: dict[str, Any], words: Words) -> str:
    if name == "value":
        return words.say("card_for_value", **bundle["value"])
    label = bundle["label"]
    types = ", ".join(map(shown, label["types"])) if label["types"] else words.say("card_all_types")
    end = label["lead_days"] + label["horizon_days"]
    return words.say("card_for_churn", lead_days=label["lead_days"], end=end, mode=label["mode"], types=types)


def _data(model: TrainedModel, bundle: dict[str, Any], handed: dict[str, Any], words: Words) -> list[tuple[str, str]]:
    whole = model.evaluation[model.evaluation["slice"] == ALL].iloc[0]
    tags = handed["tags"]
    facts = {
        "rows": f"{whole['n']:,}",
        "positives": f"{whole['positives']:,}",
        "learned": words.dates(model.trained_on),
        "fitted": words.dates([dt.date.fromisoformat(day) for day in bundle["as_of"]]),
        "features": f"{len(handed['columns']):,}",
        "seed": str(bundle["seed"]),
        "panel": shown(tags["panel_hash"]),
        "config": shown(tags["config_hash"]),
        "software": shown(tags["churnml"]),
    }
    tested = words.say("card_tested", tested=words.dates(model.tested_on))
    return [(words.say("card_rows"), f"{facts.pop('rows')} · {tested}")] + [
        (words.say(f"card_{key}"), fact) for key, fact in facts.items()
    ]


def _limits(name: ModelName, model: TrainedModel, config: Config, words: Words) -> list[str]:
    told = [words.say("card_limit_refitted")]
    if not model.out_of_time:
        told.append(words.say("card_limit_not_later"))
    elif len(model.tested_on) == 1:
        told.append(words.say("card_limit_one_date"))
    told.append(words.say("card_limit_causes"))
    if name == "churn":
        told.append(words.say("card_limit_money", offer=TERMS.offer, contact=TERMS.contact, accepts=TERMS.accepts))
    sliced = model.evaluation[model.evaluation["slice"] != ALL]
    measured = sliced.groupby("slice", sort=False)["value"].count()
    small = [shown(part) for part in measured.index[measured == 0]]
    if small:
        told.append(words.say("card_limit_small", slices=", ".join(small)))
    if len(small) < len(measured):
        told.append(words.say("card_limit_intervals", draws=SLICE_DRAWS))
    if config.sensitive:
        told.append(words.say("card_limit_sensitive", sensitive=", ".join(map(shown, config.sensitive))))
    else:
        told.append(words.say("card_limit_nothing_sensitive"))
    return told
