/** What a run knows of a row that another transaction had locked when the run's last commit was sent. */

/** The pause before that commit is sent again. */
const PAUSE_MILLIS = 250

export class Contention {
  /** When the commit is to be sent again; 0 if the last one met no lock. */
  until = 0

  /** The last commit met a lock: the next one must not delay those of other runs. */
  get isPresent(): boolean {
    return this.until > 0
  }

  met(now: number): void {
    this.until = now + PAUSE_MILLIS
  }

  over(): void {
    this.until = 0
  }
}
