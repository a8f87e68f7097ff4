import { servers } from "@perdure/testing/TestDatabase"
import { suite } from "./support/contract.js"

for (const server of servers.slice(1)) suite(server)
