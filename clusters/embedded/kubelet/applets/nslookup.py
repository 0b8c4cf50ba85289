#!/usr/bin/env python3
"""nslookup as busybox has it: a name in, the server and the addresses out; the other way round for an address."""

from __future__ import annotations

import socket
import sys
from pathlib import Path


def _server() -> str:
    """The first name server of the container's resolv.conf."""
    try:
        lines = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    except OSError:
        lines = []
    return next((words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"), "127.0.0.1")


def _is_address(text: str) -> bool:
    try:
        socket.inet_aton(text)
    except OSError:
        return False
    return text.count(".") == 3


def look_up(name: str) -> str:
    """What is printed of it. Raises OSError as the resolver does."""
    if _is_address(name):
        found = socket.gethostbyaddr(name)[0]
        return f"{'.'.join(reversed(name.split('.')))}.in-addr.arpa\tname = {found}\n"
    full, _, addresses = socket.gethostbyname_ex(name)
    return "".join(f"Name:\t{full}\nAddress: {address}\n" for address in addresses)


def main() -> int:
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if not 1 <= len(words) <= 2:
        sys.stderr.write("Usage: nslookup [-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]\n")
        return 1
    server = words[1] if len(words) > 1 else _server()
    try:
        found = look_up(words[0])
    except OSError as error:
        if error.errno == socket.EAI_AGAIN:
            print(";; connection timed out; no servers could be reached\n")
            return 1
        found = f"** server can't find {words[0]}: NXDOMAIN\n"
    print(f"Server:\t\t{server}\nAddress:\t{server}:53\n\n{found}")
    return 1 if found.startswith("**") else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
