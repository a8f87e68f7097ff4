/**
 * Notifications (NOTIFY) to other processes, as queries. A notification is a JSON array: kind, origin, and the rest.
 * The origin is the driver that sends it: it ignores its own, because it has published those hints itself.
 */
import type { Words } from "../../Verb.js"
import { sql } from "../sql.js"

/** NOTIFY refuses longer payloads; their hints are left out. */
export const fitsNotify = (payload: string): string => `octet_length(${payload}) < 8000`

/** Parameters of a statement that sends notifications: the driver, and the workers of its process, as JSON. */
export interface Sender {
  readonly origin: string
  readonly localWorkers: string
}

/** Whether a worker of another process waits for runs of a queue. */
export const hasIdleWorker = (t: Words, queue: string, localWorkers: string): string =>
  sql`
    EXISTS (
      SELECT FROM ${t.workers} w
      WHERE w.idle AND w.lease_until > ${t.now} AND ${queue} = ANY (w.queues)
        AND NOT w.id IN (SELECT json_array_elements_text(${localWorkers}))
    )
  `

/** Sends `Ready` for the queues of a query, to other processes with an idle worker. */
export const notifyReady = (t: Words, { localWorkers, origin }: Sender, queues: string): string =>
  sql`
    SELECT pg_notify('${t.schema}', payload)
    FROM (
      SELECT json_build_array('Ready', ${origin}, q.queue)::text AS payload
      FROM (
        ${queues}
      ) q
      WHERE ${hasIdleWorker(t, "q.queue", localWorkers)}
    ) notification
    WHERE ${fitsNotify("payload")}
  `

/** Sends `Inbox` for the rows (`worker`, `run`) of a query, to holders in other processes. */
export const notifyInbox = (t: Words, { localWorkers, origin }: Sender, held: string): string =>
  sql`
    SELECT pg_notify('${t.schema}', payload)
    FROM (
      SELECT json_build_array('Inbox', ${origin}, h.worker, h.run)::text AS payload
      FROM (
        ${held}
      ) h
      WHERE NOT h.worker IN (SELECT json_array_elements_text(${localWorkers}))
    ) notification
    WHERE ${fitsNotify("payload")}
  `
