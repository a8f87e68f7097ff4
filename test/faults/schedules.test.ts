import { servers } from "@perdure/testing/TestDatabase"
import { suite } from "./schedules.js"

suite(servers[0], { schedules: 100, lead: 3, lasts: 8, processes: 3, kills: 3 })
