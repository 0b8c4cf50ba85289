"""How fast an autoscaler may follow its metrics: windows and policies of `spec.behavior` (horizontal.go)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from clusters.embedded.client import Object

# --horizontal-pod-autoscaler-downscale-stabilization, seconds.
_DOWNSCALE_WINDOW = 300
_DEFAULT_UP: list[Object] = [{"type": "Percent", "value": 100, "periodSeconds": 15}, {"type": "Pods", "value": 4, "periodSeconds": 15}]
_DEFAULT_DOWN: list[Object] = [{"type": "Percent", "value": 100, "periodSeconds": 15}]


@dataclass
class Memory:
    """One autoscaler's recommendations and changes of size, each with its time in seconds."""

    recommendations: list[tuple[float, int]] = field(default_factory=list)
    changes: list[tuple[float, int]] = field(default_factory=list)

    def note_change(self, now: float, difference: int) -> None:
        self.changes = [*(each for each in self.changes if now - each[0] < 3600), (now, difference)]

    def stabilized(self, spec: Object, current: int, wanted: int, now: float) -> int:
        """Within the windows, the highest recommendation holds against shrinking and the lowest against growing."""
        behavior = spec.get("behavior") or {}
        down = (behavior.get("scaleDown") or {}).get("stabilizationWindowSeconds", _DOWNSCALE_WINDOW)
        up = (behavior.get("scaleUp") or {}).get("stabilizationWindowSeconds", 0)
        if not self.recommendations:
            # The size that is found stands for what was recommended before.
            self.recommendations = [(now, current)]
        earlier = [each for each in self.recommendations if now - each[0] < max(down, up)]
        self.recommendations = [*earlier, (now, wanted)]
        highest = max([wanted, *(value for moment, value in earlier if now - moment < down)])
        lowest = min([wanted, *(value for moment, value in earlier if now - moment < up)])
        return min(max(current, lowest), highest)

    def limited(self, spec: Object, current: int, wanted: int, now: float) -> int:
        """As far as the policies let the size change now."""
        behavior = spec.get("behavior") or {}
        growing = wanted > current
        rules = behavior.get("scaleUp" if growing else "scaleDown") or {}
        select = rules.get("selectPolicy", "Max")
        if wanted == current or select == "Disabled":
            return current
        limits = []
        for policy in rules.get("policies") or (_DEFAULT_UP if growing else _DEFAULT_DOWN):
            recent = sum(diff for moment, diff in self.changes if now - moment < policy["periodSeconds"] and (diff > 0) == growing)
            start = current - recent
            if growing:
                limits.append(start + policy["value"] if policy["type"] == "Pods" else math.ceil(start * (1 + policy["value"] / 100)))
            else:
                limits.append(start - policy["value"] if policy["type"] == "Pods" else math.floor(start * (1 - policy["value"] / 100)))
        if growing:
            return max(current, min(wanted, max(limits) if select == "Max" else min(limits)))
        return min(current, max(wanted, min(limits) if select == "Max" else max(limits)))
