/** What each failure of the database means to the journal. */
import { SqlError } from "@effect/sql/SqlError"
import { assert, describe, it } from "@effect/vitest"
import { fromFailedCommit, fromSqlError } from "../src/SqlErrors.js"

const failed = (cause: unknown, message = "Failed to execute statement") =>
  fromSqlError("commit", new SqlError({ cause, message }))

const withCode = (code: string) => Object.assign(new Error("it says so"), { code })

const acquire = "Failed to acquire connection"

describe("an error of the database", () => {
  const table: ReadonlyArray<readonly [code: string, meaning: string, retryable: boolean]> = [
    ["40001", "Conflict", true],
    ["40P01", "Conflict", true],
    ["55P03", "Conflict", true],
    ["57014", "Conflict", true],
    ["57P01", "OutcomeUnknown", true],
    ["57P02", "OutcomeUnknown", true],
    ["40003", "OutcomeUnknown", true],
    ["08006", "OutcomeUnknown", true],
    ["57P03", "Unavailable", true],
    ["53300", "Unavailable", true],
    ["25006", "Unavailable", true],
    ["53100", "Refused", true],
    ["42501", "Refused", false],
    ["23505", "Refused", false],
    ["22P05", "Refused", false],
    ["P0001", "Refused", false],
    ["54000", "Refused", false],
    ["25P02", "Refused", false],
    ["XX000", "Refused", true],
    ["XX001", "Refused", true],
    ["58030", "Refused", true],
    ["58P01", "Refused", true],
    ["55000", "Refused", true],
    ["72000", "Refused", true],
    ["F0000", "Refused", true],
    ["25001", "Refused", true],
    ["U0001", "Refused", true],
    ["42P01", "SchemaVersion", false],
    ["42703", "SchemaVersion", false],
    ["3F000", "SchemaVersion", false],
    ["26000", "Refused", true],
    ["42P05", "Refused", true]
  ]
  for (const [code, meaning, retryable] of table) {
    it(`${code} is ${meaning}, ${retryable ? "retryable" : "permanent"}`, () => {
      const error = failed(withCode(code))
      assert.deepStrictEqual([error.code, error.retryable], [meaning, retryable])
      assert.include(error.message, code)
      assert.include(error.message, "it says so")
    })
  }

  it("0A000 is a retryable Conflict if a table changed under a prepared statement", () => {
    const stale = Object.assign(new Error("cached plan must not change result type"), { code: "0A000" })
    assert.deepStrictEqual([failed(stale).code, failed(stale).retryable], ["Conflict", true])
    assert.isFalse(failed(withCode("0A000")).retryable)
  })

  it("names the cure if it has one", () => {
    assert.include(failed(withCode("26000")).message, "prepare: false")
    assert.include(failed(withCode("42P01")).message, "migrations")
  })
})

describe("an error of COMMIT", () => {
  const table: ReadonlyArray<readonly [code: string, meaning: string, retryable: boolean]> = [
    ["23505", "Refused", false],
    ["P0001", "Refused", false],
    // A code that only a user's trigger raises.
    ["U0001", "Refused", false],
    // Here the missing table is one that a deferred trigger uses.
    ["42P01", "Refused", false],
    ["40001", "Conflict", true],
    ["53100", "Refused", true],
    ["XX000", "Refused", true],
    ["57P01", "OutcomeUnknown", true],
    ["ECONNRESET", "OutcomeUnknown", true]
  ]
  for (const [code, meaning, retryable] of table) {
    it(`with ${code} is ${meaning}, ${retryable ? "retryable" : "permanent"}`, () => {
      const error = fromFailedCommit("transaction", new SqlError({ cause: withCode(code), message: "failed" }))
      assert.deepStrictEqual([error.code, error.retryable], [meaning, retryable])
    })
  }
})

describe("an error of the connection", () => {
  it("during a statement is OutcomeUnknown", () => {
    for (const cause of [withCode("ECONNRESET"), new Error("Connection terminated unexpectedly"), undefined]) {
      assert.strictEqual(failed(cause).code, "OutcomeUnknown")
    }
  })

  it("before a statement is Unavailable", () => {
    for (const cause of [withCode("ECONNREFUSED"), withCode("57P01"), withCode("08006"), new Error("timeout")]) {
      assert.strictEqual(failed(cause, acquire).code, "Unavailable")
    }
  })

  it("about the password or the database is Refused", () => {
    for (const code of ["28P01", "28000", "3D000"]) {
      assert.deepStrictEqual(
        [failed(withCode(code), acquire).code, failed(withCode(code), acquire).retryable],
        ["Refused", false]
      )
    }
  })

  it("is recognized inside of errors that wrap it", () => {
    const inner = new SqlError({ cause: withCode("40001"), message: "inner" })
    assert.strictEqual(failed(inner).code, "Conflict")
  })
})
