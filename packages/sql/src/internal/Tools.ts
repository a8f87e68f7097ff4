/** What the parts of the driver are made with: how to send a statement, and whom to tell of what came of it. */
import type * as Effect from "effect/Effect"
import type { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import type { Ask } from "./commits.js"

export interface Tools {
  /** Send one statement, and read its rows strictly. */
  readonly ask: Ask
  /** Whether the caller is inside a transaction of its own. */
  readonly inside: Effect.Effect<boolean>
  /** Tell this process what was told to others by the statement itself; inside a transaction, after its commit. */
  readonly tell: (all: ReadonlyArray<Driver.Hint>) => Effect.Effect<void>
  /** Tell this process, and others; inside a transaction, after its commit. */
  readonly tellAll: (all: ReadonlyArray<Driver.Hint>) => Effect.Effect<void, JournalError>
  /** Origin and local workers, for statements that notify. */
  readonly notices: (inside: boolean) => ReadonlyArray<string>
}
