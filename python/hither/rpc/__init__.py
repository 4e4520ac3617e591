"""The JSON-RPC server: from a socket to the chain's reader and back.

Entry points: ``server.serve`` (a running server), ``server.make_application`` (the ASGI
application alone). The way of a request: ``http`` (headers, body, status) → ``dispatch``
(the request and its method) → ``methods`` (one file a family; ``parameters`` and ``values``
read their parameters) → the chain's ``ChainReader`` and ``ChainControl``. Plain requests, which nearly all
are, go from ``server.LeanProtocol`` to ``dispatch``; what those of one turn of the event loop read in another
process is fetched together (``ahead``).

Invariants:

* A handler asks the reader and gives plain data, or raises ``RpcError``; it never writes to a socket.
* ``errors.TABLE`` has every error; a message is NEAR's own.
* What waits is a coroutine; what may keep a core busy runs on another thread; all else answers at once
  on the event loop, so it must be quick.

Gotchas: through ``query`` a failed call is a *result* with an ``error``. Keys of an object are read in
their byte order, which decides what is reported when several are wrong.
"""
