// Reads transactions of Solana with @solana/web3.js and of our chain with near-api-js, and believes no answer that
// another one contradicts. It shares nothing with the adapters whose work it looks at.
//
// node node_witness.mjs PACKAGES: takes a list of {"family", "url", "transaction_id", "sender"} on standard input, where
// the packages lie in PACKAGES/node_modules; prints a list of facts, or of {"error"}.
import { createPublicKey, verify } from "node:crypto"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"

const require = createRequire(`${process.argv[2]}/package.json`)
const versionOf = (name) => JSON.parse(readFileSync(`${process.argv[2]}/node_modules/${name}/package.json`)).version
const must = (isTrue, text) => {
  if (!isTrue) throw new Error(text)
}

const ED25519_PREFIX = Buffer.from("302a300506032b6570032100", "hex")

function isSigned(key, message, signature) {
  const publicKey = createPublicKey({ key: Buffer.concat([ED25519_PREFIX, key]), format: "der", type: "spki" })
  return verify(null, message, publicKey, signature)
}

async function readSolana({ url, transaction_id: id }) {
  const solana = require("@solana/web3.js")
  const { base58 } = solanaCodec()
  const connection = new solana.Connection(url, { commitment: "finalized", disableRetryOnRateLimit: true })
  const found = await connection.getTransaction(id, { maxSupportedTransactionVersion: 0, commitment: "finalized" })
  must(found, "there is no such transaction")
  const { message, signatures } = found.transaction
  const keys = message.getAccountKeys({ accountKeysFromLookups: found.meta.loadedAddresses })
  must(signatures[0] === id, "the transaction has another id")
  must(signatures.length === message.header.numRequiredSignatures, "the transaction lacks signatures")
  signatures.forEach((signature, index) =>
    must(isSigned(keys.get(index).toBytes(), message.serialize(), base58.decode(signature)), "a signature is wrong"),
  )
  const { value: status } = await connection.getSignatureStatus(id, { searchTransactionHistory: true })
  must(status, "the transaction has no status")
  must(status.confirmationStatus === "finalized", `the transaction is ${status.confirmationStatus}`)
  must(status.slot === found.slot, `its status says slot ${status.slot}, its record ${found.slot}`)
  must(JSON.stringify(status.err) === JSON.stringify(found.meta.err), "status and record disagree whether it failed")
  must((await connection.getSlot("finalized")) >= found.slot, "its slot is still to come")
  const history = await connection.getSignaturesForAddress(keys.get(0), { limit: 1000 }, "finalized")
  must(history.some((entry) => entry.signature === id && entry.slot === found.slot), "its payer's history lacks it")
  const change = (index) => found.meta.postBalances[index] - found.meta.preBalances[index]
  const total = found.meta.preBalances.reduce((sum, _, index) => sum + change(index), 0)
  must(total === -found.meta.fee, "balances changed by something else than the fee")
  const payments = []
  for (const one of message.compiledInstructions) {
    if (!keys.get(one.programIdIndex).equals(solana.SystemProgram.programId)) continue
    const accounts = one.accountKeyIndexes.map((index) => ({ pubkey: keys.get(index) }))
    const instruction = { programId: solana.SystemProgram.programId, keys: accounts, data: Buffer.from(one.data) }
    if (solana.SystemInstruction.decodeInstructionType(instruction) !== "Transfer") continue
    const payment = solana.SystemInstruction.decodeTransfer(instruction)
    const [from, to] = one.accountKeyIndexes
    payments.push({ from, to, lamports: Number(payment.lamports) })
  }
  if (payments.length === 1 && message.compiledInstructions.length === 1) {
    const [{ from, to, lamports }] = payments
    must(from === to || change(to) === (found.meta.err ? 0 : lamports), "the receiver did not get the amount")
  }
  return {
    by: `@solana/web3.js ${versionOf("@solana/web3.js")}`,
    sender: keys.get(0).toBase58(),
    receiver: payments.length === 1 ? keys.get(payments[0].to).toBase58() : null,
    amount: payments.length === 1 ? payments[0].lamports : 0,
    fee: found.meta.fee,
    has_succeeded: found.meta.err === null,
    confirmations: status.confirmations ?? 32,
    height: found.slot,
    token_changes: readTokenChanges(found.meta, keys),
  }
}

function readTokenChanges(meta, keys) {
  const changes = new Map()
  const add = (balance, sign) => {
    const key = `${keys.get(balance.accountIndex).toBase58()} ${balance.mint}`
    const before = changes.get(key) ?? { account: key.split(" ")[0], mint: balance.mint, owner: balance.owner, change: 0n }
    changes.set(key, { ...before, change: before.change + BigInt(sign) * BigInt(balance.uiTokenAmount.amount) })
  }
  for (const balance of meta.preTokenBalances ?? []) add(balance, -1)
  for (const balance of meta.postTokenBalances ?? []) add(balance, 1)
  return [...changes.values()].map((one) => ({ ...one, change: String(one.change) }))
}

function solanaCodec() {
  // The codec that web3.js itself brings.
  const bs58 = require("bs58")
  return { base58: bs58.default ?? bs58 }
}

async function readNear({ url, transaction_id: id, sender }) {
  const { JsonRpcProvider } = await import(require.resolve("near-api-js"))
  const provider = new JsonRpcProvider({ url })
  const found = await provider.viewTransactionStatus({ txHash: id, accountId: sender, waitUntil: "FINAL" })
  const { transaction } = found
  must(transaction.hash === id, "the node gave another transaction")
  must(transaction.signer_id === sender, "the transaction has another signer")
  const outcomes = [found.transaction_outcome, ...found.receipts_outcome]
  const height = async (hash) => (await provider.viewBlock({ blockId: hash })).header.height
  const included = await height(found.transaction_outcome.block_hash)
  const final = (await provider.viewBlock({ finality: "final" })).header.height
  must(final >= included, "its block is not final")
  let deposit = 0n
  for (const action of transaction.actions) deposit += BigInt(action.Transfer?.deposit ?? 0)
  return {
    by: `near-api-js ${versionOf("near-api-js")}`,
    sender: transaction.signer_id,
    receiver: transaction.receiver_id,
    amount: String(deposit),
    fee: String(outcomes.reduce((sum, one) => sum + BigInt(one.outcome.tokens_burnt), 0n)),
    has_succeeded: "SuccessValue" in found.status,
    confirmations: final - included + 1,
    height: included,
  }
}

const READERS = { solana: readSolana, near: readNear }
const facts = []
for (const question of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    facts.push(await READERS[question.family](question))
  } catch (error) {
    facts.push({ error: `${error.name}: ${error.message}` })
  }
}
console.log(JSON.stringify(facts))
process.exit(0)
