import { show } from "./reading.js"

const NAME_LENGTH = 200

export const nameProblem = (what: string, name: string): string | undefined =>
  typeof name !== "string" || name.length === 0 || name.length > NAME_LENGTH || !/^[\x21-\x7E][\x20-\x7E]*$/.test(name)
    ? `${what} "${name}" must be 1 to ${NAME_LENGTH} printable ASCII characters and not begin with a space`
    : undefined

export const priorityProblem = (priority: unknown): string | undefined =>
  typeof priority === "number" && Number.isInteger(priority) && priority >= -32768 && priority <= 32767
    ? undefined
    : `priority ${show(priority)} must be an integer from -32768 to 32767`
