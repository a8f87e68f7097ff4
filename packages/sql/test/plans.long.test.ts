import { servers } from "@perdure/testing/TestDatabase"
import { suite } from "./plans.js"

for (const server of servers.slice(1)) suite(server)
