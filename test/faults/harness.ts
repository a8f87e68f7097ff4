/** Worker processes that tests start, query, freeze and kill, and database connections that wait for a state. */
import { assert } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as Pg from "pg"
import { buildScript } from "../fixtures/script.js"
import * as Outside from "./fixtures/outside.js"
import { type Settings, toEnvironment } from "./fixtures/settings.js"

export type Row = Readonly<Record<string, unknown>>

/** A direct connection of the test, past all proxies. */
export interface Database {
  readonly url: string
  readonly rows: (text: string, values?: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<Row>>
  /** Repeats the query until it returns a row. Returns that row. */
  readonly until: (text: string, values?: ReadonlyArray<unknown>) => Effect.Effect<Row>
  /** Opens a gate of `Outside`. */
  readonly open: (gate: string) => Effect.Effect<void>
}

/** Longer than any wait of a test takes, also on a busy machine. */
const PATIENCE = "2 minutes"

export const connect = (url: string): Effect.Effect<Database, never, Scope.Scope> =>
  Effect.zipWith(
    Effect.makeSemaphore(1),
    Effect.acquireRelease(
      Effect.promise(async () => {
        const made = new Pg.Client({ connectionString: url })
        made.on("error", () => {})
        await made.connect()
        return made
      }),
      (made) => Effect.promise(() => made.end().catch(() => {}))
    ),
    (mutex, client) => {
      const rows: Database["rows"] = (text, values = []) =>
        Effect.map(
          mutex.withPermits(1)(Effect.promise(() => client.query<Record<string, unknown>>(text, [...values]))),
          (found) => found.rows
        )
      return {
        url,
        rows,
        until: (text, values) =>
          rows(text, values).pipe(
            Effect.repeat({
              schedule: Schedule.zipLeft(Schedule.identity<ReadonlyArray<Row>>(), Schedule.spaced("10 millis")),
              until: (found) => found.length > 0
            }),
            Effect.timeoutFail({
              duration: PATIENCE,
              onTimeout: () => new Error(`no row within ${PATIENCE}: ${text}`)
            }),
            Effect.orDie,
            Effect.map(([row]) => row ?? assert.fail("no row"))
          ),
        open: (gate) => Effect.asVoid(rows("insert into gates values ($1) on conflict do nothing", [gate]))
      }
    }
  )

/** Creates the tables of the outside world, and with `schema` the trigger that records the entries of this journal. */
export const prepare = (database: Database, schema?: string): Effect.Effect<void> =>
  Effect.forEach(
    [...Outside.tables, ...(schema === undefined ? [] : Outside.witness(schema))],
    (statement) => database.rows(statement),
    { discard: true }
  )

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface WorkerProcess {
  readonly name: string
  /** Waits for its first line. Dies with its log if the process ends before. */
  readonly ready: Effect.Effect<void>
  readonly signal: (signal: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT") => Effect.Effect<void>
  readonly ended: Effect.Effect<Ended>
  readonly isAlive: () => boolean
  readonly ask: (question: string) => Effect.Effect<string>
  /** Repeats the question until the process gives this answer. */
  readonly askUntil: (question: string, answer: string) => Effect.Effect<void>
  /** Its standard error so far. */
  readonly log: () => string
}

const file = fileURLToPath(new URL("./fixtures/worker.ts", import.meta.url))
const root = fileURLToPath(new URL("../..", import.meta.url))

/** Starts a worker process from the fixture or another script. It is killed when the scope closes. */
export const launch = (settings: Settings, script = file): Effect.Effect<WorkerProcess, never, Scope.Scope> =>
  Effect.gen(function*() {
    const ended = yield* Deferred.make<Ended>()
    const answers = new Map<string, Deferred.Deferred<string>>()
    const ready = yield* Deferred.make<string>()
    answers.set("ready", ready)
    let log = ""
    const built = yield* Effect.promise(() => buildScript(script))
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const made: ChildProcess = spawn(process.execPath, [built], {
          cwd: root,
          env: { ...process.env, ...toEnvironment(settings) },
          stdio: ["pipe", "pipe", "pipe"]
        })
        made.once("exit", (code, signal) => Deferred.unsafeDone(ended, Effect.succeed({ code, signal })))
        made.stdin?.on("error", () => {})
        made.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
          log = (log + chunk).slice(-100_000)
        })
        if (made.stdout !== null) {
          createInterface({ input: made.stdout }).on("line", (line) => {
            const [question = "", answer = ""] = line.split(": ")
            const asked = answers.get(question)
            if (asked !== undefined) Deferred.unsafeDone(asked, Effect.succeed(answer))
          })
        }
        return made
      }),
      (made) =>
        Effect.zipRight(
          Effect.sync(() => {
            made.kill("SIGCONT")
            made.kill("SIGKILL")
          }),
          Deferred.await(ended)
        )
    )
    const waitFor = <A>(what: string, effect: Effect.Effect<A>) =>
      Effect.orDie(Effect.timeoutFail(effect, {
        duration: PATIENCE,
        onTimeout: () => new Error(`${settings.process}: no "${what}" within ${PATIENCE}. Its log:\n${log}`)
      }))
    const ask = (question: string) =>
      Effect.flatMap(Deferred.make<string>(), (answer) => {
        answers.set(question, answer)
        child.stdin?.write(`${question}\n`)
        return waitFor(question, Deferred.await(answer))
      })
    return {
      name: settings.process,
      ready: waitFor(
        "ready",
        Effect.raceFirst(
          Effect.asVoid(Deferred.await(ready)),
          Effect.flatMap(
            Deferred.await(ended),
            ({ code, signal }) => Effect.dieMessage(`${settings.process} ended with ${code ?? signal}:\n${log}`)
          )
        )
      ),
      signal: (signal) =>
        Effect.sync(() => {
          child.kill(signal)
        }),
      ended: waitFor("end", Deferred.await(ended)),
      isAlive: () => child.exitCode === null && child.signalCode === null,
      ask,
      askUntil: (question, answer) =>
        waitFor(
          `${question}: ${answer}`,
          Effect.asVoid(Effect.repeat(ask(question), {
            schedule: Schedule.spaced("5 millis"),
            while: (given) => given !== answer
          }))
        ),
      log: () => log
    }
  })
