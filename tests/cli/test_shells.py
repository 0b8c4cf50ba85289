"""kubectl and ai-lab in the shells that learners use, real ones: in a JupyterLab terminal, and in a shell of their own after `ai-lab env`.

Each shell has start files of its own that set PATH and KUBECONFIG anew, as /etc/profile does on Debian.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest

import clusters
from lab_checks.face import shell_setup, terminal_shell
from tests.conftest import BIN, ROOT

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
PATIENCE = 60.0  # seconds

# Where each shell looks for what a learner has written, and in which of its two ways to start it reads it.
START_FILES = {
    "bash": {".bashrc": "interactive", ".bash_profile": "login"},
    "zsh": {".zshenv": "both", ".zprofile": "login", ".zshrc": "both", ".zlogin": "login"},
    "fish": {".config/fish/config.fish": "both"},
    "dash": {".profile": "login"},
}
SHELLS = [
    pytest.param(shutil.which(name), id=name, marks=[] if shutil.which(name) else pytest.mark.skip(reason=f"left out: there is no {name} on this machine"))
    for name in START_FILES
]  # fmt: skip
LOGIN = pytest.mark.parametrize("options", [[], ["-l"]], ids=["interactive", "login"])

# What the shell at hand hands on to programs, and how the two commands do there.
PROBE = """
import json, os, subprocess, sys
def run(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True).returncode
    except FileNotFoundError:
        return 127
