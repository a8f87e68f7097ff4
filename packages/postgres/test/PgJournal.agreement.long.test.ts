import { suite } from "./support/agreement.js"

suite(200)
