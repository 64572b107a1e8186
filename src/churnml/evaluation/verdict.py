"""The verdict on a model: gates that each have to let it pass before it may become champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from churnml.errors import ChurnmlError
from churnml.wording import Language, say

# What is asked of each model; a verdict that leaves one out is none.
GATES = {
    "churn": (
        "out_of_time",
        "beats_recency",
        "not_worse_than",
        "not_worse_than_champion",
        "level",
        "calibrated",
        "even_slices",
        "enough_churners",
        "no_leak",
    ),
    "value": ("out_of_time", "not_worse_than", "not_worse_than_champion", "level", "enough_payers", "no_leak"),
}
_ONCE = {"least": 0.9, "most": 1.1}  # the limits of verdicts that were stored before they told them


@dataclass(frozen=True)
class Gate:
    """One question asked of a model, and how it was answered.

    Parameters
    ----------
    name : str
        Which question, such as ``beats_recency``.
    passed : bool
        Whether the gate lets the model pass.
    facts : dict
        What the answer rests on, as the sentence of the gate speaks of it; ``case`` where it has several sentences.
    """

    name: str
    passed: bool
    facts: dict[str, Any]

    def message(self, lang: Language = "en") -> str:
        """Return what the gate found, as a sentence.

        Parameters
        ----------
        lang : {"en", "zh"}
            English or Chinese.

        Returns
        -------
        str
            The sentence; for a gate of another version of churnml, that has none here, its name and facts.
        """
        case = f"_{self.facts['case']}" if "case" in self.facts else ""
        try:
            return say(f"gate_{self.name}{case}{'' if self.passed else '_refused'}", lang, **_ONCE | self.facts)
        except (KeyError, TypeError, ValueError):
            return f"{self.name} ({', '.join(f'{name} {fact}' for name, fact in self.facts.items())})"


@dataclass(frozen=True)
class Verdict:
    """All gates of one model.

    Parameters
    ----------
    model : str
        Which model, such as ``churn``.
    gates : tuple of Gate
        In the order they are told.
    """

    model: str
    gates: tuple[Gate, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate lets the model pass; without any gate it does not."""
        return bool(self.gates) and not self.refusing

    @property
    def refusing(self) -> list[Gate]:
        """The gates that do not let the model pass."""
        return [gate for gate in self.gates if not gate.passed]

    @property
    def missing(self) -> list[str]:
        """The gates that are asked of the model today, and were not."""
        return [name for name in GATES.get(self.model, ()) if name not in {gate.name for gate in self.gates}]

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as what JSON knows."""
        gates = [{"name": gate.name, "passed": gate.passed, "facts": dict(gate.facts)} for gate in self.gates]
        return {"model": self.model, "passed": self.passed, "gates": gates}

    @classmethod
    def from_dict(cls, content: Any) -> Verdict:
        """Return the verdict that `to_dict` gave.

        Parameters
        ----------
        content : dict
            As read from JSON.

        Returns
        -------
        Verdict
            The same verdict.

        Raises
        ------
        ChurnmlError
            If it is anything else, or ``passed`` is not what the gates say.
        """
        gates = _typed(content, {"model": str, "passed": bool, "gates": list})["gates"]
        for gate in gates:
            _typed(gate, {"name": str, "passed": bool, "facts": dict})
        verdict = cls(content["model"], tuple(Gate(**gate) for gate in gates))
        if verdict.passed != content["passed"]:
            raise _damaged("passed is not what the gates say")
        return verdict


def _typed(content: Any, members: dict[str, type]) -> dict[str, Any]:
    if not isinstance(content, Mapping) or set(content) != set(members):
        raise _damaged(f"exactly {', '.join(members)} is expected")
    for name, kind in members.items():
        if not isinstance(content[name], kind):
            raise _damaged(f"{name} is no {kind.__name__}")
    return dict(content)


def _damaged(why: str) -> ChurnmlError:
    return ChurnmlError(f"this is no verdict ({why})", "train again")
