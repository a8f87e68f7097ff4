import { servers } from "@perdure/testing/TestDatabase"
import { suite } from "./claimPlans.js"

suite(servers[0])
