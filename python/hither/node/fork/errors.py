"""Why an account cannot be copied. ``code`` is stable; ``retryable``: the same may succeed later."""


class ForkProblem(Exception):
    """The root of the tree."""

    code: str = "FORK_PROBLEM"
    retryable: bool = False
    hint: str = "read the reason"

    def __str__(self) -> str:
        return f"{self.code}: {super().__str__()} ({self.hint})"


class RemoteSilent(ForkProblem):
    """No usable answer, after all attempts."""

    code = "FORK_REMOTE_SILENT"
    retryable = True
    hint = "check that the network's endpoint answers and repeat; what is copied already works without it"


class RemoteRefuses(ForkProblem):
    """An error in place of an answer, such as that the block is no longer kept."""

    code = "FORK_REMOTE_REFUSES"
    hint = "fork an endpoint that keeps old blocks, or begin at a newer one: hither up --fresh --fork"


class RemoteLies(ForkProblem):
    """An answer that is not about the pinned block, or contradicts itself."""

    code = "FORK_REMOTE_LIES"
    hint = "use another endpoint; nothing of this answer was taken"


class StateTooLarge(ForkProblem):
    """A contract with more state than the remote shows, or than is copied."""

    code = "FORK_STATE_TOO_LARGE"
    hint = (
        "fork an endpoint whose trie_viewer_state_size_limit is higher, "
        "or deploy the contract here with the state that the test needs"
    )
