"""Programs of busybox that are scripts of our own: this machine's do not know the Pod network, or print something else.

Each is mounted into containers and run by a bare interpreter, so it needs the standard library alone. Their words are busybox's (1.37).
"""
