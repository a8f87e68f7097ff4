/** Answers that are kept: a function that says at once what it has said lately. */

/** `most` answers are kept; with more, all of them are forgotten, so that what strangers ask fills no memory. */
export const memoize = <K, A>(most: number, answer: (key: K) => A): (key: K) => A => {
  const known = new Map<K, { readonly answer: A }>()
  return (key) => {
    const before = known.get(key)
    if (before !== undefined) return before.answer
    if (known.size >= most) known.clear()
    const made = answer(key)
    known.set(key, { answer: made })
    return made
  }
}