found = {name: os.environ.get(name, "") for name in ("PATH", "KUBECONFIG", "AI_LAB_HOME", "SHELL", "ENV", "ZDOTDIR")}
found["READ"] = [name for name in os.environ if name.startswith("READ_")]
found["LEFT"] = [name for name in os.environ if name.startswith("AI_LAB_SHELL")]
found["kubectl"], found["ai-lab"] = run("kubectl", "version", "--client"), run("ai-lab", "--help")
with open(sys.argv[1] + ".new", "w") as file:
    json.dump(found, file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
"""


class Learner:
    """A home folder with start files, a state folder in which a cluster was brought up once, and shells that are typed into."""

    def __init__(self, folder: Path):
        self.home, self.state = folder / "home", folder / "state of the lab"
        self.state.mkdir()
        self.kubeconfig = clusters.get("embedded", self.state).kubeconfig
        clusters.remember(clusters.get("embedded", self.state), self.state)
        for shell, files in START_FILES.items():
            for name in files:
                path = self.home / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self.reset(shell, name))
        (folder / "probe.py").write_text(PROBE)
        self._probe, self._answer = folder / "probe.py", folder / "answer.json"
        self.environment = {
            "HOME": str(self.home), "PATH": SYSTEM_PATH, "AI_LAB_HOME": str(self.state), "TERM": "xterm", "LANG": "C.UTF-8",
            "XDG_CONFIG_HOME": str(self.home / ".config"),
        }  # fmt: skip

    @staticmethod
    def reset(shell: str, name: str) -> str:
        """A start file that sets anew what the course needs, and leaves a trace."""
        values = {"PATH": SYSTEM_PATH, "KUBECONFIG": "/somewhere/else", f"READ_{Path(name).name.strip('.').replace('.', '_')}": "yes"}
        told = "set -gx {} {}" if shell == "fish" else "export {}={}"
        path = SYSTEM_PATH.replace(":", " ") if shell == "fish" else SYSTEM_PATH
        return "".join(told.format(key, path if key == "PATH" else value) + "\n" for key, value in values.items())

    def types(self, command: list[str], *lines: str, **environment: str) -> dict[str, object]:
        """What programs find that are started in a shell, after these lines were typed into it."""
        with pexpect.spawn(
            command[0], command[1:], env={**self.environment, **environment}, cwd=str(self.home), encoding="utf-8", dimensions=(40, 400)
        ) as shell:
            for line in (*lines, f"{sys.executable} {self._probe} {self._answer}"):
                shell.sendline(line)
            deadline = time.monotonic() + PATIENCE
            while not self._answer.exists():
                assert time.monotonic() < deadline, f"{command} said:\n{shell.before}"
                shell.expect([pexpect.TIMEOUT, pexpect.EOF], timeout=0.2)
        found: dict[str, object] = json.loads(self._answer.read_text())
        self._answer.unlink()
        return found

    def terminal(self, *shell: str, **environment: str) -> dict[str, object]:
        """The same in a JupyterLab terminal, which runs the course's launcher with what JupyterLab would run."""
        launcher = [sys.executable, "-P", "-m", "lab_checks.face.terminal_shell", *shell]
        return self.types(launcher, KUBECONFIG=str(self.kubeconfig), **environment)

    def can_work(self, found: dict[str, object]) -> None:
        """The course's programs are first on PATH, once; kubectl speaks to the lab's cluster; nothing is left of how that came about."""
        path = str(found["PATH"]).split(os.pathsep)
        assert path[0] == str(BIN)
        assert path.count(str(BIN)) == 1
        assert path[1:] == SYSTEM_PATH.split(os.pathsep)
        assert (found["KUBECONFIG"], found["AI_LAB_HOME"]) == (str(self.kubeconfig), str(self.state))
        assert (found["kubectl"], found["ai-lab"]) == (0, 0)
        assert found["LEFT"] == []


@pytest.fixture
def learner(tmp_path: Path) -> Learner:
    return Learner(tmp_path)


def traces(shell: str, login: bool) -> set[str]:
    """The start files that a shell reads by itself."""
    kinds = {"both", "login" if login else "interactive"}
    return {f"READ_{Path(name).name.strip('.').replace('.', '_')}" for name, when in START_FILES[shell].items() if when in kinds}


@pytest.mark.parametrize("shell", SHELLS)
@LOGIN
def test_a_jupyterlab_terminal_is_the_learners_own_shell_in_which_both_commands_work(
    shell: str, options: list[str], learner: Learner
) -> None:
    found = learner.terminal(shell, *options, SHELL="/bin/false")
    learner.can_work(found)
    assert set(found["READ"]) == traces(Path(shell).name, bool(options))
    assert found["SHELL"] == shell
    assert (found["ENV"], found["ZDOTDIR"]) == ("", "")


@pytest.mark.parametrize("shell", [each for each in SHELLS if each.id == "zsh"])
def test_zsh_finds_its_start_files_where_the_learner_keeps_them(shell: str, learner: Learner) -> None:
    own = learner.home / "my zsh"
    own.mkdir()
    (own / ".zshrc").write_text(learner.reset("zsh", "mine") + "precmd_functions=()\n")
    found = learner.terminal(shell, ZDOTDIR=str(own))
    learner.can_work(found)
    assert (found["READ"], found["ZDOTDIR"]) == (["READ_mine"], str(own))
    (learner.home / ".zshenv").write_text(f"export ZDOTDIR='{own}'\n")
    found = learner.terminal(shell, "-l")
    learner.can_work(found)
    assert (found["READ"], found["ZDOTDIR"]) == (["READ_mine"], str(own))


@pytest.mark.parametrize("shell", [each for each in SHELLS if each.id == "dash"])
def test_sh_reads_the_file_that_env_names_for_the_learner(shell: str, learner: Learner) -> None:
    own = learner.home / "my.shrc"
    own.write_text(learner.reset("sh", "mine"))
    found = learner.terminal(shell, ENV=str(own))
    learner.can_work(found)
    assert (found["READ"], found["ENV"]) == (["READ_mine"], str(own))


@pytest.mark.parametrize("given", [{}, {"SHELL": "/no/such/shell"}, {"SHELL": "/usr/sbin/nologin"}], ids=["none", "missing", "nologin"])
def test_without_a_usable_shell_a_terminal_opens_all_the_same(given: dict[str, str], learner: Learner) -> None:
    learner.can_work(learner.terminal(*given.values(), **given))


def test_a_shell_that_the_course_does_not_know_inherits_the_environment() -> None:
    course = {"PATH": "/course/bin:/usr/bin:/bin", "KUBECONFIG": "/lab/kubeconfig"}
    command, environment = terminal_shell.prepare([sys.executable, "-l", "-q"], {"PATH": "/bin", "SHELL": "/bin/bash"}, course)
    assert command == [sys.executable, "-q"]
    assert {**environment, **course} == environment
    assert environment["SHELL"] == "/bin/bash"


@pytest.mark.parametrize("shell", SHELLS)
@LOGIN
def test_what_the_readme_says_sets_up_a_shell_of_ones_own_and_may_be_said_twice(shell: str, options: list[str], learner: Learner) -> None:
    told = re.findall(r"^- (.*): `(.*ai-lab env.*)`$", (ROOT / "README.md").read_text(), re.M)
    [line] = [each for shells, each in told if shell_setup.kind(shell) in shells.split(", ")]
    assert line == shell_setup.how_to(shell_setup.kind(shell), "ai-lab")
    line = line.replace("ai-lab", str(BIN / "ai-lab"))
    learner.can_work(learner.types([shell, *options], line, line))


@pytest.mark.parametrize("shell", [each for each in SHELLS if each.id == "fish"])
def test_fish_understands_the_line_that_notebooks_show(shell: str, learner: Learner) -> None:
    learner.can_work(learner.types([shell], f'eval "$({BIN}/ai-lab env)"', 'eval "$(ai-lab env)"'))


@pytest.mark.parametrize("shell", SHELLS)
def test_the_lines_survive_quotes_backslashes_and_dollars(shell: str, tmp_path: Path) -> None:
    odd = "it's \"one\" \\ back'\\\\ $HOME * ;"
    lines = shell_setup.lines(shell_setup.kind(shell), {"PATH": f"/a b/it's$x:{SYSTEM_PATH}", "ODD": odd})
    program = 'import os; print(os.environ["ODD"]); print(os.environ["PATH"])'
    done = subprocess.run(
        [shell, "-c", f"{lines}\n{sys.executable} -c '{program}'"], env={"PATH": SYSTEM_PATH, "HOME": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [odd, f"/a b/it's$x:{SYSTEM_PATH}"]


def test_the_shell_may_be_named_and_a_wrong_name_is_told(learner: Learner) -> None:
    def env(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "ai-lab"), "env", *arguments], env=learner.environment, capture_output=True, text=True, check=False
        )

    assert env("--shell", "fish").stdout.startswith("set -gx KUBECONFIG ")
    assert env("--shell", "zsh").stdout.startswith("export KUBECONFIG=")
    refused = env("--shell", "cmd.exe")
    assert refused.returncode == 2
    assert "one of: auto, bash, zsh, fish, sh" in refused.stderr
