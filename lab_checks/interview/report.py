"""The written report on a mock interview, as Markdown: the score by area, then each answer with what to ask oneself next."""

from __future__ import annotations

from pathlib import Path

from lab_checks.engine import paths
from lab_checks.interview.mock import Interview
from lab_checks.interview.rubric import Result
from lab_checks.redact import redact

NAME = "interview-report.md"
_BAR = 10


def folder() -> Path:
    """Where the learner's report goes: here, or beside the learner's notebooks where here is the course's own checkout."""
    here, course = Path.cwd().resolve(), paths.root().resolve()
    if here != course and course not in here.parents:
        return here
    return paths.learners_notebooks()


def write(interview: Interview, answers: list[str], where: Path | None = None) -> Path:
    """Writes the report and returns its path; an earlier one of that name is replaced. It is made to be shown, so what answers quote of a cluster is masked."""
    path = where or folder() / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    masked = redact(markdown(interview, answers))
    told = f"\nMasked in this report: {masked.summary()}.\n" if masked.masked else ""
    path.write_text(masked.text + told)
    return path


def markdown(interview: Interview, answers: list[str]) -> str:
    """The whole report."""
    good = sum(each.passed for each in interview.results)
    flags = sum(len(each.flags) for each in interview.results)
    lines = [
        "# Mock interview",
        "",
        f"Seed {interview.seed}: {good} of {len(interview.results)} answers would do, {interview.share:.0%} of the points named, "
        f"{flags or 'no'} red flag{'' if flags == 1 else 's'}. **{'Passed' if interview.passed else 'Not passed yet'}.**",
        "",
        *_areas(interview),
    ]
    for number, (result, answer) in enumerate(zip(interview.results, [*answers, *[""] * len(interview.results)], strict=False), 1):
        lines += _answer(number, result, answer)
    lines += _what_next(interview)
    return "\n".join(lines).rstrip() + "\n"


def _areas(interview: Interview) -> list[str]:
    lines = ["| area | points named | |", "|---|---|---|"]
    for area, (named, of) in interview.by_area().items():
        filled = round(_BAR * named / of)
        lines.append(f"| {area} | {named} of {of} | {'█' * filled}{'░' * (_BAR - filled)} |")
    return [*lines, ""]


def _answer(number: int, result: Result, answer: str) -> list[str]:
    lines = [f"## {number} · {result.question.title}", "", f"*{result.question.asks}*", ""]
    if result.empty:
        return [*lines, "No answer.", ""]
    lines += [
        *(f"> {line}".rstrip() for line in answer.strip("\n").split("\n")),
        "",
        f"**{'Would do' if result.passed else 'Would not do yet'}**: {result.headline}.",
        "",
    ]
    if result.found and not result.copied:
        lines += ["You said:", "", *(f"- {point.says}" for point in result.found), ""]
    if result.flags:
        lines += ["Red flags:", "", *(f'- "{each.quote}": {each.why}' for each in result.flags), ""]
    if result.heap or result.copied:
        lines += [result.follow_up, ""]
    if result.missing and not result.copied:
        lines += ["The interviewer would go on asking:", "", *(f"- {point.ask}" for point in result.missing), ""]
    if result.tried:
        lines += [
            "<details><summary>One good answer</summary>",
            "",
            *(f"{part}\n" for part in result.question.model.replace("\n\n", "\0").replace("\n", " ").split("\0")),
            "</details>",
            "",
        ]
    return lines


def _what_next(interview: Interview) -> list[str]:
    weakest = sorted(interview.by_area().items(), key=lambda row: row[1][0] / row[1][1])[:2]
    weak = [area for area, (named, of) in weakest if named < 0.7 * of]
    if not weak:
        return ["## What next", "", "No area is weak. Take another seed."]
    return ["## What next", "", f"Practise {' and '.join(weak)}: `ai-lab interview` lists the questions."]
