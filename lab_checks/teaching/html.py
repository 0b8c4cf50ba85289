"""Pages that need nothing but themselves: one HTML file each, with its style and its program inside, and a policy that loads nothing else."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from pathlib import Path

_FILES = Path(__file__).with_name("page_files")


@cache
def _file(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def page(title: str, body: str, style: str, script: str = "", *, asks_its_server: bool = False) -> str:
    """A whole page. `title` is text, `body` is HTML; `style` and `script` are names of files in page_files/, beside what all pages share.

    `asks_its_server`: the script may fetch from the server that the page came from.
    """
    css = f"\n{_file('shared.css')}\n{_file(style)}\n"
    program = f"\n{_file(script)}\n" if script else ""
    # Nothing may be loaded, whatever a lab's text or a learner's name holds; only what stands here runs.
    policy = f"default-src 'none'; style-src {_hash(css)}; base-uri 'none'; form-action 'none'" + (
        f"; script-src {_hash(program)}" if program else ""
    )
    policy += "; connect-src 'self'" if asks_its_server else ""
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>{css}</style>",
        "</head>",
        "<body>",
        body.strip(),
        *([f"<script>{program}</script>"] if program else []),
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"
