"""Keys, hashes and signatures, by NEAR's rules.

``keys`` holds the data types, their borsh and text forms; ``hashing`` and
``signing`` call the native module. Ed25519 is verified as NEAR verifies it, one
by one and not by the strict rules: another library would accept another set
and fork the chain.
"""
