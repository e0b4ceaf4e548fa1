from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from tfrec.evaluation.report.charts import (
    Estimate,
    Series,
    Span,
    curve_chart,
    grouped_bars,
    histogram,
    interval_chart,
    line_chart,
    span_chart,
)
from tfrec.evaluation.report.drawing import shorten

DAY = 86_400_000


def lines(name: str = "a", label: str = "one") -> Markup:
    pair = [Series(label, [1, 2], [3.0, 4.0]), Series("two", [1, 2], [2.0, 1.0], "other")]
    return line_chart(name, "alternative", pair, x_label="epoch", y_label="loss", marked=2)


CHARTS: dict[str, Callable[[], Markup]] = {
    "line": lines,
    "curve": lambda: curve_chart("b", "alt", [Series("x", [0, 1], [0, 1])], x_label="items", y_label="share"),
    "interval": lambda: interval_chart("c", "alt", [Estimate("m", 0.5, (0.4, 0.6))], x_label="hit", reference=0.1),
    "histogram": lambda: histogram("d", "alt", [1, 2, 11], [Series("m", (), [0.5, 0.5])], x_label="r", y_label="s",
                                   log=True),
    "bars": lambda: grouped_bars("e", "alt", ["head"], [Series("m", (), [0.5]), Series("n", (), [0.1], "other")],
                                 x_label="b", y_label="s"),
    "span": lambda: span_chart("f", "alt", [Span("train", 0, DAY), Span("test", DAY, DAY)], x_label="time"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHARTS)
def test_colours_come_from_the_page(kind: str) -> None:
    svg = CHARTS[kind]()
    root = ElementTree.fromstring(svg)
    assert root.attrib.keys() == {"viewBox", "role", "aria-label"}
    colours = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg))
    assert colours
    assert all(colour == "none" or re.fullmatch(r"var\(--[a-z]+\)|url\(#[\w-]+\)", colour) for colour in colours)
    assert "font-family" not in svg
    assert "<style" not in svg
    assert "xmlns" not in svg
    texts = list(root.iter("text"))
    assert texts
    assert all("fill: var(--" in element.get("style", "") for element in texts)


@pytest.mark.parametrize("kind", CHARTS)
def test_same_figure_same_text_and_ids_that_resolve(kind: str) -> None:
    svg = CHARTS[kind]()
    assert svg == CHARTS[kind]()
    ids = re.findall(r' id="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-f]-\d+", name) for name in ids)
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg)) == set(ids)


def test_text_of_users_is_neither_markup_nor_mathematics() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = lines("<x> y", "_</svg>$\\frac{$ \N{CJK UNIFIED IDEOGRAPH-4E2D}")
    root = ElementTree.fromstring(svg)
    said = [element.text for element in root.iter("text")]
    assert "\N{ZERO WIDTH SPACE}_</svg>$\\frac{$ \N{CJK UNIFIED IDEOGRAPH-4E2D}" in said
    assert all(name.startswith("-x--y-") for name in re.findall(r' id="([^"]+)"', svg))


def test_labels_are_shortened() -> None:
    assert shorten("a" * 22) == "a" * 22
    assert shorten("a" * 23) == "a" * 21 + "…"
    assert "session_popularit…" in lines(label="session_popularity_by_day")
