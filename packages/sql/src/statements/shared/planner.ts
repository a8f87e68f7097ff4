/**
 * How statements make the planner use indexes. Plans of prepared statements live long: one that is made while the
 * tables are small must still be good when they are large, whatever the statistics say. Each trick has a name here and
 * is explained here only; tests pin the plans.
 */
import { sql } from "../sql.js"

/**
 * Finds rows by index, once for each row before it. `OFFSET 0` keeps the planner from merging the query into the join,
 * where it might read a whole table or walk an index that fits a condition outside.
 */
export const byIndex = (query: string, alias: string): string =>
  sql`
    CROSS JOIN LATERAL (
      ${query} OFFSET 0
    ) ${alias}
  `

/** As `byIndex`, with NULLs where no row is found. */
export const byIndexIfAny = (query: string, alias: string): string =>
  sql`
    LEFT JOIN LATERAL (
      ${query} OFFSET 0
    ) ${alias} ON true
  `

/** A column for `expectFew`. */
export const few = "1 AS few"

/**
 * Always true, for rows that have the column `few`. Of a comparison with a constant the planner expects that few rows
 * pass. Without it, it expects a hundred rows of any JSON and ten times as many of any recursion, prefers whole tables
 * to indexes, and compiles the statement (JIT), which takes half a second.
 */
export const expectFew = (rows: string): string => `${rows}.few = 1`

/** A column for `expectOne`, beside `few`. */
export const sole = "1 AS sole"

/** Always true, for rows that have the columns `few` and `sole`: the planner expects a single row. */
export const expectOne = (rows: string): string => `${rows}.few = 1 AND ${rows}.sole = 1`

/** The condition, as one that the planner expects half of the rows to pass. */
export const expectHalf = (condition: string): string => `coalesce(${condition}, false)`

/**
 * A parameter in a LIMIT, as one that no plan sees. If a plan for the given number seemed cheaper than one for any
 * number, the server would plan the statement each time, which can take longer than its execution.
 */
export const anyLimit = (parameter: string): string => `(SELECT ${parameter}::int)`
