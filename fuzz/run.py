"""Fuzz one target: ``python -m fuzz.run TARGET --executions N [--seed S]``. Exit status 0: nothing was found."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["hither"]):
    from hither.codec import borsh

_build = borsh.Source.build


def _build_instrumented(source: borsh.Source, header: str) -> Any:
    return atheris.instrument_func(_build(source, header))


# Codecs write their functions themselves, so no import shows these to the fuzzer.
borsh.Source.build = _build_instrumented  # type: ignore[method-assign]
with atheris.instrument_imports(include=["hither", "fuzz"]):
    from fuzz.seeds import make_seeds
    from fuzz.targets import PLANTED, TARGETS, check_planted

SIZE_MAX = 1024
SECONDS_MAX_OF_ONE = 5


def main() -> None:
    """Never returns: the fuzzer ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, PLANTED])
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1, help="0 chooses one, which is printed")
    parser.add_argument("--found", type=Path, default=Path(), help="folder for what fails")
    arguments = parser.parse_args()
    corpus = Path(tempfile.mkdtemp(prefix="fuzz-"))
    for at, seed in enumerate(make_seeds(arguments.target)):
        (corpus / f"seed-{at}").write_bytes(seed)
    options = [
        f"-runs={arguments.executions}",
        f"-seed={arguments.seed}",
        f"-max_len={SIZE_MAX}",
        f"-timeout={SECONDS_MAX_OF_ONE}",
        f"-artifact_prefix={arguments.found}/",
        "-print_final_stats=1",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], TARGETS.get(arguments.target, check_planted))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
