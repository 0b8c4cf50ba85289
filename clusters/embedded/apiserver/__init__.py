"""kube-apiserver."""

from clusters.embedded import server_half

# Before the first of its modules imports aiohttp.
server_half.enter()
