// Runs the program `hither up` as a child that ends with this process, also when this process is killed.
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { fileURLToPath } from "node:url"

import { Network } from "./network.js"

const READY_MS_MAX = 120_000
const POLL_MS = 10
const STOP_MS_MAX = 20_000
const ATTEMPTS = 5
// A network's default ports; the offset moves all of them to where nothing listens, below what Linux gives to
// outgoing connections (32,768 and up): what is free there may be taken a moment later.
const PORTS = [3030, 8545, 8546, 8547, 8899, 8900, 18443]
const OFFSET_MIN = 1_000
const OFFSETS = 1_300
const OFFSET_STEP = 10

export class HitherError extends Error {
  constructor(message) {
    super(message)
    this.name = "HitherError"
  }
}

/** The program: $HITHER_PROGRAM, that of the checkout this package is used from, or `hither` in the path. */
function findProgram() {
  const checkout = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../.venv/bin/hither")
  return process.env.HITHER_PROGRAM ?? (existsSync(checkout) ? checkout : "hither")
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)))
  })
}

async function findOffset() {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const offset = OFFSET_MIN + OFFSET_STEP * Math.floor(Math.random() * OFFSETS)
    const free = await Promise.all(PORTS.map((port) => isFree(port + offset)))
    if (free.every(Boolean)) return offset
  }
  throw new HitherError("no free ports were found for a network")
}

function makeArguments({ shards, protocolVersion, blockTime, evm, otherChains, arguments: more = [] }, home, offset) {
  const list = ["up", "--while-stdin", "--quiet", "--home", home, "--port-offset", String(offset)]
  if (!otherChains) list.push("--alone")
  if (evm) list.push("--evm", evm.join(","))
  if (shards !== undefined) list.push("--shards", String(shards))
  if (protocolVersion !== undefined) list.push("--protocol-version", String(protocolVersion))
  if (blockTime !== undefined) list.push("--block-time", blockTime)
  return [...list, ...more]
}

/** Start a network and wait until it is ready; see index.d.ts for the options. */
export async function start(options = {}) {
  const home = options.home ?? (await mkdtemp(path.join(tmpdir(), "hither-")))
  for (let attempt = 1; ; attempt += 1) {
    const child = run(options, home, await findOffset())
    try {
      const endpoints = await waitUntilReady(child, home)
      return new Network(endpoints, () => stop(child, options.home ? null : home))
    } catch (error) {
      await stop(child, null)
      // Somebody else may have taken a port between our look and the start.
      if (!/port \d+ is (in use|taken)/.test(error.message) || attempt === ATTEMPTS) {
        if (!options.home) await rm(home, { recursive: true, force: true })
        throw error
      }
    }
  }
}

function run(options, home, offset) {
  const process_ = spawn(findProgram(), makeArguments(options, home, offset), { stdio: ["pipe", "pipe", "pipe"] })
  const child = { process: process_, output: "", ended: null }
  const keep = (chunk) => {
    child.output = (child.output + chunk).slice(-4_000)
  }
  process_.stdout.on("data", keep)
  process_.stderr.on("data", keep)
  child.ended = new Promise((resolve) => {
    process_.once("error", (error) => resolve(`hither could not be started: ${error.message}. Install it, or set HITHER_PROGRAM`))
    process_.once("exit", (code, signal) => resolve(`hither ended with ${signal ?? code}: ${child.output.trim()}`))
  })
  // Neither the child nor its pipes keep this process alive; when it ends, the input of the child does.
  process_.unref()
  for (const pipe of process_.stdio) pipe.unref?.()
  return child
}

async function waitUntilReady(child, home) {
  const file = path.join(home, "endpoints.json")
  const deadline = Date.now() + READY_MS_MAX
  let reason = null
  child.ended.then((text) => (reason = text))
  while (Date.now() < deadline) {
    if (reason !== null) throw new HitherError(reason)
    if (existsSync(file)) {
      const endpoints = JSON.parse(await readFile(file, "utf8"))
      if (endpoints.pid === child.process.pid) return endpoints
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  throw new HitherError(`the network was not ready after ${READY_MS_MAX / 1000} s: ${child.output.trim()}`)
}

async function stop(child, home) {
  if (child.process.exitCode === null && child.process.signalCode === null && child.process.pid !== undefined) {
    child.process.kill("SIGTERM")
    const timer = setTimeout(() => child.process.kill("SIGKILL"), STOP_MS_MAX)
    await child.ended
    clearTimeout(timer)
  }
  if (home !== null) await rm(home, { recursive: true, force: true })
}
