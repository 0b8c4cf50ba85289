"""What a program in a container without a root of its own sees of files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from clusters.embedded.kubelet.portable import shielded_folders
from tests.embedded.pods_without_kubelet import Lab


@pytest.fixture
def mounts(tmp_path: Path) -> dict[str, Path]:
    for name in ("app", "models", "nested", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "models" / "weights.bin").write_bytes(b"w" * 10)
    (tmp_path / "nested" / "inner.txt").write_text("inner")
    return {
        "/app": tmp_path / "app",
        "/models": tmp_path / "models",
        "/app/nested": tmp_path / "nested",
        "/tmp": tmp_path / "tmp",
        str(tmp_path): tmp_path,
        # As the kubelet does: this checkout and its interpreter may themselves lie below /tmp.
        **{str(folder): folder for folder in shielded_folders(tmp_path)},
    }


def test_files_are_found_at_the_paths_of_the_container(lab: Lab, mounts: dict[str, Path]) -> None:
    said = lab.run(
        lab.pod("a"),
        """
        import glob, io, os, pathlib, shutil, tempfile
        assert open('/models/weights.bin', 'rb').read() == b'w' * 10
        assert io.open(b'/models/weights.bin', 'rb').read(1) == b'w'
        assert pathlib.Path('/models').joinpath('weights.bin').stat().st_size == 10
        assert os.path.getsize('/app/../models/weights.bin') == 10
        assert glob.glob('/models/*.bin') == ['/models/weights.bin'], glob.glob('/models/*.bin')
        assert [entry.path for entry in os.scandir('/models')] == ['/models/weights.bin']
        assert list(os.walk('/models')) == [('/models', [], ['weights.bin'])]
        assert pathlib.Path('/app/nested/inner.txt').read_text() == 'inner'
        os.makedirs('/app/a/b')
        shutil.copy('/models/weights.bin', '/app/a/b/copy')
        shutil.copytree('/app/a', '/app/c')
        os.rename('/app/a/b/copy', '/app/moved')
        shutil.rmtree('/app/a')
        assert not os.path.exists('/app/a') and os.path.exists('/app/c/b/copy')
        os.symlink('/models/weights.bin', '/app/link')
        assert os.readlink('/app/link') == '/models/weights.bin' and os.path.realpath('/app/link') == '/models/weights.bin'
        assert len(open('/app/link').read()) == 10
        with tempfile.NamedTemporaryFile(dir='/tmp') as made:
            assert made.name.startswith('/tmp/') and os.path.exists(made.name)
        assert not os.path.exists('/modelsx') and os.path.exists('/etc')
        print('fine')
        """,
        mounts=mounts,
    )
    assert said == "fine\n"
    assert (mounts["/app"] / "moved").read_bytes() == b"w" * 10


def test_the_working_directory_is_the_containers(lab: Lab, mounts: dict[str, Path]) -> None:
    said = lab.run(
        lab.pod("a"),
        """
        import os, pathlib
        print(os.getcwd(), open('nested/inner.txt').read(), os.path.abspath('x'), len(open('../models/weights.bin').read()))
        os.chdir('/models')
        print(os.getcwd(), pathlib.Path.cwd(), os.listdir('.'))
        """,
        mounts=mounts,
        cwd=mounts["/app"],
    )
    assert said == "/app inner /app/x 10\n/models /models ['weights.bin']\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of this machine that no container has: a throw-away stand-in for /usr and its like."""
    folder = tmp_path / "machine"
    (folder / "deep").mkdir(parents=True)
    (folder / "kept").write_text("kept")
    (folder / "deep" / "kept").write_text("kept")
    return folder


def test_what_is_written_outside_the_mounts_stays_in_the_container(lab: Lab, machine: Path, tmp_path: Path) -> None:
    root = tmp_path / "rootfs"
    root.mkdir()
    said = lab.run(
        lab.pod("a"),
        """
        import os, pathlib, sys
        machine = pathlib.Path(sys.argv[1])
        print(os.getcwd(), (machine / 'kept').read_text())
        (machine / 'results.json').write_text('{}')
        os.makedirs(machine / 'model' / 'cache')
        print((machine / 'results.json').read_text(), os.listdir(machine / 'model'))
        with open('/dev/null', 'w') as file:
            file.write('gone')
        """,
        str(machine),
        mounts={"/app": tmp_path / "app"},
        cwd=root,
        AI_LAB_ROOT=str(root),
    )
    assert said == "/ kept\n{} ['cache']\n"
    assert sorted(each.name for each in machine.iterdir()) == ["deep", "kept"]
    assert (root / str(machine).lstrip("/") / "results.json").read_text() == "{}"


