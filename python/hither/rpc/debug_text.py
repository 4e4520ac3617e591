"""Values in Rust's debug form, which some of NEAR's messages carry."""

from collections.abc import Mapping
from typing import Any, Final

from hither.rpc.parameters import quote

_NESTED_ERRORS: Final = frozenset({"CompilationError", "HostError", "MethodResolveError", "PrepareError"})
_ACCOUNT_FIELDS: Final = frozenset({"account_id"})


def debug_call_error(value: Any) -> str:
    """A ``FunctionCallError`` in JSON as Rust's debug form, which error messages of RPC carry."""
    if isinstance(value, str):
        return value
    assert isinstance(value, Mapping), "an error is a name, or a name with content"
    ((name, content),) = value.items()
    return f"{name}{_debug_content(name, content)}"


def _debug_content(name: str, content: Any) -> str:
    if name in _NESTED_ERRORS:
        return f"({debug_call_error(content)})"
    if isinstance(content, Mapping):
        fields = ", ".join(f"{field}: {_debug_field(field, value)}" for field, value in content.items())
        return f" {{ {fields} }}"
    return f"({_debug_field(name, content)})"


def _debug_field(field: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)
    quoted = quote(value)
    return f"AccountId({quoted})" if field in _ACCOUNT_FIELDS else quoted
