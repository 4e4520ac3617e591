// Write python/hither/foreign/evm_chains.json from viem's table of chains.
//
// Usage: node scripts/generate_evm_chains.mjs FOLDER_OF_VIEM > python/hither/foreign/evm_chains.json
//
// One row an id. viem has several entries for some ids: first come chains for real money, then the shortest name.
// viem tells families of rollups by their contracts and settings; what it does not tell is in `families` below.
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const folder = process.argv[2]
const { version } = JSON.parse(readFileSync(`${folder}/package.json`))
const exported = await import(pathToFileURL(`${folder}/_esm/chains/index.js`))

const families = {
  // Built on Arbitrum's code, of which chains bear no mark.
  arbitrum: [
    42161, 42170, 421614, 421611, 421613, 33139, 33111, 660279, 1380012617, 21000000, 21000001, 98865, 98866, 98867, 1625,
    12323, 2524852, 666666666, 70700,
  ],
  // Built on the OP stack, with its price oracle at the usual address.
  'op-stack': [81457, 168587773, 168587774, 169, 3441006, 424, 58008, 8333, 1993],
  'zk-stack': [388, 282, 1612127, 50104, 531050104],
}

const findFamily = (chain) => {
  for (const [family, ids] of Object.entries(families)) if (ids.includes(chain.id)) return family
  if (chain.contracts?.gasPriceOracle) return 'op-stack'
  return chain.custom?.getEip712Domain ? 'zk-stack' : 'evm'
}

// Rollups whose parent viem does not name.
const parents = {
  42161: 1, 42170: 1, 421614: 11155111, 324: 1, 300: 11155111, 59144: 1, 59141: 11155111, 534352: 1, 534351: 11155111,
  167000: 1, 169: 1, 3441006: 11155111, 1101: 1, 1088: 1, 5000: 1, 5003: 11155111, 196: 1,
}

// Path segments that look like a key are left out with their endpoint.
const hasKey = (url) => /[0-9a-zA-Z_-]{24,}/.test(new URL(url).pathname)

const rows = new Map()
const entries = Object.entries(exported).filter(([, chain]) => chain?.id && chain.nativeCurrency)
const rank = ([key, chain]) => [chain.testnet ? 1 : 0, key.length, key]
entries.sort((left, right) => {
  const [a, b] = [rank(left), rank(right)]
  const at = a.findIndex((value, index) => value !== b[index])
  return at < 0 ? 0 : a[at] < b[at] ? -1 : 1
})
for (const [key, chain] of entries) {
  const known = rows.get(chain.id)
  if (known) {
    known.keys.push(key)
    continue
  }
  rows.set(chain.id, {
    id: chain.id,
    name: chain.name,
    keys: [key],
    symbol: chain.nativeCurrency.symbol,
    decimals: chain.nativeCurrency.decimals,
    is_test: Boolean(chain.testnet),
    family: findFamily(chain),
    parent: chain.sourceId ?? parents[chain.id] ?? null,
    explorer: chain.blockExplorers?.default?.url ?? null,
    endpoints: chain.rpcUrls.default.http.filter((url) => !hasKey(url)),
  })
}
const lines = [...rows.values()].sort((a, b) => a.id - b.id).map((row) => JSON.stringify(row))
process.stdout.write(
  `{"source": "viem ${version}", "entries": ${entries.length}, "chains": [\n${lines.join(',\n')}\n]}\n`,
)
