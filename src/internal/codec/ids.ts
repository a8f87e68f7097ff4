/**
 * Ids of runs, children and processes. A run's id is a UUID of version 7 (RFC 9562): ids are ordered by time, so
 * indexes grow at one end. Ids of children and of continuations follow from what starts them, so a replay repeats them.
 */

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

const hex = (bytes: Uint8Array): string => {
  let text = ""
  for (const byte of bytes) text += hexOfByte[byte]
  return text
}

interface Tick {
  readonly millis: number
  readonly counter: number
}

/**
 * The time and counter of the last id. Ids of this process grow within a millisecond, too (RFC 9562, 6.2, method 1).
 */
let last: Tick = { millis: -1, counter: 0 }

const COUNTER_VALUES = 4096

/** A clock that goes back by more than this was set back, and its time is used. */
const CLOCK_SKEW_MILLIS = 1_000

/** The counter starts in the lower half, at random, so that it can grow. */
const nextTick = (millis: number, random: number): Tick =>
  millis > last.millis || millis < last.millis - CLOCK_SKEW_MILLIS
    ? { millis, counter: random % (COUNTER_VALUES / 2) }
    : last.counter + 1 < COUNTER_VALUES
    ? { millis: last.millis, counter: last.counter + 1 }
    : { millis: last.millis + 1, counter: 0 }

/** A new run's id: the time in milliseconds, a counter and 62 random bits. */
export const makeRunId = (millis: number): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(12))
  last = nextTick(Math.max(0, Math.floor(millis)), ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0))
  const time = last.millis.toString(16).padStart(12, "0")
  const counter = last.counter.toString(16).padStart(3, "0")
  const variant = "89ab"[(bytes[2] ?? 0) & 3]
  const rest = hex(bytes.subarray(3))
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter}-${variant}${rest.slice(0, 3)}-${rest.slice(3, 15)}`
}

/** Three characters that tell strings apart: FNV-1a (Fowler, Noll, Vo), 32 bits folded to 15. */
const fingerprint = (text: string): string => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (((hash >>> 15) ^ hash) & 0x7fff).toString(32).padStart(3, "0")
}

/** A number as a string that sorts as the number does: a letter for the count of digits, then the digits. */
const sortable = (n: number): string => `${String.fromCharCode(96 + `${n}`.length)}${n}`

/**
 * The id of a child follows from its parent's id, the op that starts it and its workflow; later children sort later. A
 * replayed start is the same start. Code that starts another workflow at the same op starts another run.
 */
export const childId = (parent: string, generation: number, op: number, workflow: string): string =>
  `${parent}.${generation === 0 ? "" : `${generation}-`}${sortable(op)}${fingerprint(workflow)}`

/** A run's id that is longer is shortened in the id of its continuation: a chain of runs must not grow its ids. */
const CHAIN_ID_LENGTH = 200

/** 128 bits, in hexadecimal. */
const digest = (text: string): string =>
  [0x811c9dc5, 0x9747b28c, 0x5bd1e995, 0x1b873593].map((basis) => {
    let hash = basis
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) ^ (hash >>> 15)
    return (hash >>> 0).toString(16).padStart(8, "0")
  }).join("")

/** The id of a run's continuation: the same for the same end of the run, and different from every child's. */
export const continuationId = (run: string, seq: number, index: number, workflow: string): string =>
  `${run.length > CHAIN_ID_LENGTH ? digest(run) : run}.then${index}-${seq}${fingerprint(workflow)}`

/** The address, within its parent, of a child's end. */
export const childToken = (generation: number, op: number): string => `${generation}:${op}`

/** A random id for one start of a process. */
export const makeIncarnation = (): string => hex(crypto.getRandomValues(new Uint8Array(8)))
