/** Writes schema.sql, the migrations as one plain script for the schema `perdure`. A test says when it is out of date. */
import * as Migrations from "@perdure/sql/Migrations"
import * as Tables from "@perdure/sql/Tables"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const tables = Effect.runSync(Tables.make("perdure"))
writeFileSync(fileURLToPath(new URL("../schema.sql", import.meta.url)), Migrations.script(tables))
