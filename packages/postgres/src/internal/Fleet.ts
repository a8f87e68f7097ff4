/**
 * The connections of one journal, over all of its pools: what their server turned out not to support, and which of them
 * must not be used again.
 */
import type * as Pg from "pg"

export class Fleet {
  /** Whether new connections send the settings that the journal needs. A transaction pooler may refuse them. */
  sendsSettings = true
  /** Whether each connection is used at the moment. */
  private readonly busy = new Map<Pg.ClientBase, boolean>()
  private readonly retired = new WeakSet<Pg.ClientBase>()

  constructor(
    /** Whether statements of the journal are prepared. */
    public prepares: boolean,
    private readonly warn: (message: string) => void
  ) {}

  /** Follow the connections of a pool. */
  follow(pool: Pg.Pool): void {
    pool.on("acquire", (client) => {
      this.busy.set(client, true)
    })
    pool.on("release", (_error, client) => {
      this.busy.set(client, false)
      // The pool removes a connection that is about to end.
      if (this.retired.has(client)) void client.end()
    })
    pool.on("remove", (client) => {
      this.busy.delete(client)
    })
  }

  /** Close a connection once it is not used. */
  retire(client: Pg.ClientBase): void {
    this.retired.add(client)
    // The pool removes an idle connection that reports an error.
    if (this.busy.get(client) === false) client.emit("error", new Error("the connection is retired"))
  }

  /** The server accepts no writes, as after a failover: connect again, perhaps to another server. */
  retireAll(): void {
    for (const client of Array.from(this.busy.keys())) this.retire(client)
  }

  /** A connection lost its prepared statements, as behind a transaction pooler. */
  stopPreparing(): void {
    if (!this.prepares) return
    this.prepares = false
    this.warn(
      "The server does not keep prepared statements (a transaction pooler?): the journal's statements are no longer " +
        "prepared. Use the option prepare: false"
    )
  }

  /** A connection was refused because of its settings. */
  stopSettings(): void {
    if (!this.sendsSettings) return
    this.sendsSettings = false
    this.warn(
      "The server refuses settings of the connection (a transaction pooler?): the journal connects without them"
    )
  }
}
