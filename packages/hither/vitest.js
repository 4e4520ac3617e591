// Vitest: `test` with a `network` for each worker, and each test leaves the chain as it found it.
import { test as base } from "vitest"

import { start } from "./index.js"

/** `extendWith(options)` gives a `test` whose networks are started with these options. */
export function extendWith(options) {
  return base.extend({
    sharedNetwork: [
      async ({}, use) => {
        const network = await start(options)
        await use(network)
        await network.stop()
      },
      { scope: "worker" },
    ],
    network: async ({ sharedNetwork }, use) => {
      await sharedNetwork.anchor(() => use(sharedNetwork))
    },
  })
}

export const test = extendWith({})
