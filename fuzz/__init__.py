"""Fuzzing of what reads bytes from outside, guided by coverage.

* ``targets``: for each decoder, a function of bytes that fails when the decoder breaks its promise: a typed error,
  or a value whose encoding gives the same bytes (where there is one encoding) and the same value.
* ``seeds``: where to begin: generated values of each type, encoded.
* ``run``: ``python -m fuzz.run TARGET --executions N`` (Atheris); what fails is written to a file and shown.

`make test-all` runs 10⁶ executions of each target, and one of a decoder with a planted bug, which has to be found.
"""
