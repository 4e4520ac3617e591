"""What tests of programs and contracts start from.

Entry point: ``network.LocalNetwork``, a whole node in this process. Nothing here is used by the product.
"""
