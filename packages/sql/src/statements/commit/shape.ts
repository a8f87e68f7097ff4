/**
 * What a batch of commits needs of its statement. What it does not need is left out of the text, so that plans are
 * small.
 */
import type * as Driver from "perdure/JournalDriver"

export interface Shape {
  /** Messages are consumed. */
  readonly consumed: boolean
  readonly children: boolean
  readonly messages: boolean
  readonly published: boolean
  /** Any transition. */
  readonly moves: boolean
  /** A `Finish` of a run that may have a parent. */
  readonly ends: boolean
  /** A `Finish`. */
  readonly finishes: boolean
  /** A `Continue`. */
  readonly continues: boolean
  /** A `Finish` of a run that may have a key. */
  readonly frees: boolean
  /** A child with a key. */
  readonly keyed: boolean
  /**
   * What the statement does about rows that other transactions have locked. Absent: it waits for a moment, then fails.
   * `wait`: it waits. `skip`: it leaves out the commits that touch them.
   */
  readonly locked?: "wait" | "skip"
}

/** Ids of runs that have no parent, and of runs that have no key; not of all such runs. */
export interface Origins {
  readonly parentless: ReadonlySet<string>
  readonly keyless: ReadonlySet<string>
}

const isFinish = ({ transition }: Driver.RunCommit): boolean => transition?._tag === "Finish"

export const isContinue = ({ transition }: Driver.RunCommit): boolean => transition?._tag === "Continue"

export const shapeOf = (commits: ReadonlyArray<Driver.RunCommit>, origins: Origins): Shape => ({
  // A Continue deletes the messages that it has consumed.
  consumed: commits.some((commit) => commit.consumed.length > 0 && !isContinue(commit)),
  children: commits.some(({ children }) => children.length > 0),
  messages: commits.some(({ messages }) => messages.length > 0),
  published: commits.some(({ published }) => published.length > 0),
  moves: commits.some(({ transition }) => transition !== null),
  ends: commits.some((commit) => isFinish(commit) && !origins.parentless.has(commit.run)),
  finishes: commits.some(isFinish),
  continues: commits.some(isContinue),
  frees: commits.some((commit) => isFinish(commit) && !origins.keyless.has(commit.run)),
  keyed: commits.some(({ children }) => children.some(({ key }) => key !== null))
})

/** Whether the commits write only to rows of their own runs, and new rows: `commitOwn` is for those. */
export const isOwn = ({ consumed, continues, ends, locked, messages }: Shape): boolean =>
  !consumed && !continues && !ends && !messages && locked !== "skip"

/** Lists of a request, each a parameter after commits, entries and worker if the shape has it. */
export const lists = ["consumed", "children", "messages", "published"] as const

export type List = (typeof lists)[number]

export const parameterCount = (shape: Shape): number => 3 + lists.filter((each) => shape[each]).length

/** The parameter that carries a list. */
export const parameterOf = (shape: Shape, list: List): string =>
  `$${4 + lists.filter((each) => shape[each]).indexOf(list)}::json`

/** The part of a statement's name that distinguishes shapes: statements are kept by name. */
export const suffix = (shape: Shape): string =>
  [
    shape.consumed ? "r" : "",
    shape.children ? "c" : "",
    shape.messages ? "m" : "",
    shape.published ? "p" : "",
    shape.moves ? "t" : "",
    shape.ends ? "e" : "",
    shape.finishes ? "f" : "",
    shape.continues ? "g" : "",
    shape.frees ? "k" : "",
    shape.keyed ? "q" : "",
    shape.locked === "wait" ? "w" : shape.locked === "skip" ? "s" : ""
  ].join("")

/** Verdicts on commits, as digits of a result. */
export const LOST = "0"
export const APPLIED = "1"
/** The commit was applied before. */
export const REPEATED = "2"
export const UNSEEN = "3"
/** The commit touches a row that another transaction has locked. */
export const LOCKED = "4"
