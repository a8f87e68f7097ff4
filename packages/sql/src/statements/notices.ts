/**
 * Notices to other processes (NOTIFY), as parts of statements. A notice is a JSON array: what, origin, and the rest;
 * `origin` is the driver that sends it, so that it can tell its own, of which it has told its process already.
 */
import type { Words } from "../Verb.js"

/** Longer payloads are an error of NOTIFY; such a hint is left out. */
const fits = "octet_length(payload) < 8000"

/** That a worker of another process waits for runs of this queue. */
export const idleElsewhere = (t: Words, queue: string, local: string): string =>
  `EXISTS (
      SELECT FROM ${t.workers} w
      WHERE w.idle AND w.lease_until > ${t.now} AND ${queue} = ANY (w.queues)
        AND NOT w.id IN (SELECT json_array_elements_text(${local}))
    )`

/** Say that runs of these queues may be claimed, if somebody elsewhere waits for that. */
export const readyNotices = (
  t: Words,
  parts: { readonly queues: string; readonly origin: string; readonly local: string }
): string =>
  `SELECT pg_notify('${t.schema}', payload)
    FROM (
      SELECT json_build_array('Ready', ${parts.origin}, q.queue)::text AS payload
      FROM (${parts.queues}) q
      WHERE ${idleElsewhere(t, "q.queue", parts.local)}
    ) notice
    WHERE ${fits}`

/** Tell the holders of runs, unless they are in this process, that there is a message. `held` has worker and run. */
export const inboxNotices = (
  t: Words,
  parts: { readonly held: string; readonly origin: string; readonly local: string }
): string =>
  `SELECT pg_notify('${t.schema}', payload)
    FROM (
      SELECT json_build_array('Inbox', ${parts.origin}, h.worker, h.run)::text AS payload
      FROM (${parts.held}) h
      WHERE NOT h.worker IN (SELECT json_array_elements_text(${parts.local}))
    ) notice
    WHERE ${fits}`
