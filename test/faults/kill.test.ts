import { servers } from "@perdure/testing/TestDatabase"
import { suite } from "./kill.js"

suite(servers[0], { runs: 36, kills: 2 })
