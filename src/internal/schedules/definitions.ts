/** Definitions in code, stored when a process starts: many together, for a process may have hundreds. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import type { ConfigurationInvalid, JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import { Journal } from "../../Journal.js"
import { Batch } from "../util/Batch.js"
import { perJournal } from "../process/perJournal.js"
import { badOptions } from "../process/Registry.js"
import { stored } from "./changes.js"
import type { Given } from "./definition.js"
import { check, payloadOf } from "./definition.js"
import { changeAll } from "./rows.js"
import type { Settings } from "./settings.js"
import { encodeSettings } from "./settings.js"

/** What a definition says. */
interface Definition {
  readonly name: string
  readonly settings: Settings
}

/** Store what definitions say, and that this process has them. */
const store = (
  journal: JournalService,
  definitions: ReadonlyArray<Definition>
): Effect.Effect<void, JournalError> => {
  const byName = new Map(definitions.map(({ name, settings }) => [name, settings]))
  const names = [...byName.keys()]
  return Effect.zipRight(
    changeAll(journal, names, (name, record, now) => {
      const settings = byName.get(name)
      return settings === undefined ? null : stored(name, record, settings, { byHand: false, isKnown: true, now })
    }),
    journal.ask(journal.driver.seeSchedules(names))
  )
}

const batchOf = perJournal((journal) =>
  new Batch<Definition, JournalError>((definitions) => store(journal, definitions))
)

/** Those of one transaction are its own. */
const submit = (journal: JournalService, definition: Definition): Effect.Effect<void, JournalError> =>
  Effect.flatMap(
    journal.driver.inTransaction,
    (inside) => inside ? store(journal, [definition]) : batchOf(journal).add(definition)
  )

/** Make a definition known to the process and store it, after what it needs. */
export const define = (
  given: Given,
  source: object,
  needed: Effect.Effect<void, ConfigurationInvalid | JournalError, Journal | Scope.Scope>
): Effect.Effect<void, ConfigurationInvalid | JournalError, Journal | Scope.Scope> =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const { registry } = journal
    const { name, workflow } = given
    const settings = yield* check(given, journal.time.now())
    if (workflow !== null) {
      yield* registry.defineSchedule({
        name,
        shape: workflow,
        definition: Either.match(settings, { onLeft: (problems) => problems.join(), onRight: encodeSettings }),
        source,
        payload: payloadOf(given.payload)
      })
    }
    const place = `schedule "${name}"`
    const problems = Either.isRight(settings) ? [] : badOptions(place, settings.left.map((each) => `${place}: ${each}`))
    // The check looks for rivals itself, when all are there.
    const rivals = registry.checking ? [] : registry.rivals().filter((problem) => problem.place === place)
    yield* registry.tell([...problems, ...rivals])
    yield* needed
    if (registry.checking || Either.isLeft(settings)) return
    yield* submit(journal, { name, settings: settings.right })
  })
