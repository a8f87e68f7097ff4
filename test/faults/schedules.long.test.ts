import { servers } from "@perdure/testing/TestDatabase"
import { suite } from "./schedules.js"

const [first, ...others] = servers

suite(first, { schedules: 500, lead: 8, lasts: 20, processes: 5, kills: 7 })
for (const server of others) suite(server, { schedules: 100, lead: 3, lasts: 8, processes: 5, kills: 7 })
