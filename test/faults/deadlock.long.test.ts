import { servers } from "@perdure/testing/TestDatabase"
import { suite } from "./deadlock.js"

const [first, ...others] = servers

suite(first, { operations: 3_000 })
for (const server of others) suite(server, { operations: 1_000 })
