import { servers } from "@perdure/testing/TestDatabase"
import { suite } from "./deadlock.js"

suite(servers[0], { operations: 400 })
