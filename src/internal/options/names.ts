/** Names and ids that users choose, checked above the drivers: what one storage cannot hold, none is asked to. */
import { bytesAbove, notJson } from "../codec/wire.js"

/**
 * The longest name or id, in bytes of UTF-8. A row of a Postgres index holds 2,704 bytes, and beside an id it has a run's
 * id or a workflow's name.
 */
export const ID_BYTES = 1000

/** How much of a bad one is shown. */
const SHOWN = 40

/** Whether some storage can hold a run of that id. If not, nobody needs to be asked. */
export const canBeStored = (runId: string): boolean => notJson(runId) === undefined

/** What is wrong with a name or an id, if anything, and the cure. */
export const idProblem = (what: string, id: string): string | undefined => {
  if (!canBeStored(id)) return `${notJson(id, shown(what, id))}: leave it out, or escape it`
  const bytes = bytesAbove(id, ID_BYTES)
  return bytes === undefined
    ? undefined
    : `${shown(what, id)} has ${bytes} bytes, the limit is ${ID_BYTES}: shorten it, or use a hash of it`
}

/** JSON escapes what cannot be stored, so that the text can be. */
const shown = (what: string, id: string): string =>
  `${what} ${JSON.stringify(id.length > SHOWN ? `${id.slice(0, SHOWN)}…` : id)}`
