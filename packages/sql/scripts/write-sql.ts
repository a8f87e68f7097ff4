/**
 * Writes `schema.sql`, the migrations as one script for the schema `perdure`, and `statements/*.sql`, the rendered text
 * of the statements. Tests fail when these files are out of date.
 */
import * as Migrations from "@perdure/sql/Migrations"
import * as Tables from "@perdure/sql/Tables"
import * as Effect from "effect/Effect"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { rendered } from "../test/support/statements.js"

const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url))

writeFileSync(path("schema.sql"), Migrations.script(Effect.runSync(Tables.make("perdure"))))

rmSync(path("statements"), { recursive: true, force: true })
mkdirSync(path("statements"))
for (const [name, text] of rendered) writeFileSync(path(`statements/${name}`), text)
