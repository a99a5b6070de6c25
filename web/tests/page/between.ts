/** What may lie between the page and its service: a connection that breaks, a gateway that is busy. */
import { createServer, connect, type AddressInfo, type Socket } from "node:net";

/** A way to a service that can be cut and mended, or that turns requests away for a while. */
export class Way {
  readonly #sockets = new Set<Socket>();
  #isCut = false;
  #busy = 0;
  readonly #server;

  constructor(service: string) {
    const { hostname, port } = new URL(service);
    this.#server = createServer((near) => {
      if (this.#isCut) {
        near.destroy();
        return;
      }
      const far = connect(Number(port), hostname);
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on("error", () => { near.destroy(); far.destroy(); });
        socket.on("close", () => { this.#sockets.delete(socket); near.destroy(); far.destroy(); });
      }
      let isTurnedAway = false;
      near.on("data", (data: Buffer) => {
        if (this.#busy > 0 && data.toString("latin1").startsWith("POST /v1/locate")) {
          this.#busy -= 1;
          isTurnedAway = true;
          near.write(BUSY);
          setTimeout(() => near.end(), 500); // what is still being sent is read, and dropped
        } else if (!isTurnedAway) far.write(data);
      });
      far.on("data", (data: Buffer) => near.write(data));
    });
  }

  async open(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  /** Answer the next photo as a gateway does before a service that is busy. */
  beBusyOnce(): void {
    this.#busy = 1;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((done) => this.#server.close(done));
  }
}

const BUSY = [
  "HTTP/1.1 503 Service Unavailable", "Retry-After: 2", "Content-Type: text/html",
  "Content-Length: 13", "Connection: close", "", "<h1>Busy</h1>",
].join("\r\n");
