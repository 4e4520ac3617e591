"""Bitcoin Core's own validation code, in this process: what a block must be, and whether a script is satisfied.

The kernel keeps its databases in memory and its block files in a scratch folder: what lasts is our block log. It knows
the chain with the most work and nothing of pools, policy, addresses or requests. Upstream calls the library
experimental; here it judges development coins only.
"""

import ctypes
import shutil
from pathlib import Path
from typing import Any, Final

import pbk  # type: ignore[import-untyped]  # it has no types

from hither.foreign.errors import EngineError

_ALL_RULES: Final = pbk.ScriptVerificationFlags.ALL


class BlockRefused(Exception):
    """The block breaks a rule; the message is the kind of rule."""


class Kernel:
    """A regtest chain. ``scratch`` is emptied."""

    def __init__(self, scratch: Path) -> None:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        pbk.logging_set_options(pbk.LoggingOptions())
        # Not a method of ours: a circle of references would keep the chain in memory after its last use.
        self._verdicts: list[str] = []
        verdicts = self._verdicts

        def note_verdict(_: Any, block: Any, state: Any) -> None:
            if state.validation_mode != pbk.ValidationMode.VALID:
                verdicts.append(state.block_validation_result.name.lower())

        callbacks = pbk.ValidationInterfaceCallbacks(block_checked=note_verdict)
        context = pbk.make_context(pbk.ChainType.REGTEST, validation_callbacks=callbacks)
        options = pbk.ChainstateManagerOptions(context, str(scratch), str(scratch / "blocks"))
        options.update_block_tree_db_in_memory(True)
        options.update_chainstate_db_in_memory(True)
        try:
            self._manager = pbk.ChainstateManager(options)
        except RuntimeError as error:
            raise EngineError(f"the Bitcoin kernel does not start: {error}") from error
        self._chain = self._manager.get_active_chain()

    @property
    def height(self) -> int:
        """Of the chain with the most work."""
        return int(self._chain.height)

    def get_block_hash(self, height: int) -> bytes:
        """Of the active chain, as people write it."""
        return bytes(self._chain.block_tree_entries[height].block_hash)[::-1]

    def get_block(self, height: int) -> bytes:
        """The bytes of an active block."""
        return bytes(self._manager.blocks[self._chain.block_tree_entries[height]])

    def process_block(self, raw: bytes) -> bool:
        """Take a block in; whether it is new. Raises ``BlockRefused``.

        A good block need not become the tip: another branch may have more work.
        """
        self._verdicts.clear()
        try:
            block = pbk.Block(raw)
        except RuntimeError:
            raise BlockRefused("undecodable") from None
        try:
            is_new = bool(self._manager.process_block(block))
        except pbk.ProcessBlockException:
            raise BlockRefused(self._verdicts[-1] if self._verdicts else "refused") from None
        if self._verdicts:
            raise BlockRefused(self._verdicts[-1])
        return is_new

    def is_spend_valid(self, raw: bytes, spent: list[tuple[int, bytes]]) -> bool:
        """Whether every input satisfies the script of the output (amount, script) that it spends."""
        transaction = pbk.Transaction(raw)
        scripts = [pbk.ScriptPubkey(script) for _, script in spent]
        outputs = [
            pbk.TransactionOutput(script, amount) for script, (amount, _) in zip(scripts, spent, strict=True)
        ]
        shared = pbk.script.PrecomputedTransactionData(transaction, outputs)
        return all(
            script.verify(ctypes.c_int64(amount), transaction, shared, index, _ALL_RULES)
            for index, (script, (amount, _)) in enumerate(zip(scripts, spent, strict=True))
        )
