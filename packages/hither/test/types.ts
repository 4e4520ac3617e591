// Compiled and not run: what the types promise.
import { RpcError, connect, start, type Network, type StartOptions } from "hither"
import { extendWith, test } from "hither/vitest"

const options: StartOptions = { shards: 2, blockTime: "600ms", evm: ["base", 10] }

export async function use(): Promise<string> {
  await using network: Network = await start(options)
  const head = await network.head()
  const time: bigint = head.timestampNs
  await network.setTime(time + 1n)
  // @ts-expect-error a mode that is none
  await network.setBlockMode("sometimes")
  return network.anchor(async () => connect(network.endpoints).account("alice").secretKey)
}

export function tell(error: unknown): string | undefined {
  return error instanceof RpcError ? error.code : undefined
}

extendWith({ otherChains: true })("typed", async ({ network }) => {
  await network.mine(1)
})
test("typed too", async ({ network }) => {
  await network.stop()
})
