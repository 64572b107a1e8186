"""The whole loop on a simulated operator."""

from __future__ import annotations

from pathlib import Path

from churnml.api.histories import PathLike, features, simulate
from churnml.config import load_config
from churnml.errors import ChurnmlError


def demo(out: PathLike = "churnml-demo", *, customers: int = 20_000, seed: int = 0, progress: bool = False) -> Path:
    """Simulate an operator and make its panel: everything that there is, in one go.

    Parameters
    ----------
    out : path
        The folder to make.
    customers : int
        Customers at the start.
    seed : int
        The same seed gives the same operator.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    Path
        The panel, beside the operator's ``churnml.yaml``.

    Raises
    ------
    ChurnmlError
        If the folder holds something.
    """
    simulate(out, customers=customers, seed=seed, progress=progress)
    config = load_config(Path(out) / "churnml.yaml")
    panel = Path(out) / "panel.parquet"
    if config.training is None:
        raise ChurnmlError(f"{out} has no training dates", "simulate more months")
    features(config, config.training.dates()[-3:], labels=True, out=panel, progress=progress)
    return panel
