"""The linter for prose: what it reads, what it leaves aside, and what it says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def linter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prose", ROOT / "tools" / "prose.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["prose"] = module
    spec.loader.exec_module(module)
    return module


def found(linter: ModuleType, folder: Path, name: str, text: str) -> list[str]:
    """What is found in a file, without its path: `LINE: what`."""
    file = folder / name
    file.write_text(text)
    return [line.removeprefix(f"{file}:") for line in linter.findings(file, linter.rules())]


def test_words_and_long_sentences_are_found_on_their_lines(linter: ModuleType, tmp_path: Path) -> None:
    long = " ".join(["word"] * 26)
    said = found(linter, tmp_path, "text.md", f"# A heading\n\nMend the pods.\n\n{long}.\n\n- {long[:-5]}.\n")
    assert len(said) == 3
    assert said[2].startswith("5: 26 words in a sentence, 25 at most")
    assert said[0].startswith('3: "Mend": fix or repair')
    assert '"pods": Kubernetes writes its kinds with capitals' in said[1]


@pytest.mark.parametrize(
    "text",
    [
        "---\ntitle: pods\n---\nText.\n",
        "Text.\n\n```bash\nkubectl get pods  # mend\n```\n",
        "Text:\n\n    kubectl get pods\n    mend\n",
        "Say `kubectl get pods` and see [the Pods](pods.md) at https://example.com/pods.\n",
        '<!-- #region debrief="pods" -->\nThe kubelet says "Too many pods".\n<!-- #endregion -->\n',
    ],
)
def test_code_quotes_marks_and_addresses_are_no_prose(linter: ModuleType, tmp_path: Path, text: str) -> None:
    assert found(linter, tmp_path, "text.md", text) == []


def test_of_a_table_what_learners_are_told_is_read(linter: ModuleType, tmp_path: Path) -> None:
    table = 'id = "pods"\n[words.one]\nsays = "mend the pods"\nnext = "kubectl get pods"\n[[exercise]]\nhints = ["a", "kubectl -n x get pods; mend"]\n'
    said = found(linter, tmp_path, "lab.toml", table)
    assert [line[:9] for line in said] == ['3: "mend"', '3: "pods"']
