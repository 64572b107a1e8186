"""Figures as pictures inside a page: their text stays text, in the page's own fonts, and they clash with nothing."""

from __future__ import annotations

import io
import re
import warnings
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

from churnml.evaluation.plots import HEADER

_POINTS = 72  # of an inch, the unit of an SVG
_NO_DATE = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def inline_svg(figure: Figure, name: str) -> tuple[str, str]:
    """Turn a figure of `churnml.evaluation.plots` into SVG to stand in a page.

    Parameters
    ----------
    figure : Figure
        It is left as it is.
    name : str
        Begins every id in the picture; no two pictures of a page may have the same.

    Returns
    -------
    title : str
        The figure's title, which the picture leaves out, so that the page can set it as text that wraps.
    svg : str
        One ``svg`` element that refers to nothing outside of itself; equal figures give equal text.
    """
    title = figure.get_suptitle()
    figure.suptitle("")
    with warnings.catch_warnings(), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the reader's browser has the font
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata=_NO_DATE)
    figure.suptitle(title)
    drawn = ElementTree.fromstring(written.getvalue())  # noqa: S314 - matplotlib wrote it
    picture = _without_namespaces(drawn, name)
    width, height = (float(size) * _POINTS for size in figure.get_size_inches())
    above = (HEADER - 0.02) * _POINTS if title else 0.0
    told = ElementTree.Element("title", id=f"{name}-title")
    told.text = title
    picture.insert(0, told)
    picture.attrib = {
        "viewBox": f"0 {above:g} {width:g} {height - above:g}",
        "role": "img",
        "aria-labelledby": f"{name}-title",
        "stroke-linejoin": "round",
    }
    return title, ElementTree.tostring(picture, encoding="unicode")


def _without_namespaces(element: ElementTree.Element, name: str) -> ElementTree.Element:
    """Copy an element as HTML has it: plain names, ids that begin with a name, no styles for the whole page."""
    copy = ElementTree.Element(_plain(element.tag))
    for attribute, value in element.attrib.items():
        copy.set(_plain(attribute), _plain_value(_plain(attribute), value, name))
    copy.text, copy.tail = (element.text or "").strip("\n ") or None, None
    for child in element:
        if _plain(child.tag) not in ("metadata", "style"):
            copy.append(_without_namespaces(child, name))
    return copy


def _plain(tag: str) -> str:
    return tag.rpartition("}")[2]


def _plain_value(attribute: str, value: str, name: str) -> str:
    if attribute == "id":
        return f"{name}-{value}"
    if attribute == "href":
        return f"#{name}-{value[1:]}"
    if attribute == "style":  # "font: 700 11px 'DejaVu Sans', ...": size and weight are kept
        value = re.sub(
            r"font: (?:(\w+) )?([\d.]+)px [^;]*",
            lambda font: f"font-size: {font[2]}px" + (f"; font-weight: {font[1]}" if font[1] else ""),
            value,
        )
    return re.sub(r"url\(#", f"url(#{name}-", value)
