"""Work that ends: completions, failures with back-off, indexes, suspension, schedules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hollow import HollowCluster

from clusters.embedded.controllers.job import cronjob, decision, failurepolicy, indexes
from kubeobjects import Object


def job(name: str = "score", exit_code: str | None = "0", **spec: Any) -> Object:
    annotations = {"hollow/exit": exit_code} if exit_code is not None else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "template": {
                "metadata": {"annotations": annotations},
                "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "python:3.12-slim"}]},
            },
            **spec,
        },
    }


async def ended(cluster: HollowCluster, kind: str, name: str = "score", within: float = 10.0) -> Object:
    async def look() -> Object | None:
        found = await cluster.get("jobs.batch", name)
        return found if any(each["type"] == kind for each in found.get("status", {}).get("conditions", [])) else None

    return await cluster.eventually(look, within=within)


def conditions(obj: Object) -> list[tuple[str, str, str, str]]:
    return [(each["type"], each["status"], each["reason"], each["message"]) for each in obj["status"]["conditions"]]


async def test_a_job_completes_and_says_how(cluster: HollowCluster) -> None:
    await cluster.create("jobs.batch", job(completions=3, parallelism=2))
    done = await ended(cluster, "Complete")
    assert conditions(done) == [
        ("SuccessCriteriaMet", "True", "CompletionsReached", "Reached expected number of succeeded pods"),
        ("Complete", "True", "CompletionsReached", "Reached expected number of succeeded pods"),
    ]
    status = done["status"]
    assert (status["succeeded"], status["ready"], status["terminating"], status["uncountedTerminatedPods"]) == (3, 0, 0, {})
    assert "active" not in status
    assert "failed" not in status
    pods = await cluster.list("pods")
    assert len(pods) == 3
    assert all("finalizers" not in pod["metadata"] for pod in pods)
    made = {f"Created pod: {pod['metadata']['name']}" for pod in pods}

    async def told() -> bool:
        return {*await cluster.events(about="score")} == {*made, "Job completed"}

    await cluster.eventually(told)


async def test_a_job_that_may_not_fail_gives_up_at_once(cluster: HollowCluster) -> None:
    await cluster.create("jobs.batch", job(exit_code="1", backoffLimit=0))
    done = await ended(cluster, "Failed")
    assert conditions(done) == [
        ("FailureTarget", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit"),
        ("Failed", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit"),
    ]
    assert done["status"]["failed"] == 1


async def test_every_index_of_an_indexed_job_is_done_once(cluster: HollowCluster) -> None:
    await cluster.create("jobs.batch", job(completions=4, parallelism=2, completionMode="Indexed"))
    done = await ended(cluster, "Complete")
    assert done["status"]["completedIndexes"] == "0-3"
    assert done["status"]["succeeded"] == 4
    names = sorted(pod["metadata"]["name"].rsplit("-", 1)[0] for pod in await cluster.list("pods"))
    assert names == ["score-0", "score-1", "score-2", "score-3"]


async def test_a_failure_policy_ends_the_job_with_its_reason(cluster: HollowCluster) -> None:
    rules = [{"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}}]
    await cluster.create("jobs.batch", job(exit_code="42", podFailurePolicy={"rules": rules}))
    done = await ended(cluster, "Failed")
    (pod,) = await cluster.list("pods")
    kind, status, reason, message = conditions(done)[-1]
    assert (kind, status, reason) == ("Failed", "True", "PodFailurePolicy")
    assert message == f"Container main for pod lab/{pod['metadata']['name']} failed with exit code 42 matching FailJob rule at index 0"


async def test_a_suspended_job_starts_nothing_until_it_is_resumed(cluster: HollowCluster) -> None:
    await cluster.create("jobs.batch", job(suspend=True))
    held = await ended(cluster, "Suspended")
    assert conditions(held) == [("Suspended", "True", "JobSuspended", "Job suspended")]
    assert not await cluster.list("pods")
    await cluster.client.patch("jobs.batch", "score", {"spec": {"suspend": False}}, cluster.namespace)
    await ended(cluster, "Complete")


async def test_a_deleted_job_lets_its_running_pods_go(cluster: HollowCluster) -> None:
    await cluster.create("jobs.batch", job(exit_code=None))

    async def running() -> bool:
        return any(pod["status"].get("phase") == "Running" for pod in await cluster.list("pods"))

    await cluster.eventually(running)
    await cluster.client.delete("jobs.batch", "score", cluster.namespace, propagation_policy="Background")

    async def gone() -> bool:
        return not await cluster.list("pods")

    await cluster.eventually(gone)


async def test_a_finished_job_goes_when_its_time_is_up(cluster: HollowCluster) -> None:
    await cluster.create("jobs.batch", job(ttlSecondsAfterFinished=0))

    async def gone() -> bool:
        return not await cluster.list("jobs.batch") and not await cluster.list("pods")

    await cluster.eventually(lambda: cluster.events("Completed"))
    await cluster.eventually(gone)


async def test_a_deadline_ends_a_job_that_runs_on(cluster: HollowCluster) -> None:
    await cluster.create("jobs.batch", job(exit_code=None, activeDeadlineSeconds=1))
    done = await ended(cluster, "Failed")
    assert conditions(done)[-1] == ("Failed", "True", "DeadlineExceeded", "Job was active longer than specified deadline")


def test_failures_in_a_row_double_the_wait_up_to_ten_minutes() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for failures, wait in ((1, 10), (2, 20), (3, 40), (9, 600)):
        assert decision.BackOff(failures, moment).seconds_left(moment) == wait
    assert decision.BackOff().seconds_left(moment) == 0


def test_indexes_are_written_as_ranges() -> None:
    assert indexes.render({0, 1, 2, 5, 7, 8}) == "0-2,5,7,8"
    assert indexes.parse("0-2,5,7,8") == {0, 1, 2, 5, 7, 8}
    assert indexes.parse(None) == set()


def test_a_disruption_can_be_ignored() -> None:
    pod = {"metadata": {"name": "p", "namespace": "lab"}, "status": {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}}
    policy = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}
    assert failurepolicy.judge(policy, pod)[0] == "Ignore"
    assert failurepolicy.judge(policy, {"metadata": {"name": "p", "namespace": "lab"}, "status": {}})[0] == "Count"


def nightly(schedule: str, **spec: Any) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly", "namespace": "lab", "uid": "u"},
        "spec": {"schedule": schedule, "jobTemplate": {"spec": job()["spec"]}, **spec},
    }


def test_the_times_of_a_schedule() -> None:
    after, until = datetime(2026, 1, 1, 2, 0, tzinfo=UTC), datetime(2026, 1, 3, 2, 0, tzinfo=UTC)
    due, upcoming = cronjob.times(nightly("0 3 * * *"), after, until)
    assert [each.isoformat() for each in due] == ["2026-01-02T03:00:00+00:00", "2026-01-01T03:00:00+00:00"]
    assert upcoming.isoformat() == "2026-01-03T03:00:00+00:00"
    due, _ = cronjob.times(nightly("@daily", timeZone="Asia/Tokyo"), after, until)
    assert [each.astimezone(UTC).hour for each in due] == [15, 15]


def test_a_scheduled_job_is_named_after_its_minute() -> None:
    made = cronjob.job_for(nightly("0 3 * * *"), datetime(2026, 1, 1, 3, 0, tzinfo=UTC))
    assert made["metadata"]["name"] == "nightly-29453940"
    assert made["metadata"]["annotations"] == {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T03:00:00Z"}


async def test_a_schedule_that_is_due_makes_a_job_and_remembers_it(cluster: HollowCluster) -> None:
    body = nightly("* * * * *", successfulJobsHistoryLimit=1)
    body["metadata"] = {"name": "nightly"}
    created = await cluster.create("cronjobs.batch", body)
    early = {**created, "status": {"lastScheduleTime": "2020-01-01T00:00:00Z"}}
    await cluster.client.update("cronjobs.batch", early, subresource="status")

    async def ran() -> Object | None:
        found = await cluster.get("cronjobs.batch", "nightly")
        return found if found["status"].get("lastSuccessfulTime") else None

    await cluster.eventually(ran)
    (made,) = await cluster.list("jobs.batch")
    assert f"Created job {made['metadata']['name']}" in await cluster.events("SuccessfulCreate", "nightly")
    assert await cluster.events("SawCompletedJob") == [f"Saw completed job: {made['metadata']['name']}, condition: Complete"]


async def test_a_job_is_not_over_while_its_pods_are_on_their_way_out(cluster: HollowCluster) -> None:
    slow = job(exit_code=None, activeDeadlineSeconds=1)
    slow["spec"]["template"]["metadata"]["annotations"]["hollow/lingers"] = ""
    await cluster.create("jobs.batch", slow)
    target = await ended(cluster, "FailureTarget")

    async def one_leaves() -> Object | None:
        found = await cluster.get("jobs.batch", "score")
        return found if found["status"].get("terminating") == 1 and found["status"].get("failed") == 1 else None

    target = await cluster.eventually(one_leaves)
    assert [each[0] for each in conditions(target)] == ["FailureTarget"]
    assert not await cluster.events("DeadlineExceeded")
    pod = (await cluster.list("pods"))[0]
    await cluster.client.delete("pods", pod["metadata"]["name"], cluster.namespace, grace_period_seconds=0)
    done = await ended(cluster, "Failed")
    assert (done["status"]["failed"], done["status"]["terminating"]) == (1, 0)
    assert await cluster.eventually(lambda: cluster.events("DeadlineExceeded")) == ["Job was active longer than specified deadline"]


async def test_a_success_policy_ends_the_job_with_its_leader(cluster: HollowCluster) -> None:
    wanted = job(
        exit_code=None, completions=3, parallelism=3, completionMode="Indexed", successPolicy={"rules": [{"succeededIndexes": "0"}]}
    )
    await cluster.create("jobs.batch", wanted)

    async def all_there() -> list[Object] | None:
        found = await cluster.list("pods")
        return found if len(found) == 3 else None

    leader = next(pod for pod in await cluster.eventually(all_there) if indexes.index_of(pod) == 0)
    await cluster.client.patch(
        "pods", leader["metadata"]["name"], {"status": {"phase": "Succeeded"}}, cluster.namespace, subresource="status"
    )
    done = await ended(cluster, "Complete")
    said = ("True", "SuccessPolicy", "Matched rules at index 0")
    assert conditions(done) == [("SuccessCriteriaMet", *said), ("Complete", *said)]
    status = done["status"]
    assert (status["completedIndexes"], status["succeeded"], status["terminating"], status.get("failed")) == ("0", 1, 0, None)


def test_rules_of_success_count_indexes() -> None:
    def rule(completed: set[int], *rules: Object) -> int | None:
        spec = {"completions": 4, "completionMode": "Indexed", "successPolicy": {"rules": list(rules)}}
        return decision._success_rule({"spec": spec}, completed)

    assert rule({1}, {"succeededIndexes": "0-1"}) is None
    assert rule({0, 1}, {"succeededIndexes": "0-1"}) == 0
    assert rule({1}, {"succeededIndexes": "0-1", "succeededCount": 1}) == 0
    assert rule({1, 3}, {"succeededIndexes": "0"}, {"succeededCount": 2}) == 1
    assert rule(set(), {"succeededCount": 0}) is None
