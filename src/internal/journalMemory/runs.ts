/** The verbs for runs and messages. */
import type * as Driver from "../../driver/JournalDriver.js"
import { claim } from "./claim.js"
import { commit } from "./commit.js"
import { enqueue } from "./enqueue.js"
import * as Messages from "./messages.js"
import type { Operate } from "./operate.js"
import * as Read from "./read.js"

export const make = (operate: Operate): Driver.RunVerbs & Driver.MessageVerbs => ({
  ...Read.make(operate),
  enqueue: ({ claim, runs }) =>
    operate((store, now, inTransaction) => enqueue(store, now, { runs, claim: inTransaction ? null : claim })),
  claim: (request) => operate((store, now) => claim(store, now, request)),
  commit: (request) => operate((store, now) => commit(store, now, request)),
  deliver: (messages) => operate((store, now) => messages.map((message) => Messages.deliver(store, now, message))),
  publish: (request) => operate((store, now) => Messages.publish(store, now, request))
})
