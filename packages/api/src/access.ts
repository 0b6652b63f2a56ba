// SPDX-License-Identifier: Apache-2.0
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isLoopback, parseAddress } from '@relatd/model';

/**
 * Whether a request may see flows. `closed`: nobody may, because others than this host could ask and no token is
 * configured; `rebound`: the request came by a host name, as DNS rebinding does; `foreign`: another web site sent it;
 * `login`: the token is missing or wrong.
 */
export type Verdict = 'yes' | 'closed' | 'rebound' | 'foreign' | 'login';

/** Who may see flows at the metrics address. */
export class Access {
  readonly #token: Buffer | null;
  readonly #session = randomBytes(32).toString('hex');
  readonly #loopback: boolean;

  /** `token`: null where none is configured. `address`: where the listener is bound. */
  constructor(token: string | null, address: string) {
    this.#token = token === null ? null : digest(token);
    const bytes = parseAddress(address);
    this.#loopback = bytes !== null && isLoopback(bytes);
  }

  /** Whether a token is asked for. */
  get asksForToken(): boolean {
    return this.#token !== null;
  }

  judge(headers: IncomingHttpHeaders, cookie: string): Verdict {
    // A page elsewhere may not read answers, but could still take up all streams. Programs do not send these headers.
    const { 'sec-fetch-site': site = 'none', 'sec-fetch-mode': mode } = headers;
    if (site !== 'none' && site !== 'same-origin' && mode !== 'navigate') return 'foreign';
    if (this.#token !== null) return this.#isKnown(headers, cookie) ? 'yes' : 'login';
    if (!this.#loopback) return 'closed';
    return isLocalName(headers.host ?? '') ? 'yes' : 'rebound';
  }

  /** What a browser shows as a cookie from now on, if this is the token: a secret that lives as long as the daemon. */
  logIn(token: string): string | null {
    return this.#token !== null && timingSafeEqual(digest(token), this.#token) ? this.#session : null;
  }

  #isKnown(headers: IncomingHttpHeaders, cookie: string): boolean {
    const bearer = /^Bearer ([\x21-\x7e]+)$/i.exec(headers.authorization ?? '')?.[1];
    if (bearer !== undefined) return this.logIn(bearer) !== null;
    const session = cookieOf(headers.cookie ?? '', cookie);
    return session !== null && timingSafeEqual(digest(session), digest(this.#session));
  }
}

/** Of equal length whatever was given: that is what `timingSafeEqual` wants. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function cookieOf(header: string, name: string): string | null {
  for (const pair of header.split(';')) {
    const [key, value] = pair.trim().split('=', 2);
    if (key === name && value !== undefined) return value;
  }
  return null;
}

/** `localhost`, or an address: what DNS cannot make point elsewhere. */
function isLocalName(host: string): boolean {
  const name = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/.exec(host);
  const text = name?.[1] ?? name?.[2] ?? '';
  return text.toLowerCase() === 'localhost' || parseAddress(text) !== null;
}