@pytest.mark.parametrize(
    "attempt",
    [
        "shutil.rmtree(machine)",
        "shutil.rmtree(machine, ignore_errors=True)",
        "os.remove(machine / 'kept')",
        "os.rename(machine / 'kept', '/app/stolen')",
        "os.truncate(machine / 'kept', 0)",
        "open(machine / 'kept', 'w').close()",
        "os.close(os.open(machine / 'kept', os.O_WRONLY | os.O_TRUNC))",
        "os.chdir(machine); os.remove('kept')",
        "os.chdir(machine); shutil.rmtree('deep')",
        "os.chdir(machine); open('kept', 'w').close()",
        "os.unlink('kept', dir_fd=os.open(machine, os.O_RDONLY))",
        "os.open('kept', os.O_WRONLY | os.O_TRUNC, dir_fd=os.open(machine, os.O_RDONLY))",
        "os.rename('kept', 'x', src_dir_fd=(fd := os.open(machine, os.O_RDONLY)), dst_dir_fd=fd)",
        "os.symlink('kept', 'x', dir_fd=os.open(machine, os.O_RDONLY))",
        "os.replace('/app/own', machine / 'kept')",
        "os.chmod(machine / 'kept', 0)",
    ],
)
def test_nothing_of_the_machine_is_changed_or_deleted(lab: Lab, machine: Path, tmp_path: Path, attempt: str) -> None:
    root, app = tmp_path / "rootfs", tmp_path / "app"
    root.mkdir()
    app.mkdir()
    (app / "own").write_text("own")
    before = {path: (path.stat().st_mode, path.read_text() if path.is_file() else "") for path in machine.rglob("*")}
    lab.attempt(
        lab.pod("a"),
        f"import os, pathlib, shutil, sys; machine = pathlib.Path(sys.argv[1])\n{attempt}",
        str(machine),
        mounts={"/app": app},
        cwd=root,
        AI_LAB_ROOT=str(root),
    )
    assert {path: (path.stat().st_mode, path.read_text() if path.is_file() else "") for path in machine.rglob("*")} == before


def test_an_error_names_the_path_that_the_program_gave(lab: Lab, mounts: dict[str, Path]) -> None:
    done = lab.attempt(lab.pod("a"), "open('/models/absent.bin')", mounts=mounts)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Traceback (most recent call last):",
        '  File "<string>", line 1, in <module>',
        "FileNotFoundError: [Errno 2] No such file or directory: '/models/absent.bin'",
    ]


def test_a_traceback_names_files_as_the_container_does(lab: Lab, mounts: dict[str, Path]) -> None:
    script = mounts["/app"] / "server.py"
    script.write_text("import logging\ntry:\n    open('/models/x')\nexcept OSError:\n    logging.exception('no')\nopen('/models/y')\n")
    done = subprocess.run(
        [sys.executable, str(script)], env=lab.environment(lab.pod("a"), mounts), capture_output=True, text=True, timeout=30, check=False
    )
    assert 'File "/app/server.py", line 3' in done.stderr
    assert 'File "/app/server.py", line 6' in done.stderr
    assert "    open('/models/y')" in done.stderr
    assert str(mounts["/app"]) not in done.stderr
    assert "_ai_lab" not in done.stderr


def test_modules_are_imported_from_folders_of_the_container(lab: Lab, mounts: dict[str, Path]) -> None:
    (mounts["/app"] / "own.py").write_text("value = 7\n")
    (mounts["/models"] / "plug.py").write_text("value = 8\n")
    said = lab.run(
        lab.pod("a"),
        """
        import sys, runpy, importlib.util
        sys.path.insert(0, '/app')
        import own
        spec = importlib.util.spec_from_file_location('plug', '/models/plug.py')
        plug = importlib.util.module_from_spec(spec); spec.loader.exec_module(plug)
        print(own.value, plug.value, runpy.run_path('/models/plug.py')['value'])
        """,
        mounts=mounts,
    )
    assert said == "7 8 8\n"


