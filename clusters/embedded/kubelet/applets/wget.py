#!/usr/bin/env python3
"""wget as busybox has it: one or more URLs in, files or stdout out."""

from __future__ import annotations

import getopt
import os
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import NoReturn

_USAGE = """Usage: wget [-cqS] [--spider] [-O FILE] [-P DIR] [-T SEC] [-U AGENT]
	[--header STR] [--post-data STR] URL...
"""
_LONG = [
    "spider",
    "header=",
    "post-data=",
    "timeout=",
    "output-document=",
    "directory-prefix=",
    "user-agent=",
    "quiet",
    "no-check-certificate",
]
_SHORT = {"--timeout": "-T", "--output-document": "-O", "--directory-prefix": "-P", "--user-agent": "-U", "--quiet": "-q"}
# busybox gives up a connection that is silent for this long.
_PATIENCE = 900.0


def fail(message: str) -> NoReturn:
    sys.stderr.write(f"wget: {message}\n")
    sys.exit(1)


class Download:
    """`options` are getopt's, the short name where there is one."""

    def __init__(self, options: list[tuple[str, str]]):
        plain = dict(options)
        self._quiet = "-q" in plain
        self._spider = "--spider" in plain
        self._shows_headers = "-S" in plain
        self._output = plain.get("-O", "")
        self._folder = plain.get("-P", "")
        self._timeout = float(plain.get("-T", _PATIENCE))
        self._body = plain["--post-data"].encode() if "--post-data" in plain else None
        self._headers = {"User-Agent": plain.get("-U", "Wget"), "Connection": "close"}
        self._headers |= {
            name: value.strip() for option, text in options if option == "--header" for name, _, value in [text.partition(":")]
        }

    def _say(self, text: str) -> None:
        if not self._quiet:
            sys.stderr.write(text + "\n")

    def fetch(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        host = parts.hostname or ""
        try:
            address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]
        except OSError:
            fail(f"bad address '{host}'")
        self._say(f"Connecting to {parts.netloc} ({address}:{parts.port or (443 if parts.scheme == 'https' else 80)})")
        request = urllib.request.Request(parts.geturl(), self._body, self._headers)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                self._take(answer, parts.path)
        except urllib.error.HTTPError as error:
            fail(
                f"server returned error: HTTP/1.{error.fp.version % 10 if isinstance(error.fp, HTTPResponse) else 1} {error.code} {error.reason}"
            )
        except urllib.error.URLError as error:
            why = error.reason
            if isinstance(why, TimeoutError):
                fail("download timed out")
            fail(f"can't connect to remote host ({address}): {why.strerror if isinstance(why, OSError) else why}")
        except TimeoutError:
            fail("download timed out")
        except (HTTPException, OSError) as error:
            fail(f"error getting response: {error}")

    def _take(self, answer: HTTPResponse, path: str) -> None:
        if self._shows_headers:
            self._say(f"  HTTP/1.{answer.version % 10} {answer.status} {answer.reason}")
            for name, value in answer.getheaders():
                self._say(f"  {name}: {value}")
        if self._spider:
            self._say("remote file exists")
            return
        name = self._output or os.path.join(self._folder, path.rpartition("/")[2] or "index.html")
        to_stdout = name == "-"
        if not self._output and os.path.exists(name):
            fail(f"can't open '{name}': File exists")
        self._say("writing to stdout" if to_stdout else f"saving to '{name}'")
        data = answer.read()
        if to_stdout:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            try:
                Path(name).write_bytes(data)
            except OSError as error:
                fail(f"can't open '{name}': {error.strerror}")
        self._say(f"{os.path.basename(name):<20} 100% |{'*' * 32}| {len(data):>5}  0:00:00 ETA")
        self._say("written to stdout" if to_stdout else f"'{name}' saved")


def main() -> None:
    try:
        given, urls = getopt.gnu_getopt(sys.argv[1:], "cqSO:P:T:U:t:", _LONG)
    except getopt.GetoptError as error:
        sys.stderr.write(f"wget: unrecognized option '{error.opt}'\n{_USAGE}")
        sys.exit(1)
    if not urls:
        sys.stderr.write(_USAGE)
        sys.exit(1)
    download = Download([(_SHORT.get(option, option), value) for option, value in given])
    for url in urls:
        download.fetch(url)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
