/**
 * The rules for prose: the words that the style guide bans in comments, docstrings, messages, test titles and
 * documents, and the width of comments. A phrase is found even if a comment breaks it into two lines.
 */
import { lineOf, type Scanned, type Source } from "./scan.js"
import type { Violation } from "./violation.js"

export const MAX_COMMENT_WIDTH = 120

interface Phrase {
  readonly pattern: RegExp
  /** What to write in its place. */
  readonly instead: string
  /** Only in code: in documents and examples these words may name people. */
  readonly inCode?: true
}

export const phrases: ReadonlyArray<Phrase> = [
  { pattern: /\bwhat (?:is|was|are|were) none\b/i, instead: "no X exists" },
  { pattern: /\b(?:there|that|which|it|this) (?:is|are|was|were) none\b/, instead: "no X exists; is `None`" },
  { pattern: /\bwho(?:m?)ever\b/i, instead: "the actor: any worker that, the caller" },
  { pattern: /\bif anything\b/i, instead: "undefined if there is no problem" },
  { pattern: /\b(?:what|all that) (?:is|was|are) wrong\b|\bwrong with\b/i, instead: "the problems, the errors" },
  { pattern: /\banew\b/i, instead: "again" },
  { pattern: /\bmend(?:s|ed|ing)?\b/i, instead: "fix" },
  { pattern: /\ba text\b(?! (?:array|column|field|file|index|literal|parameter|value)\b)/i, instead: "a string" },
  { pattern: /(?<!\bstatement )\btexts\b/i, instead: "strings" },
  { pattern: /\btold\b/i, instead: "reported, notified" },
  { pattern: /\bby the way\b/i, instead: "leave it out" },
  { pattern: /\bso many\b/i, instead: "n, up to n, at most n" },
  { pattern: /\bof which no(?:body| one)\b/i, instead: "that no X" },
  {
    pattern: /\b(?<!of which )(?:nobody|somebody|anybody|everybody)\b/i,
    instead: "the actor: no worker, a caller",
    inCode: true
  },
  { pattern: /\b(?:go|goes|going|went) on\b/i, instead: "continue" },
  { pattern: /\b(?:that|what) there (?:is|are|was|were)\b/i, instead: "that exists" },
  {
    pattern: /\b(?:is|was|are|were|be) there\b(?! (?:a|an|any|enough|more|no|one|some|something)\b)(?!\?)/i,
    instead: "exists"
  },
  {
    pattern: /\bAnswers (?:a|all|an|by|each|false|how|if|in|it|nothing|one|the|to|true|what|whether|which|with)\b/,
    instead: "Returns"
  },
  {
    pattern:
      /\b(?:and|it|that|which|who) answers (?:a|all|an|each|false|how|if|it|nothing|one|the|true|what|whether|which|with)\b/,
    instead: "returns"
  },
  { pattern: /\b(?:becomes?|became|comes?|came) of\b/i, instead: "happens to; the result of" },
  { pattern: /\bin vain\b/i, instead: "without a result" },
  { pattern: /\b(?:is|was|are|were|be|been) said\b|\bsaid of\b/i, instead: "documented, set, stated" },
  { pattern: /\bas good as\b/i, instead: "the same as" },
  {
    pattern: /\b(?:a|each|every|its|next|no|one|take|takes|taking|the|their|took|whose) turns?\b/i,
    instead: "decision, mutex, key order, scheduler yield"
  },
  { pattern: /\bon hold\b/i, instead: "paused" },
  { pattern: /\b(?:get|gets|getting|got|take|takes|took) hold of\b/i, instead: "claims, gets" },
  { pattern: /\bless than nothing\b/i, instead: "negative" },
  { pattern: /\bin good order\b/i, instead: "cleanly" }
]

/** Words of a phrase may stand on two lines of one comment, list or quotation. */
const spaced = (pattern: RegExp) =>
  new RegExp(pattern.source.replaceAll(" ", "\\s+(?:(?:\\*|//|--|>|-)\\s+)?"), `${pattern.flags}g`)

const patterns = phrases.map((phrase) => ({ ...phrase, pattern: spaced(phrase.pattern) }))

const isCode = (path: string) => /^(?:src|test|packages|bench)\/.*\.ts$/.test(path)

const words = (path: string, prose: string): ReadonlyArray<Violation> =>
  patterns.filter(({ inCode }) => inCode === undefined || isCode(path)).flatMap(({ instead, pattern }) =>
    [...prose.matchAll(pattern)].map((match) => ({
      rule: "words",
      path,
      line: lineOf(prose, match.index),
      detail: `"${match[0].replaceAll(/\s+/g, " ")}": say "${instead}"`
    }))
  )

const isSqlComment = (line: string) => /^\s*--/.test(line)

/** Also for the comments of statements, which are template text. */
const widths = ({ path, prose, text, uncommented }: Scanned): ReadonlyArray<Violation> => {
  const code = uncommented.split("\n")
  const inProse = prose.split("\n")
  return text.split("\n").flatMap((line, index) =>
    line.length > MAX_COMMENT_WIDTH && (line !== code[index] || isSqlComment(inProse[index] ?? ""))
      ? [{ rule: "width", path, line: index + 1, detail: `a comment of ${line.length} columns` }]
      : []
  )
}

export const proseViolations = (source: Scanned): ReadonlyArray<Violation> => [
  ...words(source.path, source.prose),
  ...widths(source)
]

/** The rules for a shell script: its words, and the width of its comments. */
export const shellViolations = ({ path, text }: Source): ReadonlyArray<Violation> => [
  ...words(path, text),
  ...text.split("\n").flatMap((line, index) =>
    line.length > MAX_COMMENT_WIDTH && /^\s*#/.test(line)
      ? [{ rule: "width", path, line: index + 1, detail: `a comment of ${line.length} columns` }]
      : []
  )
]

/** The rules for a document in Markdown: its words. */
export const documentViolations = ({ path, text }: Source): ReadonlyArray<Violation> => words(path, text)
