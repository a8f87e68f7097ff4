/**
 * Hearing notices of other processes. A driver without a listener polls; one with it is told.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Stream from "effect/Stream"

/**
 * What a database client package provides to `SqlJournal`.
 *
 * @since 0.1.0
 * @category tags
 */
export class Listener extends Context.Tag("@perdure/sql/Listener")<Listener, {
  /**
   * The payloads of all notices on a channel, from the time on that the stream runs. It never ends and never fails:
   * what becomes of the connection is its own business, and notices may be lost.
   */
  readonly listen: (channel: string) => Stream.Stream<string>
}>() {}
