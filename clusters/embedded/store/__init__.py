"""etcd's part: the objects of the cluster, kept in SQLite and served from memory.

Writes flow in as batches of `Put` and `Delete`; when `Store.write` returns they are in the database, in memory, and in the history that
watches read. Reads and watches are answered from memory.

    memory        Store: the objects, preconditions, revisions
    history       the latest changes of each resource, and the watches on them
    database      opens the files, commits batches, closes
    checkpoints   keeps the write-ahead log short while it is written to
    files         the files' names, the tables, the checksums, and how the files are replaced as a whole
    acknowledged  the side file that says which revision was acknowledged last, and what that proves
    loading       reads and verifies everything at a start
    recovery      says what of damaged files is whole, and goes on with it
    pages         reads rows that SQLite cannot reach in a damaged file
"""

from clusters.embedded.store.errors import Conflict, Expired, StoreError
from clusters.embedded.store.history import Change, Watch
from clusters.embedded.store.memory import Delete, Put, Store

__all__ = ["Change", "Conflict", "Delete", "Expired", "Put", "Store", "StoreError", "Watch"]
