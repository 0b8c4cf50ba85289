"""What must hold of the course without a cluster: names, hints, files and links agree. Paths in, problems in words out."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from lab_checks.authoring import attempts, notebooks, spoilers
from lab_checks.engine import course, paths, registry

_LINK = re.compile(r"\[[^\]]*\]\((?!https?://|#|mailto:)([^)\s#]+)(?:#[^)]*)?\)")
_EVALUATIONS = ("start", "check", "hint", "diagnose", "answer", "causes", "reset")


def problems(root: Path | None = None) -> list[str]:
    """Everything that is wrong with the course's files."""
    base = root or paths.root()
    found: list[str] = []
    for lab in course.load().labs:
        registry.load(lab)
        found += _exercises(base, lab)
        found += stray(base, lab)
        found += _notebook(base, lab)
        found += spoiled(base, lab)
        found += attempts.missing(lab, attempts.load(base / attempts.FOLDER, lab))
    checked = {each.key for each in course.load().exercises}
    found += [f"a check is registered for {key}, which the course does not have" for key in registry.registered() if key not in checked]
    # Of no lab: what a new cluster is given, what takes the place of a part of that, and the platform of the drills.
    known = {lab.id for lab in course.load().labs} | {"base", "dra", "drill", "job-queue-operator", "metrics-adapter"}
    found += [f"manifests/{path.name} belongs to no lab" for path in sorted((base / "manifests").iterdir()) if path.name not in known]
    found += notebooks.out_of_step(base)
    return found


def spoiled(base: Path, lab: course.Lab) -> list[str]:
    """The places where the notebook of a lab, as its source makes it now, gives one of its exercises away."""
    source = base / "solutions" / f"{lab.id}.md"
    return spoilers.problems(base, lab, notebooks.learners(notebooks.read(source))) if source.exists() else []


def _exercises(base: Path, lab: course.Lab) -> list[str]:
    found = []
    names = [each.id for each in lab.exercises]
    found += [f"{lab.id}: two exercises are called {name}" for name in sorted({name for name in names if names.count(name) > 1})]
    for each in lab.exercises:
        if registry.check_of(each) is None:
            found.append(f"{each.key} has no check")
        if each.diagnosis and registry.diagnosis_of(each) is None:
            found.append(f"{each.key} asks for a diagnosis and has nothing that judges one")
        if len(each.hints) < 3 or not all(each.hints):
            found.append(f"{each.key} has {len(each.hints)} hints, 3 are the least, and none may be empty")
        elif "?" not in each.hints[0]:
            found.append(f"{each.key}: the first hint asks no question")
        elif not re.search(r"kubectl|lab\.|ai-lab|http|`", each.hints[-1]):
            found.append(f"{each.key}: the last hint shows no command")
    return found


def stray(base: Path, lab: course.Lab) -> list[str]:
    """What is wrong with the files of a lab under manifests/: folders of no exercise, files that nothing reads, text that is no YAML."""
    folder = base / "manifests" / lab.id
    found = []
    names = {each.id for each in lab.exercises}
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        # What a lab's exercises have in common is its base.
        if path.is_dir() and path.name not in {*names, "base"}:
            found.append(f"{path.relative_to(base)} belongs to no exercise")
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file() and path.suffix not in (".yaml", ".toml"):
            found.append(f"{path.relative_to(base)} is a stray file")
        beside = path.parent / "kustomization.yaml"
        if path.suffix == ".yaml" and path != beside and beside.exists() and f" {path.name}\n" not in beside.read_text():
            found.append(f"{path.relative_to(base)} is not named in the kustomization.yaml beside it")
        if path.suffix == ".yaml":
            try:
                list(yaml.safe_load_all(path.read_text()))
            except yaml.YAMLError as problem:
                found.append(f"{path.relative_to(base)} is no YAML: {problem}")
    return found


def _notebook(base: Path, lab: course.Lab) -> list[str]:
    source = base / "solutions" / f"{lab.id}.md"
    if not source.exists():
        return [f"{lab.id} has no notebook solutions/{lab.id}.md"]
    text = source.read_text()
    found = []
    used = set(re.findall(rf"lab\.(?:{'|'.join(_EVALUATIONS)})\(\s*[\"']([\w-]+)[\"']", text))
    names = {each.id for each in lab.exercises}
    found += [f"solutions/{lab.id}.md speaks of an exercise {name} that there is not" for name in sorted(used - names)]
    found += [
        f"solutions/{lab.id}.md never checks {name}" for name in sorted(names) if not re.search(rf"lab\.check\([\"']{name}[\"']", text)
    ]
    for target in _LINK.findall(text):
        if not (base / "solutions" / target).exists() and not (base / "labs" / target).exists():
            found.append(f"solutions/{lab.id}.md has a link to {target}, which is not there")
    return found
