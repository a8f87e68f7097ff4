/**
 * Registration: a process that starts registers its definitions and stores them, many together, for a process may have
 * hundreds. What a stored definition changes, `row` decides.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import type { ConfigurationInvalid, JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import { Journal } from "../../Journal.js"
import { perJournal } from "../journal/perJournal.js"
import { badOptions } from "../process/Problem.js"
import { Batch } from "../util/Batch.js"
import type { Definition } from "./definition.js"
import { payloadOf, verify } from "./definition.js"
import type { Schedule } from "./model.js"
import { encodeSettings } from "./model.js"
import { rowWith } from "./row.js"
import { updateMany } from "./store.js"

/** A definition that is verified. */
type Registration = Pick<Schedule, "name" | "settings">

/** Stores registrations, and reports that this process has them. */
const store = (
  journal: JournalService,
  registrations: ReadonlyArray<Registration>
): Effect.Effect<void, JournalError> => {
  const byName = new Map(registrations.map((registration) => [registration.name, registration]))
  const names = [...byName.keys()]
  return Effect.zipRight(
    updateMany(journal, names, (name, record, now) => {
      const registration = byName.get(name)
      return registration === undefined
        ? null
        : rowWith(record, registration, { by: "definition", isRegistered: true, now })
    }),
    journal.seeSchedules(names)
  )
}

const batchOf = perJournal((journal) =>
  new Batch<Registration, JournalError>((registrations) => store(journal, registrations))
)

/** Stores a registration with others that come at the same time; in a transaction, by itself. */
const submit = (journal: JournalService, registration: Registration): Effect.Effect<void, JournalError> =>
  Effect.flatMap(
    journal.inTransaction,
    (inside) => inside ? store(journal, [registration]) : batchOf(journal).add(registration)
  )

/**
 * Registers a definition with this process and stores it, after `dependency`. `source` is the value that defines it.
 */
export const register = (
  definition: Definition,
  source: object,
  dependency: Effect.Effect<void, ConfigurationInvalid | JournalError, Journal | Scope.Scope>
): Effect.Effect<void, ConfigurationInvalid | JournalError, Journal | Scope.Scope> =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const { admit, registrations } = journal.process
    const { name, workflow } = definition
    const settings = yield* verify(definition, journal.now())
    if (workflow !== null) {
      yield* registrations.addSchedule({
        name,
        shape: workflow,
        definition: Either.match(settings, { onLeft: (problems) => problems.join(), onRight: encodeSettings }),
        source,
        payload: payloadOf(definition)
      })
    }
    const place = `schedule "${name}"`
    const problems = Either.isRight(settings) ? [] : badOptions(place, settings.left)
    const admitted = yield* admit([...problems, ...registrations.twoSchedules(name)])
    yield* dependency
    if (!admitted || Either.isLeft(settings)) return
    yield* submit(journal, { name, settings: settings.right })
  })
