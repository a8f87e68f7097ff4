/** Checks every machine of a process: when a body starts, the entries that it follows from must be durable. */
import * as Effect from "effect/Effect"
import type { JournalService } from "perdure/Journal"
import type { Ledger } from "./Ledger.js"
import type { World } from "./World.js"

/** A workflow with its handler. */
export type RegisteredWorkflow = NonNullable<ReturnType<JournalService["process"]["registrations"]["find"]>>

/** A machine that is ready to start. */
export type MachineStart = Extract<ReturnType<RegisteredWorkflow["open"]>, { readonly _tag: "Right" }>["right"]

/** Called before a machine starts, so that a test can change it. */
export type Probe =
  | ((opened: MachineStart, run: { readonly id: string; readonly generation: number }) => void)
  | undefined

export const watchMachines = (journal: JournalService, options: {
  readonly ledger: Ledger
  readonly world: World
  readonly probe: Probe
  readonly opened: (machine: MachineStart["machine"]) => void
}): void => {
  const { ledger, opened, probe, world } = options
  const { registrations } = journal.process
  const find = registrations.find.bind(registrations)
  registrations.find = (name, version) => {
    const registered = find(name, version)
    if (registered === undefined) return undefined
    return {
      ...registered,
      open: (run, onStray) => {
        const made = registered.open(run, onStray)
        if (made._tag === "Left") return made
        const { machine } = made.right
        opened(machine)
        const request = machine.request.bind(machine)
        const deliver = machine.deliver.bind(machine)
        let delivered = 0
        machine.deliver = (entry) => {
          if (entry.kind !== "patch") delivered++
          return deliver(entry)
        }
        machine.request = (data, name, decode) => {
          if (data._tag !== "Step") return request(data, name, decode)
          const asked = delivered
          const body = Effect.suspend(() => {
            const account = ledger.runs.get(run.id)
            const durable = account?.generation === run.generation
              ? account.entries.filter(({ kind }) => kind !== "patch").length
              : -1
            for (const op of machine.pending.values()) {
              if (op.data !== watched) continue
              if (account?.ops.has(op.id) === true)
                world.violations.push(
                  `run ${run.id}: the body of op ${op.id} "${name}" starts, and its entry is durable`
                )
            }
            if (durable < asked) {
              world.violations.push(
                `run ${run.id}: the body of "${name}" starts, it follows from ${asked} entries, ${durable} are durable`
              )
            }
            return data.body
          })
          const watched = { ...data, body }
          return request(watched, name, decode)
        }
        probe?.(made.right, run)
        return made
      }
    }
  }
}
