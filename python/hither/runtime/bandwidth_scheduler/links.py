"""A link: who sends and who receives, by shard index (position in the layout, not shard id)."""

Link = tuple[int, int]


def list_links(shard_count: int) -> list[Link]:
    """All links, by sender, then by receiver; a shard has one to itself."""
    return [(sender, receiver) for sender in range(shard_count) for receiver in range(shard_count)]
