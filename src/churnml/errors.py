"""The one error for what a user can mend, and the one warning for what a user should know."""

from __future__ import annotations

from typing import Any


class ChurnmlError(Exception):
    """Say what is wrong and what to do about it, in one line.

    Parameters
    ----------
    problem : str
        What is wrong, with the file, table, column, date, value or row count it applies to. Never personal data.
    remedy : str
        What the user can do about it.
    **details
        The same facts as data (``table=...``, ``column=...``, ``rows=...``), so that a failure can be printed as JSON.
    """

    def __init__(self, problem: str, remedy: str = "", **details: Any) -> None:
        self.problem = " ".join(problem.split())
        self.remedy = " ".join(remedy.split())
        self.details = details
        super().__init__(f"{self.problem}: {self.remedy}" if self.remedy else self.problem)


class DataError(ChurnmlError, ValueError):
    """Say what is wrong with the data that an estimator is given, as scikit-learn does: by a ValueError."""


class ChurnmlWarning(UserWarning):
    """Say what a user should know before relying on a result."""
