import { servers } from "@perdure/testing/TestDatabase"
import { suite } from "./limits.js"

const [first, ...others] = servers

suite(first, { runs: 10_000, kills: 8, processes: 4 })
for (const server of others) suite(server, { runs: 1_000, kills: 2, processes: 4 })
