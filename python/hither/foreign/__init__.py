"""Other chains: one adapter a family, one small interface, development engines.

``adapter`` is the interface; ``evm``, ``bitcoin`` and ``solana`` are its families; ``engines`` starts chains for
development. A transaction goes build → payloads → signatures (made elsewhere) → attach → broadcast → track.

- Bytes are the truth: what is described and what is signed are both read from ``UnsignedTransaction.body``.
- Nothing here holds a private key, and nothing is sent whose signature was not checked here first.
- Amounts are integers of a chain's smallest unit: wei, satoshi, lamports.
- Chains are named by CAIP-2, accounts on them by CAIP-10 (``caip``).
"""
