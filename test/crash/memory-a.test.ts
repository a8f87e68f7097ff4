import { crashesOnMemory } from "./crashesOnMemory.js"

crashesOnMemory({ seed: 1_000, crashes: 5_000 })
