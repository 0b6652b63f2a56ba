// SPDX-License-Identifier: Apache-2.0
import type { Assignment } from '@relatd/config';
import { Direction, zeroSample, type SampleRecord } from '@relatd/datapath';
import { ftp, tftp } from '@relatd/helpers';
import { REASONS, type Reason } from '@relatd/model';
import { describe, expect, it } from 'vitest';
import { assignmentOf, configOf, path } from '../testing.js';
import { Dialogue, type ReadAgain } from './dialogue.js';

const tuple = path('10.0.1.2', 40000, '10.0.2.2', 21);

/** A session of FTP whose lines are put where a test wants them. */
class Lines {
  readonly #next = { original: 1000, reply: 5000 };
  #time = 0n;

  sample(direction: 'original' | 'reply', text: string, reason: Reason = 'decided'): SampleRecord {
    const data = new TextEncoder().encode(text);
    const seq = this.#next[direction];
    this.#next[direction] += data.length;
    this.#time += 1_000_000n;
    return {
      ...zeroSample(),
      ...{ direction: Direction[direction], reason: REASONS.indexOf(reason), length: data.length, data, seq, tuple },
      time: this.#time,
    };
  }

  login(): SampleRecord[] {
    return [
      this.sample('reply', '220 ready\r\n'),
      this.sample('original', 'USER alice\r\n'),
      this.sample('reply', '331 password\r\n'),
      this.sample('original', 'PASS sesame\r\n'),
      this.sample('reply', '230 in\r\n'),
    ];
  }
}

const read = (samples: readonly SampleRecord[], more: Partial<ReadAgain> = {}): Dialogue['said'] => {
  const dialogue = new Dialogue(
    {
      ...{ tuple, translated: false, assignment: assignmentOf(), helper: ftp, begins: { original: 1000, reply: 5000 } },
      ...more,
    },
    (boot) => Number(boot / 1_000_000n),
  );
  for (const sample of samples) dialogue.sample(sample);
  dialogue.finish();
  return dialogue.said;
};

describe('what a control connection said', () => {
  it('is what announces, with its line, its time, and what it was for in the end', () => {
    const lines = new Lines();
    const samples = [
      ...lines.login(),
      lines.sample('original', 'PASV\r\n'),
      lines.sample('reply', '227 Entering Passive Mode (10,0,2,2,156,65).\r\n'),
      lines.sample('original', 'RETR big.iso\r\n'),
      lines.sample('original', 'PORT 10,0,1,2,0,80\r\n', 'hold-unavailable'),
      lines.sample('original', 'PORT 10,0,1,2,300,1\r\n'),
    ];
    expect(read(samples)).toEqual([
      {
        ...{ time: 7, kind: 'announce', direction: 'reply', line: '227 Entering Passive Mode (10,0,2,2,156,65).' },
        ...{ destination: { address: '10.0.2.2', port: 40001 }, reason: null, unjudged: false },
        detail: { user: 'alice', command: 'RETR', argument: 'big.iso' },
      },
      {
        ...{ time: 9, kind: 'announce', direction: 'original', line: 'PORT 10,0,1,2,0,80' },
        ...{ destination: { address: '10.0.1.2', port: 80 }, reason: 'port-range', unjudged: true },
        detail: { user: 'alice', command: null, argument: null },
      },
      {
        ...{ time: 10, kind: 'refuse', direction: 'original', line: 'PORT 10,0,1,2,300,1' },
        ...{ destination: null, reason: 'bad-octet', unjudged: false, detail: null },
      },
    ]);
  });

  it('is read in stream order, and on behind what is missing', () => {
    const lines = new Lines();
    const login = lines.login();
    const first = lines.sample('original', 'PORT 10,0,1,2,156,65\r\n');
    const lost = lines.sample('original', 'NOOP\r\n');
    const last = lines.sample('original', 'PORT 10,0,1,2,156,66\r\n');
    const ports = (samples: readonly SampleRecord[]): unknown[] =>
      read(samples).map(({ destination }) => destination?.port);
    expect(ports([...login, last, lost, first])).toEqual([40001, 40002]);
    expect(ports([...login, first, first, last])).toEqual([40001, 40002]);
  });

  it('may begin in the middle', () => {
    const lines = new Lines();
    lines.login();
    const samples = [lines.sample('original', 'PORT 10,0,1,2,156,65\r\n')];
    expect(read(samples, { begins: null })).toMatchObject([{ line: 'PORT 10,0,1,2,156,65' }]);
  });

  it.each<[Assignment['detail'], unknown]>([
    ['none', null],
    ['command', { command: 'RETR' }],
  ])('shows no more than the assignment admits: %s', (level, detail) => {
    const lines = new Lines();
    const samples = [
      ...lines.login(),
      lines.sample('original', 'PORT 10,0,1,2,156,65\r\n'),
      lines.sample('original', 'RETR big.iso\r\n'),
    ];
    expect(read(samples, { assignment: assignmentOf(`detail: ${level}`) })).toMatchObject([{ line: '', detail }]);
  });

  it('over UDP is a datagram', () => {
    const [assignment] = configOf('assignments: [{ helper: tftp, port: 69 }]').assignments;
    if (assignment === undefined) throw new Error('no assignment');
    const request = { ...path('10.0.1.2', 40000, '10.0.2.2', 69), protocol: 17 };
    const data = new TextEncoder().encode('\0\u0001big.iso\0octet\0');
    const sample = { ...zeroSample(), time: 1_000_000n, length: data.length, data, tuple: request };
    expect(read([sample], { tuple: request, assignment, helper: tftp })).toMatchObject([
      { destination: { address: '10.0.1.2', port: 40000 }, detail: { command: 'RRQ', argument: 'big.iso' } },
    ]);
  });
});
