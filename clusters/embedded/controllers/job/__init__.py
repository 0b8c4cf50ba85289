"""Jobs: Pods that run to an end, as often as needed (pkg/controller/job), once or on a schedule (cronjob), and what is left of them."""

from __future__ import annotations

from clusters.embedded.controllers.job.controller import JobController
from clusters.embedded.controllers.job.cronjob import CronJobController
from clusters.embedded.controllers.job.ttl import TTLAfterFinishedController

__all__ = ["CronJobController", "JobController", "TTLAfterFinishedController"]
