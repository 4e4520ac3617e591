// A transfer as users of @solana/web3.js write it, in both message forms. Prints what it read.
import {
  Connection,
  Keypair,
  LAMPORTS_PER_SOL,
  SystemProgram,
  Transaction,
  TransactionMessage,
  VersionedTransaction,
  sendAndConfirmTransaction,
} from "@solana/web3.js";

const connection = new Connection(process.argv[2], "confirmed");
const alice = Keypair.generate();
const bob = Keypair.generate();
const pay = (lamports) =>
  SystemProgram.transfer({ fromPubkey: alice.publicKey, toPubkey: bob.publicKey, lamports });

const airdrop = await connection.requestAirdrop(alice.publicKey, 2 * LAMPORTS_PER_SOL);
await connection.confirmTransaction({ signature: airdrop, ...(await connection.getLatestBlockhash()) });

let told = 0;
connection.onAccountChange(bob.publicKey, (account) => (told = account.lamports));

const legacy = new Transaction().add(pay(LAMPORTS_PER_SOL));
const first = await sendAndConfirmTransaction(connection, legacy, [alice]);

const { blockhash } = await connection.getLatestBlockhash();
const message = new TransactionMessage({
  payerKey: alice.publicKey,
  recentBlockhash: blockhash,
  instructions: [pay(7)],
}).compileToV0Message();
const transaction = new VersionedTransaction(message);
transaction.sign([alice]);
const simulated = await connection.simulateTransaction(transaction);
const second = await connection.sendTransaction(transaction);
await connection.confirmTransaction({ signature: second, ...(await connection.getLatestBlockhash()) });

let refusal = "";
try {
  await connection.sendRawTransaction(transaction.serialize());
} catch (error) {
  refusal = error.message;
}
const read = await connection.getTransaction(second, { maxSupportedTransactionVersion: 0 });
const parsed = await connection.getParsedTransaction(first, { maxSupportedTransactionVersion: 0 });
// The first change may come before the subscription; the last one is told.
while (told !== LAMPORTS_PER_SOL + 7) await new Promise((resolve) => setTimeout(resolve, 10));
console.log(
  JSON.stringify({
    aliceBalance: await connection.getBalance(alice.publicKey),
    bobBalance: (await connection.getAccountInfo(bob.publicKey)).lamports,
    fee: (await connection.getFeeForMessage(message)).value,
    simulatedError: simulated.value.err,
    version: read.version,
    readFee: read.meta.fee,
    signers: parsed.transaction.message.accountKeys.filter((key) => key.signer).length,
    history: (await connection.getSignaturesForAddress(alice.publicKey)).length,
    told,
    refusal,
  }),
);
process.exit(0);
