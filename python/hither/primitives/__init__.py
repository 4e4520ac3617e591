"""The protocol's data: accounts, actions, receipts, blocks, outcomes, errors.

Data only. Nothing here reads state, a clock or a socket. Every type is an
immutable ``msgspec.Struct`` with positional fields in the order of its wire
form; its borsh form is in the ``codec`` table of the module that defines it,
its JSON form (NEAR's RPC "views") in ``hither.primitives.views``.
"""
