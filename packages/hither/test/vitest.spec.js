// The fixture for Vitest: one network a worker, and each test leaves it as it found it.
import { expect } from "vitest"
import { test } from "hither/vitest"

const height = async (network) => (await network.head()).height

test("mines", async ({ network }) => {
  await network.mine(50)
  expect(await height(network)).toBeGreaterThanOrEqual(50)
})

test("has forgotten", async ({ network }) => {
  expect(await height(network)).toBeLessThan(50)
})
