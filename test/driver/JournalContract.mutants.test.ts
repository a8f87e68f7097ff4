import { suite } from "./mutants.js"

suite("first")
