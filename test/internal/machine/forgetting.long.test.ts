import { memorySuite } from "./forgottenMachines.js"

memorySuite(100_000)
