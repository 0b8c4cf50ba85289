"""Containers that end and are started again, or not."""

from __future__ import annotations

import asyncio

from kubeobjects import Object

from .conftest import PYTHON, Node


async def test_the_first_restart_comes_at_once_and_the_second_waits(node: Node) -> None:
    pod = await node.run("crash", "sh", "-c", "echo $HOSTNAME; exit 7")

    async def restarted() -> Object | None:
        status = await node.status("crash")
        return status if status.get("restartCount") == 1 and "terminated" in status["state"] else None

    status = await node.until(restarted)
    assert status["lastState"]["terminated"]["exitCode"] == 7
    uid = pod["metadata"]["uid"]
    assert await node.until_event("crash", "BackOff") == f"Back-off restarting failed container main in pod crash_default({uid})"
    assert (await node.pod("crash"))["status"]["phase"] == "Running"
    waiting = await node.until_state("crash", "waiting", "CrashLoopBackOff", seconds=20)
    assert waiting["message"] == f"back-off 10s restarting failed container=main pod=crash_default({uid})"


async def test_on_failure_restarts_only_what_failed(node: Node) -> None:
    await node.run("done", "true", restartPolicy="OnFailure")
    pod = await node.until_phase("done", "Succeeded")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    reasons = {each["type"]: each.get("reason") for each in pod["status"]["conditions"]}
    assert reasons["Ready"] == reasons["ContainersReady"] == reasons["Initialized"] == "PodCompleted"


async def test_a_container_over_its_memory_limit_is_oom_killed(node: Node) -> None:
    program = "import time; print('loading', flush=True); x = bytearray(200 * 1024 * 1024); time.sleep(600)"
    await node.run("hungry", "python3", "-c", program, restartPolicy="Never", resources={"limits": {"memory": "64Mi"}})
    pod = await node.until_phase("hungry", "Failed")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    assert await node.logs("hungry") == "loading\n"


async def test_memory_of_child_processes_counts(node: Node) -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(200 << 20); import time; time.sleep(60)'])"
    await node.run("hungry", "python3", "-c", program, restartPolicy="Never", resources={"limits": {"memory": "64Mi"}})
    pod = await node.until_phase("hungry", "Failed")
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] == "OOMKilled"


async def test_init_containers_run_in_order_before_the_others(node: Node) -> None:
    volume = {"name": "cache", "emptyDir": {}}
    mounts = [{"name": "cache", "mountPath": "/cache"}]
    steps = [
        {"name": name, "image": PYTHON, "command": ["sh", "-c", f"echo {name} >> /cache/order"], "volumeMounts": mounts}
        for name in ("first", "second")
    ]
    main = {"name": "main", "image": PYTHON, "command": ["sh", "-c", "cat /cache/order; sleep 60"], "volumeMounts": mounts}
    await node.create({"metadata": {"name": "ordered"}, "spec": {"initContainers": steps, "containers": [main], "volumes": [volume]}})
    pod = await node.until_phase("ordered", "Running")
    await node.until(lambda: node.logs("ordered"))
    assert await node.logs("ordered") == "first\nsecond\n"
    assert [each["state"]["terminated"]["reason"] for each in pod["status"]["initContainerStatuses"]] == ["Completed", "Completed"]
    assert all(each["ready"] for each in pod["status"]["initContainerStatuses"])


async def test_a_failed_init_container_of_a_pod_that_never_restarts_fails_the_pod(node: Node) -> None:
    init = {"name": "fetch", "image": PYTHON, "command": ["sh", "-c", "exit 2"]}
    main = {"name": "main", "image": PYTHON, "command": ["sleep", "60"]}
    await node.create({"metadata": {"name": "stuck"}, "spec": {"initContainers": [init], "containers": [main], "restartPolicy": "Never"}})
    pod = await node.until_phase("stuck", "Failed")
    assert pod["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


async def test_a_sidecar_starts_first_and_ends_last(node: Node) -> None:
    sidecar = {"name": "proxy", "image": PYTHON, "command": ["sleep", "600"], "restartPolicy": "Always"}
    main = {"name": "main", "image": PYTHON, "command": ["true"]}
    await node.create({"metadata": {"name": "job"}, "spec": {"initContainers": [sidecar], "containers": [main], "restartPolicy": "Never"}})
    pod = await node.until_phase("job", "Succeeded")
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 137


async def test_a_pod_over_its_deadline_fails(node: Node) -> None:
    await node.run("slow", "sleep", "600", activeDeadlineSeconds=1)
    pod = await node.until_phase("slow", "Failed")
    assert (pod["status"]["reason"], pod["status"]["message"]) == (
        "DeadlineExceeded",
        "Pod was active on the node longer than the specified deadline",
    )


async def test_last_words_come_from_the_file_or_from_the_log(node: Node) -> None:
    await node.run("file", "sh", "-c", "echo -n out of weights > /dev/termination-log; exit 1", restartPolicy="Never")
    await node.run("log", "sh", "-c", "echo no weights; exit 1", restartPolicy="Never", terminationMessagePolicy="FallbackToLogsOnError")
    for name, words in (("file", "out of weights"), ("log", "no weights\n")):
        pod = await node.until_phase(name, "Failed")
        assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"] == words


async def test_sigterm_ends_a_program_that_handles_it(node: Node) -> None:
    program = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *a: sys.exit(5))\nprint('up', flush=True)\ntime.sleep(60)"
    # Five seconds: a slow machine has to have come as far as the handler by then.
    await node.run("polite", "python3", "-c", program, restartPolicy="Never", terminationGracePeriodSeconds=20, activeDeadlineSeconds=5)
    pod = await node.until_phase("polite", "Failed", seconds=90)
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 5


async def test_a_pod_deleted_between_two_restarts_is_gone_at_once(node: Node) -> None:
    for name in ("crash-1", "crash-2", "crash-3"):
        await node.run(name, "python3", "-c", "raise SystemExit(1)")
    for name in ("crash-1", "crash-2", "crash-3"):
        await node.until_event(name, "BackOff")
        await node.client.delete("pods", name, "default")
    async with asyncio.timeout(5):
        for name in ("crash-1", "crash-2", "crash-3"):
            await node.until_gone(name)
