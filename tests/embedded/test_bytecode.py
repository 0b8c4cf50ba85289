"""Compiled modules are kept beside the code of containers, and belong to the very source that they stand beside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clusters.embedded import bytecode
from clusters.embedded.images import Image
from clusters.embedded.kubelet import rootfs


@pytest.fixture(autouse=True)
def _as_in_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def _package(folder: Path) -> Path:
    (folder / "inner").mkdir(parents=True)
    (folder / "inner/said.py").write_text("SAID = 'first'\n")
    (folder / "main.py").write_text("from inner.said import SAID\nprint(SAID)\n")
    return folder


def _run(folder: Path) -> str:
    """What `main` prints and which compiled modules were used, by a Python that writes none."""
    done = subprocess.run(
        [sys.executable, "-v", "-c", "import main"], cwd=folder, env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    used = [line for line in done.stderr.splitlines() if "matches" in line and str(folder) in line]
    return f"{done.stdout.strip()} {len(used)}"


def test_what_is_kept_is_used_and_a_changed_module_is_compiled_again(tmp_path: Path) -> None:
    folder = _package(tmp_path / "app")
    assert _run(folder) == "first 0"
    bytecode.keep([folder])
    assert _run(folder) == "first 2"
    (folder / "inner/said.py").write_text("SAID = 'second one'\n")
    assert _run(folder) == "second one 1"
    bytecode.keep([folder])
    assert _run(folder) == "second one 2"


def test_what_is_kept_already_is_left_alone(tmp_path: Path) -> None:
    folder = _package(tmp_path / "app")
    bytecode.keep([folder])
    kept = sorted(folder.rglob("*.pyc"))
    before = [path.stat().st_ino for path in kept]
    bytecode.keep([folder])
    assert len(kept) == 2
    assert [path.stat().st_ino for path in kept] == before


def test_a_module_that_does_not_compile_keeps_none_of_the_others_from_it(tmp_path: Path) -> None:
    folder = _package(tmp_path / "app")
    (folder / "broken.py").write_text("def (:\n")
    bytecode.keep([folder, tmp_path / "gone"])
    assert [path.name.partition(".")[0] for path in sorted(folder.rglob("*.pyc"))] == ["main", "said"]


def test_a_container_gets_the_compiled_modules_only_where_its_image_compiles_them(tmp_path: Path) -> None:
    folder = _package(tmp_path / "app")
    bytecode.keep([folder])
    (folder / "inner/__pycache__/said.cpython-27.pyc").write_bytes(b"of another interpreter")
    files = (("/app/inner", folder / "inner"), ("/app/main.py", folder / "main.py"))
    for compiled in (False, True):
        root = tmp_path / f"root-{compiled}"
        rootfs.lay(root, Image("x", files=files, compiled=compiled), ["/app"])
        assert len(list(root.rglob("*.pyc"))) == (2 if compiled else 0)
        assert _run(root / "app") == ("first 2" if compiled else "first 0")


def test_what_another_account_compiled_for_itself_is_left_out_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _package(tmp_path / "app")
    bytecode.keep([folder])
    single = tmp_path / "single.py"
    single.write_text("SAID = 1\n")
    bytecode.keep([single])
    theirs = {str(folder / "inner" / "__pycache__"), str(bytecode.beside(single))}
    monkeypatch.setattr(bytecode.os, "access", lambda path, mode: str(path) not in theirs)
    root = tmp_path / "root"
    rootfs.lay(root, Image("of-a-test", compiled=True, files=[("/app", folder), ("/single.py", single)]), [])
    assert (root / "single.py").is_file()
    assert sorted(path.name.partition(".")[0] for path in root.rglob("*.pyc")) == ["main"]
