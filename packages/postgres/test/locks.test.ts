import { servers } from "@perdure/testing/TestDatabase"
import { suite } from "./locks.js"

suite(servers[0])
