"""Pages that need nothing but a browser."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jinja2

from churnml.files import atomic_file


def write_page(template: str, target: Path, facts: dict[str, Any]) -> None:
    """Write a page as one HTML file, which appears whole or not at all.

    Parameters
    ----------
    template : str
        Which of the templates beside this file.
    target : Path
        The file to make; its folder must exist.
    facts : dict
        What the template speaks of.

    Raises
    ------
    ChurnmlError
        If the file cannot be written.
    """
    page = _environment().get_template(template).render(facts)
    with atomic_file(target) as part:
        part.write_text(page, encoding="utf-8", errors="replace")


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("churnml", "reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
