// Answer questions about EVM bytes by viem: JSON lines in, a list of hexadecimal texts out.
// Usage: node evm_viem.mjs FOLDER_OF_VIEM < questions
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const load = (path) => import(pathToFileURL(`${process.argv[2]}/_esm/${path}/index.js`))
const viem = await import(pathToFileURL(`${process.argv[2]}/_esm/index.js`))
const { privateKeyToAccount } = await load('accounts')
const { getUserOperationHash } = await load('account-abstraction')

// Numbers come as texts beginning with "n", since JSON has no large ones.
const revive = (_, value) => (typeof value === 'string' && /^n-?\d+$/.test(value) ? BigInt(value.slice(1)) : value)
const lower = (value) => (typeof value === 'bigint' ? Number(value) : value)

const answer = {
  digest: ({ transaction }) => viem.keccak256(viem.serializeTransaction(transaction)),
  signed: ({ transaction, secret }) => privateKeyToAccount(secret).signTransaction(transaction),
  message: ({ raw }) => viem.hashMessage({ raw }),
  typed: ({ document }) => viem.hashTypedData(document),
  call: ({ signature, args }) => viem.encodeFunctionData({ abi: viem.parseAbi([`function ${signature}`]), args }),
  authorization: async ({ authorization, secret }) => {
    const signed = await privateKeyToAccount(secret).signAuthorization(authorization)
    return viem.concat([signed.r, signed.s, viem.toHex(signed.yParity, { size: 1 })])
  },
  operation: (question) =>
    getUserOperationHash({
      chainId: lower(question.chainId),
      entryPointAddress: question.entryPoint,
      entryPointVersion: question.version,
      userOperation: question.operation,
    }),
}

const lines = readFileSync(0, 'utf8').trim().split('\n')
const results = []
for (const line of lines) {
  const question = JSON.parse(line, revive)
  for (const field of ['chainId', 'nonce']) {
    for (const part of [question.transaction, question.authorization])
      if (part && typeof part[field] === 'bigint') part[field] = Number(part[field])
  }
  for (const signed of question.transaction?.authorizationList ?? []) signed.yParity = Number(signed.yParity)
  results.push(await answer[question.kind](question))
}
process.stdout.write(JSON.stringify(results))
