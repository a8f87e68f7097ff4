import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import type { Rule } from "../../../src/internal/options/Rule.js"
import {
  accepts,
  arrayOf,
  boolean,
  count,
  duration,
  either,
  fields,
  func,
  instant,
  nullable,
  oneOf,
  oneOrMore,
  optional,
  recordOf,
  refine,
  string
} from "../../../src/internal/options/Rule.js"

interface Rate {
  readonly limit: number
  readonly per: Duration.DurationInput
}

interface Options {
  readonly concurrency?: number
  readonly rate?: Rate | "unlimited"
  readonly queues: ReadonlyArray<string>
}

const rate: Rule<Rate> = fields<Rate>({ limit: count({ min: 1 }), per: duration({ min: 1 }) })

const options: Rule<Options> = fields<Options>({
  concurrency: optional(count({ min: 1 })),
  rate: optional(either(rate, oneOf("unlimited"))),
  queues: arrayOf(string({ min: 1 }), { min: 1 })
})

const only = <A>(rule: Rule<A>, value: unknown): string => {
  const problems = rule.problems(value, "x")
  assert.strictEqual(problems.length, 1, problems.join("; "))
  return problems.join("")
}

describe("fields", () => {
  it("lists every problem by the path to its value", () => {
    assert.deepStrictEqual(options.problems({ concurrency: -1, rate: { limit: 0 }, queues: ["a", 3] }, ""), [
      `"concurrency" must be an integer from 1 to 2147483647, got -1`,
      `"rate.limit" must be an integer from 1 to 2147483647, got 0`,
      `"rate.per" must be a finite duration of at least 1 ms, such as "1 minute", got undefined`,
      `"queues[1]" must be a string that is not empty, got 3`
    ])
  })

  it("accept valid values, and options that are left out or undefined", () => {
    for (const value of [{ queues: ["a"] }, { queues: ["a"], rate: "unlimited", concurrency: undefined }]) {
      assert.deepStrictEqual(options.problems(value, ""), [])
    }
  })

  it("suggest the option that a misspelled one is near to", () => {
    const problems = (value: object) => options.problems({ queues: ["a"], ...value }, "")
    assert.deepStrictEqual(problems({ concurency: 1 }), [
      `"concurency" is not an option: did you mean "concurrency"?`
    ])
    assert.deepStrictEqual(problems({ Queues: 1 }), [`"Queues" is not an option: did you mean "queues"?`])
    assert.deepStrictEqual(problems({ size: 1 }), [
      `"size" is not an option: use concurrency, rate or queues, or leave it out`
    ])
    assert.deepStrictEqual(problems({ rate: { limits: 1, limit: 1, per: "1 minute" } }), [
      `"rate.limits" is not an option: did you mean "limit"?`
    ])
  })

  it("refuse what is no plain object, whose contents they could not see", () => {
    for (const value of [undefined, null, 3, "text", ["a"], new Map([["concurrency", 1]])]) {
      assert.match(
        options.problems(value, "").join(),
        /^the options must be an object \{ concurrency, rate, queues \}, got /
      )
    }
  })
})

