"""The files of a version, exactly as they were recorded with their verdict."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from churnml.errors import ChurnmlError
from churnml.registry.names import VERDICT_TAG
from churnml.registry.store import Store, local_path

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

DIGEST_TAG = "model_digest"


def digest(folder: Path, verdict: str) -> str:
    """Return the SHA-256 of a folder's files, their names, and the verdict on them, as hexadecimal text."""
    found = hashlib.sha256(f"{hashlib.sha256(verdict.encode()).hexdigest()}\n".encode())
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        found.update(f"{file.relative_to(folder).as_posix()} {content}\n".encode())
    return found.hexdigest()


def intact_folder(store: Store, version: ModelVersion, model: str, scratch: Path) -> Path:
    """Return a folder with a version's files.

    Parameters
    ----------
    store : Store
        An open store.
    version : ModelVersion
        The version.
    model : str
        ``churn`` or ``value``.
    scratch : Path
        Where files are put that do not lie on this machine's disks.

    Returns
    -------
    Path
        The folder; where a store was moved together with its folder of artefacts, there.

    Raises
    ------
    ChurnmlError
        If files are missing, or they or the verdict are not those that were recorded together.
    """
    source = f"{store.client.get_model_version_download_uri(version.name, version.version)}/data/model"
    folder = local_path(source)
    folder = _downloaded(store, source, scratch) if folder is None else _beside(store, folder)
    if not folder.is_dir():
        raise _unusable(version, model, f"are missing ({folder} does not exist)")
    if digest(folder, version.tags.get(VERDICT_TAG, "")) != version.tags.get(DIGEST_TAG):
        raise _unusable(version, model, f"or its verdict are not those that were recorded ({folder})")
    return folder


def _beside(store: Store, folder: Path) -> Path:
    """Return where a folder lies now that lay beside the store before both were moved or copied."""
    home = store.address.artifacts
    if home is None or home.name not in folder.parts:
        return folder
    last = len(folder.parts) - 1 - folder.parts[::-1].index(home.name)
    here = home.joinpath(*folder.parts[last + 1 :])
    return here if here.is_dir() else folder


def _downloaded(store: Store, source: str, scratch: Path) -> Path:
    from mlflow import artifacts

    return Path(artifacts.download_artifacts(source, dst_path=str(scratch), tracking_uri=store.address.uri))


def _unusable(version: ModelVersion, model: str, why: str) -> ChurnmlError:
    return ChurnmlError(
        f"the files of version {version.version} of the {model} model {why}",
        f"put them back from a backup, go back with churnml rollback CONFIG {model}, or train again",
        model=model,
        version=int(version.version),
    )
