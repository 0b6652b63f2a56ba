// SPDX-License-Identifier: Apache-2.0
import { TCP_FLAG, type RequestRecord } from '@relatd/datapath';
import { ftp, type Parser } from '@relatd/helpers';
import { REASONS } from '@relatd/model';
import { describe, expect, it } from 'vitest';
import { ControlConnection, type ConnectionOptions, type ControlSegment, type DirectionName } from './connection.js';
import { emptyOutcome } from './outcome.js';
import { assignmentOf, path, requestText } from './testing.js';

const PORT = 'PORT 10,0,1,2,200,10\r\n';

/** A control connection with a datapath that answers everything, and what was asked of it, refused and released. */
class Talk {
  readonly connection: ControlConnection;
  readonly log: string[] = [];
  readonly expected = new Map<
    bigint,
    ConnectionOptions['expected'] extends (id: bigint, box: infer Box) => void ? Box : never
  >();
  readonly faults: unknown[] = [];
  readonly next: Record<DirectionName, number>;
  /** What the datapath says to the next expectations. */
  verdict: (typeof REASONS)[number] = 'none';
  #ids = 0;
  #outcome = emptyOutcome();
  #batch = false;

  constructor(options: Partial<ConnectionOptions> = {}) {
    this.next = { original: 1000, reply: 5000, ...options.next };
    this.connection = new ControlConnection({
      id: 7n,
      tuple: path('10.0.1.2', 45678, '10.0.2.2', 21),
      translated: false,
      assignmentId: 0,
      assignment: assignmentOf(),
      parser: ftp.create(),
      next: this.next,
      expected: (id, box) => this.expected.set(id, box),
      find: () => null,
      failed: (error) => this.faults.push(error),
      ...options,
    });
  }

  /** The next bytes of a side, in one frame. */
  say(direction: DirectionName, text: string, more: Partial<ControlSegment> = {}): this {
    this.at(direction, this.next[direction], text, more);
    this.next[direction] = (this.next[direction] + text.length) >>> 0;
    return this;
  }

  client(text: string): this {
    return this.say('original', text);
  }

  server(text: string): this {
    return this.say('reply', text);
  }

