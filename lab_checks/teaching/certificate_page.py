"""The certificate as a page: to be read in a browser, by a screen reader, and on paper. What is verified is the JSON beside it."""

from __future__ import annotations

from html import escape
from typing import Any

from lab_checks.teaching import certificate, html


def page(signed: dict[str, Any], file: str) -> str:
    """The page of a certificate with its signature; `file` is the name of the JSON beside it."""
    told = signed["certificate"]
    days = [row["passed_at"][:10] for row in told["exercises"]]
    span = f"on {min(days)}" if min(days) == max(days) else f"between {min(days)} and {max(days)}"
    body = [
        "<main>",
        "<header>",
        "<p class='kind'>Certificate</p>",
        f"<h1>{escape(told['course'])}</h1>",
        f"<p class='name'>{escape(told['name'])}</p>",
        f"<p class='sum'>passed <strong>{told['passed']} of {told['of']} exercises</strong> {span}.</p>",
        "<p>Each was checked by the course's own program.</p>",
        "</header>",
        "<h2>Labs</h2>",
        *_labs(told),
        "<h2>Exercises</h2>",
        *_exercises(told),
        "<h2>What this proves</h2>",
        f"<p>{escape(certificate.PROVES[told['signed_with']])}</p>",
        "<dl>",
        f"<dt>Fingerprint of the public key</dt><dd><code>{escape(signed['signature']['fingerprint'])}</code></dd>",
        f"<dt>Signature</dt><dd>{escape(signed['signature']['algorithm'])}, over the JSON in the form of RFC 8785</dd>",
        f"<dt>Issued</dt><dd>{escape(told['issued_at'])}, by ai-lab {escape(told['course_version'])}</dd>",
        f"<dt>To verify</dt><dd><code>ai-lab certificate verify {escape(file)}</code></dd>",
        "</dl>",
        "<p>This page is for reading. Verify the JSON file: anyone can write a page.</p>",
        "</main>",
    ]
    return html.page(f"Certificate: {told['name']}, {told['course']}", "\n".join(body), "certificate.css")


def _labs(told: dict[str, Any]) -> list[str]:
    rows = [
        f"<tr><th scope='row'>{escape(row['lab'])}</th><td>{escape(row['title'])}</td>"
        f"<td>{row['passed']} of {row['of']}{', the whole lab' if row['passed'] == row['of'] else ''}</td></tr>"
        for row in told["labs"]
        if row["passed"]
    ]
    return _table("Passed exercises by lab", ("Lab", "Title", "Passed"), rows)


def _exercises(told: dict[str, Any]) -> list[str]:
    rows = [
        f"<tr><th scope='row'>{escape(row['exercise']).replace('/', '/<wbr>')}</th><td>{escape(row['title'])}</td>"
        f"<td class='day'>{escape(row['passed_at'][:10])}</td><td>{row['checks']}</td><td>{row['hints']}</td></tr>"
        for row in told["exercises"]
    ]
    caption = "Passed exercises. Days are in UTC. Hints are those of the try that took most."
    return _table(caption, ("Exercise", "Title", "Passed on", "Checks", "Hints"), rows)


def _table(caption: str, heads: tuple[str, ...], rows: list[str]) -> list[str]:
    head = "".join(f"<th scope='col'>{each}</th>" for each in heads)
    return ["<table>", f"<caption>{caption}</caption>", f"<thead><tr>{head}</tr></thead>", "<tbody>", *rows, "</tbody>", "</table>"]
