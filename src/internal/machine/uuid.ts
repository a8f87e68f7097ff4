/** UUIDs (version 4, RFC 9562) from the random numbers of a run. */
import * as Effect from "effect/Effect"
import type * as Random from "effect/Random"

export const uuidOf = (random: Random.Random): Effect.Effect<string> => {
  const digit = Effect.map(random.nextIntBetween(0, 16), (n) => n.toString(16))
  const variant = Effect.map(random.nextIntBetween(8, 12), (n) => n.toString(16))
  const pattern = [..."xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx"]
  return Effect.map(
    Effect.forEach(pattern, (c) => c === "x" ? digit : c === "y" ? variant : Effect.succeed(c)),
    (digits) => digits.join("")
  )
}
