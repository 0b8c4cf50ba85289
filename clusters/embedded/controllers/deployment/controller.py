"""The Deployment controller at work: which step a Deployment needs next, and taking it.

In: Deployments, their ReplicaSets, and (for Recreate) their Pods. Out: ReplicaSets created, sized and deleted, revisions and status.
The numbers come from `scaling.py`, the revisions from `revisions.py`, the conditions from `status.py`.
"""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.controllers import ownership, pods
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.controllers.deployment import revisions, scaling, status
from clusters.embedded.controllers.template_hash import template_hash
from clusters.embedded.errors import ApiError
from kubeobjects import meta, selectors

_SETS = "replicasets.apps"
_DEPLOYMENTS = "deployments.apps"


class DeploymentController(Controller):
    name = "deployment-controller"
    workers = 3

    def __init__(self, context: Context):
        super().__init__(context)
        self._deployments = self.watch(_DEPLOYMENTS)
        self._sets = self.watch_owned(_SETS, "Deployment")
        self._pods = self.informers("pods")
        self._pods.on_change(self._pod_gone)

    def _pod_gone(self, old: Object | None, new: Object | None) -> None:
        """A Recreate rollout goes on when the last old Pod has gone."""
        owner = meta.controller_of(old) if old is not None and new is None else None
        if old is None or owner is None or owner["kind"] != "ReplicaSet":
            return
        namespace = old["metadata"]["namespace"]
        replica_set = self._sets.get(owner["name"], namespace)
        parent = meta.controller_of(replica_set) if replica_set else None
        deployment = self._deployments.get(parent["name"], namespace) if parent else None
        if deployment is not None and not scaling.is_rolling_update(deployment):
            self.enqueue(deployment)

    async def reconcile(self, key: str) -> None:
        deployment = self._deployments.by_key(key)
        if deployment is None:
            return
        matches = selectors.from_object(deployment["spec"]["selector"])
        candidates = self._sets.list(deployment["metadata"]["namespace"])
        owned = await ownership.claim(self.client, _SETS, deployment, candidates, matches)
        if meta.is_deleting(deployment):
            await self._write_status(deployment, owned, revisions.find_new(deployment, owned))
            return
        deployment = await self._check_paused(deployment)
        if deployment["spec"].get("paused") or scaling.is_scaling_event(deployment, owned):
            await self._sync_scale(deployment, owned)
        elif scaling.is_rolling_update(deployment):
            await self._roll(deployment, owned)
        else:
            await self._recreate(deployment, owned)

    async def _check_paused(self, deployment: Object) -> Object:
        """Pausing stops the deadline's clock, and says so."""
        condition = meta.condition(deployment, "Progressing")
        if status.deadline(deployment) is None or (condition and condition.get("reason") == "ProgressDeadlineExceeded"):
            return deployment
        was_paused = condition is not None and condition.get("reason") == "DeploymentPaused"
        paused = bool(deployment["spec"].get("paused"))
        if paused == was_paused:
            return deployment
        wanted = status.with_progress(deployment.get("status") or {}, status.PAUSED if paused else status.RESUMED)
        return await self.update_status(_DEPLOYMENTS, deployment, wanted)

    async def _sync_scale(self, deployment: Object, owned: list[Object]) -> None:
        """Only resizes what is there: for paused Deployments and for a new `spec.replicas`."""
        deployment, new, old = await self._revise(deployment, owned, create=False)
        every = [*old, new] if new else old
        every = await self._scale(deployment, new, old, every)
        if deployment["spec"].get("paused"):
            await self._clean_up(deployment, old)
        await self._write_status(deployment, every, revisions.find_new(deployment, every), rollout=False)

    async def _scale(self, deployment: Object, new: Object | None, old: list[Object], every: list[Object]) -> list[Object]:
        active = [each for each in every if scaling.replicas(each) > 0]
        sizes: dict[str, int] = {}
        if len(active) <= 1:
            only = active[0] if active else (new or (revisions.oldest_first(every)[-1] if every else None))
            if only is not None:
                sizes[only["metadata"]["name"]] = scaling.replicas(deployment)
        elif new is not None and self._is_saturated(deployment, new):
            sizes = {each["metadata"]["name"]: 0 for each in old if scaling.replicas(each) > 0}
        elif scaling.is_rolling_update(deployment):
            sizes = scaling.proportional(deployment, active)
        return [await self._resize(each, sizes.get(each["metadata"]["name"], scaling.replicas(each)), deployment) for each in every]

    @staticmethod
    def _is_saturated(deployment: Object, new: Object) -> bool:
        wanted = scaling.replicas(deployment)
        desired = revisions.annotations_of(new).get(revisions.DESIRED)
        return scaling.replicas(new) == wanted and desired == str(wanted) and scaling.available(new) == wanted

    async def _roll(self, deployment: Object, owned: list[Object]) -> None:
        deployment, new, old = await self._revise(deployment, owned, create=True)
        if new is None:
            return
        size = scaling.replicas(new)
        wanted = scaling.replicas(deployment)
        if size != wanted:
            target = wanted if size > wanted else scaling.new_set_replicas(deployment, [*old, new], size)
            if target != size:
                new = await self._resize(new, target, deployment)
                await self._write_status(deployment, [*old, new], new)
                return
        sizes = scaling.scale_down_old(deployment, old, new)
        if sizes:
            old = [await self._resize(each, sizes.get(each["metadata"]["name"], scaling.replicas(each)), deployment) for each in old]
            await self._write_status(deployment, [*old, new], new)
            return
        await self._finish(deployment, old, new)

    async def _recreate(self, deployment: Object, owned: list[Object]) -> None:
        """All old Pods must have ended before the first new one is created."""
        deployment, new, old = await self._revise(deployment, owned, create=False)
        active = [each for each in old if scaling.replicas(each) > 0]
        if active:
            old = [await self._resize(each, 0, deployment) for each in old]
            await self._write_status(deployment, [*old, new] if new else old, new)
            return
        if self._old_pods_run(deployment, old, new):
            await self._write_status(deployment, [*old, new] if new else old, new)
            return
        if new is None:
            deployment, new, old = await self._revise(deployment, owned, create=True)
            if new is None:
                return
        new = await self._resize(new, scaling.replicas(deployment), deployment)
        await self._finish(deployment, old, new)

    def _old_pods_run(self, deployment: Object, old: list[Object], new: Object | None) -> bool:
        uids = {each["metadata"]["uid"] for each in old}
        every = self._pods.list(deployment["metadata"]["namespace"])
        return any((meta.controller_of(pod) or {}).get("uid") in uids and not pods.is_terminal(pod) for pod in every)

    async def _finish(self, deployment: Object, old: list[Object], new: Object) -> None:
        if status.is_complete(deployment, deployment.get("status") or {}):
            await self._clean_up(deployment, old)
        await self._write_status(deployment, [*old, new], new)

    async def _write_status(self, deployment: Object, every: list[Object], new: Object | None, *, rollout: bool = True) -> None:
        wanted = status.rolled_out(deployment, every, new) if rollout else status.counts(deployment, every, new)
        await self.update_status(_DEPLOYMENTS, deployment, wanted)
        wait = status.seconds_to_deadline(deployment, wanted) if rollout else None
        if wait is not None:
            self.queue.add_after(meta.key(deployment), wait)

    async def _revise(self, deployment: Object, owned: list[Object], *, create: bool) -> tuple[Object, Object | None, list[Object]]:
        """(Deployment, its new ReplicaSet, the old ones), with revision numbers brought up to date."""
        new = revisions.find_new(deployment, owned)
        old = [each for each in owned if new is None or each["metadata"]["uid"] != new["metadata"]["uid"]]
        number = revisions.latest_revision(old) + 1
        if new is not None:
            deployment, new = await self._keep_new(deployment, new, number)
        elif create:
            deployment, new = await self._create_new(deployment, old, number)
        return deployment, new, old

    async def _keep_new(self, deployment: Object, new: Object, number: int) -> tuple[Object, Object]:
        wanted = revisions.annotations_for(deployment, new, number)
        ready_seconds = deployment["spec"].get("minReadySeconds")
        if wanted != revisions.annotations_of(new) or ready_seconds != new["spec"].get("minReadySeconds"):
            changed = meta.copy(new)
            changed["metadata"]["annotations"] = wanted
            if ready_seconds is None:
                changed["spec"].pop("minReadySeconds", None)
            else:
                changed["spec"]["minReadySeconds"] = ready_seconds
            new = await self.client.update(_SETS, changed)
        condition = None if meta.condition(deployment, "Progressing") else status.found(new["metadata"]["name"])
        return await self._note(deployment, wanted[revisions.REVISION], condition), new

    async def _note(self, deployment: Object, number: str, condition: Object | None) -> Object:
        """Writes the revision on the Deployment, and the first words about its progress."""
        known = revisions.annotations_of(deployment).get(revisions.REVISION)
        if known == number and (condition is None or status.deadline(deployment) is None):
            return deployment
        changed = meta.copy(deployment)
        changed["metadata"].setdefault("annotations", {})[revisions.REVISION] = number
        if condition is not None and status.deadline(deployment) is not None:
            changed["status"] = status.with_progress(changed.get("status") or {}, condition)
        return await self.client.update(_DEPLOYMENTS, changed, subresource="status")

    async def _create_new(self, deployment: Object, old: list[Object], number: int) -> tuple[Object, Object | None]:
        metadata, spec = deployment["metadata"], deployment["spec"]
        digest = template_hash(spec["template"], (deployment.get("status") or {}).get("collisionCount"))
        name = f"{metadata['name']}-{digest}"
        body = meta.copy(
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": name,
                    "namespace": metadata["namespace"],
                    "ownerReferences": [meta.owner_reference(deployment)],
                    "labels": (spec["template"].get("metadata") or {}).get("labels") or {},
                    "annotations": revisions.annotations_for(deployment, None, number),
                },
                "spec": {"selector": spec["selector"], "template": spec["template"]},
            }
        )
        body["metadata"]["labels"][revisions.HASH_LABEL] = digest
        body["spec"]["selector"].setdefault("matchLabels", {})[revisions.HASH_LABEL] = digest
        body["spec"]["template"].setdefault("metadata", {}).setdefault("labels", {})[revisions.HASH_LABEL] = digest
        if spec.get("minReadySeconds"):
            body["spec"]["minReadySeconds"] = spec["minReadySeconds"]
        size = scaling.new_set_replicas(deployment, old, 0)
        body["spec"]["replicas"] = size
        body["metadata"]["annotations"] |= self._sized_for(deployment)
        try:
            new = await self.client.create(_SETS, body, metadata["namespace"])
        except ApiError as error:
            return await self._not_created(deployment, name, error)
        if size:
            await self._say_scaled(deployment, name, 0, size)
        return await self._note(deployment, str(number), status.created(name)), new

    async def _not_created(self, deployment: Object, name: str, error: ApiError) -> tuple[Object, Object | None]:
        """A name that is taken by another template is avoided with another hash; any other failure shows in the conditions."""
        if error.reason == "AlreadyExists":
            taken = await self.client.get(_SETS, name, deployment["metadata"]["namespace"])
            mine = (meta.controller_of(taken) or {}).get("uid") == deployment["metadata"]["uid"]
            if mine and revisions.same_template(taken["spec"]["template"], deployment["spec"]["template"]):
                return deployment, taken
            old = deployment.get("status") or {}
            await self.update_status(_DEPLOYMENTS, deployment, {**old, "collisionCount": old.get("collisionCount", 0) + 1})
        elif not pods.is_namespace_terminating(error) and status.deadline(deployment) is not None:
            condition = status.create_failed(name, error.message)
            await self.events.event(deployment, "Warning", "ReplicaSetCreateError", condition["message"])
            await self.update_status(_DEPLOYMENTS, deployment, status.with_progress(deployment.get("status") or {}, condition))
        raise error

    @staticmethod
    def _sized_for(deployment: Object) -> dict[str, str]:
        wanted = scaling.replicas(deployment)
        return {revisions.DESIRED: str(wanted), revisions.MAX: str(wanted + scaling.max_surge(deployment))}

    async def _resize(self, replica_set: Object, size: int, deployment: Object) -> Object:
        """Sets `spec.replicas`, and notes the Deployment's size that it was chosen for."""
        before = scaling.replicas(replica_set)
        noted = self._sized_for(deployment)
        if before == size and noted.items() <= revisions.annotations_of(replica_set).items():
            return replica_set
        if before == size and size == 0:
            return replica_set
        changed = meta.copy(replica_set)
        changed["spec"]["replicas"] = size
        changed["metadata"].setdefault("annotations", {}).update(noted)
        changed = await self.client.update(_SETS, changed)
        if before != size:
            await self._say_scaled(deployment, replica_set["metadata"]["name"], before, size)
        return changed

    async def _say_scaled(self, deployment: Object, name: str, before: int, after: int) -> None:
        direction = "up" if after > before else "down"
        message = f"Scaled {direction} replica set {name} from {before} to {after}"
        await self.events.event(deployment, "Normal", "ScalingReplicaSet", message)

    async def _clean_up(self, deployment: Object, old: list[Object]) -> None:
        """Forgets the oldest revisions beyond revisionHistoryLimit."""
        limit = deployment["spec"].get("revisionHistoryLimit", 10)
        alive = [each for each in old if not meta.is_deleting(each)]
        oldest = sorted(alive, key=lambda each: (revisions.revision(each), each["metadata"]["creationTimestamp"]))
        for each in oldest[: max(0, len(alive) - limit)]:
            state = each.get("status") or {}
            if (
                state.get("replicas")
                or scaling.replicas(each)
                or state.get("observedGeneration", 0) < each["metadata"].get("generation", 0)
            ):
                continue
            try:
                await self.client.delete(_SETS, each["metadata"]["name"], each["metadata"]["namespace"], uid=each["metadata"]["uid"])
            except ApiError as error:
                if error.code != 404:
                    raise
