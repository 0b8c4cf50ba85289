"""`python -m clusters.embedded --state DIR`: the whole embedded cluster in one process; `whole_cluster` says how."""

from __future__ import annotations

import gc
import sys

if __name__ == "__main__":
    # Until the cluster is ready there is little but what stays, its modules above all: nothing worth a collection.
    gc.disable()

    from clusters.embedded.whole_cluster import main

    sys.exit(main())
