"""Figures as inline SVG: drawn by matplotlib, coloured and lettered by the style sheet of the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

WIDTH = 400
"""Width of a figure in CSS pixels before the page scales it; letters of 11.5 px stay legible on a phone."""

# Colours of the drawing stand for properties of the style sheet, which differ between light and dark.
INK, SOFT, GRID, MODEL, OTHER, MUTED = (f"#01010{digit}" for digit in range(1, 7))
_PROPERTIES = {INK: "--ink", SOFT: "--soft", GRID: "--line", MODEL: "--model", OTHER: "--other", MUTED: "--muted"}

_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tfrec",
    "font.family": ["DejaVu Sans"],
    "font.size": 11.5,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": SOFT,
    "axes.labelsize": 11.5,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 11,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "hatch.linewidth": 0.6,
}
_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"#([\w.-]+)")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")


def draw(name: str, alt: str, painter: Callable[[Axes], None], *, height: int = 250) -> Markup:
    """Draws one figure.

    The same name, text and drawing give the same SVG. It holds no script, no style sheet and no reference to anything
    outside itself, and its colours are custom properties of the page.

    Args:
        name: Prefix of its ids; no two figures of a page have the same. Only letters, digits and hyphens are kept.
        alt: What it shows, for readers who cannot see it.
        painter: Draws into the axes.
        height: CSS pixels before scaling, at a width of 400.

    Returns:
        The `<svg>` element.
    """
    text = io.StringIO()
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # a user's matplotlibrc does not change reports
        matplotlib.rcParams.update(_SETTINGS)
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72, layout="constrained")
        painter(figure.add_subplot())
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(text, metadata=nothing)
    prefix = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in name)
    return _inline(ElementTree.fromstring(text.getvalue()), prefix, alt)


def shorten(text: str, length: int = 22) -> str:
    """Returns a label that fits into a figure."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _inline(root: ElementTree.Element, name: str, alt: str) -> Markup:
    for parent in root.iter():
        for child in list(parent):
            if child.tag in (f"{_SVG}style", f"{_SVG}metadata") or (child.tag == f"{_SVG}defs" and not _drawn(child)):
                parent.remove(child)
    used = dict.fromkeys(match for element in root.iter() for match in _references(element))
    ids = {old: f"{name}-{number}" for number, old in enumerate(used, start=1)}
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.attrib = dict(_attributes(element, ids))
        element.tail = None
        if element.tag not in ("text", "tspan"):
            element.text = None
    view = root.attrib["viewBox"]
    root.attrib = {"viewBox": view, "role": "img", "aria-label": alt}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _drawn(definitions: ElementTree.Element) -> bool:
    return any(child.tag != f"{_SVG}style" for child in definitions)


def _references(element: ElementTree.Element) -> Iterator[str]:
    for key in ("clip-path", "style", _LINK):
        value = element.get(key, "")
        if key == _LINK or "url(" in value:
            yield from _REFERENCE.findall(value)


def _attributes(element: ElementTree.Element, ids: dict[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in element.attrib.items():
        if key == "id":
            if value in ids:
                yield key, ids[value]
        elif key in (_LINK, "clip-path"):
            yield key.rpartition("}")[2], _REFERENCE.sub(lambda match: f"#{ids[match[1]]}", value)
        elif key == "style":
            yield key, _style(value, ids)
        else:
            yield key, _LONG_NUMBER.sub(lambda match: f"{float(match[0]):.2f}", value).replace("\n", " ").strip()


def _style(value: str, ids: dict[str, str]) -> str:
    parts = []
    for declaration in value.split(";"):
        key, _, setting = (part.strip() for part in declaration.partition(":"))
        if key == "font":
            parts.append(f"font-size: {setting.split('px')[0].split()[-1]}px")
        elif key != "font-family":
            colour = _PROPERTIES.get(setting)
            reference = _REFERENCE.sub(lambda match: f"#{ids[match[1]]}", setting) if "url(" in setting else setting
            parts.append(f"{key}: var({colour})" if colour else f"{key}: {reference}")
    return "; ".join(parts)
