/**
 * Counts statements where nobody can hide one: in the bytes that this process writes to PostgreSQL. A statement is a
 * Query or an Execute message of its protocol.
 */
import * as Effect from "effect/Effect"
import { Socket } from "node:net"

export interface Wire {
  /** What the connections of this application have sent since `from`: the journal's verbs, or the text of others. */
  readonly since: (application: string, from: number) => ReadonlyArray<string>
  /** How much this application has sent so far. */
  readonly mark: (application: string) => number
}

/** What is known of one connection. */
interface Talk {
  application: string | undefined
  /** Bytes of a message that is not complete. */
  rest: Buffer
  readonly prepared: Map<string, string>
  bound: string
}

/** A text up to the zero byte that ends it, and where the next one begins. */
const text = (bytes: Buffer, from: number): readonly [string, number] => {
  const end = bytes.indexOf(0, from)
  return [bytes.toString("utf8", from, end), end + 1]
}

/** The verb that the journal names in a comment (commits have several texts), or else what the statement begins with. */
const label = (statement: string): string => {
  const verb = /^\/\* perdure:(\w+):/.exec(statement)?.[1]
  return verb === undefined ? statement.slice(0, 60) : verb.startsWith("commit") ? "commit" : verb
}

/** Listen to what goes to this port, until the scope closes. */
export const tap = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const sent = new Map<string, Array<string>>()
      const talks = new WeakMap<Socket, Talk>()
      const note = (talk: Talk, statement: string) => {
        const application = talk.application ?? "?"
        const list = sent.get(application)
        if (list === undefined) sent.set(application, [label(statement)])
        else list.push(label(statement))
      }
      const message = (talk: Talk, type: string, body: Buffer) => {
        if (type === "Q") note(talk, text(body, 0)[0])
        else if (type === "P") {
          const [name, next] = text(body, 0)
          talk.prepared.set(name, text(body, next)[0])
        } else if (type === "B") {
          const [, next] = text(body, 0)
          talk.bound = text(body, next)[0]
        } else if (type === "E") note(talk, talk.prepared.get(talk.bound) ?? talk.bound)
      }
      const hear = (talk: Talk, bytes: Buffer) => {
        let all = Buffer.concat([talk.rest, bytes])
        while (true) {
          // The first message has no type.
          const head = talk.application === undefined ? 0 : 1
          if (all.length < head + 4) break
          const length = head + all.readInt32BE(head)
          if (all.length < length) break
          const body = all.subarray(head + 4, length)
          if (talk.application === undefined) {
            talk.application = /application_name\0([^\0]*)\0/.exec(body.toString("utf8"))?.[1] ?? ""
          } else message(talk, String.fromCharCode(all[0] ?? 0), body)
          all = all.subarray(length)
        }
        talk.rest = all
      }
      const write = Socket.prototype.write
      Object.defineProperty(Socket.prototype, "write", {
        configurable: true,
        writable: true,
        value: function(this: Socket, ...args: ReadonlyArray<unknown>): unknown {
          const [bytes] = args
          if (this.remotePort === port && Buffer.isBuffer(bytes)) {
            const talk = talks.get(this) ??
              { application: undefined, rest: Buffer.alloc(0), prepared: new Map(), bound: "" }
            talks.set(this, talk)
            hear(talk, bytes)
          }
          return Reflect.apply(write, this, args)
        }
      })
      const wire: Wire = {
        since: (application, from) => (sent.get(application) ?? []).slice(from),
        mark: (application) => sent.get(application)?.length ?? 0
      }
      return { wire, write }
    }),
    ({ write }) =>
      Effect.sync(() =>
        Object.defineProperty(Socket.prototype, "write", { configurable: true, writable: true, value: write })
      )
  ).pipe(Effect.map(({ wire }) => wire))
