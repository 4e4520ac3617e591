// Tokens with extensions as @solana/spl-token makes them; prints their mints and accounts as the chain parses them.
import {
  AccountState,
  ExtensionType,
  TOKEN_2022_PROGRAM_ID as PROGRAM,
  createAssociatedTokenAccountIdempotentInstruction,
  createEnableCpiGuardInstruction,
  createEnableRequiredMemoTransfersInstruction,
  createInitializeDefaultAccountStateInstruction,
  createInitializeGroupMemberPointerInstruction,
  createInitializeGroupPointerInstruction,
  createInitializeInterestBearingMintInstruction,
  createInitializeMetadataPointerInstruction,
  createInitializeMint2Instruction,
  createInitializeMintCloseAuthorityInstruction,
  createInitializeNonTransferableMintInstruction,
  createInitializePausableConfigInstruction,
  createInitializePermanentDelegateInstruction,
  createInitializeTransferFeeConfigInstruction,
  createInitializeTransferHookInstruction,
  createReallocateInstruction,
  getAssociatedTokenAddressSync,
  getMintLen,
} from "@solana/spl-token";
import { createInitializeInstruction, createUpdateFieldInstruction } from "@solana/spl-token-metadata";
import { Connection, Keypair, SystemProgram, Transaction } from "@solana/web3.js";

const connection = new Connection(process.argv[2], "confirmed");
const make = (byte) => Keypair.fromSeed(new Uint8Array(32).fill(byte));
const [alice, rich, fixed] = [make(71), make(72), make(73)];
const owner = alice.publicKey;

async function wait(signature) {
  for (;;) {
    const status = (await connection.getSignatureStatuses([signature])).value[0];
    if (status?.err) throw new Error(JSON.stringify(status.err));
    if (status) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function send(instructions, ...signers) {
  const transaction = new Transaction().add(...instructions);
  transaction.feePayer = owner;
  transaction.recentBlockhash = (await connection.getLatestBlockhash()).blockhash;
  transaction.sign(alice, ...signers);
  await wait(await connection.sendRawTransaction(transaction.serialize()));
}

const createMint = (mint, types) => {
  const fields = { fromPubkey: owner, newAccountPubkey: mint.publicKey, lamports: 10 ** 8, programId: PROGRAM };
  return SystemProgram.createAccount({ ...fields, space: getMintLen(types) });
};

await wait(await connection.requestAirdrop(owner, 10 ** 10));
const mint = rich.publicKey;
await send(
  [
    createMint(rich, [
      ExtensionType.TransferFeeConfig,
      ExtensionType.MintCloseAuthority,
      ExtensionType.DefaultAccountState,
      ExtensionType.InterestBearingConfig,
      ExtensionType.PermanentDelegate,
      ExtensionType.TransferHook,
      ExtensionType.MetadataPointer,
      ExtensionType.GroupPointer,
      ExtensionType.GroupMemberPointer,
      ExtensionType.PausableConfig,
    ]),
    createInitializeTransferFeeConfigInstruction(mint, owner, null, 150, 9_000n, PROGRAM),
    createInitializeMintCloseAuthorityInstruction(mint, owner, PROGRAM),
    createInitializeDefaultAccountStateInstruction(mint, AccountState.Initialized, PROGRAM),
    createInitializeInterestBearingMintInstruction(mint, owner, 0, PROGRAM),
    createInitializePermanentDelegateInstruction(mint, owner, PROGRAM),
    createInitializeTransferHookInstruction(mint, owner, fixed.publicKey, PROGRAM),
    createInitializeMetadataPointerInstruction(mint, owner, mint, PROGRAM),
    createInitializeGroupPointerInstruction(mint, owner, mint, PROGRAM),
    createInitializeGroupMemberPointerInstruction(mint, owner, mint, PROGRAM),
    createInitializePausableConfigInstruction(mint, owner, PROGRAM),
    createInitializeMint2Instruction(mint, 6, owner, owner, PROGRAM),
  ],
  rich,
);
const metadata = { programId: PROGRAM, metadata: mint, updateAuthority: owner };
await send([
  createInitializeInstruction({
    ...metadata,
    mint,
    mintAuthority: owner,
    name: "A token",
    symbol: "TKN",
    uri: "https://token.example/ö",
  }),
  createUpdateFieldInstruction({ ...metadata, field: "colour", value: "green" }),
]);
await send(
  [
    createMint(fixed, [ExtensionType.NonTransferable]),
    createInitializeNonTransferableMintInstruction(fixed.publicKey, PROGRAM),
    createInitializeMint2Instruction(fixed.publicKey, 0, owner, null, PROGRAM),
  ],
  fixed,
);
const accounts = [mint, fixed.publicKey].map((one) => getAssociatedTokenAddressSync(one, owner, false, PROGRAM));
const associate = (account, one) =>
  createAssociatedTokenAccountIdempotentInstruction(owner, account, owner, one, PROGRAM);
const added = [ExtensionType.MemoTransfer, ExtensionType.CpiGuard];
await send([
  associate(accounts[0], mint),
  associate(accounts[1], fixed.publicKey),
  createReallocateInstruction(accounts[0], owner, added, owner, [], PROGRAM),
  createEnableRequiredMemoTransfersInstruction(accounts[0], owner, [], PROGRAM),
  createEnableCpiGuardInstruction(accounts[0], owner, [], PROGRAM),
]);
const found = [];
for (const one of [mint, fixed.publicKey, ...accounts]) {
  found.push((await connection.getParsedAccountInfo(one)).value.data);
}
console.log(JSON.stringify(found));
process.exit(0);
