"""StatefulSet: Pods with names and storage that stay theirs, started and replaced in order (pkg/controller/statefulset).

In: StatefulSets, their Pods and claims. Out: Pods and claims created, Pods deleted, revisions and status.
"""

from __future__ import annotations

import re

from clusters.embedded.client import Object
from clusters.embedded.controllers import history, ownership, pods
from clusters.embedded.controllers.context import Context, Controller, without_zeros
from clusters.embedded.errors import ApiError
from kubeobjects import meta, selectors
from kubeobjects.int_or_string import scaled

_SETS = "statefulsets.apps"
_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
_INDEX_LABEL = "apps.kubernetes.io/pod-index"
_ORDINAL = re.compile(r"^(.+)-(\d+)$")


def ordinal(statefulset: Object, pod: Object) -> int:
    """The number at the end of the Pod's name, or -1 for a Pod of another parent."""
    found = _ORDINAL.match(pod["metadata"]["name"])
    return int(found[2]) if found and found[1] == statefulset["metadata"]["name"] else -1


def start(statefulset: Object) -> int:
    return (statefulset["spec"].get("ordinals") or {}).get("start", 0)


def is_parallel(statefulset: Object) -> bool:
    return statefulset["spec"].get("podManagementPolicy") == "Parallel"


def partition(statefulset: Object) -> int:
    strategy = statefulset["spec"].get("updateStrategy") or {}
    return (strategy.get("rollingUpdate") or {}).get("partition", 0)


def revision_of(pod: Object) -> str:
    return (pod["metadata"].get("labels") or {}).get(history.HASH_LABEL, "")


def claim_name(template: Object, pod: str) -> str:
    return f"{template['metadata']['name']}-{pod}"


def new_pod(statefulset: Object, template: Object, number: int, revision: str) -> Object:
    """The Pod with this ordinal: its own name, host name and claims."""
    name = f"{statefulset['metadata']['name']}-{number}"
    pod = pods.from_template(template, statefulset, name=name)
    labels = pod["metadata"].setdefault("labels", {})
    labels |= {_NAME_LABEL: name, _INDEX_LABEL: str(number), history.HASH_LABEL: revision}
    spec = pod["spec"]
    spec["hostname"] = name
    if statefulset["spec"].get("serviceName"):
        spec["subdomain"] = statefulset["spec"]["serviceName"]
    claims = {each["metadata"]["name"]: claim_name(each, name) for each in statefulset["spec"].get("volumeClaimTemplates") or []}
    kept = [each for each in spec.get("volumes") or [] if each["name"] not in claims]
    volumes = [{"name": volume, "persistentVolumeClaim": {"claimName": claim}} for volume, claim in claims.items()] + kept
    if volumes:
        spec["volumes"] = volumes
    return pod


