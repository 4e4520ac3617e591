// near-jsonrpc-client (npm @near-js/jsonrpc-client) in its validating form: each request and answer goes through its
// schemas. Reads its setting from standard input, prints what it saw; near-api-js signs, since this library does not.
import { readFileSync } from "node:fs"
import {
  NearRpcClient,
  block,
  chunk,
  experimentalTxStatus,
  gasPrice,
  nextLightClientBlock,
  parseCallResultToJson,
  sendTx,
  status,
  tx,
  validators,
  viewAccessKey,
  viewAccount,
  viewFunction,
} from "@near-js/jsonrpc-client"
import { Account, JsonRpcProvider, KeyPair, KeyPairSigner, actions } from "near-api-js"

const setting = JSON.parse(readFileSync(0, "utf8"))
const { receiver_id, token_id, owner } = setting
const client = new NearRpcClient({ endpoint: setting.url, retries: 0 })
const signer = KeyPairSigner.fromSecretKey(owner.secret_key)
const account = new Account(owner.account_id, new JsonRpcProvider({ url: setting.url }), signer)
const publicKey = KeyPair.fromString(owner.secret_key).getPublicKey().toString()

async function errorOf(action) {
  try {
    await action()
  } catch (error) {
    return { name: error.name, code: error.code, message: error.message, data: error.data }
  }
  return null
}

async function send(receiverId, list) {
  const signed = await account.createSignedTransaction({ receiverId, actions: list })
  return sendTx(client, { signedTxBase64: Buffer.from(signed.encode()).toString("base64"), waitUntil: "FINAL" })
}

const seen = {}

// Money
const before = BigInt((await viewAccount(client, { accountId: receiver_id })).amount)
const sent = await send(receiver_id, [actions.transfer(7n)])
seen.status = sent.finalExecutionStatus
seen.received = String(BigInt((await viewAccount(client, { accountId: receiver_id })).amount) - before)
const question = { txHash: sent.transaction.hash, senderAccountId: owner.account_id, waitUntil: "FINAL" }
seen.same_outcome = (await tx(client, question)).transactionOutcome.id === sent.transaction.hash
seen.has_receipts = (await experimentalTxStatus(client, question)).receipts.length > 0

// The chain
seen.chain_id = (await status(client)).chainId
const head = await block(client, { finality: "final" })
seen.chunk_height = (await chunk(client, { chunkId: head.chunks[0].chunkHash })).header.heightCreated > 0
seen.gas_price = (await gasPrice(client, { blockId: head.header.height })).gasPrice
seen.validators = (await validators(client, "latest")).currentValidators.map((validator) => validator.accountId)
seen.permission = (await viewAccessKey(client, { accountId: owner.account_id, publicKey })).permission

// A contract
await send(token_id, [
  actions.createAccount(),
  actions.transfer(10n ** 25n),
  actions.deployContract(readFileSync(setting.code_path)),
  actions.functionCall("new_default", { owner_id: owner.account_id, total_supply: "1000" }, 30n * 10n ** 12n, 0n),
])
const metadata = await viewFunction(client, { accountId: token_id, methodName: "ft_metadata" })
seen.token_name = parseCallResultToJson(metadata).name

seen.light_client_height = (await nextLightClientBlock(client, { lastBlockHash: head.header.hash })).innerLite.height

seen.errors = {
  missing_account: await errorOf(() => viewAccount(client, { accountId: "missing.alice.near" })),
  unknown_block: await errorOf(() => block(client, { blockId: 10 ** 9 })),
  panic: await errorOf(() => viewFunction(client, { accountId: token_id, methodName: "no_such_method" })),
}
console.log(JSON.stringify(seen))
