"""The JSON-RPC server against recorded requests, without a socket or with one."""
