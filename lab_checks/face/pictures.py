"""Small pictures drawn from the learner's own cluster: inline SVG with a title for screen readers, no plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

# Colours that stay apart for colour-blind readers and on both of JupyterLab's themes (Okabe and Ito).
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#888888"


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


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """An HTML table with a caption."""
    head = "".join(f"<th scope='col' style='text-align:left;padding:2px 12px 2px 0'>{escape(str(each))}</th>" for each in header)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left;padding:2px 12px 2px 0'>{escape(str(each))}</td>" for each in row) + "</tr>"
        for row in rows
    )
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