  /** A frame anywhere in the stream. */
  at(direction: DirectionName, seq: number, text: string, more: Partial<ControlSegment> = {}): this {
    const payload = Buffer.from(text, 'latin1');
    const common = { flags: 0, urgent: 0, intact: true, decided: false };
    const segment = { direction, seq: seq >>> 0, payload, frame: payload, ...common, ...more };
    this.connection.push(segment, this.#outcome);
    if (!this.#batch) this.commit();
    return this;
  }

  skip(direction: DirectionName, upTo: number): this {
    this.connection.skip(direction, upTo, this.#outcome);
    this.commit();
    return this;
  }

  /** Everything that `talk` does comes in one batch. */
  together(talk: () => void): this {
    this.#batch = true;
    talk();
    this.#batch = false;
    this.commit();
    return this;
  }

  login(): this {
    this.server('220 hi\r\n').client('USER alice\r\n').server('331 -\r\n').client('PASS x\r\n').server('230 in\r\n');
    this.log.length = 0;
    return this;
  }

  /** As Connections does it. */
  commit(): void {
    const { requests, refusals, frames } = this.#outcome;
    this.#outcome = emptyOutcome();
    for (const { request, answered } of requests) {
      this.log.push(requestText(request));
      answered?.(this.#answer(request));
    }
    for (const { reason } of refusals) this.log.push(`refused ${reason}`);
    for (const frame of frames) this.log.push(`> ${Buffer.from(frame).toString('latin1').trim()}`);
  }

  #answer(request: RequestRecord): RequestRecord {
    const id = BigInt(++this.#ids);
    return { ...request, id, slot: 100 + Number(id), result: REASONS.indexOf(this.verdict) };
  }
}

describe('an announcement', () => {
  it('is asked for before its frame goes on', () => {
    const talk = new Talk().login();
    const seq = talk.next.original;
    talk.client(PORT);
    expect(talk.log).toEqual([
      'expect original 10.0.2.2:* > 10.0.1.2:51210',
      `watch original ${String(seq)}-${String(seq + PORT.length)}`,
      `> ${PORT.trim()}`,
    ]);
  });

  it('of the server is one for the client', () => {
    const talk = new Talk().login().client('PASV\r\n');
    talk.server('227 Entering Passive Mode (10,0,2,2,156,65)\r\n');
    expect(talk.log[1]).toBe('expect reply 10.0.1.2:* > 10.0.2.2:40001');
  });

  it('carries what the assignment says', () => {
    const assignment = assignmentOf('mark: 0x53000000', 'limits: { per-master: 3, expectation: 7s }');
    const talk = new Talk({ assignment }).login();
    const outcome = emptyOutcome();
    const payload = Buffer.from(PORT);
    const common = { flags: 0, urgent: 0, intact: true, frame: payload, decided: false };
    talk.connection.push({ direction: 'original', seq: talk.next.original, payload, ...common }, outcome);
    expect(outcome.requests[0]?.request).toMatchObject({ limit: 3, timeout: 7_000_000_000n, mark: 0x53000000 });
    expect(outcome.requests[0]?.request.tuple).toMatchObject({ protocol: 6, family: 4, sourcePort: 0 });
  });

  it('over two segments lets the first go on and is asked for with the second', () => {
    const talk = new Talk().login();
    const seq = talk.next.original;
    talk.client(PORT.slice(0, 9)).client(PORT.slice(9));
    expect(talk.log).toEqual([
      '> PORT 10,0',
      'expect original 10.0.2.2:* > 10.0.1.2:51210',
      `watch original ${String(seq)}-${String(seq + PORT.length)}`,
      '> ,1,2,200,10',
    ]);
  });

  it('across the wrap of sequence numbers is watched at the right ones', () => {
    const talk = new Talk({ next: { original: 0xffffffff - 30, reply: 0xfffffff0 } }).login().client(PORT);
    expect(talk.log[1]).toMatch(/^watch original 429496\d+-1\d$/);
    expect(talk.log).toHaveLength(3);
  });

  it('behind a hole is watched at the right numbers', () => {
    const talk = new Talk().login();
    const seq = talk.next.original + 5000;
    talk.skip('original', seq).at('original', seq, PORT);
    expect(talk.log[1]).toBe(`watch original ${String(seq)}-${String(seq + PORT.length)}`);
  });

  it('that waits behind a hole is read once what is missing is given up', () => {
    const talk = new Talk().login();
    const seq = talk.next.original + 50;
    talk.at('original', seq + PORT.length + 10, 'LIST\r\n').at('original', seq, PORT);
    expect(talk.log).toEqual([]);
    talk.skip('original', seq + PORT.length + 10 + 6);
    expect(talk.log).toEqual([
      'expect original 10.0.2.2:* > 10.0.1.2:51210',
      `watch original ${String(seq)}-${String(seq + PORT.length)}`,
      `> ${PORT.trim()}`,
      '> LIST',
    ]);
  });

  it.each([
    ['another address', 'PORT 10,0,1,3,200,10\r\n', 'address'],
    ['a port below data.ports', 'PORT 10,0,1,2,3,255\r\n', 'port-range'],
    ['port 0', 'PORT 10,0,1,2,0,0\r\n', 'port-zero'],
    ['an octet over 255', 'PORT 10,0,1,2,256,10\r\n', 'bad-octet'],
    ['the wrong family', 'EPRT |2|fd77::2|5000|\r\n', 'wrong-family'],
    ['an unknown family', 'EPRT |3|x|5000|\r\n', 'bad-family'],
    ['nonsense', 'PORT 10,0,1\r\n', 'bad-syntax'],
  ])('with %s is refused, and its frame goes on', (_, line, reason) => {
    const talk = new Talk().login().client(line);
    expect(talk.log).toEqual([`refused ${reason}`, `> ${line.trim()}`]);
  });

  it('behind NAT is refused', () => {
    const talk = new Talk({ translated: true }).login().client(PORT);
    expect(talk.log).toEqual(['refused nat', `> ${PORT.trim()}`]);
  });
});

describe('a withdrawn announcement', () => {
  it('loses its expectation before the reply goes on', () => {
    const talk = new Talk().login().client(PORT);
    talk.log.length = 0;
    talk.server('500 no\r\n');
    expect(talk.log).toEqual(
      ['unexpect 2/102 refused-by-server', '> 500 no'].map((line) => line.replace('2/102', expectation(talk))),
    );
  });

  it('within one batch is never asked for', () => {
    const talk = new Talk().login();
    talk.together(() => talk.client(PORT).server('500 no\r\n'));
    expect(talk.log.filter((line) => !line.startsWith('watch'))).toEqual([`> ${PORT.trim()}`, '> 500 no']);
    expect(talk.expected.size).toBe(0);
  });

  it('that the datapath had refused is not withdrawn, nor is an earlier one in its place', () => {
    const talk = new Talk().login().client(PORT).server('200 ok\r\n');
    talk.verdict = 'clash';
    talk.client('PORT 10,0,1,2,200,11\r\n').server('500 no\r\n');
    expect(talk.log.filter((line) => line.startsWith('unexpect'))).toEqual([]);
  });

  it('that policy had refused does not take an earlier one with it', () => {
    const talk = new Talk().login().client(PORT).server('200 ok\r\n');
    talk.client('PORT 10,0,1,3,200,11\r\n').server('500 no\r\n');
    expect(talk.log.filter((line) => line.startsWith('unexpect'))).toEqual([]);
  });
});

function expectation(talk: Talk): string {
  const [id] = talk.expected.keys();
  return `${String(id)}/${String(100 + Number(id))}`;
}

describe('what a transfer is for', () => {
  it('is filled in when its command comes', () => {
    const talk = new Talk().login().client(PORT).server('200 ok\r\n').client('RETR big.iso\r\n');
    const [box] = talk.expected.values();
    expect(box?.detail).toEqual({ user: 'alice', command: 'RETR', argument: 'big.iso' });
  });

  it('of a refused announcement does not overwrite the one before', () => {
    const talk = new Talk().login().client(PORT).server('200 ok\r\n').client('RETR a\r\n').server('226 done\r\n');
    talk.client('PORT 10,0,1,3,200,10\r\n').client('RETR b\r\n');
    expect([...talk.expected.values()].map(({ detail }) => detail?.['argument'])).toEqual(['a']);
  });
});

describe('a retransmission', () => {
  it('with the same bytes changes nothing', () => {
    const talk = new Talk().login();
    const seq = talk.next.original;
    talk.client(PORT).at('original', seq, PORT);
    expect(talk.connection.distrusted).toBeNull();
    expect(talk.log.slice(3)).toEqual([`> ${PORT.trim()}`]);
  });

  it.each([
    ['in full', 0, PORT.replace('200,10', '200,11')],
    ['from its middle on', 5, PORT.replace('200,10', '200,11').slice(5)],
    ['with more behind it', 0, `${PORT.replace('200,10', '200,11')}LIST\r\n`],
    ['with an earlier line before it', -5, `30 \r\n${PORT.replace('200,10', '200,11')}`],
    ['of one byte', PORT.length - 3, '1'],
  ])('with other bytes %s ends trust and the expectation', (_, offset, text) => {
    const talk = new Talk().login();
    const seq = talk.next.original;
    talk.client(PORT);
    talk.log.length = 0;
    talk.at('original', seq + offset, text);
    expect(talk.connection.distrusted).toBe('rewritten');
    expect(talk.log).toEqual([`unexpect ${expectation(talk)} rewritten`, 'trust rewritten', `> ${text.trim()}`]);
  });

  it('with other bytes in the same batch leaves nothing in place', () => {
    const talk = new Talk().login();
    const seq = talk.next.original;
    talk.together(() => talk.client(PORT).at('original', seq, PORT.replace('200,10', '200,11')));
    expect(talk.expected.size).toBe(0);
    expect(talk.log).toContain('trust rewritten');
  });

  it('in part, which the datapath leaves to us, of what it has decided itself: other bytes count as well', () => {
    const talk = new Talk({ find: () => ({ id: 9n, slot: 3 }) });
    const decided = { decided: true, frame: null };
    talk.say('reply', '220 hi\r\n', decided).say('original', 'USER alice\r\n', decided);
    talk.say('reply', '230 in\r\n', decided);
    const seq = talk.next.original;
    talk.say('original', PORT, decided);
    expect(talk.log).toEqual([]);
    talk.at('original', seq + 5, PORT.slice(5));
    expect(talk.connection.distrusted).toBeNull();
    talk.log.length = 0;
    talk.at('original', seq + 5, PORT.slice(5).replace('200,10', '200,11'));
    expect(talk.connection.distrusted).toBe('rewritten');
    expect(talk.log.slice(0, 2)).toEqual(['unexpect 9/3 rewritten', 'trust rewritten']);
  });

  it('with other bytes elsewhere is none of our business', () => {
    const talk = new Talk().login();
    talk.client(PORT).at('original', talk.next.original, 'LIST\r\n').at('original', talk.next.original, 'NLST\r\n');
    expect(talk.connection.distrusted).toBeNull();
  });
});

describe('trust ends', () => {
  it('with the first line of another protocol; what follows goes on unread', () => {
    const talk = new Talk().server('220 hi\r\n');
    talk.log.length = 0;
    talk.client('POST / HTTP/1.1\r\n').client(PORT);
    expect(talk.log).toEqual(['trust not-protocol', '> POST / HTTP/1.1', `> ${PORT.trim()}`]);
  });

  it('with encryption, not the expectations', () => {
    const talk = new Talk().server('220 hi\r\n').client('AUTH TLS\r\n').server('234 go\r\n').client('\x16\x03\x01');
    expect(talk.connection.distrusted).toBe('encrypted');
    expect(talk.log.at(-1)).toBe('> \x16\x03\x01');
  });

  it('with urgent data that is not Telnet', () => {
    const talk = new Talk().login().say('original', 'PORT', { flags: TCP_FLAG.urg, urgent: 2 });
    expect(talk.log).toEqual(['trust urgent', '> PORT']);
  });

  it('not with the Telnet interrupt of ABOR', () => {
    const talk = new Talk().login().say('original', '\xff\xf4\xff\xf2ABOR\r\n', { flags: TCP_FLAG.urg, urgent: 3 });
    expect(talk.connection.distrusted).toBeNull();
  });

  it('and all that waits goes on, behind what ended it, in stream order', () => {
    const talk = new Talk().server('220 hi\r\n');
    talk.log.length = 0;
    const seq = talk.next.original;
    talk
      .at('original', seq + 30, 'c')
      .at('original', seq + 20, 'b')
      .at('reply', talk.next.reply + 5, 'd');
    talk.at('original', seq, 'GET / HTTP\r\n');
    expect(talk.log).toEqual(['trust not-protocol', '> GET / HTTP', '> b', '> c', '> d']);
    expect(talk.connection.waits).toBe(false);
  });

  it('when the datapath says so: nobody is told again', () => {
    const talk = new Talk().login();
    talk.at('original', talk.next.original + 5, 'x');
    const outcome = emptyOutcome();
    talk.connection.abandoned('ttl', outcome);
    expect(outcome.requests).toEqual([]);
    expect(outcome.frames.map(String)).toEqual(['120']);
  });

  it('with a fault of the parser: the frame goes on', () => {
    const parser: Parser = {
      recognised: true,
      feed() {
        throw new Error('a fault');
      },
      resync: () => undefined,
    };
    const talk = new Talk({ parser });
    talk.at('original', 1004, 'b').client('aaaa');
    expect(talk.log).toEqual(['trust gap', '> aaaa', '> b']);
    expect(talk.faults).toHaveLength(1);
  });
});

describe('a segment with a wrong checksum', () => {
  const wrong = PORT.replace('200', '201');

  it('goes on unread; what comes in its place is to be held, though the datapath is past it, and is read', () => {
    const talk = new Talk().login();
    const seq = talk.next.original;
    const watch = `watch original ${String(seq)}-${String(seq + PORT.length)}`;
    talk.at('original', seq, wrong, { intact: false });
    expect(talk.log).toEqual([watch, `> ${wrong.trim()}`]);
    talk.client(PORT);
    expect(talk.log.slice(2)).toEqual(['expect original 10.0.2.2:* > 10.0.1.2:51210', watch, `> ${PORT.trim()}`]);
  });

  it('does not take its place from the announcement before it', () => {
    const talk = new Talk().login();
    const seq = talk.next.original;
    talk.client(PORT);
    talk.at('original', talk.next.original, 'NOOP\r\n', { intact: false });
    expect(talk.log.at(-2)).toBe(`watch original ${String(seq)}-${String(seq + PORT.length + 6)}`);
  });

  it('that was read before goes on, and nothing more', () => {
    const talk = new Talk().login().client(PORT);
    talk.log.length = 0;
    talk.at('original', talk.next.original - PORT.length, wrong, { intact: false });
    expect(talk.log).toEqual([`> ${wrong.trim()}`]);
  });

  it('behind a gap is dropped: the datapath would pass over the gap with it', () => {
    const talk = new Talk().login();
    talk.at('original', talk.next.original + 4, wrong, { intact: false });
    expect(talk.log).toEqual([]);
  });
});

it('a keep-alive with a byte of garbage at the end of an announcement is no other announcement', () => {
  const talk = new Talk().login().client(PORT);
  talk.log.length = 0;
  talk.at('original', talk.next.original - 1, '\0');
  expect(talk.log).toHaveLength(1);
});

it('what waits outlives the buffer that it came in', () => {
  const talk = new Talk().login();
  const seq = talk.next.original;
  const frame = Buffer.from(`header ${PORT}`);
  talk.at('original', seq + 6, '', { frame, payload: frame.subarray(7) });
  frame.fill(0);
  talk.at('original', seq, 'NOOP\r\n');
  expect(talk.log.slice(1)).toEqual([
    `watch original ${String(seq + 6)}-${String(seq + 6 + PORT.length)}`,
    '> NOOP',
    `> header ${PORT.trim()}`,
  ]);
});

it('a sample is read, and nothing is released for it', () => {
  const talk = new Talk().login().say('original', PORT, { frame: null });
  expect(talk.log).toHaveLength(2);
});
