import { crashesOnMemory } from "./crashesOnMemory.js"

crashesOnMemory({ seed: 2_000, crashes: 5_000 })
