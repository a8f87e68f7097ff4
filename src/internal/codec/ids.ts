/** Ids: of runs (UUID version 7, RFC 9562: ordered by time, so that indexes grow at one end) and of children. */

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

const hex = (bytes: Uint8Array): string => {
  let text = ""
  for (const byte of bytes) text += hexOfByte[byte]
  return text
}

/** The last id's time and counter: ids of this process grow, also within a millisecond (RFC 9562, section 6.2, method 1). */
let last = { millis: -1, counter: 0 }

const COUNTERS = 4096

/** A clock that goes back by more than this, in milliseconds, was set. */
const TOLERATED = 1_000

/** The counter begins in the lower half, at random, so that there is room above it. */
const following = (millis: number, random: number): typeof last =>
  millis > last.millis || millis < last.millis - TOLERATED
    ? { millis, counter: random % (COUNTERS / 2) }
    : last.counter + 1 < COUNTERS
    ? { millis: last.millis, counter: last.counter + 1 }
    : { millis: last.millis + 1, counter: 0 }

/** A new run's id, from the time in milliseconds, a counter and 62 random bits. */
export const makeRunId = (millis: number): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(12))
  last = following(Math.max(0, Math.floor(millis)), ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0))
  const time = last.millis.toString(16).padStart(12, "0")
  const counter = last.counter.toString(16).padStart(3, "0")
  const variant = "89ab"[(bytes[2] ?? 0) & 3]
  const rest = hex(bytes.subarray(3))
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter}-${variant}${rest.slice(0, 3)}-${rest.slice(3, 15)}`
}

/** Three letters that tell one text from another: FNV-1a (Fowler, Noll, Vo), 32 bits folded to 15. */
const fingerprint = (text: string): string => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (((hash >>> 15) ^ hash) & 0x7fff).toString(32).padStart(3, "0")
}

/** A number as text that is in order: how many digits, as a letter, and the digits. */
const ordered = (n: number): string => `${String.fromCharCode(96 + `${n}`.length)}${n}`

/**
 * A child's id follows from its parent's id, the op that starts it and its workflow; those started later come later: a replayed start is the same start,
 * and code that starts another workflow at that place starts another run.
 */
export const childId = (parent: string, generation: number, op: number, workflow: string): string =>
  `${parent}.${generation === 0 ? "" : `${generation}-`}${ordered(op)}${fingerprint(workflow)}`

/** Longer ids are made short where they would grow by every run of a chain. */
const LONG = 200

/** 128 bits of a text, in hexadecimal. */
const digest = (text: string): string =>
  [0x811c9dc5, 0x9747b28c, 0x5bd1e995, 0x1b873593].map((basis) => {
    let hash = basis
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) ^ (hash >>> 15)
    return (hash >>> 0).toString(16).padStart(8, "0")
  }).join("")

/** The id of the run that follows a run's end: the same for the same end of it, and no child's. */
export const continuationId = (run: string, seq: number, index: number, workflow: string): string =>
  `${run.length > LONG ? digest(run) : run}.then${index}-${seq}${fingerprint(workflow)}`

/** What a child's end is addressed to in its parent. */
export const childToken = (generation: number, op: number): string => `${generation}:${op}`

/** A random id for one start of a process. */
export const makeIncarnation = (): string => hex(crypto.getRandomValues(new Uint8Array(8)))
