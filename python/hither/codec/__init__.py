"""Bytes and text: borsh, base58, amounts with units, addresses without secrets. Knows no type of the protocol.

Entry points: ``borsh`` (declare a ``Codec``, then ``encode`` and ``decode``),
``base58``, ``units``, ``address``. Bad input raises ``InvalidBorsh``, ``InvalidBase58`` or
``InvalidAmount``, all of them ``ValueError``.
"""
