/** Every combinator of Effect with concurrency or time replays after a crash at every entry. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { crashSuite } from "./crashSuite.js"
import { crashEverywhere, n } from "./replaying.js"

crashSuite({ seeds: 2 })

/** Names of concurrency that no program of a workflow uses, with the reason. */
const exempt: Record<string, string> = {
  runFork: "runs a program outside of workflows",
  withFiberRuntime: "returns the fiber and starts nothing",
  withConcurrency: "covered by: forEach, inherited"
}

/** The exports of Effect that involve fibers or time, by their declaration or name. */
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

describe("the list of cases", () => {
  it("contains every concurrent or timed combinator of the installed Effect", () => {
    const names = declared()
    assert.isAtLeast(names.length, 65)
    assert.deepStrictEqual(names.filter((name) => !used.has(name) && exempt[name] === undefined), [])
  })

  it("finds a program that differs between its lives", () => {
    let life = 0
    assert.throws(
      () => crashEverywhere(() => Effect.zipRight(n(1), ++life % 2 === 0 ? n(2) : Effect.sleep(1)), 2),
      /diverged/
    )
  })
})
