"""The page of commands: each with its arguments and options, as ``--help`` tells them."""

import inspect
from collections.abc import Iterator

import click

from hither.cli.main import group


def make_commands() -> str:
    """All commands, those of a group below it."""
    return "\n".join(
        make_command(command, context) for command, context in walk(group, make_context(group, "hither"))
    )


def make_context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    return click.Context(command, parent=parent, info_name=name, **command.context_settings)


def walk(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """A command and all below it, in the order of the help."""
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            if not found.hidden:
                yield from walk(found, make_context(found, name, context))


def make_command(command: click.Command, context: click.Context) -> str:
    """Heading, usage, what it does, options."""
    usage = " ".join(command.collect_usage_pieces(context))
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    options = [
        f"- `{names}`: {' '.join(text.split())}"
        for names, text in filter(None, records)
        if "--help" not in names
    ]
    parts = [
        f"## {context.command_path}",
        f"    {context.command_path} {usage}",
        make_text(command.help or ""),
    ]
    return "\n\n".join([*parts, "\n".join(options)]).rstrip() + "\n"


def make_text(text: str) -> str:
    """A help text as Markdown: paragraphs, and what click prints line by line as it stands."""
    paragraphs = inspect.cleandoc(text.partition("\f")[0]).split("\n\n")
    return "\n\n".join(
        "\n".join(f"    {line}" for line in one.splitlines()[1:]) if one.startswith("\b") else one
        for one in paragraphs
    )
