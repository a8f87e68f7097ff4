/** Ids: of runs (UUID version 7, RFC 9562: ordered by time, so that indexes grow at one end) and of children. */

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

const hex = (bytes: Uint8Array): string => {
  let text = ""
  for (const byte of bytes) text += hexOfByte[byte]
  return text
}

/** A new run's id, from the time in milliseconds and 74 random bits. */
export const makeRunId = (millis: number): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const time = Math.max(0, Math.floor(millis)).toString(16).padStart(12, "0")
  const rest = hex(bytes)
  const variant = "89ab"[(bytes[0] ?? 0) & 3]
  return `${time.slice(0, 8)}-${time.slice(8)}-7${rest.slice(2, 5)}-${variant}${rest.slice(5, 8)}-${rest.slice(8, 20)}`
}

/** Three letters that tell one text from another: FNV-1a (Fowler, Noll, Vo), 32 bits folded to 15. */
const fingerprint = (text: string): string => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (((hash >>> 15) ^ hash) & 0x7fff).toString(32).padStart(3, "0")
}

/**
 * A child's id follows from its parent's id, the op that starts it and its workflow: a replayed start is the same start,
 * and code that starts another workflow at that place starts another run.
 */
export const childId = (parent: string, generation: number, op: number, workflow: string): string =>
  `${parent}.${generation === 0 ? "" : `${generation}-`}${op}${fingerprint(workflow)}`

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
