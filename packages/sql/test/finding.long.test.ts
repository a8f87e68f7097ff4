import { servers } from "@perdure/testing/TestDatabase"
import { suite } from "./finding.js"

for (const server of servers) suite(server)
