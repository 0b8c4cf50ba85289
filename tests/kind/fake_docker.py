"""What a `docker` must answer for the real `kind` to go on until it has handed each node its kubeadm configuration; then kubeadm fails.

Every call is a JSON line in $FAKE_ENGINE/calls.jsonl, with what came on stdin.
"""

import json
import os
import sys
import time
from pathlib import Path

folder = Path(os.environ["FAKE_ENGINE"])
arguments = sys.argv[1:]
stdin = sys.stdin.read() if arguments[0] == "exec" and "-i" in arguments else ""
with (folder / "calls.jsonl").open("a") as log:
    log.write(json.dumps({"arguments": arguments, "stdin": stdin}) + "\n")
line = " ".join(arguments)
nodes = ["ai-lab-control-plane", "ai-lab-worker", "ai-lab-worker2", "ai-lab-worker3"]

if line in ("-v", "--version"):
    print("Docker version 28.2.2, build e6534b4")
elif arguments[0] == "info":
    print(
        json.dumps(
            {
                "ServerVersion": "28.2.2", "CgroupVersion": os.environ.get("FAKE_CGROUP", "2"), "CgroupDriver": "systemd", "Driver": "overlay2",
                "MemoryLimit": True, "PidsLimit": True, "CPUShares": True, "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
            }
        )
    )  # fmt: skip
elif arguments[0] == "ps" and (folder / "nodes").exists():
    print("\n".join(nodes))
elif arguments[:2] == ["network", "ls"]:
    print("0123456789ab")
elif arguments[:2] == ["network", "inspect"]:
    print("[]")
elif arguments[0] == "run":
    (folder / "nodes").touch()
elif arguments[0] == "rm":
    (folder / "nodes").unlink(missing_ok=True)
elif arguments[0] == "logs":
    print("[  OK  ] Reached target Multi-User System.", flush=True)
    time.sleep(0.5)
elif arguments[0] == "inspect" and "role" in line:
    print("control-plane" if arguments[-1] == nodes[0] else "worker")
elif arguments[0] == "inspect" and "IPAddress" in line:
    print(f"172.18.0.{2 + nodes.index(arguments[-1])},")
elif arguments[0] == "exec" and "/kind/version" in line:
    print(os.environ.get("FAKE_KUBERNETES", "v1.36.2"))
elif "kubeadm init" in line:
    print("error: the fake engine has no kubeadm", file=sys.stderr)
    sys.exit(1)
