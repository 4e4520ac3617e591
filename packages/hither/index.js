// Starts a hither network for the length of a test run, and moves its time.
export { Network, RpcError, connect } from "./network.js"
export { HitherError, start } from "./program.js"
