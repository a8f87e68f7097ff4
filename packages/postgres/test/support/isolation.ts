/** Databases whose transactions are stricter than `read committed` by default. */
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import { ask } from "./driver.js"

export const strictLevels = ["repeatable read", "serializable"] as const

/** The URL of an empty database with this default. */
export const strictDatabase = (server: TestDatabase.Server, level: (typeof strictLevels)[number]) =>
  Effect.gen(function*() {
    const { name, url } = yield* TestDatabase.freshOn(server)
    yield* ask(server.url, `ALTER DATABASE ${name} SET default_transaction_isolation = '${level}'`)
    return url
  })
