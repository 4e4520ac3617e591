"""Slow, plain counterparts of what the native module does, written from the specification alone.

Tests hold the native code against them on generated input. Nothing else uses them.
"""
