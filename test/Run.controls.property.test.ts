import { suite } from "./fixtures/controlsSuite.js"

suite({ memory: 8, pglite: 1 })
