#!/usr/bin/env python3
"""nc as busybox has it: connects or listens, and carries stdin there and what comes back to stdout."""

from __future__ import annotations

import errno
import getopt
import os
import selectors
import socket
import subprocess
import sys
from typing import NoReturn

_USAGE = """Usage: nc [OPTIONS] HOST PORT  - connect
nc [OPTIONS] -l -p PORT [HOST] [PORT]  - listen

	-e PROG	Run PROG after connect (must be last)
	-l	Listen mode, for inbound connects
	-lk	With -e, provides persistent server
	-p PORT	Local port
	-n	Don't do DNS resolution
	-u	UDP mode
	-v	Verbose
	-w SEC	Timeout for connects and final net reads
	-z	Zero-I/O mode (scanning)
"""


def fail(message: str) -> NoReturn:
    sys.stderr.write(f"nc: {message}\n")
    sys.exit(1)


def carry(sock: socket.socket, patience: float | None) -> None:
    """Until the other side has closed, or was silent for `patience` seconds after the end of stdin."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        try:
            selector.register(0, selectors.EVENT_READ)
            at_end = False
        except OSError:
            # A plain file is always ready, and cannot be waited for.
            while data := os.read(0, 1 << 16):
                sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            at_end = True
        while ready := selector.select(patience if at_end else None):
            for key, _ in ready:
                data = sock.recv(1 << 16) if key.fileobj is sock else os.read(0, 1 << 16)
                if key.fileobj is sock:
                    if not data:
                        return
                    sys.stdout.buffer.write(data)
                    sys.stdout.buffer.flush()
                elif data:
                    sock.sendall(data)
                else:
                    selector.unregister(0)
                    sock.shutdown(socket.SHUT_WR)
                    at_end = True


def serve(sock: socket.socket, command: list[str], patience: float | None) -> None:
    if command:
        subprocess.run(command, stdin=sock.fileno(), stdout=sock.fileno(), check=False)
    else:
        carry(sock, patience)


def connect(host: str, port: int, options: dict[str, str], command: list[str], verbose: int) -> int:
    patience = float(options["-w"]) if "-w" in options else None
    try:
        address = socket.gethostbyname(host)
    except OSError:
        fail(f"bad address '{host}'")
    sock = socket.socket(type=socket.SOCK_DGRAM if "-u" in options else socket.SOCK_STREAM)
    sock.settimeout(patience)
    if "-p" in options:
        sock.bind(("", int(options["-p"])))
    try:
        sock.connect((address, port))
    except OSError as error:
        number = errno.ETIMEDOUT if isinstance(error, TimeoutError) else error.errno or errno.EIO
        if verbose > 1 or (verbose and number != errno.ECONNREFUSED):
            sys.stderr.write(f"nc: {host} ({address}:{port}): {os.strerror(number)}\n")
        return 1
    if verbose:
        sys.stderr.write(f"{host} ({address}:{port}) open\n")
    if "-z" not in options:
        sock.settimeout(None)
        serve(sock, command, patience)
    return 0


def listen(port: int, options: dict[str, str], command: list[str], verbose: int) -> int:
    patience = float(options["-w"]) if "-w" in options else None
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("", port))
    except OSError as error:
        fail(f"bind: {error.strerror}")
    listener.listen(1)
    if verbose:
        sys.stderr.write(f"listening on 0.0.0.0:{listener.getsockname()[1]} ...\n")
    while True:
        sock, peer = listener.accept()
        if verbose:
            sys.stderr.write(f"connect to 0.0.0.0:{port} from {peer[0]}:{peer[1]} ({peer[0]}:{peer[1]})\n")
        with sock:
            serve(sock, command, patience)
        if "-k" not in options:
            return 0


def main() -> int:
    arguments = sys.argv[1:]
    command: list[str] = []
    if "-e" in arguments:
        command = arguments[arguments.index("-e") + 1 :]
        arguments = arguments[: arguments.index("-e")]
    try:
        given, words = getopt.gnu_getopt(arguments, "lkp:nuvw:zi:s:q:")
    except getopt.GetoptError as error:
        sys.stderr.write(f"nc: unrecognized option: {error.opt}\n{_USAGE}")
        return 1
    options, verbose = dict(given), sum(option == "-v" for option, _ in given)
    numbers = [word for word in words[-1:] if word.isdigit()]
    if "-l" in options and (numbers or "-p" in options):
        return listen(int(options.get("-p") or numbers[0]), options, command, verbose)
    if len(words) != 2 or not numbers:
        sys.stderr.write(_USAGE)
        return 1
    return connect(words[0], int(numbers[0]), options, command, verbose)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
