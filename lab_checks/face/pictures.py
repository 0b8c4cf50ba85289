"""Small pictures drawn from the learner's own cluster: inline SVG with a title for screen readers, no plotting library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from math import isfinite

# Colours that stay apart for colour-blind readers and on both of JupyterLab's themes (Okabe and Ito).
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#888888"
# Colour and dashes of each line of a picture: who sees no colours tells them by the dashes.
LINES = (
    (BLUE, ""), (ORANGE, "8 4"), (GREEN, "2 3"), (RED, "10 3 2 3"), ("#CC79A7", ""), ("#56B4E9", "6 6"), (GREY, "3 6"), ("#B8860B", "12 4"),
)  # fmt: skip


def show(*drawn: str) -> None:
    """Shows pictures and tables below the cell."""
    from IPython.display import HTML, display

    for each in drawn:
        display(HTML(each))  # type: ignore[no-untyped-call]


def _frame(width: int, height: int, title: str, body: str) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {width} {height}" style="max-width:{width}px;width:100%" font-family="sans-serif" font-size="13">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor">{escape(text)}</text>'


def bar(title: str, value: float, limit: float, unit: str, *, value_name: str = "used", limit_name: str = "limit") -> str:
    """One value against its limit: a bar that turns red where it reaches it."""
    most = max(value, limit) * 1.15 or 1
    scale = 460 / most
    colour = RED if value >= limit else GREEN
    alt = f"{title}: {value_name} {value:g} {unit}, {limit_name} {limit:g} {unit}"
    body = _text(0, 16, title)
    body += f'<rect x="0" y="26" width="{value * scale:.1f}" height="22" fill="{colour}"/>'
    body += f'<line x1="{limit * scale:.1f}" x2="{limit * scale:.1f}" y1="20" y2="56" stroke="currentColor" stroke-width="2"/>'
    body += _text(4, 68, f"{value_name} {value:g} {unit}") + _text(limit * scale, 68, f"{limit_name} {limit:g} {unit}", "middle")
    return _frame(560, 76, alt, body)


def timeline(title: str, spans: Sequence[tuple[str, float, float, str]], marks: Sequence[tuple[float, str]] = ()) -> str:
    """What lasted from when to when: rows of (name, from, to, colour) in seconds, with marks (second, words)."""
    end = max([span[2] for span in spans] + [mark[0] for mark in marks] + [0.1])
    scale = 400 / end
    height = 34 + 26 * len(spans) + 30
    body = _text(0, 16, title)
    told = []
    for row, (name, since, until, colour) in enumerate(spans):
        y = 28 + 26 * row
        body += _text(0, y + 15, name)
        body += f'<rect x="{140 + since * scale:.1f}" y="{y}" width="{max(2.0, (until - since) * scale):.1f}" height="20" fill="{colour}"/>'
        told.append(f"{name} from {since:.1f} to {until:.1f} s")
    for second, words in marks:
        x = 140 + second * scale
        body += f'<line x1="{x:.1f}" x2="{x:.1f}" y1="24" y2="{height - 28}" stroke="currentColor" stroke-dasharray="3 3"/>'
        body += _text(x, height - 14, words, "middle")
        told.append(f"{words} at {second:.1f} s")
    body += _text(140, height - 1, "0 s") + _text(540, height - 1, f"{end:.1f} s", "end")
    return _frame(560, height, f"{title}: {'; '.join(told)}", body)


def curve(title: str, points: Sequence[tuple[float, float]], limit: float, unit: str, *, limit_name: str = "limit", end: str = "") -> str:
    """A value over seconds against its limit, a dashed line; `end` is what became of it after the last point."""
    last, most = max([second for second, _ in points] or [0]) or 1, max([limit, *(value for _, value in points)]) * 1.15 or 1

    def place(second: float, value: float) -> tuple[float, float]:
        return 40 + second / last * 400, 180 - value / most * 150

    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*each) for each in points))
    level = place(0, limit)[1]
    body = _text(0, 16, title) + f'<polyline points="{path}" fill="none" stroke="{BLUE}" stroke-width="3"/>'
    body += f'<line x1="40" x2="440" y1="{level:.1f}" y2="{level:.1f}" stroke="{RED}" stroke-width="2" stroke-dasharray="6 4"/>'
    body += _text(446, level + 4, f"{limit_name} {limit:g} {unit}")
    body += '<line x1="40" x2="440" y1="180" y2="180" stroke="currentColor"/>'
    if points:
        x, y = place(*points[-1])
        body += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{RED if end else BLUE}"/>'
        body += _text(x - 8, y - 10, end or f"{points[-1][1]:g} {unit}", "end")
    body += _text(40, 198, "0 s") + _text(440, 198, f"{last:.1f} s", "end")
    told = f"from {points[0][1]:g} to {points[-1][1]:g} {unit} in {last:.1f} s" if points else "nothing measured"
    return _frame(580, 204, f"{title}: {told}, {limit_name} {limit:g} {unit}{', ' + end if end else ''}", body)


def lines(
    title: str, series: Mapping[str, Sequence[tuple[float, float]]], start: float, end: float, unit: str, ends: tuple[str, str]
) -> str:
    """Values over time, one line each by its name; `start` and `end` are the same as the points' times, and `ends` what stands below them.

    A gap of more than three steps is left open, and values that are no numbers are gaps.
    """
    finite = [value for points in series.values() for _, value in points if isfinite(value)]
    least, most = min([0.0, *finite]), max(finite, default=1.0)
    most = most if most > least else least + 1

    def place(when: float, value: float) -> str:
        return f"{60 + (when - start) / ((end - start) or 1) * 480:.1f},{170 - (value - least) / (most - least) * 150:.1f}"

    body = ""
    for share in (0, 0.5, 1):
        y, level = 170 - share * 150, least + share * (most - least)
        body += f'<line x1="60" x2="540" y1="{y}" y2="{y}" stroke="currentColor" stroke-opacity="{0.5 if share == 0 else 0.15}"/>'
        body += _text(54, y + 4, f"{level:.3g}", "end")
    for (name, points), (colour, dashes), row in zip(series.items(), LINES, range(len(LINES)), strict=False):
        for part in _unbroken(points):
            path = " ".join(place(*point) for point in part)
            body += f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
            if len(part) == 1:
                across, down = place(*part[0]).split(",")
                body += f'<circle cx="{across}" cy="{down}" r="2" fill="{colour}"/>'
        y = 216 + 18 * row
        body += f'<line x1="60" x2="92" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="3" stroke-dasharray="{dashes}"/>'
        body += _text(100, y, name)
    body += _text(60, 188, ends[0]) + _text(540, 188, ends[1], "end") + _text(54, 12, unit, "end")
    return _frame(560, 212 + 18 * min(len(series), len(LINES)), title, body)


def _unbroken(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """The parts of a line between its gaps."""
    step = min((after[0] - before[0] for before, after in pairwise(points)), default=0)
    parts: list[list[tuple[float, float]]] = []
    last = None
    for when, value in points:
        if not isfinite(value):
            continue
        if last is None or when - last > 3 * step:
            parts.append([])
        parts[-1].append((when, value))
        last = when
    return parts


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """An HTML table with a caption."""
    head = "".join(f"<th scope='col' style='text-align:left;padding:2px 12px 2px 0'>{escape(str(each))}</th>" for each in header)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left;padding:2px 12px 2px 0'>{escape(str(each))}</td>" for each in row) + "</tr>"
        for row in rows
    )
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
