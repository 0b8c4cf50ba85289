"""The path table of the portable launcher: what is translated and what is not."""

from __future__ import annotations

import pytest

from clusters.embedded.kubelet.paths import PathTable, script_position

TABLE = PathTable({"/config": "/h/c", "/tmp": "/h/t", "/config/sub": "/h/s", "/tmp/state": "/tmp/state"})


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("cp /config/vocab.txt /tmp/ && echo ok", "cp /h/c/vocab.txt /h/t/ && echo ok"),
        ("cat</config/a>/tmp/b", "cat</h/c/a>/h/t/b"),
        ("cat '/config/a b' \"/tmp/x\"", "cat '/h/c/a b' \"/h/t/x\""),
        ("--model=/config/m", "--model=/h/c/m"),
        ("PATH=/bin:/config:$PATH", "PATH=/bin:/h/c:$PATH"),
        ("cat /config/sub/a", "cat /h/s/a"),
        ("ls /tmp/state/x", "ls /tmp/state/x"),
        ("[ -e /tmp/loaded ]", "[ -e /h/t/loaded ]"),
        ("cat /config-old/a /configs /config.d/x", "cat /config-old/a /configs /config.d/x"),
        ("curl http://host:8080/config http://host/tmp", "curl http://host:8080/config http://host/tmp"),
        ("$HOME/tmp ${X}/tmp ../tmp ./config ~/tmp */tmp", "$HOME/tmp ${X}/tmp ../tmp ./config ~/tmp */tmp"),
        ("/data/config", "/data/config"),
    ],
)
def test_only_paths_of_the_table_are_rewritten(text: str, rewritten: str) -> None:
    assert TABLE.rewrite(text) == rewritten


def test_the_longest_entry_wins() -> None:
    assert TABLE.host("/config/sub/x") == "/h/s/x"
    assert TABLE.host("/config/x") == "/h/c/x"
    assert TABLE.host("/configs") is None


@pytest.mark.parametrize(
    ("argv", "position"),
    [
        (["python3", "/code/server.py", "--port", "80"], 1),
        (["python3", "-u", "-X", "dev", "app.py"], 4),
        (["python3", "-c", "print(1)"], None),
        (["python3", "-m", "http.server"], None),
        (["python3", "-uc", "print(1)"], None),
        (["python3"], None),
    ],
)
def test_the_script_of_a_python_command_line_is_found(argv: list[str], position: int | None) -> None:
    assert script_position(argv) == position
