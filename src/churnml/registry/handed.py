"""What training hands over: a folder for each model, read strictly before any of it goes into MLflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from churnml.errors import ChurnmlError
from churnml.evaluation.verdict import Verdict

Dtype = Literal["int64", "float64", "string", "boolean", "timestamp"]


@dataclass(frozen=True)
class Handed:
    """One trained model, not yet in MLflow.

    Parameters
    ----------
    model : str
        Which model, such as ``churn``.
    folder : Path
        What it lies in: ``model/``, and what there is of ``evaluation.csv``, ``plots/`` and ``report.html``.
    verdict : Verdict
        What the gates say.
    parameters : dict of str to object
        What it was trained with.
    metrics : dict of str to float
        How well it did; what is not known is left out.
    tags : dict of str to str
        Where it comes from, among them ``training_id``.
    columns, outputs : dict of str to str
        Columns that it takes and gives, and their dtypes.
    data : dict of str to object
        What it was trained and tested on: ``name``, ``digest``, ``tables``, and counts for each use.
    example : dict of str to object
        A row that it takes, of nobody.
    """

    model: str
    folder: Path
    verdict: Verdict
    parameters: dict[str, Any]
    metrics: dict[str, float]
    tags: dict[str, str]
    columns: dict[str, Dtype]
    outputs: dict[str, Dtype]
    data: dict[str, Any]
    example: dict[str, Any]

    @property
    def training_id(self) -> str:
        """What tells this training from every other."""
        return self.tags["training_id"]


def read_handed(folder: Path) -> Handed:
    """Read the folder of one model.

    Parameters
    ----------
    folder : Path
        Has the name of the model.

    Returns
    -------
    Handed
        What is in it.

    Raises
    ------
    ChurnmlError
        If a file is missing or not as it should be.
    """
    facts = _json(folder / "facts.json")
    verdict = Verdict.from_dict(_json(folder / "verdict.json"))
    if verdict.model != folder.name:
        raise _damaged(folder / "verdict.json", f"is the verdict of {verdict.model}")
    if verdict.missing:
        raise _damaged(folder / "verdict.json", f"lacks the gates {', '.join(verdict.missing)}")
    if not any((folder / "model").rglob("*")):
        raise _damaged(folder / "model", "has no files")
    metrics = {name: value for name, value in _part(facts, "metrics", folder).items() if value is not None}
    tags = _part(facts, "tags", folder)
    if not all(isinstance(value, str) for value in tags.values()) or not tags.get("training_id"):
        raise _damaged(folder / "facts.json", "lacks tags as text with a training_id")
    if not all(isinstance(value, int | float) for value in metrics.values()):
        raise _damaged(folder / "facts.json", "has a metric that is no number")
    columns, outputs = (_part(facts, name, folder) for name in ("columns", "outputs"))
    if not outputs or not {*columns.values(), *outputs.values()} <= set(get_args(Dtype)):
        raise _damaged(folder / "facts.json", f"has columns of other types than {', '.join(get_args(Dtype))}")
    parameters, data, example = (_part(facts, name, folder) for name in ("parameters", "data", "example"))
    if not {"name", "digest", "tables", "uses"} <= data.keys() or not set(example) <= set(columns):
        raise _damaged(folder / "facts.json", "does not tell its data, or has an example of other columns")
    return Handed(folder.name, folder, verdict, parameters, metrics, tags, columns, outputs, data, example)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _damaged(path, "is missing") from None
    except (OSError, ValueError) as error:
        raise _damaged(path, f"cannot be read ({error})") from None


def _part(facts: Any, name: str, folder: Path) -> dict[str, Any]:
    part = facts.get(name) if isinstance(facts, Mapping) else None
    if not isinstance(part, dict):
        raise _damaged(folder / "facts.json", f"has no {name}")
    return part


def _damaged(path: Path, why: str) -> ChurnmlError:
    return ChurnmlError(f"the trained model is damaged: {path} {why}", "train again", file=str(path))
