"""`python tools/docs.py`: builds the documentation's pages into build/site; a link that leads nowhere ends it with status 1.

The pages of `docs/` are taken as they are. What the course's tables say already is written from them and nowhere twice: a page for each lab, and
what kind and the container engines say when they fail. `--serve` shows the pages in a browser instead.

Zensical builds them: its authors' Material for MkDocs ends in 2027.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "build" / "docs"

# Files of the checkout that pages link to, with their pages.
ELSEWHERE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"\]\((?P<to>[^)#:]+)(?P<part>#[^)]*)?\)")
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)#:]+)\)")
FAQ_MARK = "<!-- kind and container engines -->"


def _linked(text: str, page: Path) -> str:
    """A page's text with its links as they are in the site. `page` is where the text stands in the checkout."""

    def link(found: re.Match[str]) -> str:
        target = (page.parent / found["to"]).resolve()
        if not target.is_relative_to(ROOT) or (target.is_relative_to(page.parent) and page.parent == ROOT / "docs"):
            return found[0]
        name = target.relative_to(ROOT).as_posix()
        if name in ELSEWHERE:
            name = ELSEWHERE[name]
        elif target.name == "README.md" and name.startswith("images/"):
            name = f"images/{target.parent.name}.md"
        else:
            name = name.removeprefix("docs/")
        return f"]({name}{found['part'] or ''})"

    return _LINK.sub(link, text)


def _lab_pages(folder: Path) -> None:
    """A page for each lab, and one that lists them."""
    from lab_checks.engine import course

    folder.mkdir(parents=True)
    told = course.load()
    rows = [
        f"# The labs\n\n{told.title}. Each lab is a notebook; each exercise is checked on the live cluster.\n",
        "| lab | what you do | minutes | exercises |",
        "|---|---|---|---|",
    ]
    for lab in told.labs:
        rows.append(f"| [{lab.id}]({lab.id}.md) | {_line(lab.about)} | {lab.minutes} | {len(lab.exercises)} |")
        page = [
            f"# {lab.id}: {lab.title}\n",
            f"{lab.about}\n",
            f"About {lab.minutes} minutes, {len(lab.exercises)} exercises. Open it with `ai-lab open`, or begin with:\n",
            f"    ai-lab start {lab.id}\n",
        ]
        for each in lab.exercises:
            kinds = [
                *(["diagnosis first"] if each.diagnosis else []),
                *(["answers"] if each.answers else []),
                *([] if each.cluster else ["no cluster needed"]),
            ]
            page += [
                f"## {each.title} {{ #{each.id} }}\n",
                f"{each.goal}\n",
                f"`{each.key}`" + (f" · {', '.join(kinds)}" if kinds else "") + "\n",
            ]
        (folder / f"{lab.id}.md").write_text("\n".join(page))
    (folder / "index.md").write_text("\n".join(rows) + "\n")


def _line(text: str) -> str:
    return " ".join(text.split())


def _failures() -> str:
    """What kind and the engines say when they fail, as `ai-lab up` tells it."""
    rows = tomllib.loads((ROOT / "clusters" / "kind" / "failures.toml").read_text())["failure"]
    lines = ["| `ai-lab up --cluster kind` says | what to do |", "|---|---|"]
    for row in rows:
        what, todo = (re.sub(r"(?:\{\w+\})+", "…", row[name]).replace("|", "\\|") for name in ("what", "next"))
        lines.append(f"| {what} | {todo} |")
    return "\n".join(lines)


def prepare(source: Path) -> list[str]:
    """Lays out the site's sources in `source`, which is made anew. Returns what is wrong with pictures, a line each: Zensical looks at pages only."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "docs", source)
    for page in source.rglob("*.md"):
        page.write_text(_linked(page.read_text(), ROOT / "docs" / page.relative_to(source)))
    faq = source / "faq.md"
    faq.write_text(faq.read_text().replace(FAQ_MARK, _failures()))
    for name, place in ELSEWHERE.items():
        (source / place).write_text(_linked((ROOT / name).read_text(), ROOT / name))
    (source / "images").mkdir(exist_ok=True)
    for readme in sorted((ROOT / "images").glob("*/README.md")):
        text = _LINK.sub(lambda found: found[0].replace("../../docs/", "../"), readme.read_text())
        (source / "images" / f"{readme.parent.name}.md").write_text(text)
    _lab_pages(source / "labs")
    return [
        f"{page.relative_to(source)}: there is no picture {name}"
        for page in sorted(source.rglob("*.md"))
        for name in _PICTURE.findall(page.read_text())
        if not (page.parent / name).is_file()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="show the pages in a browser, at the address that is printed")
    options = parser.parse_args()
    missing = prepare(SOURCE)
    print(*missing, sep="\n", end="\n" if missing else "")
    zensical = str(Path(sys.executable).with_name("zensical"))
    if options.serve:
        return subprocess.run([zensical, "serve", "-f", str(ROOT / "mkdocs.yml")], cwd=ROOT, check=False).returncode
    built = subprocess.run(
        [zensical, "build", "--clean", "--strict", "-f", str(ROOT / "mkdocs.yml")],
        cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if built.returncode:
        # What follows is Python's way of saying that a page was refused.
        print((built.stdout + built.stderr).partition("Traceback")[0])
    return 1 if missing or built.returncode else 0


if __name__ == "__main__":
    raise SystemExit(main())
