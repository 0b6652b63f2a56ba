// SPDX-License-Identifier: Apache-2.0

/** A complete reply. */
export interface Reply {
  /** 100 to 699. */
  readonly code: number;
  /** What stands behind the code on the last line. */
  readonly text: string;
}

/**
 * Puts the lines of a server together to replies (RFC 959, 4.2): a reply is one line `123 text`, or begins with `123-text` and
 * ends with the next line `123 text`. Lines between are text, whatever they look like: `227 ...` in a greeting or in
 * a listing is no reply.
 */
export class ReplyReader {
  /** Code of the multi-line reply that has not ended, or ''. */
  #open = '';

  /** Whether the next line belongs to a reply that has begun. */
  get inside(): boolean {
    return this.#open !== '';
  }

  /** Takes one line. Null: the reply is not complete; `text` outside a reply: the line is none. */
  read(line: string): Reply | 'text' | null {
    // The space may be missing where no text follows. The first digit may be 6: protected replies, RFC 2228, 6.
    const match = /^([1-6]\d\d)(?:([ -])|$)/.exec(line);
    if (this.#open !== '') {
      if (match?.[1] !== this.#open || match[2] === '-') return null;
      this.#open = '';
    }
    if (match === null) return 'text';
    const [, code = '', mark] = match;
    if (mark === '-') {
      this.#open = code;
      return null;
    }
    return { code: Number(code), text: line.slice(4) };
  }

  /** The next line is taken for the first of a reply. */
  reset(): void {
    this.#open = '';
  }
}
