"""Which version is champion: moved only by its verdict, with who, when and why, and moved back again."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.evaluation.verdict import Verdict
from churnml.files import scratch_folder
from churnml.registry.intact import intact_folder
from churnml.registry.names import CHAMPION, champion_of, refusals, registered, registered_name, verdict_of, versions_of
from churnml.registry.record import now
from churnml.registry.store import Store, opened
from churnml.state.who import user

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

_EVENT = "churnml.champion."  # the tags of a registered model that keep its history, numbered
_KEPT = 100  # champions that a rollback can reach
_LONGEST = 1_000  # characters of a reason; MLflow keeps 5,000 in a tag


@dataclass(frozen=True)
class Promotion:
    """A change of the champion.

    Parameters
    ----------
    model : str
        ``churn`` or ``value``.
    action : {"promote", "rollback"}
        What was asked for.
    version : int
        The champion from now on.
    previous : int or None
        The champion until now; the same version where there was nothing to change.
    who : str
        Who asked for it.
    when : str
        ISO 8601 with offset.
    why : str or None
        The reason that was given.
    """

    model: str
    action: Literal["promote", "rollback"]
    version: int
    previous: int | None
    who: str
    when: str
    why: str | None

    @property
    def changed(self) -> bool:
        """Whether there is another champion than before."""
        return self.version != self.previous


def champion(config: Config, model: str) -> int | None:
    """Return the version that is champion, or None where there is none.

    Parameters
    ----------
    config : Config
        Names the project and the store.
    model : str
        ``churn`` or ``value``.

    Returns
    -------
    int or None
        The version.
    """
    name = registered_name(config, model)
    with opened(config) as store:
        return champion_of(registered(store, name))


def promote(
    config: Config, model: str, version: int | None = None, *, who: str | None = None, why: str | None = None
) -> Promotion:
    """Make a version champion, where its verdict lets it pass.

    Parameters
    ----------
    config : Config
        Names the project and the store.
    model : str
        ``churn`` or ``value``.
    version : int, optional
        Which version; the newest by default.
    who : str, optional
        Who asks for it; the operating system's user by default, unless ``gates.approval`` asks for a name.
    why : str, optional
        For the history; ``gates.approval`` asks for it.

    Returns
    -------
    Promotion
        What was done; nothing where the version is champion already.

    Raises
    ------
    ChurnmlError
        If there is no such model or version, a gate refuses it, or it waits for approval.
    """
    name = registered_name(config, model)
    with opened(config) as store:
        state = _state(store, name)
        if not state.versions:
            raise ChurnmlError(f"no {model} model was trained yet", "run churnml train CONFIG first", model=model)
        target = max(state.versions) if version is None else version
        asked = Promotion(model, "promote", target, state.champion, who or user(), now(config), why)
        before = state.before if target == state.champion else [*state.before, *filter(None, [state.champion])]
        _require_approval(config, state, asked, signed=bool(who and who.strip() and why and why.strip()))
        return _carried_out(store, state, asked, before)


def rollback(
    config: Config, model: str, version: int | None = None, *, who: str | None = None, why: str | None = None
) -> Promotion:
    """Make an earlier champion champion again.

    Parameters
    ----------
    config : Config
        Names the project and the store.
    model : str
        ``churn`` or ``value``.
    version : int, optional
        Which version; by default the one before the present champion, and then the one before that.
    who : str, optional
        Who asks for it; the operating system's user by default.
    why : str, optional
        For the history.

    Returns
    -------
    Promotion
        What was done.

    Raises
    ------
    ChurnmlError
        If there is no champion before this one, no such model or version, a gate refuses it, or it was never champion
        and waits for approval.
    """
    name = registered_name(config, model)
    with opened(config) as store:
        state = _state(store, name)
        before = [earlier for earlier in state.before if earlier in state.versions]
        if version is None and not before:
            told = f"version {state.champion} is the first champion" if state.champion else "there is no champion"
            raise ChurnmlError(
                f"the {model} model cannot be rolled back: {told}",
                f"churnml promote CONFIG {model} VERSION",
                model=model,
            )
        target = before[-1] if version is None else version
        if target in before:
            before = before[: len(before) - 1 - before[::-1].index(target)]  # the last time that it was champion
        elif state.champion is not None:
            before.append(state.champion)
        asked = Promotion(model, "rollback", target, state.champion, who or user(), now(config), why)
        _require_approval(config, state, asked, signed=bool(who and who.strip() and why and why.strip()))
        return _carried_out(store, state, asked, before)


def history(config: Config, model: str) -> list[dict[str, Any]]:
    """Return all changes of the champion, oldest first.

    Parameters
    ----------
    config : Config
        Names the project and the store.
    model : str
        ``churn`` or ``value``.

    Returns
    -------
    list of dict
        ``model``, ``action``, ``version``, ``previous``, ``who``, ``when``, ``why`` and ``completed``: false where the
        change was begun and never came about, because the process was killed.
    """
    name = registered_name(config, model)
    with opened(config) as store:
        state = _state(store, name)
    reached = [event["previous"] for event in state.events[1:]]
    return [
        {key: value for key, value in event.items() if key != "before"} | {"completed": event["version"] == then}
        for event, then in zip(state.events, [*reached, state.champion], strict=False)
    ]


@dataclass(frozen=True)
class _State:
    name: str
    versions: dict[int, ModelVersion]
    champion: int | None
    events: list[dict[str, Any]]

    @property
    def before(self) -> list[int]:
        """The champions before this one, by the latest event that made it champion, or else by the latest of all."""
        made = [event["before"] for event in self.events if event["version"] == self.champion]
        if made or not self.events or self.champion is None:
            return made[-1] if made else []
        last = self.events[-1]  # whoever moved the alias since has kept no history
        return [*last["before"], last["version"]]

    def was_champion(self, version: int) -> bool:
        """Tell whether a version was made champion at some time."""
        return any(event["version"] == version for event in self.events)


def _state(store: Store, name: str) -> _State:
    found = registered(store, name)
    tags = found.tags if found else {}
    events = [event for key in sorted(tags) if key.startswith(_EVENT) and (event := _event(tags[key]))]
    return _State(name, versions_of(store, name), champion_of(found), events)


def _event(text: str) -> dict[str, Any] | None:
    """Read an event of the history; what somebody else wrote there is none."""
    try:
        event = json.loads(text)
    except ValueError:
        return None
    known = isinstance(event, dict) and {"version", "previous", "before"} <= event.keys()
    return event if known and isinstance(event["before"], list) else None


def was_champion(store: Store, name: str, version: int) -> bool:
    """Tell whether churnml has made a version champion at some time."""
    return _state(store, name).was_champion(version)


def _require_approval(config: Config, state: _State, asked: Promotion, *, signed: bool) -> None:
    """Refuse what nobody has put their name to; who was champion before may come back at once."""
    version, found = asked.version, state.versions.get(asked.version)
    if not config.gates.approval or signed or found is None or state.was_champion(version):
        return
    if verdict_of(found, asked.model).passed:
        raise waits_for_approval(asked.model, version)


def waits_for_approval(model: str, version: int) -> ChurnmlError:
    """Return the error that tells of a version that passed its gates, and for which nobody has spoken yet."""
    return ChurnmlError(
        f"version {version} of the {model} model passed its gates and waits for approval (gates.approval): it may not"
        " be champion before somebody says who and why",
        f"churnml promote CONFIG {model} {version} --who NAME --why REASON",
        model=model,
        version=version,
        gates=["approval"],
    )


def never_asked(verdict: Verdict, model: str, version: int) -> ChurnmlError:
    """Return the error that tells of a version whose verdict leaves out gates of today."""
    return ChurnmlError(
        f"version {version} of the {model} model was never asked what is asked today: {', '.join(verdict.missing)}",
        "train again",
        model=model,
        version=version,
        gates=verdict.missing,
    )


def _carried_out(store: Store, state: _State, asked: Promotion, before: list[int]) -> Promotion:
    """Move the alias; nothing else does, and never without the verdict."""
    found = state.versions.get(asked.version)
    if found is None:
        raise ChurnmlError(
            f"the {asked.model} model has no version {asked.version}",
            f"there are: {', '.join(map(str, state.versions))}" if state.versions else "run churnml train CONFIG first",
            model=asked.model,
            version=asked.version,
            versions=list(state.versions),
        )
    verdict = verdict_of(found, asked.model)
    if not verdict.passed:
        raise ChurnmlError(
            f"version {asked.version} of the {asked.model} model may not be champion: {refusals(verdict)}",
            "mend that and train again",
            model=asked.model,
            version=asked.version,
            gates=[gate.name for gate in verdict.refusing],
        )
    if verdict.missing:
        raise never_asked(verdict, asked.model, asked.version)
    with scratch_folder() as scratch:
        intact_folder(store, found, asked.model, scratch)
    if asked.changed or not state.was_champion(asked.version):
        # first the history, so that a champion never lacks the one before
        event = asdict(asked) | {"why": asked.why and asked.why[:_LONGEST], "before": before[-_KEPT:]}
        key = f"{_EVENT}{len(state.events) + 1:06d}.{uuid.uuid4().hex[:4]}"
        store.client.set_registered_model_tag(state.name, key, json.dumps(event, ensure_ascii=False))
        store.client.set_registered_model_alias(state.name, CHAMPION, str(asked.version))
    return asked
