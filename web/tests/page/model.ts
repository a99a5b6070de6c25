/** A language model that is none: it answers over HTTP as the real ones do, and counts. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const LISBON = { country: "PT", place: "Lisbon", latitude: 38.71, longitude: -9.14, confidence: 0.9, precision: "city" };

export class Model {
  asked = 0;
  readonly #server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      this.asked += 1;
      const { n = 1, model } = JSON.parse(Buffer.concat(parts).toString()) as { n?: number; model: string };
      const said = Array.from({ length: n }, (_, index) => ({
        index,
        message: { role: "assistant", content: index === 1 ? "I am sorry, I cannot tell." : JSON.stringify(LISBON) },
        finish_reason: "stop",
      }));
      const usage = { prompt_tokens: 1000, completion_tokens: 50 * n, total_tokens: 1000 + 50 * n };
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ id: "1", object: "chat.completion", model, choices: said, usage }));
    });
  });

  async open(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}
