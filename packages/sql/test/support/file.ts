/** Files that are committed and that tests compare. `vitest -u` writes them again. */
import * as Effect from "effect/Effect"
import { expect } from "vitest"

export const matchesFile = (path: string, text: string): Effect.Effect<void> =>
  Effect.promise(() => expect(text).toMatchFileSnapshot(path))
