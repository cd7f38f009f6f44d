/** A service on the loopback that speaks the part of docs/http-api.md an edge client needs, and fails on request. */

import { createServer } from 'node:http';

export const bundleOf = (hash, weights = { a: 1 }, more = {}) => ({
  type: 'bundle', loop: 'news', hash, time: 0, cut: [0, 0], definition: 3, stream_time: 0, generation: 0,
  salt: 'salt', kind: 'split', actions: ['a', 'b', 'c'], parameters: { weights }, ...more,
});

export class FakeService {
  bundle = null;
  /** What the log would hold, in order. */
  events = [];
  /** The next number expected, by outbox. */
  expected = new Map();
  /** Requests that came, as `METHOD path`. */
  requests = [];
  keys = new Set();
  down = false;
  /** Answers to take to the grave. */
  lose = 0;
  /** Says what is wrong with an event, or nothing. */
  refuse = () => null;
  /** Answers a request in place of the service: `{status, headers, body}`, or nothing. */
  instead = () => null;
  #waiting = new Set();

  static async start() {
    const service = new FakeService();
    service.server = createServer((request, response) => service.#answer(request, response));
    await new Promise((resolve) => service.server.listen(0, '127.0.0.1', resolve));
    service.url = `http://127.0.0.1:${service.server.address().port}`;
    return service;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  /** Everything that is connected is cut off, and whoever comes too. */
  goDown() {
    this.down = true;
    this.server.closeAllConnections();
  }

  publish(bundle) {
    this.bundle = bundle;
    for (const answer of this.#waiting) answer();
  }

  async #answer(request, response) {
    this.requests.push(`${request.method} ${request.url}`);
    this.keys.add(request.headers.authorization);
    if (this.down) return request.socket.destroy();
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const { status, headers = {}, text = '' } =
      this.instead(request, body) ?? (request.method === 'GET' ? await this.#sent(request) : this.#took(body));
    if (request.method === 'POST' && this.lose > 0) {
      this.lose--;
      return request.socket.destroy();
    }
    response.writeHead(status, headers).end(text);
  }

  async #sent(request) {
    const known = request.headers['if-none-match'];
    const same = () => known === `"${this.bundle?.hash}"`;
    if (!this.bundle) return failure(503, 'fold.no_bundle');
    if (same() && Number(new URL(request.url, this.url).searchParams.get('wait')) > 0) {
      await new Promise((resolve) => {
        const done = () => resolve(this.#waiting.delete(done));
        this.#waiting.add(done);
        request.socket.once('close', done);
      });
    }
    return same() ? { status: 304 } : { status: 200, text: JSON.stringify(this.bundle) };
  }

  #took(body) {
    const { outbox, first, events } = JSON.parse(body);
    const expected = this.expected.get(outbox) ?? 0;
    if (first > expected || expected > first + events.length) return failure(409, 'http.gap');
    const repeated = expected - first;
    const errors = [];
    events.slice(repeated).forEach((event, i) => {
      const error = this.refuse(event);
      if (error) errors.push({ index: repeated + i, error });
      else this.events.push(event);
    });
    const next = first + events.length;
    this.expected.set(outbox, next);
    const accepted = events.length - repeated - errors.length;
    return { status: 200, text: JSON.stringify({ accepted, repeated, next, errors }) };
  }
}

export const failure = (status, code, headers = {}) => ({
  status, headers, text: JSON.stringify({ error: { code, message: code } }),
});
