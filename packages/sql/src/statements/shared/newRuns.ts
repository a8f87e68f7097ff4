/** New runs, as rows of JSON and as rows of `inputs`. Starts and commits (children) share this. */
import type * as Driver from "perdure/JournalDriver"
import { encodeInstant } from "../../internal/json.js"
import type { Words } from "../../Verb.js"
import { sql } from "../sql.js"

/** The columns of new runs in JSON. */
export const newRunColumns = sql`
  i int, id text, workflow text, version text, queue text, priority int, payload text, idem text, available float8,
  parent text, token text, attached boolean, root text, depth int, key text, expires float8, tags text[],
  attributes jsonb
`

export const encodeNewRun = (i: number, run: Driver.NewRun) => ({
  i,
  id: run.id,
  workflow: run.workflow,
  version: run.version,
  queue: run.queue,
  priority: run.priority,
  payload: run.payload,
  idem: run.idempotencyKey,
  available: run.availableAt === null ? null : encodeInstant(Math.ceil(run.availableAt)),
  parent: run.parent?.id,
  token: run.parent?.token,
  attached: run.parent?.attached,
  root: run.root,
  depth: run.depth,
  // Most runs have none of these.
  ...(run.key === null ? {} : { key: run.key }),
  ...(run.expiresAt === null ? {} : { expires: encodeInstant(Math.ceil(run.expiresAt)) }),
  ...(run.tags.length === 0 ? {} : { tags: run.tags }),
  ...(Object.keys(run.attributes).length === 0 ? {} : { attributes: run.attributes })
})

/**
 * Inserts the inputs of the runs of a part that do not exist yet. New rows are inserted in order of workflow,
 * idempotency key and id, so that two requests for the same runs wait for each other and cannot deadlock.
 */
export const insertInputs = (t: Words, source: string): string =>
  sql`
    INSERT INTO ${t.inputs} (created_at, depth, attached, run, workflow, idempotency_key, parent_id, parent_token, root,
      payload, tags, attributes)
    SELECT ${t.now}, a.depth, a.attached, a.id, a.workflow, a.idem,
      a.parent, a.token, a.root, a.payload, a.tags, a.attributes
    FROM ${source} a
    ORDER BY a.workflow COLLATE "C", a.idem COLLATE "C" NULLS FIRST, a.id COLLATE "C"
    ON CONFLICT DO NOTHING
    RETURNING run
  `
