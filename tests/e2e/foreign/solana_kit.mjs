// A transfer as users of @solana/kit write it, confirmed through its subscriptions. Prints what it read.
import {
  address,
  airdropFactory,
  appendTransactionMessageInstruction,
  createSolanaRpc,
  createSolanaRpcSubscriptions,
  createTransactionMessage,
  generateKeyPairSigner,
  getSignatureFromTransaction,
  lamports,
  pipe,
  sendAndConfirmTransactionFactory,
  setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash,
  signTransactionMessageWithSigners,
} from "@solana/kit";

const [url, socket] = process.argv.slice(2);
const rpc = createSolanaRpc(url);
const rpcSubscriptions = createSolanaRpcSubscriptions(socket);
const alice = await generateKeyPairSigner();
const bob = await generateKeyPairSigner();

await airdropFactory({ rpc, rpcSubscriptions })({
  commitment: "confirmed",
  lamports: lamports(2_000_000_000n),
  recipientAddress: alice.address,
});

const ending = new AbortController();
const slots = await rpcSubscriptions.slotNotifications().subscribe({ abortSignal: ending.signal });
const firstSlot = (await slots[Symbol.asyncIterator]().next()).value.slot;
const accounts = await rpcSubscriptions
  .accountNotifications(bob.address, { commitment: "confirmed", encoding: "base64" })
  .subscribe({ abortSignal: ending.signal });
const logs = await rpcSubscriptions
  .logsNotifications({ mentions: [bob.address] }, { commitment: "confirmed" })
  .subscribe({ abortSignal: ending.signal });
// What comes before somebody waits for it is dropped.
const accountTold = accounts[Symbol.asyncIterator]().next();
const logTold = logs[Symbol.asyncIterator]().next();

const amount = Buffer.alloc(12);
amount.writeUInt32LE(2, 0);
amount.writeBigUInt64LE(1_000_000_000n, 4);
const payment = {
  programAddress: address("11111111111111111111111111111111"),
  accounts: [
    { address: alice.address, role: 3 },
    { address: bob.address, role: 1 },
  ],
  data: new Uint8Array(amount),
};
const { value: latest } = await rpc.getLatestBlockhash().send();
const message = pipe(
  createTransactionMessage({ version: 0 }),
  (one) => setTransactionMessageFeePayerSigner(alice, one),
  (one) => setTransactionMessageLifetimeUsingBlockhash(latest, one),
  (one) => appendTransactionMessageInstruction(payment, one),
);
const transaction = await signTransactionMessageWithSigners(message);
await sendAndConfirmTransactionFactory({ rpc, rpcSubscriptions })(transaction, { commitment: "confirmed" });
const signature = getSignatureFromTransaction(transaction);

const told = (await accountTold).value.value.lamports;
const logged = (await logTold).value.value.signature;
const read = await rpc.getTransaction(signature, { encoding: "json", maxSupportedTransactionVersion: 0 }).send();
const [status] = (await rpc.getSignatureStatuses([signature]).send()).value;
ending.abort();
console.log(
  JSON.stringify({
    alice: String((await rpc.getBalance(alice.address).send()).value),
    bob: String((await rpc.getAccountInfo(bob.address, { encoding: "base64" }).send()).value.lamports),
    told: String(told),
    isLogged: logged === signature,
    fee: String(read.meta.fee),
    confirmation: status.confirmationStatus,
    hasSlot: firstSlot > 0n,
    history: (await rpc.getSignaturesForAddress(alice.address).send()).length,
    isValid: (await rpc.isBlockhashValid(latest.blockhash).send()).value,
    owned: (
      await rpc
        .getTokenAccountsByOwner(
          bob.address,
          { programId: address("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA") },
          { encoding: "jsonParsed" },
        )
        .send()
    ).value.length,
  }),
);
process.exit(0);
