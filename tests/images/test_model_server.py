"""The model server as a process: its life from loading to SIGTERM, its answers, and the ways in which it fails."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gpu_device_plugin import faults, inventory
from gpu_device_plugin.description import Description

from tests.images.conftest import IMAGES, Start

MODELS = IMAGES / "model_server/models"
WEIGHTS = {each: str(MODELS / f"log-classifier-{each}.safetensors") for each in ("v1", "v2", "v3")}
OOM = "kernel: Out of memory: Killed process 4242 (python3)"


@dataclass
class Server:
    process: subprocess.Popen[str]
    port: int

    def ask(self, path: str, body: Any = None, timeout: float = 10) -> tuple[int, Any]:
        """(status, JSON or text) of a GET, or of a POST with this body; status 0 where nothing listens."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data), timeout=timeout) as response:
                status, text = response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        except (urllib.error.URLError, ConnectionError):
            return 0, ""
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def until(self, path: str, status: int, within: float = 60) -> Any:
        """Waits until `path` answers with `status`, and gives the body."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            got, body = self.ask(path)
            if got == status:
                return body
            assert self.process.poll() is None, self.process.communicate()[0]
            time.sleep(0.02)
        raise AssertionError(f"{path} never answered {status}; last was {got}: {body}")

    def end(self) -> tuple[int, str]:
        """Waits for the process; its exit code and its log."""
        log, _ = self.process.communicate(timeout=20)
        return self.process.returncode, log

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        return self.end()


Serve = Callable[..., Server]


@pytest.fixture
def serve(start: Start, free_port: int) -> Serve:
    def launch(version: str = "v2", **environment: str) -> Server:
        settings = {"PORT": str(free_port), "MODEL_PATH": WEIGHTS[version], "DRAIN_SECONDS": "0", "INFERENCE_MS": "1", "TOKEN_MS": "0"}
        return Server(start("model_server", **(settings | environment)), free_port)

    return launch


@pytest.fixture
def gpu_node(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Describes a node with two A100 and these faults; the environment of a container that holds the first."""

    def describe(**annotations: str) -> dict[str, str]:
        found = faults.parse({f"gpu.ai-lab.dev/{name.replace('_', '-')}": value for name, value in annotations.items()})
        devices = inventory.devices("n", {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB", "nvidia.com/gpu.count": "2"}, found)
        description = Description(tmp_path)
        description.prepare()
        description.write("n", inventory.driver(found), devices, {})
        return {"NVIDIA_VISIBLE_DEVICES": devices[0].uuid, "GPU_ROOT": str(tmp_path)}

    return describe


# From loading to the end


def test_it_is_alive_but_not_ready_until_the_model_is_loaded(serve: Serve) -> None:
    server = serve(MODEL_LOAD_SECONDS="0.8")
    assert server.until("/ready", 503) == {"ready": False, "reason": "model is loading"}
    assert server.ask("/healthz") == (200, {"alive": True})
    assert server.ask("/v1/summarize", {"logs": OOM})[0] == 503
    assert server.until("/ready", 200) == {"ready": True, "model": "v2", "device": "cpu"}
    status, log = server.stop()
    assert status == 0
    assert "loading 50%" in log
    assert "model loaded seconds=0.8" in log


def test_a_readiness_endpoint_that_lies_lets_requests_fail(serve: Serve) -> None:
    server = serve(MODEL_LOAD_SECONDS="30", READY_LIES="true")
    server.until("/ready", 200)
    assert server.ask("/v1/classify", {"line": OOM})[0] == 503


def test_requests_that_are_running_are_answered_after_sigterm(serve: Serve) -> None:
    server = serve(INFERENCE_MS="800", DRAIN_SECONDS="0.3")
    server.until("/ready", 200)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(server.ask, "/v1/summarize", {"logs": OOM})
        while "model_in_flight 1.0" not in server.ask("/metrics")[1]:
            time.sleep(0.02)
        server.process.send_signal(signal.SIGTERM)
        assert server.until("/ready", 503)["reason"] == "shutting down"
        assert answer.result()[0] == 200
    assert server.end()[0] == 0


def test_sigterm_ends_it_while_it_loads(serve: Serve) -> None:
    server = serve(MODEL_LOAD_SECONDS="60")
    server.until("/healthz", 200)
    began = time.monotonic()
    assert server.stop()[0] == 0
    assert time.monotonic() - began < 30


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory from /proc")
def test_it_takes_the_memory_that_it_is_told_to_take(serve: Serve) -> None:
    server = serve(MODEL_MEMORY_MIB="100")
    server.until("/ready", 200)
    page = server.ask("/metrics")[1]
    resident = next(float(line.split()[1]) for line in page.splitlines() if line.startswith("process_resident_memory_bytes"))
    assert resident > 100 * 1024 * 1024
    assert "taken_mib=100 of 100" in server.stop()[1]


# Answers


def test_a_summary_names_what_is_wrong(serve: Serve) -> None:
    server = serve()
    server.until("/ready", 200)
    status, found = server.ask("/v1/summarize", {"logs": f"02:10:02 {OOM}\n02:10:03 INFO gateway: started, listening on port 8080"})
    assert status == 200
    assert found["kinds"] == {"out-of-memory": 1, "routine": 1}
    assert "memory running out" in found["summary"]
    assert (found["model"], found["device"], found["lines"]) == ("v2", "cpu", 2)


def test_a_streamed_summary_is_the_same_summary_in_pieces(serve: Serve) -> None:
    server = serve()
    server.until("/ready", 200)
    whole = server.ask("/v1/summarize", {"logs": OOM})[1]["summary"]
    text = server.ask("/v1/summarize", {"logs": OOM, "stream": True})[1]
    events = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert events[-1] == "[DONE]"
    pieces = [json.loads(each) for each in events[:-1]]
    assert "".join(each["token"] for each in pieces[:-1]) == whole
    assert pieces[-1]["done"] is True
    assert pieces[-1]["tokens"] == len(pieces) - 1


def test_lines_are_classified_one_by_one(serve: Serve) -> None:
    server = serve()
    server.until("/ready", 200)
    _, found = server.ask(
        "/v1/classify", {"lines": [OOM, "NVRM: Xid 79, GPU has fallen off the bus", "dial tcp 10.0.0.1:5432: connection refused"]}
    )
    assert [each["kind"] for each in found["results"]] == ["out-of-memory", "gpu", "network"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ([1], "expected a JSON object"),
        ({}, '"logs" is missing'),
        ({"logs": 7}, "must be text"),
        ({"logs": ["a", 7]}, "must be text"),
        ({"logs": " \n "}, "no line"),
        ({"logs": "x", "stream": "yes"}, '"stream" must be'),
        ({"logs": "x\n" * 6000}, "5000 is the most"),
    ],
)
def test_bad_input_gets_400_and_words(serve: Serve, body: Any, words: str) -> None:
    server = serve()
    server.until("/ready", 200)
    status, found = server.ask("/v1/summarize", body)
    assert status == 400
    assert words in found["error"]["message"]
    assert "Traceback" not in server.stop()[1]


def test_a_request_takes_the_time_of_a_core_that_it_is_told_to_take(serve: Serve) -> None:
    server = serve(CPU_MS="80", INFERENCE_MS="0")
    server.until("/ready", 200)
    began = time.monotonic()
    assert [server.ask("/v1/classify", {"line": OOM})[0] for _ in range(5)] == [200] * 5
    # What takes a core cannot be done at the same time.
    with ThreadPoolExecutor(5) as pool:
        assert [each[0] for each in pool.map(lambda _: server.ask("/v1/classify", {"line": OOM}), range(5))] == [200] * 5
    assert time.monotonic() - began >= 0.8


def test_what_happens_is_counted(serve: Serve) -> None:
    server = serve(ERROR_RATE="0.5")
    server.until("/ready", 200)
    assert [server.ask("/v1/classify", {"line": OOM})[0] for _ in range(4)] == [200, 500, 200, 500]
    server.ask("/v1/summarize", {"logs": OOM, "stream": True})
    page = server.ask("/metrics")[1]
    for line in (
        'model_requests_total{code="200",kind="classify"} 2.0',
        'model_errors_total{kind="classify",reason="inference"} 2.0',
        'model_request_duration_seconds_count{kind="classify"} 4.0',
        "model_time_to_first_token_seconds_count 1.0",
        'model_info{device="cpu",version="v2"} 1.0',
        "model_ready 1.0",
        "model_queue_depth 0.0",
        "model_load_seconds ",
    ):
        assert line in page


def test_requests_beyond_the_queue_are_turned_away(serve: Serve) -> None:
    server = serve(MAX_CONCURRENCY="1", MAX_QUEUE="1", INFERENCE_MS="1000")
    server.until("/ready", 200)
    with ThreadPoolExecutor(5) as pool:
        statuses = [each[0] for each in pool.map(lambda _: server.ask("/v1/classify", {"line": OOM}), range(5))]
    assert sorted(statuses) == [200, 200, 429, 429, 429]


# Failures


def test_a_missing_file_ends_it_with_its_path(serve: Serve) -> None:
    status, log = serve(MODEL_PATH="/models/nothing.safetensors").end()
    assert status == 1
    assert "model failed to load: FileNotFoundError: [Errno 2] No such file or directory: '/models/nothing.safetensors'" in log
    assert "Traceback" not in log


def test_a_damaged_file_ends_it(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(Path(WEIGHTS["v1"]).read_bytes()[:9999])
    status, log = serve(MODEL_PATH=str(tmp_path / "cut")).end()
    assert status == 1
    assert "safetensors.SafetensorError" in log


def test_it_can_stay_up_and_say_why_it_is_not_ready(serve: Serve) -> None:
    server = serve(MODEL_PATH="/models/nothing.safetensors", ON_LOAD_ERROR="wait")
    end = time.monotonic() + 60
    while "nothing.safetensors" not in server.until("/ready", 503)["reason"] and time.monotonic() < end:
        time.sleep(0.02)
    assert "nothing.safetensors" in server.until("/ready", 503)["reason"]
    assert server.ask("/healthz")[0] == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("MODEL_LOAD_SECONDS", "soon"),
        ("DEVICE", "tpu"),
        ("ERROR_RATE", "7"),
        ("MAX_CONCURRENCY", "0"),
        ("READY_LIES", "maybe"),
        ("LOG_PROMPTS", "some"),
        ("MODEL_SHA256", "sha256:12ab"),
    ],
)
def test_a_variable_without_sense_is_named(serve: Serve, name: str, value: str) -> None:
    status, log = serve(**{name: value}).end()
    assert status == 2
    assert f"cannot start: {name}=" in log
    assert "expected" in log
    assert "Traceback" not in log


