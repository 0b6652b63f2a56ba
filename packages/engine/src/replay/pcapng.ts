// SPDX-License-Identifier: Apache-2.0
import { viewOf } from '@relatd/datapath';
import {
  RECORD_LIMIT,
  timeWithin,
  type CaptureFormat,
  type CapturedPacket,
  type CaptureSide,
  type Damage,
} from './capture.js';

/** The first four bytes of every pcapng file: the type of a section header, the same in both byte orders. */
export const PCAPNG_MAGIC = 0x0a0d0d0a;

const BLOCK = { section: PCAPNG_MAGIC, interface: 1, obsoletePacket: 2, simplePacket: 3, packet: 6 } as const;
const READ: ReadonlySet<number> = new Set(Object.values(BLOCK));

const OPTION = { end: 0, name: 2, flags: 2, resolution: 9, offset: 14 } as const;

/** In front of each block's body: type and size. Behind it: the size again. */
const HEAD = 8;
const TAIL = 4;
const INTERFACES = 4096;
/** Of an interface's name; Linux has 15. */
const NAME_BYTES = 64;
/** What Linux's captures of all interfaces call theirs: not the name of one. */
const ALL_INTERFACES = 'any';

interface Interface {
  readonly number: number;
  readonly link: number;
  readonly snap: number;
  readonly name: string | null;
  readonly perMillisecond: number;
  /** Milliseconds. */
  readonly offset: number;
}

/** The format that dumpcap, tshark and Wireshark write (draft-ietf-opsawg-pcapng): blocks, in sections of a byte order each. */
export class PcapngFormat implements CaptureFormat {
  readonly #damage: Damage;
  #little = true;
  #interfaces: Interface[] = [];
  #count = 0;

  constructor(damage: Damage) {
    this.#damage = damage;
  }

  measure(bytes: Uint8Array): { size: number; wanted: boolean } | null {
    const view = viewOf(bytes);
    if (bytes.length < HEAD + 4) return null;
    const isSection = view.getUint32(0, true) === BLOCK.section;
    if (isSection) {
      const order = view.getUint32(HEAD, true);
      if (order !== 0x1a2b3c4d && order !== 0x4d3c2b1a) this.#damage('a section without byte order');
      this.#little = order === 0x1a2b3c4d;
    }
    const type = view.getUint32(0, this.#little);
    const size = view.getUint32(4, this.#little);
    if (size < HEAD + TAIL || size % 4 !== 0) this.#damage(`a block of ${String(size)} bytes`);
    const wanted = READ.has(type);
    if (wanted && size > RECORD_LIMIT) this.#damage(`a block of ${String(size)} bytes`);
    return { size, wanted };
  }

  read(record: Uint8Array): CapturedPacket | null {
    const view = viewOf(record);
    if (view.getUint32(record.length - TAIL, this.#little) !== record.length)
      this.#damage('a block that ends with another size than it begins with');
    const body = record.subarray(HEAD, record.length - TAIL);
    switch (view.getUint32(0, this.#little)) {
      case BLOCK.section:
        this.#interfaces = [];
        return null;
      case BLOCK.interface:
        this.#interface(body);
        return null;
      case BLOCK.simplePacket:
        return this.#simple(body);
      default:
        return this.#packet(body, view.getUint32(0, this.#little) === BLOCK.obsoletePacket);
    }
  }

  #interface(body: Uint8Array): void {
    if (body.length < 8) this.#damage('an interface without link type');
    if (this.#interfaces.length === INTERFACES) this.#damage(`more than ${String(INTERFACES)} interfaces`);
    const view = viewOf(body);
    let name: string | null = null;
    let perSecond = 1e6;
    let offset = 0;
    for (const { code, value } of this.#options(body, 8)) {
      if (code === OPTION.name) name = new TextDecoder().decode(value.subarray(0, NAME_BYTES));
      else if (code === OPTION.resolution && value.length === 1) {
        const exponent = viewOf(value).getUint8(0);
        perSecond = exponent & 0x80 ? 2 ** (exponent & 0x7f) : 10 ** exponent;
      } else if (code === OPTION.offset && value.length === 8)
        offset = Number(viewOf(value).getBigInt64(0, this.#little)) * 1000;
    }
    this.#interfaces.push({
      number: this.#count++,
      link: view.getUint16(0, this.#little),
      snap: view.getUint32(4, this.#little),
      name: name === '' || name === ALL_INTERFACES ? null : name,
      perMillisecond: perSecond / 1000,
      offset,
    });
  }

  #packet(body: Uint8Array, obsolete: boolean): CapturedPacket {
    if (body.length < 20) this.#damage('a packet without length');
    const view = viewOf(body);
    const from = this.#interfaceOf(obsolete ? view.getUint16(0, this.#little) : view.getUint32(0, this.#little));
    const captured = view.getUint32(12, this.#little);
    if (captured > body.length - 20) this.#damage('a packet that is longer than its block');
    const units = view.getUint32(4, this.#little) * 2 ** 32 + view.getUint32(8, this.#little);
    return {
      time: timeWithin(units / from.perMillisecond + from.offset),
      length: Math.max(view.getUint32(16, this.#little), captured),
      data: body.subarray(20, 20 + captured),
      link: from.link,
      interface: from.number,
      name: from.name,
      side: this.#side(body, 20 + captured + (-captured & 3)),
    };
  }

  /** It has no time and belongs to the section's first interface. */
  #simple(body: Uint8Array): CapturedPacket {
    if (body.length < 4) this.#damage('a packet without length');
    const from = this.#interfaceOf(0);
    const length = viewOf(body).getUint32(0, this.#little);
    const captured = Math.min(length, body.length - 4, from.snap === 0 ? Infinity : from.snap);
    const data = body.subarray(4, 4 + captured);
    return { time: null, length, data, link: from.link, interface: from.number, name: from.name, side: null };
  }

  #interfaceOf(number: number): Interface {
    return this.#interfaces[number] ?? this.#damage(`a packet of interface ${String(number)}, which is not described`);
  }

  #side(body: Uint8Array, at: number): CaptureSide {
    for (const { code, value } of this.#options(body, at)) {
      if (code !== OPTION.flags || value.length !== 4) continue;
      const direction = viewOf(value).getUint32(0, this.#little) & 3;
      return direction === 1 ? 'in' : direction === 2 ? 'out' : null;
    }
    return null;
  }

  *#options(body: Uint8Array, from: number): Generator<{ code: number; value: Uint8Array }> {
    const view = viewOf(body);
    for (let at = from; at + 4 <= body.length;) {
      const code = view.getUint16(at, this.#little);
      const length = view.getUint16(at + 2, this.#little);
      if (code === OPTION.end) return;
      if (at + 4 + length > body.length) this.#damage('an option that is longer than its block');
      yield { code, value: body.subarray(at + 4, at + 4 + length) };
      at += 4 + length + (-length & 3);
    }
  }
}
