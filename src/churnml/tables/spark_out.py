"""Folders that Spark writes: they appear whole, or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from churnml.errors import ChurnmlError
from churnml.files import atomic_folder


@contextmanager
def appearing_folder(session: Any, out: str) -> Iterator[str]:
    """Yield the address of a hidden folder to write to, that becomes ``out`` when the block ends well.

    Parameters
    ----------
    session : pyspark.sql.SparkSession
        Whose file systems are known.
    out : str
        A folder, or an address that Hadoop knows (``hdfs://``, ``s3a://``): it must not exist, or be empty.

    Yields
    ------
    str
        An address; what was written is removed when the block fails.

    Raises
    ------
    ChurnmlError
        If the target holds something, its parent does not exist, or it cannot be written.
    """
    if "://" not in out:
        with atomic_folder(Path(out)) as part:
            yield part.absolute().as_uri()
        return
    target = session._jvm.org.apache.hadoop.fs.Path(out.rstrip("/"))
    system = target.getFileSystem(session._jsc.hadoopConfiguration())
    parent = target.getParent()
    if not system.exists(parent):
        raise ChurnmlError(f"the folder {parent} does not exist", "make it first", file=out)
    if system.exists(target) and len(system.listStatus(target)):
        raise ChurnmlError(f"{out} exists and is not empty", "name a new folder or remove it", file=out)
    part = session._jvm.org.apache.hadoop.fs.Path(parent, f".{target.getName()}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield str(part.toString())
        system.delete(target, False)
        if not system.rename(part, target):
            raise ChurnmlError(f"{out} cannot be written", "name a place that can be written", file=out)
    finally:
        system.delete(part, True)
