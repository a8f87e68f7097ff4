/** The examples as their users run them: each in a process of its own, on the embedded database. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { run } from "./fixtures/example.js"

describe("fulfilment", () => {
  it.live("invalid arguments are all reported, with the usage", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run("fulfilment/demo.ts", {
        args: ["--orders", "0", "--kills", "many", "--database-url", "mysql://somewhere"]
      })
      assert.strictEqual(code, 2)
      assert.strictEqual(stdout, "")
      assert.include(stderr, "--orders must be an integer from 1 to 1000, got \"0\"")
      assert.include(stderr, "--kills must be an integer from 0 to 100, got \"many\"")
      assert.include(stderr, "--database-url must begin with postgres:// or postgresql://")
      assert.include(stderr, "usage: npm run demo -- [options]")
    }))

  it.live("an unknown option is reported, with the usage", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run("fulfilment/demo.ts", { args: ["--order", "5"] })
      assert.strictEqual(code, 2)
      assert.strictEqual(stdout, "")
      assert.match(stderr, /^Unknown option '--order'\n\nusage: npm run demo/)
    }))

  it.live("--help prints the options", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run("fulfilment/demo.ts", { args: ["--help"] })
      assert.strictEqual(code, 0)
      assert.strictEqual(stderr, "")
      for (const option of ["--orders <n>", "--kills <n>", "--database-url <url>", "--json", "--help"]) {
        assert.include(stdout, option)
      }
    }))
})

describe("hello", () => {
  it.live("a second start says goodbye and does not greet again", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(path.join(tmpdir(), "perdure-hello-"))),
        (made) => Effect.promise(() => rm(made, { recursive: true }))
      )
      const hello = run("hello/main.ts", { args: ["Ann"], env: { HELLO_FOLDER: folder } })
      const first = yield* hello
      assert.strictEqual(first.code, 0, first.stderr)
      assert.include(first.stdout, "Hello, Ann!")
      assert.include(first.stdout, "Goodbye, Ann!")
      const second = yield* hello
      assert.strictEqual(second.code, 0, second.stderr)
      assert.notInclude(second.stdout, "Hello, Ann!")
      assert.include(second.stdout, "Goodbye, Ann!")
    }).pipe(Effect.scoped))
})

describe("operations", () => {
  it.live("finds, counts, cancels and deletes runs", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run("operations/main.ts", { args: [] })
      assert.strictEqual(code, 0, stderr)
      assert.sameOrderedMembers(stdout.trim().split("\n").toSorted().slice(0, 2), [
        "  failed: {\"address\":\"reader-19@example.com\",\"_tag\":\"Bounced\"}",
        "  failed: {\"address\":\"reader-9@example.com\",\"_tag\":\"Bounced\"}"
      ])
      assert.deepStrictEqual(stdout.trim().split("\n").filter((line) => !line.startsWith(" ")), [
        "36 wait for their reminder, 4 failed",
        "10 of 10 cancelled",
        "18 of 18 cancelled",
        "10 runs deleted",
        "20 runs deleted",
        "22 runs deleted",
        "left: 18 suspended, 0 failed, 0 cancelled"
      ])
    }))
})

describe("queues", () => {
  it.live("tenants share a queue fairly, and its limits change while it works", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run("queues/main.ts", { args: [] })
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual(stdout.trim().split("\n"), [
        "the small tenant waited for few reports of the large one",
        "now as many as there is room for of one tenant",
        "42 made, 1 waiting, 0 running"
      ])
    }))
})

describe("schedules", () => {
  it.live("a schedule starts a report each second, and obeys its operator", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run("schedules/main.ts", { args: [] })
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual(stdout.trim().split("\n"), [
        "the second report is of 1 s later",
        "nightly: 2031-03-29T02:30:00.000+01:00[Europe/Berlin]",
        "nightly: 2031-03-30T03:00:00.000+02:00[Europe/Berlin]",
        "nightly: 2031-04-01T02:30:00.000+02:00[Europe/Berlin]",
        "each-second: paused by ann, the printer is out of paper",
        "nightly: active",
        "by hand: 1 more",
        "4 slots, 3 runs more",
        "it continues"
      ])
    }), 60_000)
})

describe("shop", () => {
  it.live(
    "an order's row and its run commit together or not at all, and each end starts its continuation",
    () =>
      Effect.gen(function*() {
        const { code, stderr, stdout } = yield* run("shop/main.ts", { args: [] })
        assert.strictEqual(code, 0, stderr)
        const lines = stdout.trim().split("\n")
        assert.deepStrictEqual(lines.toSorted(), [
          "checked Apologize, Ship, Thank",
          "mail: sorry about o-2: {\"item\":\"moon\",\"_tag\":\"OutOfStock\"}",
          "mail: thank you for o-1, here is your parcel of o-1",
          "mail: thank you for o-3, here is your parcel of o-3",
          "o-4: Declined",
          "{\"orders\":3,\"shipments\":3}"
        ])
      }),
    60_000
  )

  it.live("--check verifies the definitions without a database", () =>
    Effect.gen(function*() {
      const { code, stdout } = yield* run("shop/main.ts", { args: ["--check"] })
      assert.strictEqual(code, 0)
      assert.strictEqual(stdout, "checked Apologize, Ship, Thank\n")
    }), 60_000)
})
