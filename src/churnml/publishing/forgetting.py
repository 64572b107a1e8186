"""Removing a customer from every file that churnml keeps."""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from churnml.columns import CUSTOMER_ID
from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.files import atomic_file, atomic_folder, remove_leftovers
from churnml.publishing import files
from churnml.publishing.store import Store, write_store_without

_BATCH = 50_000  # rows


@dataclass(frozen=True)
class Removed:
    """What was removed.

    Attributes
    ----------
    rows : int
        From kept scores, rows in quarantine, conflicts of sources and panels.
    releases : int
        The releases that held the customer; all are gone.
    release : str or None
        What took the place of the one that was answered from, where that held the customer.
    """

    rows: int
    releases: int
    release: str | None

    @property
    def anything(self) -> bool:
        """Whether there was something of the customer."""
        return bool(self.rows or self.releases)


def forget_in_files(config: Config, customer: str) -> Removed:
    """Remove a customer from the state folder.

    A release is never changed: the one that is answered from is made again without the customer and takes its place, so
    that a service that runs goes over to it within a second; whatever older release holds the customer is removed.

    Parameters
    ----------
    config : Config
        Where the state is kept.
    customer : str
        Whom to forget.

    Returns
    -------
    Removed
        What there was; all zero where there was nothing.

    Raises
    ------
    ChurnmlError
        If a file can neither be read nor be written, or the current release is damaged.
    """
    remove_leftovers(config.state_folder)
    folder = files.releases_folder(config)
    holding = [release for release in files.releases_in(folder) if _holds(release, customer)]
    current = files.current_name(folder)
    successor = None
    if any(release.name == current for release in holding):
        successor = _made_again(folder / str(current), customer)
        files.make_current(folder, successor.name)
    for release in holding:
        shutil.rmtree(release)
    kept = sorted(config.state_folder.rglob("*.parquet")) if config.state_folder.is_dir() else []
    rows = sum(_removed(config, file, customer) for file in kept if folder not in file.parents)
    return Removed(rows, len(holding), None if successor is None else successor.name)


def _holds(release: Path, customer: str) -> bool:
    """Tell whether a customer is in a release, or may be, where it is damaged."""
    try:
        return _score_in(release, customer) is not None
    except ChurnmlError:
        return True


def _score_in(release: Path, customer: str) -> dict[str, str] | None:
    store = Store(release / files.STORE)
    try:
        [found] = store.scores([customer], reasons=False)
        return None if found is None else json.loads(found)
    finally:
        store.close()


def _made_again(release: Path, customer: str) -> Path:
    manifest = files.read_manifest(release)
    facts = {word: told for word, told in manifest.items() if word not in ("files", "format")}
    score = _score_in(release, customer)
    assert score is not None
    facts["customers"] -= 1
    facts["scored"] -= score["status"] == "scored"
    successor = release.with_name(f"{release.name.partition('-')[0]}-{secrets.token_hex(4)}")
    with atomic_folder(successor) as part:
        for file in (release / name for name in manifest["files"] if name != files.STORE):
            target = part / file.relative_to(release)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        write_store_without(release / files.STORE, customer, part / files.STORE)
        files.write_manifest(part, facts)
    return successor


def _removed(config: Config, file: Path, customer: str) -> int:
    """Write a file again without the rows of a customer; return how many there were."""
    try:
        with pq.ParquetFile(file) as opened:
            named = _naming(config, file, opened.schema_arrow)
            if not named:
                return 0
            batches = opened.iter_batches(_BATCH, columns=named)
            rows = sum(pc.sum(_of(batch, named, customer)).as_py() or 0 for batch in batches)
            if rows:
                with atomic_file(file) as part, pq.ParquetWriter(part, opened.schema_arrow, compression="zstd") as out:
                    for batch in opened.iter_batches(_BATCH):
                        out.write_batch(batch.filter(pc.invert(_of(batch, named, customer))))
            return int(rows)
    except FileNotFoundError:  # another run has taken it away meanwhile
        return 0
    except pa.ArrowException as error:
        told = f"{file} cannot be read ({str(error)[:80]}), so nobody can tell whether the customer is in it"
        raise ChurnmlError(told, "remove the file, and forget again", file=str(file)) from None


def _naming(config: Config, file: Path, schema: pa.Schema) -> list[str]:
    """Return the columns that may name a customer: of quarantine, where rows are as they came, whatever is text."""
    if CUSTOMER_ID in schema.names and file.parent.name != "quarantine":
        return [CUSTOMER_ID]
    table = config.tables.given().get(file.stem)
    theirs = {part.columns.get(CUSTOMER_ID, CUSTOMER_ID) for part in table.parts} if table else set()
    return [
        field.name
        for field in schema
        if field.name in theirs or pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    ]


def _of(batch: pa.RecordBatch, named: list[str], customer: str) -> pa.Array:
    """Return where one of some columns names a customer."""
    found = pa.array([False] * batch.num_rows)
    for name in named:
        same = pc.equal(batch.column(name).cast(pa.string()), customer)
        found = pc.or_(found, pc.fill_null(same, False))
    return found
