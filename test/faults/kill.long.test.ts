import { servers } from "@perdure/testing/TestDatabase"
import { suite } from "./kill.js"

const [first, ...others] = servers

suite(first, { runs: 300, kills: 5 })
for (const server of others) suite(server, { runs: 60, kills: 2 })
