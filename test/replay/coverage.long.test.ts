import { crashSuite } from "./crashSuite.js"

crashSuite({ seeds: 20 })
