"""How MLflow itself loads one of our models: ``mlflow.pyfunc.load_model`` looks for this module by its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from churnml.models.bundle import Bundle


class Predicting:
    """A bundle, with the arguments that MLflow gives.

    Parameters
    ----------
    bundle : Bundle
        What predicts.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return what the bundle predicts.

        Parameters
        ----------
        frame : DataFrame
            Columns as the model's signature names them.
        params : dict, optional
            Not used; MLflow passes it.

        Returns
        -------
        DataFrame
            One row for each of the frame's, in its order.
        """
        return self.bundle.predict(frame)


def _load_pyfunc(path: str) -> Predicting:
    from churnml.models.bundle import Bundle

    return Predicting(Bundle.load(Path(path)))
