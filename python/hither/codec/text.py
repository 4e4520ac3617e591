"""Characters as Rust's debug form writes them: NEAR's error messages quote them so."""

_ESCAPES = {"\0": "\\0", "\t": "\\t", "\r": "\\r", "\n": "\\n", "'": "\\'", "\\": "\\\\"}


def quote_character(character: str) -> str:
    """``'x'``; what cannot be printed as ``'\\u{…}'``."""
    text = _ESCAPES.get(character)
    if text is None:
        text = character if character.isprintable() else f"\\u{{{ord(character):x}}}"
    return f"'{text}'"
