"""The default profile: filters run in this order, and the first that refuses a node gives the reason."""

from __future__ import annotations

from clusters.embedded.scheduler.framework import Plugin
from clusters.embedded.scheduler.plugins import (
    dynamicresources,
    imagelocality,
    interpodaffinity,
    nodeaffinity,
    nodename,
    nodeports,
    noderesourcesbalancedallocation,
    noderesourcesfit,
    nodeunschedulable,
    podtopologyspread,
    tainttoleration,
    volumebinding,
    volumerestrictions,
    volumezone,
)

PLUGINS: tuple[Plugin, ...] = (
    nodeunschedulable.PLUGIN,
    nodename.PLUGIN,
    tainttoleration.PLUGIN,
    nodeaffinity.PLUGIN,
    nodeports.PLUGIN,
    noderesourcesfit.PLUGIN,
    volumerestrictions.PLUGIN,
    volumebinding.PLUGIN,
    volumezone.PLUGIN,
    podtopologyspread.PLUGIN,
    interpodaffinity.PLUGIN,
    dynamicresources.PLUGIN,
    noderesourcesbalancedallocation.PLUGIN,
    imagelocality.PLUGIN,
)

BY_NAME: dict[str, Plugin] = {plugin.name: plugin for plugin in PLUGINS}
