import { suite } from "./mutants.js"

suite("others")
