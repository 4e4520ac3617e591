// The scenario of README.md with near-kit (npm): reads its setting from standard input, prints what it saw.
import { readFileSync } from "node:fs"
import { Near, decodeSignedDelegateAction, generateKey } from "near-kit"

const setting = JSON.parse(readFileSync(0, "utf8"))
const { owner, relayer, user_id, token_id, receiver_id } = setting
const userKey = generateKey()
const tokenKey = generateKey()
const near = new Near({
  network: { rpcUrl: setting.url, networkId: setting.chain_id },
  keyStore: {
    [owner.account_id]: owner.secret_key,
    [relayer.account_id]: relayer.secret_key,
    [user_id]: userKey.secretKey,
    [token_id]: tokenKey.secretKey,
  },
  defaultSignerId: owner.account_id,
  // It sends a refused transaction again unchanged before it signs anew; not after the usual 15 s.
  retryConfig: { maxRetries: 4, initialDelayMs: 10 },
})
const as = (signerId) => near.transaction(signerId)
const yocto = async (accountId) => (await near.rpc.getAccount(accountId)).amount
const ftBalance = (accountId) => near.view(token_id, "ft_balance_of", { account_id: accountId })

async function errorOf(action) {
  try {
    await action()
  } catch (error) {
    return { name: error.constructor.name, code: error.code, panic: error.panic, message: error.message }
  }
  return null
}

const seen = {}

// Accounts
for (const [accountId, key] of [[user_id, userKey], [token_id, tokenKey]]) {
  await as(owner.account_id)
    .createAccount(accountId)
    .transfer(accountId, "20 NEAR")
    .addKey(key.publicKey.toString(), { type: "fullAccess" })
    .send({ waitUntil: "FINAL" })
}
seen.exists = await near.accountExists(user_id)
seen.created_balance = await yocto(user_id)

// Keys
const extra = generateKey().publicKey.toString()
const call = generateKey().publicKey.toString()
await as(user_id).addKey(extra, { type: "fullAccess" }).send()
await as(user_id)
  .addKey(call, { type: "functionCall", receiverId: token_id, methodNames: ["ft_transfer"], allowance: "1 NEAR" })
  .send()
seen.keys_after_add = (await near.getAccessKeys(user_id)).keys.length
seen.call_key = (await near.getAccessKey(user_id, call)).permission.FunctionCall
await as(user_id).deleteKey(user_id, extra).send()
await as(user_id).deleteKey(user_id, call).send()
seen.keys_after_delete = (await near.getAccessKeys(user_id)).keys.length

// A contract: deploy, call, view
const code = readFileSync(setting.code_path)
await as(token_id)
  .deployContract(token_id, code)
  .functionCall(token_id, "new_default", { owner_id: owner.account_id, total_supply: "1000000" })
  .send()
seen.code_size = (await near.getContractCode(token_id)).code.length
seen.token_name = (await near.view(token_id, "ft_metadata")).name

// Tokens
const storage = { gas: "30 Tgas", attachedDeposit: "0.1 NEAR" }
for (const account_id of [user_id, receiver_id]) {
  await near.call(token_id, "storage_deposit", { account_id }, storage)
}
const oneYocto = { gas: "30 Tgas", attachedDeposit: "1 yocto" }
await near.call(token_id, "ft_transfer", { receiver_id: user_id, amount: "500" }, oneYocto)
await near.call(token_id, "ft_transfer", { receiver_id, amount: "200" }, { ...oneYocto, signerId: user_id })
seen.user_tokens = await ftBalance(user_id)
seen.receiver_tokens = await ftBalance(receiver_id)

// Money
const before = BigInt(await yocto(receiver_id))
const sent = await near.send(receiver_id, "1.5 NEAR")
seen.sent_status = sent.final_execution_status
seen.received = (BigInt(await yocto(receiver_id)) - before).toString()

// A meta-transaction: the user signs, the relayer pays
const userBefore = BigInt(await yocto(user_id))
const { payload } = await as(user_id)
  .functionCall(token_id, "ft_transfer", { receiver_id, amount: "50" }, oneYocto)
  .delegate({ blockHeightOffset: 100 })
const relayed = await as(relayer.account_id)
  .signedDelegateAction(decodeSignedDelegateAction(payload))
  .send({ waitUntil: "FINAL" })
seen.relayed_by = relayed.transaction.signer_id
seen.tokens_after_relay = await ftBalance(receiver_id)
seen.user_paid = (userBefore - BigInt(await yocto(user_id))).toString()

// Errors
seen.errors = {
  missing_account: await errorOf(() => near.getAccount(`missing.${owner.account_id}`)),
  missing_receiver: await errorOf(() => near.send(`missing.${owner.account_id}`, "1 NEAR")),
  panic: await errorOf(() =>
    near.call(token_id, "ft_transfer", { receiver_id: user_id, amount: "999999999" }, oneYocto)
  ),
  view_panic: await errorOf(() => near.view(token_id, "no_such_method")),
  no_contract: await errorOf(() => near.view(user_id, "anything")),
  too_poor: await errorOf(() => as(user_id).transfer(receiver_id, "1000000 NEAR").send()),
}

console.log(JSON.stringify(seen))
