/**
 * Random workflows as data. fast-check generates and reduces them, and `interpret` makes Effects of them. Together the
 * nodes cover what a user can write in a handler.
 */
import * as FastCheck from "effect/FastCheck"

export const signalNames = ["red", "green", "blue"] as const

export type SignalName = (typeof signalNames)[number]

/** A part of a handler. Times are in milliseconds. */
export type Node =
  | { readonly t: "step"; readonly ms: number; readonly out: "ok" | "fail" | "flaky" | "die" }
  | { readonly t: "transaction"; readonly ms: number; readonly out: "ok" | "fail" }
  | {
    readonly t: "retry"
    readonly fails: number
    readonly schedule: "spaced" | "exponential" | "jittered"
    readonly max: number
  }
  | { readonly t: "timed"; readonly ms: number; readonly limit: number }
  | { readonly t: "sleep"; readonly ms: number }
  | { readonly t: "until"; readonly ms: number }
  | { readonly t: "note" }
  | { readonly t: "receive"; readonly signal: "red" | "green" }
  /** Receives blue signals, whose window may be closed. No other node waits for them. */
  | { readonly t: "within"; readonly ms: number }
  | { readonly t: "send"; readonly signal: SignalName }
  | { readonly t: "callback"; readonly ms: number; readonly ok: boolean }
  | { readonly t: "publish" }
  | { readonly t: "child"; readonly how: "execute" | "await" | "leave" | "detach" | "cancel"; readonly of: Node }
  | { readonly t: "seq" | "race" | "first"; readonly of: ReadonlyArray<Node> }
  | { readonly t: "all"; readonly of: ReadonlyArray<Node>; readonly bound: number }
  | { readonly t: "timeout"; readonly ms: number; readonly of: Node }
  | {
    readonly t: "fork"
    readonly how: "join" | "interrupt" | "leave" | "scoped" | "daemon"
    readonly of: Node
    readonly next: Node
  }
  | { readonly t: "queue"; readonly items: number; readonly bound: number; readonly ms: number }
  | { readonly t: "permits"; readonly permits: number; readonly of: ReadonlyArray<Node> }
  | { readonly t: "deferred"; readonly ms: number; readonly next: Node }
  | { readonly t: "resource"; readonly ms: number; readonly out: "ok" | "flaky"; readonly of: Node }
  | { readonly t: "finally" | "catch" | "firm" | "patched"; readonly of: Node }
  | { readonly t: "stream"; readonly items: number; readonly ordered: boolean }

const kinds: Record<Node["t"], true> = {
  step: true,
  transaction: true,
  retry: true,
  timed: true,
  sleep: true,
  until: true,
  note: true,
  receive: true,
  within: true,
  send: true,
  callback: true,
  publish: true,
  child: true,
  seq: true,
  race: true,
  first: true,
  all: true,
  timeout: true,
  fork: true,
  queue: true,
  permits: true,
  deferred: true,
  resource: true,
  finally: true,
  catch: true,
  firm: true,
  patched: true,
  stream: true
}

/** Every kind of node, and every way to fork a fiber and to start a child. */
export const nodeKinds: ReadonlyArray<string> = [
  ...Object.keys(kinds),
  ...["execute", "await", "leave", "detach", "cancel", "join", "interrupt", "scoped", "daemon"]
]

/** A message from outside, `at` milliseconds after the start. */
export interface Event {
  readonly at: number
  readonly what: SignalName | "cancel" | "terminate"
}

/** A workflow, and the messages that its run receives. */
export interface Program {
  readonly body: Node
  /** How often it continues as new. */
  readonly again: number
  readonly events: ReadonlyArray<Event>
}

/** Whether a node leaves nothing behind if it ends without finalizers, as a daemon does at the end of its run. */
const isTraceless = (node: Node): boolean => {
  if (node.t === "resource") return false
  return childrenOf(node).every(isTraceless)
}

/** The nodes inside a node. */
export const childrenOf = (node: Node): ReadonlyArray<Node> => [
  ...("of" in node ? "t" in node.of ? [node.of] : node.of : []),
  ...("next" in node ? [node.next] : [])
]

const constant = FastCheck.constant
const pick = FastCheck.constantFrom
const millis = pick(0, 1, 5, 20, 100, 700)
const long = pick(1, 10, 50, 300, 2000, 20_000)
const signal = pick(...signalNames)

/** A choice, `times` as likely. */
const often = <A extends string>(times: number, choice: A): ReadonlyArray<A> =>
  Array.from({ length: times }, () => choice)

