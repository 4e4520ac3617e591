"""When a block is made. ``embedded`` decides for one machine.

A sequencer is a pure function: ``step(state, event) -> (state, effects)``. It never reads a
clock; the time is part of each event.
"""