describe("a rule", () => {
  const cases: ReadonlyArray<readonly [string, Rule<never> | Pick<Rule<unknown>, "problems">, unknown, string]> = [
    ["count of a fraction", count({ min: 0 }), 1.5, `"x" must be an integer from 0 to 2147483647, got 1.5`],
    ["count above its maximum", count({ min: 0, max: 9 }), 10, `"x" must be an integer from 0 to 9, got 10`],
    ["count of NaN", count({ min: 0, max: 9 }), NaN, `"x" must be an integer from 0 to 9, got NaN`],
    ["duration of a word", duration(), "soon", `"x" must be a finite duration, such as "1 minute", got "soon"`],
    ["duration below 0", duration(), -1, `"x" must be a finite duration, such as "1 minute", got -1`],
    [
      "duration without end",
      duration({ min: 10 }),
      Infinity,
      `"x" must be a finite duration of at least 10 ms, such as "1 minute", got Infinity`
    ],
    [
      "duration above its maximum",
      duration({ min: 1, max: 5 }),
      6,
      `"x" must be a finite duration of at least 1 ms and at most 5 ms, such as "1 minute", got 6`
    ],
    ["instant of a string", instant(), "2026", `"x" must be a valid DateTime or Date after the year -4000, got "2026"`],
    [
      "instant after its maximum",
      instant({ max: 0 }),
      new Date(1),
      `"x" must be a valid DateTime or Date from the year -4000 to 1970, got 1970-01-01T00:00:00.001Z`
    ],
    ["oneOf", oneOf("a", "b", "c"), "d", `"x" must be "a", "b" or "c", got "d"`],
    ["boolean", boolean, 1, `"x" must be true or false, got 1`],
    ["func", func(), {}, `"x" must be a function, got {}`],
    ["nullable", nullable(boolean), undefined, `"x" must be true or false or null, got undefined`],
    ["string", string(), 3, `"x" must be a string, got 3`],
    ["string that is too short", string({ min: 1 }), "", `"x" must be a string that is not empty, got ""`],
    [
      "string that is too long",
      string({ min: 1, max: 3 }),
      "abcd",
      `"x" must be a string of 1 to 3 characters, got "abcd" (4 characters): shorten it`
    ],
    [
      "string of too many bytes",
      string({ maxBytes: 3 }),
      "éé",
      `"x" has 4 bytes, the limit is 3, got "éé": shorten it, or use a hash of it`
    ],
    [
      "string with NUL",
      string({ maxBytes: 30 }),
      "a\u0000",
      String.raw`"x" contains the character NUL, which Postgres cannot store, got "a\u0000": remove or escape it`
    ],
    [
      "arrayOf",
      arrayOf(boolean, { max: 2 }),
      1,
      `"x" must be an array with at most 2 items, each true or false, got 1`
    ],
    [
      "arrayOf with too many items",
      arrayOf(boolean, { max: 1 }),
      [true, true],
      `"x" must be an array with at most 1 items, each true or false, got [ true, true ] (2 items)`
    ],
    [
      "oneOrMore of none",
      oneOrMore(boolean),
      [],
      `"x" must be true or false, or an array of one or more, got []`
    ],
    ["recordOf by a value", recordOf(string(), boolean), { a: 1 }, `"x.a" must be true or false, got 1`],
    [
      "recordOf by a key",
      recordOf(string({ max: 1 }), boolean),
      { ab: true },
      `"a key of x" must be a string of at most 1 characters, got "ab" (2 characters): shorten it`
    ],
    [
      "either by the problem inside",
      either(rate, oneOf("unlimited")),
      { limit: 0, per: 1 },
      `"x.limit" must be an integer from 1 to 2147483647, got 0`
    ],
    [
      "either by both",
      either(rate, oneOf("unlimited")),
      3,
      `"x" must be an object { limit, per } or "unlimited", got 3`
    ],
    [
      "refine",
      refine(count({ min: 0 }), (value, place) => value % 2 === 0 ? [] : [`"${place}" is odd`]),
      3,
      `"x" is odd`
    ]
  ]

  for (const [title, { problems }, value, message] of cases) {
    it(`${title}: names the place, the value and what is expected`, () => {
      assert.deepStrictEqual(problems(value, "x"), [message])
    })
  }

  it("accepts the bounds and every form of valid input", () => {
    assert.isTrue(accepts(count({ min: -1, max: 1 }), -1))
    assert.isTrue(accepts(duration({ min: 1 }), Duration.millis(1)))
    assert.isTrue(accepts(duration({ max: Infinity }), Duration.infinity))
    assert.isTrue(accepts(instant(), DateTime.unsafeMake(0)))
    assert.isTrue(accepts(instant(), new Date(0)))
    assert.isTrue(accepts(nullable(boolean), null))
    assert.isTrue(accepts(oneOrMore(boolean), true))
    assert.isTrue(accepts(oneOrMore(boolean), [true]))
    assert.isFalse(accepts(instant(), new Date(NaN)))
  })

  it("checks a refinement only of a valid value", () => {
    const even = refine(count({ min: 0 }), (value) => value % 2 === 0 ? [] : ["odd"])
    assert.strictEqual(only(even, -1), `"x" must be an integer from 0 to 2147483647, got -1`)
  })
})
