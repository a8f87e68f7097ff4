import { servers } from "@perdure/testing/TestDatabase"
import { suite } from "./limits.js"

suite(servers[0], { runs: 400, kills: 2, processes: 2 })
