/**
 * Notifications of other processes. A driver without a listener learns of changes by polling only.
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
   * The payloads of all notifications on a channel that arrive while the stream runs. The stream never ends and never
   * fails: it reconnects by itself, and notifications may be lost.
   */
  readonly listen: (channel: string) => Stream.Stream<string>
}>() {}