const { node } = FastCheck.letrec<{ node: Node; leaf: Node }>((tie) => {
  const inner = tie("node")
  const several = FastCheck.array(inner, { minLength: 1, maxLength: 4 })
  const record = FastCheck.record
  const leaf = FastCheck.oneof(
    {
      weight: 8,
      arbitrary: record({ t: constant("step"), ms: millis, out: pick(...often(12, "ok"), "fail", "flaky", "die") })
    },
    { weight: 1, arbitrary: record({ t: constant("transaction"), ms: millis, out: pick(...often(4, "ok"), "fail") }) },
    {
      weight: 2,
      arbitrary: record({
        t: constant("retry"),
        fails: pick(0, 1, 1, 2),
        schedule: pick("spaced", "exponential", "jittered"),
        max: pick(2, 3, 3, 5)
      })
    },
    { weight: 1, arbitrary: record({ t: constant("timed"), ms: millis, limit: pick(10, 50, 1000) }) },
    { weight: 3, arbitrary: record({ t: constant("sleep"), ms: long }) },
    { weight: 1, arbitrary: record({ t: constant("until"), ms: long }) },
    { weight: 2, arbitrary: record({ t: constant("note") }) },
    { weight: 2, arbitrary: record({ t: constant("receive"), signal: pick("red", "green") }) },
    { weight: 2, arbitrary: record({ t: constant("within"), ms: long }) },
    { weight: 2, arbitrary: record({ t: constant("send"), signal }) },
    { weight: 1, arbitrary: record({ t: constant("callback"), ms: millis, ok: FastCheck.boolean() }) },
    { weight: 1, arbitrary: record({ t: constant("publish") }) },
    { weight: 1, arbitrary: record({ t: constant("queue"), items: pick(1, 3, 4), bound: pick(1, 2, 10), ms: millis }) },
    { weight: 1, arbitrary: record({ t: constant("stream"), items: pick(2, 4), ordered: FastCheck.boolean() }) }
  ) as FastCheck.Arbitrary<Node>
  const node = FastCheck.oneof(
    { maxDepth: 5, depthIdentifier: "node", withCrossShrink: true },
    { weight: 9, arbitrary: leaf },
    { weight: 6, arbitrary: record({ t: constant("seq"), of: several }) },
    { weight: 3, arbitrary: record({ t: constant("all"), of: several, bound: pick(0, 1, 2, 3) }) },
    { weight: 2, arbitrary: record({ t: pick("race", "first"), of: several }) },
    { weight: 2, arbitrary: record({ t: constant("timeout"), ms: long, of: inner }) },
    {
      weight: 3,
      arbitrary: record({
        t: constant("child"),
        how: pick("execute", "execute", "await", "leave", "detach", "cancel"),
        of: inner
      })
    },
    {
      weight: 3,
      arbitrary: record({
        t: constant("fork"),
        how: pick("join", "interrupt", "leave", "scoped", "daemon"),
        of: inner,
        next: inner
      }).filter(({ how, of }) => how !== "daemon" || isTraceless(of))
    },
    { weight: 1, arbitrary: record({ t: constant("permits"), permits: pick(1, 2), of: several }) },
    { weight: 1, arbitrary: record({ t: constant("deferred"), ms: millis, next: inner }) },
    {
      weight: 4,
      arbitrary: record({ t: constant("resource"), ms: millis, out: pick(...often(6, "ok"), "flaky"), of: inner })
    },
    { weight: 3, arbitrary: record({ t: pick("finally", "firm", "patched"), of: inner }) },
    { weight: 5, arbitrary: record({ t: constant("catch"), of: inner }) }
  ) as FastCheck.Arbitrary<Node>
  return { leaf, node }
})

const event: FastCheck.Arbitrary<Event> = FastCheck.record({
  at: FastCheck.oneof(FastCheck.integer({ min: 0, max: 40 }), FastCheck.integer({ min: 0, max: 4000 })),
  what: pick(...often(5, "red"), ...often(5, "green"), ...often(5, "blue"), ...often(4, "cancel"), "terminate")
})

/** Random programs. */
export const program: FastCheck.Arbitrary<Program> = FastCheck.record({
  body: FastCheck.record({
    t: constant("seq" as const),
    of: FastCheck.array(node, { minLength: 2, maxLength: 6 })
  }),
  again: FastCheck.oneof({ weight: 4, arbitrary: constant(0) }, { weight: 1, arbitrary: constant(1) }),
  events: FastCheck.array(event, { maxLength: 3 })
})

/** A node as lines, one for each node in it. */
export const print = (node: Node, indent = ""): string => {
  const { t, ...rest } = node
  const facts = Object.entries(rest).filter(([key]) => key !== "of" && key !== "next")
  const line = `${indent}${t}${facts.map(([key, value]) => ` ${key}=${String(value)}`).join("")}`
  return [line, ...childrenOf(node).map((child) => print(child, `${indent}  `))].join("\n")
}

/** A program as lines. */
export const printProgram = ({ again, body, events }: Program): string =>
  `${print(body)}\n(continues as new ${again} times; from outside: ${
    events.map(({ at, what }) => `${what} at ${at} ms`).join(", ") || "nothing"
  })`
