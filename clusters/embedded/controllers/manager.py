"""kube-controller-manager: all controllers in one process, with one set of caches.

Adding a controller: write its file, and name it in `CONTROLLERS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from clusters.embedded.client import Client, Object
from clusters.embedded.controllers.admissionpolicystatus import AdmissionPolicyStatusController
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.controllers.daemonset import DaemonSetController
from clusters.embedded.controllers.deployment import DeploymentController
from clusters.embedded.controllers.disruption import DisruptionController
from clusters.embedded.controllers.endpoints import EndpointsController, EndpointSliceController
from clusters.embedded.controllers.ephemeralvolume import EphemeralVolumeController
from clusters.embedded.controllers.garbagecollector import GarbageCollector
from clusters.embedded.controllers.job import CronJobController, JobController, TTLAfterFinishedController
from clusters.embedded.controllers.namespace import NamespaceController
from clusters.embedded.controllers.nodelifecycle import NodeLifecycleController
from clusters.embedded.controllers.podautoscaler import HorizontalPodAutoscalerController
from clusters.embedded.controllers.podgc import PodGCController
from clusters.embedded.controllers.quota import ResourceQuotaController
from clusters.embedded.controllers.replicaset import ReplicaSetController
from clusters.embedded.controllers.replicationcontroller import ReplicationControllerController
from clusters.embedded.controllers.resourceclaim import ResourceClaimController
from clusters.embedded.controllers.rootcacertificate import RootCACertificatePublisher
from clusters.embedded.controllers.serviceaccount import ServiceAccountController
from clusters.embedded.controllers.statefulset import StatefulSetController
from clusters.embedded.controllers.tainteviction import TaintEvictionController
from clusters.embedded.controllers.tokensecret import TokenSecretController
from clusters.embedded.controllers.volume import (
    ClaimProtectionController,
    LocalPathProvisioner,
    PersistentVolumeController,
    VolumeProtectionController,
)
from clusters.embedded.informer import InformerFactory
from clusters.embedded.supervision import keep_running

CONTROLLERS: tuple[type[Controller], ...] = (
    AdmissionPolicyStatusController,
    ServiceAccountController,
    TokenSecretController,
    RootCACertificatePublisher,
    DeploymentController,
    ReplicaSetController,
    ReplicationControllerController,
    DaemonSetController,
    StatefulSetController,
    JobController,
    CronJobController,
    TTLAfterFinishedController,
    EndpointSliceController,
    EndpointsController,
    NodeLifecycleController,
    TaintEvictionController,
    PodGCController,
    DisruptionController,
    ResourceQuotaController,
    PersistentVolumeController,
    LocalPathProvisioner,
    EphemeralVolumeController,
    ResourceClaimController,
    ClaimProtectionController,
    VolumeProtectionController,
    HorizontalPodAutoscalerController,
    NamespaceController,
    GarbageCollector,
)


class ControllerManager:
    """`await run()` runs every controller until it is cancelled. `root_ca` and `token`: see `Context`."""

    def __init__(self, client: Client, root_ca: str, token: Callable[[Object, Object], str]):
        self._informers = InformerFactory(client)
        self._context = Context(client, self._informers, root_ca, token)

    async def run(self) -> None:
        controllers = [controller(self._context) for controller in CONTROLLERS]
        async with asyncio.TaskGroup() as tasks:
            self._informers.start(tasks)
            await self._informers.wait_for_sync()
            for controller in controllers:
                tasks.create_task(keep_running(controller.name, controller.run), name=controller.name)
