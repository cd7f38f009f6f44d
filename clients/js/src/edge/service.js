/** The three requests an edge client makes. docs/http-api.md is their contract. */

import { EdgeError } from '../errors.js';

const REQUEST_MS = 15_000;
/** Bytes a browser sends for a page that is gone. */
const KEPT_ALIVE = 60_000;

/** An error of a request: `status` is 0 where no answer came, `retryMs` what the service asked to wait. */
class RequestError extends EdgeError {
  constructor(code, message, { status = 0, retryMs = 0, ...rest } = {}) {
    super(code, message, rest);
    this.status = status;
    this.retryMs = retryMs;
  }
}

export class Service {
  #base;
  #key;
  #fetch;

  constructor(url, loop, key, fetch) {
    this.#base = `${url.replace(/\/+$/, '')}/v1/loops/${encodeURIComponent(loop)}`;
    this.#key = key;
    this.#fetch = fetch;
  }

  /** The newest bundle; null while the one with this hash is. With a hash the service waits for a newer one. */
  async bundle(hash, waitS, signal) {
    const known = hash !== null;
    const response = await this.#request(
      `/bundle${known ? `?wait=${waitS}` : ''}`,
      { headers: known ? { 'If-None-Match': `"${hash}"` } : {}, signal },
      REQUEST_MS + (known ? waitS * 1000 : 0),
    );
    return response.status === 304 ? null : this.#json(response);
  }

  /** Sends events, given as JSON texts. */
  async send(outbox, first, events) {
    const body = `{"outbox":${JSON.stringify(outbox)},"first":${first},"events":[${events.join(',')}]}`;
    const headers = { 'Content-Type': 'application/json' };
    // What fits is sent to the end even if the page is left meanwhile.
    const keepalive = 3 * body.length < KEPT_ALIVE;
    const request = { method: 'POST', headers, body, keepalive };
    const answer = this.#json(await this.#request('/events', request, REQUEST_MS));
    // Whoever stands between may answer 200 too: a hotel's log-in page, say.
    if (!(Number.isInteger(answer?.next) && answer.next > first && answer.next <= first + events.length)) {
      throw new RequestError('edge.network', 'the answer to events is not the service\'s: it has no fitting "next"');
    }
    return answer;
  }

  /** The response, if it is 2xx or 304. */
  async #request(path, { headers = {}, signal, ...rest }, timeoutMs) {
    const aborter = new AbortController();
    const abort = () => aborter.abort();
    const timer = setTimeout(abort, timeoutMs);
    signal?.addEventListener('abort', abort);
    try {
      if (signal?.aborted) abort();
      const response = await this.#fetch(this.#base + path, {
        ...rest,
        headers: { ...headers, ...(this.#key ? { Authorization: `Bearer ${this.#key}` } : {}) },
        cache: 'no-store',
        signal: aborter.signal,
      });
      if (!response.ok && response.status !== 304) throw await refused(response);
      // Read within the time limit.
      const text = response.status === 304 ? '' : await response.text();
      return { status: response.status, text };
    } catch (error) {
      if (error instanceof RequestError) throw error;
      const message = `no answer from ${this.#base}${path}: ${error.message}`;
      throw new RequestError('edge.network', message, { cause: error });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  #json({ text }) {
    try {
      return JSON.parse(text);
    } catch (error) {
      const message = `the answer from ${this.#base} is no JSON: ${text.slice(0, 60)}`;
      throw new RequestError('edge.network', message, { cause: error });
    }
  }
}

async function refused(response) {
  const { error = {} } = await response.json().catch(() => ({}));
  const seconds = Number(response.headers.get('Retry-After') ?? 0);
  return new RequestError(
    error.code ?? `http.${response.status}`,
    error.message ?? `the service answered ${response.status}`,
    {
      status: response.status,
      retryMs: Number.isFinite(seconds) ? 1000 * seconds : 0,
      field: error.field ?? null,
    },
  );
}
