/** Writing and reading inboxes: `deliver`, `inbox`. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Deliver from "../statements/inbox/deliver.js"
import * as Inbox from "../statements/inbox/inbox.js"
import type { Session } from "./Session.js"

export const make = (
  { hints, inTransaction, query, workerQuery }: Session
): Pick<Driver.JournalDriver, "deliver" | "inbox"> => ({
  deliver: (messages) =>
    Effect.flatMap(inTransaction, (isInside) =>
      Effect.map(
        Effect.tap(
          query(Deliver.deliver, [Deliver.encode(messages), ...hints.senderParameters(isInside)], Deliver.decode),
          (answer) => hints.publishLocally(answer.hints)
        ),
        ({ now, value }) => ({ now, value })
      )),
  inbox: (requests) => workerQuery(Inbox.inbox, [Inbox.encode(requests)], Inbox.decode)
})
