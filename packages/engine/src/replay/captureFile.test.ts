// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concat } from '@relatd/lab';
import { RelatdError } from '@relatd/model';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CapturedPacket } from './capture.js';
import { CaptureDecoder, readCapture } from './captureFile.js';

type Order = 'little' | 'big';

/** Numbers as bytes: `[size, value]`. */
function numbers(order: Order, ...fields: readonly (readonly [2 | 4 | 8, number | bigint])[]): Uint8Array {
  return concat(
    ...fields.map(([size, value]) => {
      const bytes = new Uint8Array(size);
      const view = new DataView(bytes.buffer);
      if (size === 8) view.setBigInt64(0, BigInt(value), order === 'little');
      else if (size === 4) view.setUint32(0, Number(value), order === 'little');
      else view.setUint16(0, Number(value), order === 'little');
      return bytes;
    }),
  );
}

function pcapHeader(order: Order, magic = 0xa1b2c3d4, link = 1): Uint8Array {
  return numbers(order, [4, magic], [2, 2], [2, 4], [4, 0], [4, 0], [4, 0x40000], [4, link]);
}

function pcapRecord(order: Order, seconds: number, fraction: number, text: string, length = text.length): Uint8Array {
  return concat(numbers(order, [4, seconds], [4, fraction], [4, text.length], [4, length]), text);
}

const padded = (bytes: Uint8Array): Uint8Array => concat(bytes, new Uint8Array(-bytes.length & 3));

function block(order: Order, type: number, ...body: readonly Uint8Array[]): Uint8Array {
  const all = padded(concat(...body));
  const size = numbers(order, [4, all.length + 12]);
  return concat(numbers(order, [4, type]), size, all, size);
}

const option = (order: Order, code: number, value: Uint8Array): Uint8Array =>
  concat(numbers(order, [2, code], [2, value.length]), padded(value));

const section = (order: Order): Uint8Array =>
  block(order, 0x0a0d0d0a, numbers(order, [4, 0x1a2b3c4d], [2, 1], [2, 0], [8, -1]));

const described = (order: Order, link: number, ...options: readonly Uint8Array[]): Uint8Array =>
  block(order, 1, numbers(order, [2, link], [2, 0], [4, 0]), ...options);

function enhanced(
  order: Order,
  from: number,
  units: bigint,
  text: string,
  ...options: readonly Uint8Array[]
): Uint8Array {
  const head = numbers(
    order,
    [4, from],
    [4, units >> 32n],
    [4, units & 0xffffffffn],
    [4, text.length],
    [4, text.length],
  );
  return block(order, 6, head, padded(concat(text)), ...options);
}

/** What a file has, a line a packet; the last line is the error, if there is one. */
function contents(file: Uint8Array, pieces: readonly number[] = []): string[] {
  const decoder = new CaptureDecoder('a.pcap');
  const lines: string[] = [];
  try {
    let at = 0;
    for (const piece of [...pieces, file.length]) {
      for (const packet of decoder.push(file.subarray(at, at + piece))) lines.push(line(packet));
      at += piece;
    }
    decoder.end();
  } catch (error) {
    if (!(error instanceof RelatdError)) throw error;
    lines.push(error.message.replace(/: [^:]*$/, ''));
  }
  return lines;
}

function line({ time, length, data, link, interface: number, name, side }: CapturedPacket): string {
  const text = Buffer.from(data).toString();
  return `${String(time)} ${text}/${String(length)} link ${String(link)} of ${String(number)} ${String(name)} ${String(side)}`;
}

const orders: readonly Order[] = ['little', 'big'];

describe.each(orders)('in %s-endian byte order', (order) => {
  it('pcap is read, in micro- and nanoseconds', () => {
    const records = [pcapRecord(order, 1, 500_000, 'one'), pcapRecord(order, 2, 500_000, 'two', 1500)];
    expect(contents(concat(pcapHeader(order), ...records))).toEqual([
      '1500 one/3 link 1 of 0 null null',
      '2500 two/1500 link 1 of 0 null null',
    ]);
    const nano = pcapHeader(order, 0xa1b23c4d, 0x1000_0065);
    expect(contents(concat(nano, ...records))[0]).toBe('1000.5 one/3 link 101 of 0 null null');
  });

  it('pcapng is read: interfaces with their clocks and names, directions, sections, what has no time', () => {
    const flags = (value: number): Uint8Array => option(order, 2, numbers(order, [4, value]));
    const file = concat(
      section(order),
      described(order, 1, option(order, 2, concat('eth0')), option(order, 0, new Uint8Array())),
      described(order, 276, option(order, 2, concat('any')), option(order, 9, Uint8Array.of(9))),
      described(order, 1, option(order, 9, Uint8Array.of(0x80 | 10)), option(order, 14, numbers(order, [8, 100]))),
      enhanced(order, 0, 1_500_000n, 'one', flags(1)),
      enhanced(order, 1, 1_500_000_000n, 'second', option(order, 1, concat('a comment')), flags(2)),
      // A kind of block that nobody knows.
      block(order, 0x0bad, new Uint8Array(40)),
      enhanced(order, 2, 1536n, 'three'),
      block(order, 3, numbers(order, [4, 5]), concat('plain')),
      block(order, 2, numbers(order, [2, 1], [2, 0], [4, 0], [4, 7_000_000], [4, 3], [4, 9]), concat('old')),
      section(order === 'little' ? 'big' : 'little'),
      described(order === 'little' ? 'big' : 'little', 101),
      enhanced(order === 'little' ? 'big' : 'little', 0, 9_000_000n, 'last'),
    );
    expect(contents(file)).toEqual([
      '1500 one/3 link 1 of 0 eth0 in',
      '1500 second/6 link 276 of 1 null out',
      '101500 three/5 link 1 of 2 null null',
      'null plain/5 link 1 of 0 eth0 null',
      '7 old/9 link 276 of 1 null null',
      '9000 last/4 link 101 of 3 null null',
    ]);
  });
});

