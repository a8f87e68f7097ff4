import { servers } from "@perdure/testing/TestDatabase"
import { suite } from "./plans.js"

suite(servers[0])
