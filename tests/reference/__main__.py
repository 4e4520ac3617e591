"""Write the pages that are named, or all."""

import sys

from tests.reference import FOLDER, PAGES, make_page


def main(arguments: list[str]) -> int:
    """Exit code 2 for wrong usage."""
    names = arguments[1:] or list(PAGES)
    if arguments[:1] != ["--write"] or not PAGES.keys() >= set(names):
        print(f"usage: python -m tests.reference --write [{'|'.join(PAGES)}]", file=sys.stderr)
        return 2
    for name in names:
        (FOLDER / f"{name}.md").write_text(make_page(name), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
