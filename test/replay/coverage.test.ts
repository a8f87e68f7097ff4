import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { effectCases } from "./effectCases.js"
import { crashEverywhere, n } from "./replaying.js"
import { toolCases } from "./toolCases.js"
import { waitCases } from "./waitCases.js"

const SEEDS = 5

describe.each(Object.entries({ Effect: effectCases, tools: toolCases, waits: waitCases }))("%s", (_, cases) => {
  it.each(Object.entries(cases))("%s", (_, program) => {
    assert.isAtLeast(crashEverywhere(program, SEEDS), SEEDS * 2)
  })
})

/** Concurrency that is no combinator inside of a program. */
const exempt: Record<string, string> = {
  runFork: "runs a program, outside of workflows",
  withFiberRuntime: "gives the fiber, starts nothing",
  withConcurrency: "covered by: forEach, inherited"
}

/** What has to do with fibers or time, by its declaration or by its name. */
const declared = (): ReadonlyArray<string> => {
  const file = createRequire(import.meta.url).resolve("effect/package.json").replace(
    "package.json",
    "dist/dts/Effect.d.ts"
  )
  const text = readFileSync(file, "utf8").replace(/\/\*\*[\s\S]*?\*\//g, "")
  return text.split(/\n(?=export |declare )/).flatMap((declaration) => {
    const name = /^export declare (?:const|function) (\w+)/.exec(declaration)?.[1]
    if (name === undefined) return []
    const isAbout = /concurren|batching|Fiber\.?(RuntimeFiber)?<|Schedule\.|DurationInput|Semaphore|Latch/.test(
      declaration
    )
    return isAbout ||
        /^race|fork|cached|^once|supervis|awaitAll|daemonChildren|disconnect|yieldNow|firstSuccess|parallelFin/i.test(
          name
        )
      ? [name]
      : []
  })
}

const used = new Set(
  [...readFileSync(new URL("./effectCases.ts", import.meta.url), "utf8").matchAll(/Effect\.(\w+)/g)].map(([, name]) =>
    name ?? ""
  )
)

describe("the list", () => {
  it("has every concurrent or timed combinator of the installed Effect", () => {
    const names = declared()
    assert.isAtLeast(names.length, 65)
    assert.deepStrictEqual(names.filter((name) => !used.has(name) && exempt[name] === undefined), [])
  })

  it("can fail", () => {
    let turn = 0
    assert.throws(
      () => crashEverywhere(() => Effect.zipRight(n(1), ++turn % 2 === 0 ? n(2) : Effect.sleep(1)), 2),
      /diverged/
    )
  })
})
