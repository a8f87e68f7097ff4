/** Texts that are committed beside the code and compared by tests; `vitest -u` writes them anew. */
import * as Effect from "effect/Effect"
import { expect } from "vitest"

export const matchesFile = (path: string, text: string): Effect.Effect<void> =>
  Effect.promise(() => expect(text).toMatchFileSnapshot(path))
