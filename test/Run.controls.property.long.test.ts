import { suite } from "./fixtures/controlsSuite.js"

suite({ memory: 200, pglite: 10 })