def test_a_port_that_is_taken_ends_it(serve: Serve, start: Start) -> None:
    first = serve()
    first.until("/ready", 200)
    status, log = serve().end()
    assert status == 1
    assert f"cannot listen port={first.port}" in log


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_memory_that_the_system_does_not_give_ends_it(start: Start, free_port: int) -> None:
    limited = "import resource, runpy; resource.setrlimit(resource.RLIMIT_AS, (700 << 20,) * 2); "
    code = limited + "runpy.run_module('model_server', run_name='__main__')"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(IMAGES / "model_server"), "PORT": str(free_port), "MODEL_PATH": WEIGHTS["v1"], "MODEL_MEMORY_MIB": "4000"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "MemoryError" in log


# GPU


def test_it_uses_the_gpu_that_it_was_given(serve: Serve, gpu_node: Callable[..., dict[str, str]]) -> None:
    server = serve(**gpu_node())
    assert server.until("/ready", 200)["device"] == "cuda:0"
    assert "gpu=NVIDIA A100-SXM4-40GB" in server.stop()[1]


@pytest.mark.parametrize(
    ("annotations", "variables", "words"),
    [
        ({"driver_version": "470.57.02"}, {}, "CUDA driver version is insufficient for CUDA runtime version"),
        ({"xid": "79"}, {}, "reported Xid 79"),
        ({}, {"GPU_MEMORY_MIB": "50000"}, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 48.83 GiB. GPU 0 has"),
        ({}, {"NVIDIA_VISIBLE_DEVICES": "GPU-elsewhere"}, "RuntimeError: No CUDA GPUs are available"),
        ({}, {"GPU_ROOT": "/nowhere"}, "RuntimeError: Found no NVIDIA driver on your system"),
        ({}, {"NVIDIA_VISIBLE_DEVICES": "", "DEVICE": "cuda"}, "No CUDA GPUs are available"),
    ],
)  # fmt: skip
def test_a_gpu_that_cannot_be_used_ends_it(
    serve: Serve, gpu_node: Callable[..., dict[str, str]], annotations: dict[str, str], variables: dict[str, str], words: str
) -> None:
    status, log = serve(**(gpu_node(**annotations) | variables)).end()
    assert status == 1
    assert words in log
    assert "Traceback" not in log


def test_a_device_that_fails_takes_it_out_of_service(serve: Serve, gpu_node: Callable[..., dict[str, str]]) -> None:
    server = serve(**gpu_node())
    server.until("/ready", 200)
    gpu_node(xid="79")
    assert "Xid 79" in server.until("/ready", 503)["reason"]
    status, found = server.ask("/v1/summarize", {"logs": OOM})
    assert status == 500
    assert "Xid 79" in found["error"]["message"]
    gpu_node()
    server.until("/ready", 200)


def test_a_request_too_many_for_the_gpu_fails_alone(serve: Serve, gpu_node: Callable[..., dict[str, str]]) -> None:
    server = serve(**gpu_node(), GPU_MEMORY_MIB="20000", GPU_MEMORY_PER_REQUEST_MIB="30000")
    server.until("/ready", 200)
    status, found = server.ask("/v1/classify", {"line": OOM})
    assert status == 500
    assert "CUDA out of memory" in found["error"]["message"]
    assert server.ask("/ready")[0] == 200


def ask_as(server: Server, token: str | None) -> int:
    """The status of a request to the model with this bearer token, or with none."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/v1/classify", json.dumps({"lines": [OOM]}).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_without_tokens_everyone_may_ask_and_with_them_nobody_else(serve: Serve, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("# the tools\nfirst-token\n\n")
    server = serve(API_TOKENS_FILE=str(tokens))
    server.until("/ready", 200)
    assert [ask_as(server, each) for each in ("first-token", "other", "", None)] == [200, 401, 401, 401]
    assert server.ask("/metrics")[0] == 200
    code, log = server.stop()
    fingerprint = hashlib.sha256(b"first-token").hexdigest()[:8]
    assert code == 0
    assert f"token={fingerprint}" in log
    assert "first-token" not in log


def test_tokens_are_replaced_while_it_serves_and_two_are_valid_in_between(serve: Serve, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("old\n")
    server = serve(API_TOKENS_FILE=str(tokens))
    server.until("/ready", 200)
    # As a Secret's volume does it: another file takes the place of the old one.
    for content, expected in (("old\nnew\n", [200, 200]), ("new\n", [401, 200]), ("", [401, 401])):
        (tmp_path / "next").write_text(content)
        (tmp_path / "next").replace(tokens)
        assert [ask_as(server, each) for each in ("old", "new")] == expected
        valid = [line for line in server.ask("/metrics")[1].splitlines() if line.startswith("model_api_token_valid{")]
        assert len(valid) == len(content.split())
    tokens.unlink()
    assert ask_as(server, "new") == 401


def test_a_file_of_tokens_that_is_not_there_lets_nobody_in_until_it_is(serve: Serve, tmp_path: Path) -> None:
    server = serve(API_TOKENS_FILE=str(tmp_path / "tokens"))
    server.until("/ready", 200)
    assert ask_as(server, "any") == 401
    (tmp_path / "tokens").write_text("any")
    assert ask_as(server, "any") == 200


def test_tokens_from_a_variable(serve: Serve) -> None:
    server = serve(API_TOKENS="one, two")
    server.until("/ready", 200)
    assert [ask_as(server, each) for each in ("one", "two", "one, two")] == [200, 200, 401]


@pytest.mark.parametrize(
    ("how", "there", "absent"),
    [("none", [], ["prompt", "request="]), ("size", [f"lines=1 chars={len(OOM)}"], ["4242"]), ("full", ["4242"], [])],
)
def test_prompts_are_logged_as_much_as_it_is_told(serve: Serve, how: str, there: list[str], absent: list[str]) -> None:
    server = serve(LOG_PROMPTS=how)
    server.until("/ready", 200)
    assert server.ask("/v1/summarize", {"logs": OOM})[0] == 200
    log = server.stop()[1]
    requests = [line for line in log.splitlines() if "model_server.http" in line]
    assert all(any(word in line for line in requests) for word in there)
    assert not any(word in line for line in requests for word in absent)


def test_weights_are_loaded_where_their_digest_is_the_one_that_was_asked_for(serve: Serve) -> None:
    digest = hashlib.sha256(Path(WEIGHTS["v2"]).read_bytes()).hexdigest()
    server = serve(MODEL_SHA256=f"sha256:{digest}")
    server.until("/ready", 200)
    assert f'model_weights_info{{sha256="{digest}"}} 1.0' in server.ask("/metrics")[1]
    assert f"sha256={digest} checked=yes" in server.stop()[1]


def test_whole_weights_of_another_model_are_not_loaded(serve: Serve) -> None:
    digest = hashlib.sha256(Path(WEIGHTS["v1"]).read_bytes()).hexdigest()
    code, log = serve("v3", MODEL_SHA256=digest).end()
    assert code == 1
    assert f"digest mismatch: {WEIGHTS['v3']} is another file than MODEL_SHA256 names: expected sha256:{digest}" in log
