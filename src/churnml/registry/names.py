"""Models by name: what they are called in MLflow, which versions there are, and what their verdicts say."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.evaluation.verdict import Verdict
from churnml.registry.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

MODELS = ("churn", "value")
CHAMPION = "champion"
VERDICT_TAG = "verdict"


def registered_name(config: Config, model: str) -> str:
    """Return what a model is called in MLflow.

    Parameters
    ----------
    config : Config
        Names the project.
    model : str
        ``churn`` or ``value``.

    Returns
    -------
    str
        ``{project}-{model}``.

    Raises
    ------
    ChurnmlError
        If there is no such model, or the project's name has a character that MLflow cannot address.
    """
    if model not in MODELS:
        raise ChurnmlError(f"there is no model {model}", f"name one of {', '.join(MODELS)}", model=model)
    if not re.fullmatch(r"\w[\w .-]{0,199}", config.project):
        raise ChurnmlError(
            f"project: {config.project!r} cannot name a model in MLflow",
            "use letters, digits, spaces, dots, - and _ (200 at most, a letter or digit first)",
            key="project",
            value=config.project,
        )
    return f"{config.project}-{model}"


def registered(store: Store, name: str) -> RegisteredModel | None:
    """Return a registered model with its aliases and tags, or None where none of its versions was ever recorded."""
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def champion_of(found: RegisteredModel | None) -> int | None:
    """Return the version that has the alias ``champion``, or None."""
    version = found.aliases.get(CHAMPION) if found else None
    return None if version is None else int(version)


def versions_of(store: Store, name: str) -> dict[int, ModelVersion]:
    """Return all versions of a registered model, oldest first; none where there is no such model."""
    found: list[ModelVersion] = []
    page = None
    while page is None or page.token:
        token = page.token if page else None
        page = store.client.search_model_versions(f"name = '{name}'", max_results=1_000, page_token=token)
        found += page
    return {int(version.version): version for version in sorted(found, key=lambda version: int(version.version))}


def verdict_of(version: ModelVersion, model: str) -> Verdict:
    """Return the verdict that was recorded with a version.

    Parameters
    ----------
    version : ModelVersion
        A version of a registered model.
    model : str
        What the verdict must speak of.

    Returns
    -------
    Verdict
        The verdict.

    Raises
    ------
    ChurnmlError
        If there is none, it cannot be read, or it is another model's.
    """
    text = version.tags.get(VERDICT_TAG)
    try:
        verdict = Verdict.from_dict(json.loads(text)) if text else None
    except (ValueError, ChurnmlError) as error:
        raise _without_verdict(version, model, f"has a verdict that cannot be read ({error})") from None
    if verdict is None:
        raise _without_verdict(version, model, "has no verdict")
    if verdict.model != model:
        raise _without_verdict(version, model, f"has the verdict of another model ({verdict.model})")
    return verdict


def refusals(verdict: Verdict) -> str:
    """Return why a verdict does not let its model pass, in English."""
    return "; ".join(gate.message() for gate in verdict.refusing) or "no gate was asked"


def _without_verdict(version: ModelVersion, model: str, why: str) -> ChurnmlError:
    told = f"version {version.version} of the {model} model {why}"
    return ChurnmlError(told, "train again", model=model, version=int(version.version))
