// The messages of tests/e2e/foreign/test_solana_libraries.py as @solana/web3.js and @solana/spl-token write them.
import {
  AddressLookupTableAccount,
  ComputeBudgetProgram,
  PublicKey,
  SystemProgram,
  TransactionInstruction,
  TransactionMessage,
} from "@solana/web3.js";
import {
  createAssociatedTokenAccountIdempotentInstruction,
  createTransferCheckedInstruction,
  getAssociatedTokenAddressSync,
} from "@solana/spl-token";
import { readFileSync } from "node:fs";

const MEMO = new PublicKey("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
const key = (text) => new PublicKey(text);

function listInstructions(one) {
  const payer = key(one.payer);
  const listed = [];
  if (one.nonce) listed.push(SystemProgram.nonceAdvance({ noncePubkey: key(one.nonce), authorizedPubkey: payer }));
  if (one.unit_limit) listed.push(ComputeBudgetProgram.setComputeUnitLimit({ units: one.unit_limit }));
  if (one.unit_price) listed.push(ComputeBudgetProgram.setComputeUnitPrice({ microLamports: one.unit_price }));
  const receiver = key(one.receiver);
  if (one.mint) {
    const [mint, program] = [key(one.mint), key(one.program)];
    const source = getAssociatedTokenAddressSync(mint, payer, true, program);
    const target = getAssociatedTokenAddressSync(mint, receiver, true, program);
    listed.push(createAssociatedTokenAccountIdempotentInstruction(payer, target, receiver, mint, program));
    listed.push(
      createTransferCheckedInstruction(source, mint, target, payer, BigInt(one.amount), one.decimals, [], program),
    );
  } else {
    listed.push(
      SystemProgram.transfer({ fromPubkey: payer, toPubkey: receiver, lamports: BigInt(one.amount) }),
    );
  }
  if (one.memo) {
    const keys = [{ pubkey: payer, isSigner: true, isWritable: false }];
    listed.push(new TransactionInstruction({ keys, programId: MEMO, data: Buffer.from(one.memo) }));
  }
  return listed;
}

const cases = JSON.parse(readFileSync(0, "utf8"));
const messages = cases.map((one) => {
  const message = new TransactionMessage({
    payerKey: key(one.payer),
    recentBlockhash: one.blockhash,
    instructions: listInstructions(one),
  });
  if (one.is_legacy) return Buffer.from(message.compileToLegacyMessage().serialize()).toString("hex");
  const tables = one.table
    ? [
        new AddressLookupTableAccount({
          key: key(one.table),
          state: {
            deactivationSlot: 2n ** 64n - 1n,
            lastExtendedSlot: 0,
            lastExtendedSlotStartIndex: 0,
            addresses: [key(one.receiver)],
          },
        }),
      ]
    : [];
  return Buffer.from(message.compileToV0Message(tables).serialize()).toString("hex");
});
console.log(JSON.stringify(messages));