def to_replace(statefulset: Object, by_ordinal: dict[int, Object], update_revision: str) -> list[Object]:
    """Pods of an older revision that a rolling update ends now: from the highest ordinal down to the partition, one at a time."""
    strategy = statefulset["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return []
    wanted = statefulset["spec"].get("replicas", 1)
    ready_seconds = statefulset["spec"].get("minReadySeconds") or 0
    at_once = scaled((strategy.get("rollingUpdate") or {}).get("maxUnavailable"), wanted, up=True) or 1
    unavailable = 0
    victims = []
    for number in sorted(by_ordinal, reverse=True):
        pod = by_ordinal[number]
        if number < start(statefulset) + partition(statefulset):
            break
        if revision_of(pod) != update_revision and not meta.is_deleting(pod):
            if unavailable >= at_once:
                break
            victims.append(pod)
            unavailable += 1
        elif not pods.is_available(pod, ready_seconds):
            unavailable += 1
            if unavailable >= at_once:
                break
    return victims


class StatefulSetController(Controller):
    name = "statefulset-controller"

    def __init__(self, context: Context):
        super().__init__(context)
        self._sets = self.watch(_SETS)
        self._pods = self.watch_owned("pods", "StatefulSet")
        self._revisions = self.watch_owned(history.RESOURCE, "StatefulSet")
        self._claims = self.informers("persistentvolumeclaims")
        self._history = history.History(self.client)

    async def reconcile(self, key: str) -> None:
        statefulset = self._sets.by_key(key)
        if statefulset is None or meta.is_deleting(statefulset):
            return
        namespace, uid = statefulset["metadata"]["namespace"], statefulset["metadata"]["uid"]
        known = [each for each in self._revisions.list(namespace) if (meta.controller_of(each) or {}).get("uid") == uid]
        update, old = await self._history.sync(statefulset, known)
        by_hash = {each["metadata"]["name"]: each for each in [update, *old]}
        current = by_hash.get((statefulset.get("status") or {}).get("currentRevision", ""), update)
        labels = selectors.from_object(statefulset["spec"]["selector"])
        candidates = [pod for pod in self._pods.list(namespace) if ordinal(statefulset, pod) >= 0]
        mine = await ownership.claim(self.client, "pods", statefulset, candidates, labels)
        await self._step(statefulset, mine, current, update)
        await self._history.truncate(statefulset, old, {revision_of(pod) for pod in mine} | {history.hash_of(current)})
        await self.update_status(_SETS, statefulset, calculate_status(statefulset, mine, current, update))
        wait = pods.next_available(mine, statefulset["spec"].get("minReadySeconds") or 0)
        if wait is not None:
            self.queue.add_after(key, wait)

    async def _step(self, statefulset: Object, mine: list[Object], current: Object, update: Object) -> None:
        """Creates what is missing from the lowest ordinal up, ends what is too much from the highest down, then rolls."""
        first, wanted = start(statefulset), statefulset["spec"].get("replicas", 1)
        by_ordinal = {ordinal(statefulset, pod): pod for pod in mine}
        for number in range(first, first + wanted):
            pod = by_ordinal.get(number)
            if pod is None:
                await self._create(statefulset, number, self._template_of(statefulset, number, current, update))
                if not is_parallel(statefulset):
                    return
            elif pods.is_terminal(pod) and not meta.is_deleting(pod):
                await self._delete(statefulset, pod)
                return
            elif not is_parallel(statefulset) and not self._is_up(statefulset, pod):
                return
        excess = sorted((number for number in by_ordinal if not first <= number < first + wanted), reverse=True)
        for number in excess:
            if not meta.is_deleting(by_ordinal[number]):
                await self._delete(statefulset, by_ordinal[number])
            if not is_parallel(statefulset):
                return
        if excess:
            return
        for pod in to_replace(statefulset, by_ordinal, history.hash_of(update)):
            await self._delete(statefulset, pod)

    @staticmethod
    def _is_up(statefulset: Object, pod: Object) -> bool:
        return not meta.is_deleting(pod) and pods.is_available(pod, statefulset["spec"].get("minReadySeconds") or 0)

    @staticmethod
    def _template_of(statefulset: Object, number: int, current: Object, update: Object) -> Object:
        """The revision that a Pod with this ordinal is made of: below the partition, and until it is updated, the current one."""
        strategy = (statefulset["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate")
        if strategy == "RollingUpdate" and number < start(statefulset) + partition(statefulset):
            return current
        return update

    async def _create(self, statefulset: Object, number: int, revision: Object) -> None:
        template = {key: value for key, value in revision["data"]["spec"]["template"].items() if key != "$patch"}
        pod = new_pod(statefulset, template, number, history.hash_of(revision))
        name, set_name = pod["metadata"]["name"], statefulset["metadata"]["name"]
        try:
            for each in statefulset["spec"].get("volumeClaimTemplates") or []:
                await self._create_claim(statefulset, each, name)
            await self.client.create("pods", pod, pod["metadata"]["namespace"])
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return
            if not pods.is_namespace_terminating(error):
                message = f"create Pod {name} in StatefulSet {set_name} failed error: {error.message}"
                await self.events.event(statefulset, "Warning", "FailedCreate", message)
            raise
        await self.events.event(statefulset, "Normal", "SuccessfulCreate", f"create Pod {name} in StatefulSet {set_name} successful")

    async def _create_claim(self, statefulset: Object, template: Object, pod: str) -> None:
        namespace, set_name = statefulset["metadata"]["namespace"], statefulset["metadata"]["name"]
        name = claim_name(template, pod)
        if self._claims.get(name, namespace) is not None:
            return
        labels = (statefulset["spec"]["selector"].get("matchLabels") or {}) | (template["metadata"].get("labels") or {})
        metadata: Object = {"name": name, "namespace": namespace, "labels": labels}
        if template["metadata"].get("annotations"):
            metadata["annotations"] = template["metadata"]["annotations"]
        body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]}
        try:
            await self.client.create("persistentvolumeclaims", meta.copy(body), namespace)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return
            message = f"create Claim {name} for Pod {pod} in StatefulSet {set_name} failed error: {error.message}"
            await self.events.event(statefulset, "Warning", "FailedCreate", message)
            raise
        message = f"create Claim {name} Pod {pod} in StatefulSet {set_name} success"
        await self.events.event(statefulset, "Normal", "SuccessfulCreate", message)

    async def _delete(self, statefulset: Object, pod: Object) -> None:
        name, set_name = pod["metadata"]["name"], statefulset["metadata"]["name"]
        try:
            await self.client.delete("pods", name, pod["metadata"]["namespace"], uid=pod["metadata"]["uid"])
        except ApiError as error:
            if error.code == 404:
                return
            message = f"delete Pod {name} in StatefulSet {set_name} failed error: {error.message}"
            await self.events.event(statefulset, "Warning", "FailedDelete", message)
            raise
        await self.events.event(statefulset, "Normal", "SuccessfulDelete", f"delete Pod {name} in StatefulSet {set_name} successful")


def calculate_status(statefulset: Object, mine: list[Object], current: Object, update: Object) -> Object:
    ready_seconds, wanted = statefulset["spec"].get("minReadySeconds") or 0, statefulset["spec"].get("replicas", 1)
    alive = [pod for pod in mine if not meta.is_deleting(pod)]
    updated = sum(1 for pod in alive if revision_of(pod) == history.hash_of(update))
    ready = sum(1 for pod in mine if pods.is_ready(pod))
    old = statefulset.get("status") or {}
    # The update has arrived everywhere: what was new is what is current.
    done = updated == wanted == len(mine) and ready == wanted and partition(statefulset) == 0
    now_current = update if done else current
    on_current = updated if done else sum(1 for pod in alive if revision_of(pod) == history.hash_of(now_current))
    return without_zeros(
        {
            "observedGeneration": statefulset["metadata"].get("generation", 0),
            "replicas": len(mine),
            "readyReplicas": ready,
            "availableReplicas": sum(1 for pod in mine if pods.is_available(pod, ready_seconds)),
            "currentReplicas": on_current,
            "updatedReplicas": updated,
            "currentRevision": now_current["metadata"]["name"],
            "updateRevision": update["metadata"]["name"],
            "collisionCount": old.get("collisionCount", 0),
            "conditions": old.get("conditions"),
        },
        "replicas",
        "availableReplicas",
        "collisionCount",
    )
