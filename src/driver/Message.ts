/**
 * Messages, the inboxes of runs, and the verbs that write and read them.
 *
 * @since 0.1.0
 */
import type { Call, Json, Millis } from "./Answer.js"
import type { Ending } from "./Entry.js"

/**
 * What a message reports:
 *
 * - `signal`: the message's `name` is the signal's name, `payload` its encoded value.
 * - `callback`: `name` is the op of the callback, `payload` an encoded exit.
 * - `defect`: `payload` is an encoded defect: the run did something that cannot be durable.
 * - `cancel`: who asked to cancel the run, and why.
 * - `child`: `child`, a child of the run, ended. `name` is the token of the parent link. The driver sends this message.
 *
 * @since 0.2.0
 * @category models
 */
export type MessageContent =
  | { readonly kind: "signal" | "callback" | "defect"; readonly payload: Json }
  | { readonly kind: "cancel"; readonly by: string | null; readonly reason: string | null }
  | { readonly kind: "child"; readonly child: string; readonly ending: Ending }

/**
 * The kind of a message.
 *
 * @since 0.1.0
 * @category models
 */
export type MessageKind = MessageContent["kind"]

/**
 * A message in a run's inbox. `ordinal` grows within a run; there can be gaps.
 *
 * @since 0.1.0
 * @category models
 */
export type Message = MessageContent & {
  readonly run: string
  readonly ordinal: number
  readonly name: string
  readonly at: Millis
}

/**
 * A message to deliver.
 *
 * @since 0.1.0
 * @category models
 */
export type NewMessage = MessageContent & {
  readonly to: string
  readonly name: string
  /** A second message of the same id to the same run changes nothing (`Duplicate`). */
  readonly id: string
}

/**
 * What happened to a message:
 *
 * - `Delivered`: it is stored, and the run can be claimed. The run was suspended and waited for a message of that kind
 *   and name; or the message is of kind `cancel`, and the run was `pending` or `paused`.
 * - `Buffered`: it is stored. The run, which is pending, running, paused or waits for something else, will find it.
 * - `Duplicate`: the run's inbox already has a message of that id.
 * - `Expired`: nothing is stored, because the run is final or has closed its window for that signal.
 * - `NoSuchRun`: nothing is stored, because the run does not exist.
 *
 * @since 0.1.0
 * @category models
 */
export type Disposition = "Delivered" | "Buffered" | "Duplicate" | "Expired" | "NoSuchRun"

/**
 * The unconsumed messages of one run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Inbox {
  readonly run: string
  /** The inbox sequence up to which `messages` is complete: that of the run, unless the answer ended at a bound. */
  readonly seen: number
  /** The run is to be paused: its holder must suspend or release it. */
  readonly pausing: boolean
  readonly messages: ReadonlyArray<Message>
}

/**
 * The verbs for messages.
 *
 * @since 0.2.0
 * @category verbs
 */
export interface MessageVerbs {
  /** Stores messages and wakes their runs. Returns the dispositions in the order of the request. */
  readonly deliver: (messages: ReadonlyArray<NewMessage>) => Call<ReadonlyArray<Disposition>>

  /**
   * Reads the unconsumed messages of each run beyond the inbox sequence `after`, up to `AnswerBounds` for all runs
   * (`mayLackMessages`): then read again beyond `seen`. Runs that do not exist are left out.
   */
  readonly inbox: (
    requests: ReadonlyArray<{ readonly run: string; readonly after: number }>
  ) => Call<ReadonlyArray<Inbox>>
}
