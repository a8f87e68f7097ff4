/** The order of the controls that were recorded at one instant. */
import type { Tables } from "../Tables.js"

export const statements = (t: Tables): ReadonlyArray<string> => [
  `ALTER TABLE ${t.controls} ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY`
]
