/** A function that keeps its recent results. */

/**
 * Keeps up to `capacity` results. When it is full it forgets all of them, so that foreign keys cannot fill the memory.
 */
export const memoize = <K, A>(capacity: number, compute: (key: K) => A): (key: K) => A => {
  const results = new Map<K, { readonly result: A }>()
  return (key) => {
    const stored = results.get(key)
    if (stored !== undefined) return stored.result
    if (results.size >= capacity) results.clear()
    const result = compute(key)
    results.set(key, { result })
    return result
  }
}
