/**
 * Counts statements in the bytes that this process writes to PostgreSQL, so that no statement escapes. A statement is a
 * Query or an Execute message of the protocol.
 */
import { nameOf } from "@perdure/sql/Verb"
import * as Effect from "effect/Effect"
import { Socket } from "node:net"

export interface Wire {
  /** The statements of this application's connections since `from`: the journal's verbs, or else their text. */
  readonly since: (application: string, from: number) => ReadonlyArray<string>
  /** The name, with the fingerprint of its text, of each of the journal's statements. */
  readonly names: ReadonlySet<string>
  /** The number of statements that this application has sent. */
  readonly mark: (application: string) => number
}

/** The state of one connection. */
interface Connection {
  application: string | undefined
  /** The bytes of an incomplete message. */
  rest: Buffer
  readonly prepared: Map<string, string>
  bound: string
}

/** Reads a string that ends with a zero byte. Returns it and the offset after it. */
const readString = (bytes: Buffer, from: number): readonly [string, number] => {
  const end = bytes.indexOf(0, from)
  return [bytes.toString("utf8", from, end), end + 1]
}

/** The verb in the comment of a statement, the same for all forms of a commit, or else the start of the statement. */
const label = (statement: string): string => {
  const verb = /^\/\* perdure:(\w+):/.exec(statement)?.[1]
  return verb === undefined ? statement.slice(0, 60) : verb.startsWith("commit") ? "commit" : verb
}

/** Records the statements that are sent to this port until the scope closes. */
export const tap = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const sent = new Map<string, Array<string>>()
      const names = new Set<string>()
      const connections = new WeakMap<Socket, Connection>()
      const record = (connection: Connection, statement: string) => {
        const application = connection.application ?? "?"
        const name = nameOf(statement)
        if (name !== null) names.add(name)
        const list = sent.get(application)
        if (list === undefined) sent.set(application, [label(statement)])
        else list.push(label(statement))
      }
      const message = (connection: Connection, type: string, body: Buffer) => {
        if (type === "Q") record(connection, readString(body, 0)[0])
        else if (type === "P") {
          const [name, next] = readString(body, 0)
          connection.prepared.set(name, readString(body, next)[0])
        } else if (type === "B") {
          const [, next] = readString(body, 0)
          connection.bound = readString(body, next)[0]
        } else if (type === "E") record(connection, connection.prepared.get(connection.bound) ?? connection.bound)
      }
      const read = (connection: Connection, bytes: Buffer) => {
        let all = Buffer.concat([connection.rest, bytes])
        while (true) {
          // The first message has no type.
          const head = connection.application === undefined ? 0 : 1
          if (all.length < head + 4) break
          const length = head + all.readInt32BE(head)
          if (all.length < length) break
          const body = all.subarray(head + 4, length)
          if (connection.application === undefined) {
            connection.application = /application_name\0([^\0]*)\0/.exec(body.toString("utf8"))?.[1] ?? ""
          } else message(connection, String.fromCharCode(all[0] ?? 0), body)
          all = all.subarray(length)
        }
        connection.rest = all
      }
      const write = Socket.prototype.write
      Object.defineProperty(Socket.prototype, "write", {
        configurable: true,
        writable: true,
        value: function(this: Socket, ...args: ReadonlyArray<unknown>): unknown {
          const [bytes] = args
          if (this.remotePort === port && Buffer.isBuffer(bytes)) {
            const connection = connections.get(this) ??
              { application: undefined, rest: Buffer.alloc(0), prepared: new Map(), bound: "" }
            connections.set(this, connection)
            read(connection, bytes)
          }
          return Reflect.apply(write, this, args)
        }
      })
      const wire: Wire = {
        names,
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
