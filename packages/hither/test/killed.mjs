// Starts a network, says where, and waits to be killed.
import { start } from "hither"

const network = await start()
console.log(JSON.stringify({ pid: network.endpoints.pid, url: network.url }))
setInterval(() => {}, 1000)