const pcap = concat(pcapHeader('little'), pcapRecord('little', 1, 0, 'one'), pcapRecord('little', 2, 0, 'two'));
const pcapng = concat(
  section('big'),
  described('big', 1),
  enhanced('big', 0, 1n, 'one'),
  enhanced('big', 0, 2n, 'two'),
);

describe('a file that is not as it should be', () => {
  it.each<[string, Uint8Array, string]>([
    ['empty', new Uint8Array(), 'cannot read a.pcap: it is too short for a capture'],
    ['its header alone, cut', pcap.subarray(0, 20), 'cannot read a.pcap: it is too short for a capture'],
    [
      'compressed',
      Uint8Array.of(0x1f, 0x8b, 8, 0),
      'cannot read a.pcap: it is compressed; unpack it with gunzip first',
    ],
    ['something else', concat('no capture at all'), 'cannot read a.pcap: it is neither pcap nor pcapng'],
    [
      'with a packet too large',
      concat(pcapHeader('big'), numbers('big', [4, 0], [4, 0], [4, 2e9], [4, 2e9])),
      'a.pcap cannot be read from byte 24 on: a packet of 2000000000 bytes',
    ],
    [
      'with a block too small',
      concat(section('big'), numbers('big', [4, 6], [4, 8], [4, 0])),
      'a.pcap cannot be read from byte 28 on: a block of 8 bytes',
    ],
    [
      'with a block too large',
      concat(section('big'), numbers('big', [4, 6], [4, 2e9], [4, 0])),
      'a.pcap cannot be read from byte 28 on: a block of 2000000000 bytes',
    ],
    [
      'without byte order',
      block('big', 0x0a0d0d0a, new Uint8Array(16)),
      'a.pcap cannot be read from byte 0 on: a section without byte order',
    ],
    [
      'with an interface that is not there',
      concat(section('big'), enhanced('big', 3, 0n, 'x')),
      'a.pcap cannot be read from byte 28 on: a packet of interface 3, which is not described',
    ],
    [
      'with an interface cut short',
      concat(section('big'), block('big', 1, new Uint8Array(4))),
      'a.pcap cannot be read from byte 28 on: an interface without link type',
    ],
    [
      'with an option cut short',
      concat(section('big'), described('big', 1, numbers('big', [2, 2], [2, 99]))),
      'a.pcap cannot be read from byte 28 on: an option that is longer than its block',
    ],
    [
      'with two sizes',
      concat(section('big').subarray(0, 24), new Uint8Array(4)),
      'a.pcap cannot be read from byte 0 on: a block that ends with another size than it begins with',
    ],
  ])('%s', (_, file, message) => {
    expect(contents(file)).toEqual([message]);
  });

  it('is read as far as it goes', () => {
    for (const [file, first] of [
      [pcap, 24 + 19],
      [pcapng, pcapng.length - 36],
    ] as const) {
      const [one] = contents(file);
      for (let size = first + 1; size < file.length; size++)
        expect(contents(file.subarray(0, size))).toEqual([
          one,
          `a.pcap cannot be read from byte ${String(first)} on: the file ends within a packet or block`,
        ]);
      expect(contents(file)).toHaveLength(2);
    }
  });

  it('has as many interfaces as can be remembered', () => {
    const many = Array.from({ length: 4097 }, () => described('big', 1));
    expect(contents(concat(section('big'), ...many))).toEqual([expect.stringContaining('more than 4096 interfaces')]);
  });

  it('may have absurd times', () => {
    const file = concat(
      section('big'),
      described('big', 1, option('big', 9, Uint8Array.of(0))),
      enhanced('big', 0, 2n ** 63n, 'x'),
    );
    expect(contents(file)[0]).toMatch(/^253402300799999 /);
  });
});

it('what a file says does not depend on the pieces in which it is read', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(pcap, pcapng),
      fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 20 }),
      (file, pieces) => {
        expect(contents(file, pieces)).toEqual(contents(file));
      },
    ),
  );
});

it('any change of a file gives packets, and at most one declared error', () => {
  const changes = fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.constantFrom(pcap, pcapng), changes, fc.uint8Array({ maxLength: 64 }), (file, some, more) => {
      const changed = concat(file, more);
      for (const [at, value] of some) changed[at % changed.length] = value;
      // Anything but RelatdError is thrown on.
      contents(changed, [17, 30]);
    }),
  );
});

describe('from the disk', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'relatd-capture-'));
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  async function read(path: string): Promise<string[]> {
    const lines: string[] = [];
    for await (const group of readCapture(path)) for (const packet of group) lines.push(line(packet));
    return lines;
  }

  it('packets come as they stand there, over many pieces', async () => {
    const path = join(directory, 'large.pcap');
    const records = Array.from({ length: 700 }, (_, index) => pcapRecord('big', index, 0, 'x'.repeat(1000)));
    writeFileSync(path, concat(pcapHeader('big'), ...records));
    expect((await read(path)).map((text) => text.split(' ', 1)[0])).toEqual(
      records.map((_, index) => String(index * 1000)),
    );
  });

  it('what cannot be read says why', async () => {
    const missing = join(directory, 'nothing');
    const hint = 'give a capture of tcpdump, dumpcap or tshark (pcap or pcapng)';
    await expect(read(missing)).rejects.toThrow(`cannot read ${missing}: there is no such file: ${hint}`);
    await expect(read(directory)).rejects.toThrow(`cannot read ${directory}: it is a directory: ${hint}`);
  });
});
