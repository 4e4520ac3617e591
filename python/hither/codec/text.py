"""Characters as Rust's debug form writes them: NEAR's error messages quote them so.

Which characters print is a matter of the Unicode version; the newest ones may differ.
"""

import unicodedata

_ESCAPES = {"\0": "\\0", "\t": "\\t", "\r": "\\r", "\n": "\\n", "'": "\\'", "\\": "\\\\"}


def quote_character(character: str) -> str:
    """``'x'``; what cannot be printed by itself as ``'\\u{…}'``."""
    text = _ESCAPES.get(character)
    if text is None:
        is_shown = character.isprintable() and unicodedata.category(character) not in ("Mn", "Me")
        text = character if is_shown else f"\\u{{{ord(character):x}}}"
    return f"'{text}'"
