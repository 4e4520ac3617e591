import type { TestAPI } from "vitest"

import type { Network, StartOptions } from "./index.js"

/** A `test` whose networks are started with these options. */
export function extendWith(options: StartOptions): TestAPI<{ network: Network; sharedNetwork: Network }>

/** Vitest's `test` with the fixture `network`: one for each worker, and each test leaves it as it found it. */
export const test: TestAPI<{ network: Network; sharedNetwork: Network }>
