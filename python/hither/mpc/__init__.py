"""The signing network: n nodes hold shares of keys, t of them sign, fewer learn nothing.

``protocols`` is the door to the native threshold protocols. Nothing here knows the chain's
insides: a node reads it and answers through JSON-RPC alone.
"""
