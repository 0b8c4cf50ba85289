"""Lab 08-release: the history of a Deployment: its revisions, why each came, and whether label, image and change-cause say the same.

A revision is a ReplicaSet; the Deployment's controller copies the Deployment's annotations to the newest one, `kubernetes.io/change-cause` among them, and
to no other (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#checking-rollout-history-of-a-deployment).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import words

VERSION = "app.kubernetes.io/version"
CAUSE = "kubernetes.io/change-cause"
_NUMBER = "deployment.kubernetes.io/revision"
# Words beside the version that a reason has at least.
_REASON = 2


@dataclass(frozen=True)
class Revision:
    """One revision: `tag` is its image's, `label` its Pods' version label, `cause` its change-cause; `made` in seconds since the epoch."""

    number: int
    name: str
    tag: str
    label: str
    cause: str
    made: float
    template: Object

    def seen(self, field: str, value: str) -> Seen:
        return Seen(f"revision {self.number} (replicaset/{self.name})", field, observe.shown(value))


def tag(image: str) -> str:
    """What stands behind the colon of an image's name; empty for none."""
    return image.rpartition("/")[2].partition(":")[2]


def server(template: Object) -> Object:
    return observe.container(template["spec"], "model-server")


def revisions(ctx: Context, deployment: Object) -> list[Revision]:
    """The revisions that the cluster keeps, oldest first; the last is the present one."""
    uid, found = deployment["metadata"]["uid"], []
    for each in ctx.api.list("replicasets", deployment["metadata"]["namespace"]):
        metadata, template = each["metadata"], each["spec"]["template"]
        if not any(owner["uid"] == uid for owner in metadata.get("ownerReferences") or []):
            continue
        notes = metadata.get("annotations") or {}
        labels = template["metadata"].get("labels") or {}
        found.append(
            Revision(
                observe.whole(notes.get(_NUMBER, "0")), metadata["name"], tag(server(template).get("image", "")), labels.get(VERSION, ""),
                notes.get(CAUSE, "").strip(), observe.moment(metadata["creationTimestamp"]), template,
            )
        )  # fmt: skip
    return sorted(found, key=lambda each: each.number)


def labelled(ctx: Context, deployment: Object) -> None:
    """Image and version label say the same, in the template and on each Pod."""
    template = deployment["spec"]["template"]
    wanted, label = tag(server(template).get("image", "")), (template["metadata"].get("labels") or {}).get(VERSION, "")
    if label != wanted:
        raise words.fail(
            ctx, "label-of-another", see(deployment, f"template labels[{VERSION}]", label), see(deployment, "image", wanted), tag=wanted
        )
    for pod in ctx.pods_of(deployment):
        if (pod["metadata"].get("labels") or {}).get(VERSION) != wanted:
            raise words.fail(
                ctx, "pod-relabelled", see(pod, f"labels[{VERSION}]", (pod["metadata"].get("labels") or {}).get(VERSION)), tag=wanted
            )


def agrees(ctx: Context, deployment: Object) -> list[Revision]:
    """Every revision says by label and by change-cause which version it is, each for itself, and why it came. Returns them."""
    labelled(ctx, deployment)
    found = revisions(ctx, deployment)
    for each in found:
        seen = (each.seen("image", each.tag), each.seen(CAUSE, each.cause))
        if not each.cause:
            raise words.fail(ctx, "no-cause", *seen, number=each.number)
        twin = next((other for other in found if other.cause == each.cause and other is not each), None)
        if twin:
            raise words.fail(ctx, "same-cause", *seen, twin.seen("image", twin.tag), number=each.number, other=twin.number)
        if not re.search(rf"(?<![\w.]){re.escape(each.tag)}(?![\w.]*\w)", each.cause, re.I):
            raise words.fail(ctx, "cause-of-another", *seen, number=each.number, tag=each.tag)
        if re.match(r"\s*kubectl\b", each.cause) or len(re.findall(r"[^\W\d_]{2,}", each.cause)) < _REASON:
            # The Deployment's annotation reaches the newest revision only.
            newest = each.number == max(other.number for other in found)
            keeper = f"deployment/{deployment['metadata']['name']}" if newest else f"replicaset/{each.name}"
            raise words.fail(ctx, "cause-without-reason", *seen, number=each.number, keeper=keeper)
        if each.label != each.tag:
            raise words.fail(ctx, "revision-mislabelled", *seen, each.seen(f"labels[{VERSION}]", each.label), number=each.number)
    return found
