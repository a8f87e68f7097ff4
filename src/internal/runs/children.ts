/** Children as their parent waits for them: durably, by the entry that holds the child's end. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { CurrentRunInfo } from "../../CurrentRun.js"
import { FinalStatus } from "../../driver/JournalDriver.js"
import type { ResultError } from "../../Errors.js"
import { Misuse } from "../../Errors.js"
import type { RunReader } from "./ending.js"
import { readEnding as exitOf } from "./ending.js"

/** Waits for a child whose id is known. */
export const childResult = <A, E>(
  current: CurrentRunInfo,
  reader: RunReader,
  id: string
): Effect.Effect<A, E | ResultError> => {
  const token = current.machine.tokenOfChild(id)
  return token === undefined
    ? Effect.die(
      new Misuse({
        detail: `run ${id} is not a child that this generation of run ${current.id} started: ` +
          `wait for it inside a Step, or start it here`
      })
    )
    : awaitChild<A, E>(current, reader, { id, token, cancels: false })
}

/** Waits for a child. With `cancels`, an interruption of the wait cancels the child. */
export const awaitChild = <A, E>(
  current: CurrentRunInfo,
  reader: RunReader,
  child: { readonly id: string; readonly token: string; readonly cancels: boolean }
): Effect.Effect<A, E | ResultError> =>
  current.machine.requestOnce<A, E | ResultError>({ _tag: "Child", ...child }, reader.name, (exit) =>
    // The entry's success value is the whole ending: the child's status decides what it means here.
    Either.flatMap(decodeEnding(exit.data), (ending) =>
      ending.run === child.id
        ? Either.right(exitOf<A, E>(reader, child.id, ending))
        : Either.left(
          `run ${ending.run} has ended here, but the program waits for run ${child.id} of ${reader.name}: ` +
            `the child that it starts at this place has changed`
        )))

/** A child's end as the entry of its parent holds it. */
const ChildEnding = Schema.Struct({
  run: Schema.String,
  status: FinalStatus,
  exit: Schema.NullOr(Schema.Struct({
    kind: Schema.Literal("success", "failure", "defect", "interrupt"),
    value: Schema.NullOr(Schema.String)
  })),
  detail: Schema.optionalWith(Schema.NullOr(Schema.String), { default: () => null })
})

const decode = Schema.decodeUnknownEither(ChildEnding)

const decodeEnding = (value: unknown): Either.Either<typeof ChildEnding.Type, string> =>
  Either.mapLeft(decode(value), (error) => error.message)