def test_databases_and_certificates_are_found(lab: Lab, mounts: dict[str, Path]) -> None:
    import trustme

    trustme.CA().cert_pem.write_to_path(mounts["/models"] / "ca.crt")
    said = lab.run(
        lab.pod("a"),
        """
        import sqlite3, ssl
        with sqlite3.connect('/app/jobs.db') as db:
            db.execute('create table jobs (name)')
        print(sqlite3.connect('file:/app/jobs.db?mode=ro', uri=True).execute('select count(*) from jobs').fetchone())
        print(len(ssl.create_default_context(cafile='/models/ca.crt').get_ca_certs()))
        """,
        mounts=mounts,
    )
    assert said == "(0,)\n1\n"
    assert (mounts["/app"] / "jobs.db").exists()


def test_children_get_paths_of_this_machine(lab: Lab, mounts: dict[str, Path]) -> None:
    (mounts["/app"] / "child.py").write_text("import sys; print(sys.argv[1], open(sys.argv[1]).read())\n")
    said = lab.run(
        lab.pod("a"),
        """
        import asyncio, os, subprocess, sys
        run = lambda *a, **k: subprocess.run(*a, capture_output=True, text=True, **k).stdout.strip()
        print(run(['cat', '/app/nested/inner.txt']))
        print(run('cat /app/nested/inner.txt | tr a-z A-Z', shell=True))
        print(run(['ls'], cwd='/models'))
        print(run([sys.executable, '/app/child.py', '/app/nested/inner.txt']))
        os.system('cp /app/nested/inner.txt /models/copied')
        async def main():
            child = await asyncio.create_subprocess_exec('wc', '-c', '/models/copied', stdout=subprocess.PIPE)
            print((await child.communicate())[0].split()[0])
        asyncio.run(main())
        """,
        mounts=mounts,
    )
    assert said.splitlines() == ["inner", "INNER", "weights.bin", "/app/nested/inner.txt inner", "b'5'"]


def test_unix_sockets_may_have_any_path(lab: Lab, mounts: dict[str, Path], tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)
    deep.mkdir()
    said = lab.run(
        lab.pod("a"),
        """
        import asyncio
        async def serve(reader, writer):
            writer.write((await reader.readline()).upper()); writer.close()
        async def main():
            server = await asyncio.start_unix_server(serve, '/deep/plugins/kubelet.sock')
            print(server.sockets[0].getsockname())
            reader, writer = await asyncio.open_unix_connection('/deep/plugins/kubelet.sock')
            writer.write(b'hello\\n')
            print(await reader.read())
        import os
        os.mkdir('/deep/plugins')
        asyncio.run(main())
        """,
        mounts={**mounts, "/deep": deep},
    )
    assert said == "/deep/plugins/kubelet.sock\nb'HELLO\\n'\n"


def test_open_may_be_kept_in_a_class(lab: Lab, mounts: dict[str, Path]) -> None:
    said = lab.run(
        lab.pod("a"),
        """
        import os
        class Reader:
            open = open
            stat = os.stat
        print(Reader().open('/models/weights.bin').read(2), Reader().stat('/models').st_nlink > 0)
        """,
        mounts=mounts,
    )
    assert said == "ww True\n"


def test_a_sitecustomize_of_the_image_still_runs(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.from_image = 'here'\n")
    env = lab.environment(lab.pod("a"))
    env["PYTHONPATH"] += f":{tmp_path}"
    done = subprocess.run([sys.executable, "-c", "print(from_image)"], env=env, capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("here\n", "")


def test_the_shim_costs_a_start_little(lab: Lab, mounts: dict[str, Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "pass"],
        env=lab.environment(lab.pod("a"), mounts),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    rows = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:") and "self" not in line]
    imported = {name.strip(): int(total) for _, total, name in rows}
    assert imported["sitecustomize"] < 30_000, imported
    assert not {"json", "re", "socket", "typing", "enum"} & set(imported)


def test_mounts_may_have_any_character(lab: Lab, tmp_path: Path) -> None:
    odd = tmp_path / 'a "b" \\ ü'
    odd.mkdir()
    (odd / "f").write_text("odd")
    assert lab.run(lab.pod("a"), "print(open('/öd d/f').read())", mounts={"/öd d": odd}) == "odd\n"
    assert json.dumps({"/öd d": str(odd)}).isascii()
