// SPDX-License-Identifier: Apache-2.0
// Runs dialogues through the real program, and says what it did.
import {
  EVENT_AT,
  EXPECT_AT,
  FLOW_AT,
  FlowFlag,
  INTERFACE_KEY_SIZE,
  INTERFACE_SIZE,
  InterfaceFlag,
  SAMPLE_AT,
  TUPLE_AT,
  writeInterface,
  writeInterfaceKey,
} from '../../packages/datapath/src/generated/layout.js';
import { EventType, Reason, Rig, mapped, millisecond, second, type Wires } from '../datapath/rig.js';
import { PORTS, endsOf, isDatagram, type Dialogue, type Packet, type Setup, type Side } from './dialogue.js';
import { HELPERS, machineOf } from './machines.js';
import { sampleText, tupleText, type Verdict } from './model.js';

/** Test runs take place on it unless told otherwise, which is cheapest. */
const LOOPBACK = 1;
const EVENT_EXPECT = EVENT_AT.expect;
const EVENT_FLOW = EVENT_AT.flow;

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const PSH = 0x08;
const ACK = 0x10;
const URG = 0x20;

const nameOf = (list: Readonly<Record<string, number>>): string[] => {
  const names: string[] = [];
  for (const [name, value] of Object.entries(list)) names[value] = name;
  return names;
};
const reasons = nameOf(Reason);
const types = nameOf(EventType);

/** What the program did with a dialogue. */
export interface Run {
  readonly log: readonly string[];
  readonly verdicts: readonly Verdict[];
}

/** One rig for any number of dialogues, one after the other. */
export class Kernel {
  readonly rig: Rig;
  readonly #run: (bytes: Uint8Array) => number;
  #allowed = '';
  #packets = 0;

  constructor(wires: Wires) {
    this.rig = new Rig(wires, {
      machines: HELPERS.length,
      expects: 64,
      expect_index: 64,
      expect_free: 64,
      events: 1 << 20,
    });
    this.rig.configure({ idleHalfOpen: 60n * second });
    const key = new Uint8Array(INTERFACE_KEY_SIZE);
    const value = new Uint8Array(INTERFACE_SIZE);
    writeInterfaceKey(new DataView(key.buffer), 0, { ifindex: LOOPBACK, vlan: 0 });
    writeInterface(new DataView(value.buffer), 0, { routing: LOOPBACK, zone: 0, flags: InterfaceFlag.watched });
    this.rig.map('interfaces').update(key, value);
    for (const [index, helper] of HELPERS.entries()) {
      const machine = machineOf(helper);
      this.rig.load(machine, index + 1);
      this.rig.assign({ port: PORTS[helper], protocol: machine.transport === 'udp' ? 17 : 6, id: index + 1 });
    }
    const program = this.rig.program('relatd_main');
    this.#run = (data) => program.testRun({ data }).verdict;
  }

  /** Packets so far. */
  get packets(): number {
    return this.#packets;
  }

  close(): void {
    this.rig.close();
  }

  /** @param acks what each packet acknowledges, and at the end the RST: the follower knows */
  run({ setup, packets, reset }: Dialogue, acks: readonly number[]): Run {
    this.#allow(setup);
    const began = this.rig.now;
    const frames = new Frames(setup);
    const verdicts: Verdict[] = [];
    const datagram = isDatagram(setup);
    if (!datagram) this.#handshake(setup, frames);
    for (const [index, packet] of packets.entries()) {
      if (packet.wait > 0) this.rig.advance(BigInt(packet.wait) * millisecond);
      const ack = acks[index] ?? 0;
      const frame = datagram ? frames.datagram(packet) : frames.segment(packet.from, flagsOf(packet), packet, ack);
      verdicts.push(this.#packet(frame) === 2 ? 'drop' : 'pass');
    }
    if (datagram) {
      this.rig.advance(61n * second);
      this.rig.sweep();
    } else {
      const at = acks[packets.length] ?? 0;
      this.#packet(frames.segment(reset, RST, { at, bytes: new Uint8Array(), damaged: false }, 0));
    }
    const log = this.#log(setup, began);
    // It went another way than the model says, and may be open still.
    if (!log.some((line) => line.startsWith('end '))) this.#forget();
    return { log, verdicts };
  }

  #forget(): void {
    this.rig.advance(500_000n * second);
    this.rig.sweep();
    this.rig.events();
  }

  #packet(bytes: Uint8Array): number {
    this.#packets++;
    return this.#run(bytes);
  }

  #handshake({ translated }: Setup, frames: Frames): void {
    const empty = { bytes: new Uint8Array(), damaged: false };
    this.#packet(frames.segment(0, SYN, { ...empty, at: -1 }, 0));
    const answer = frames.segment(1, SYN | ACK, { ...empty, at: -1 }, 0);
    if (translated) this.rig.packet(answer, { on: 'lan', side: 'egress', from: 'wan' });
    else this.#packet(answer);
    this.#packet(frames.segment(0, ACK, { ...empty, at: 0 }, 0));
  }

  #allow({ helper, allowed }: Setup): void {
    const text = `${helper} ${JSON.stringify(allowed)}`;
    if (text === this.#allowed) return;
    this.#allowed = text;
    const id = HELPERS.indexOf(helper) + 1;
    const { fromPort, toPort, limit, thirdParty, timeout } = allowed;
    const more = { thirdParty: thirdParty ? 1 : 0, timeout: BigInt(timeout) * millisecond };
    this.rig.allow({ machine: id, fromPort, toPort, limit, ...more }, id);
  }

  #log(setup: Setup, began: bigint): string[] {
    const log: string[] = [];
    this.rig.scan((view) => {
      const type = view.getUint8(0);
      const text = type === EventType.sample ? sampleOf(view, setup) : eventOf(view, type, began);
      log.push(text);
    });
    return log;
  }
}

function sampleOf(view: DataView, setup: Setup): string {
  const from = view.getUint8(SAMPLE_AT.direction);
  const seq = view.getUint32(SAMPLE_AT.seq, true);
  const at = isDatagram(setup) ? 0 : (seq - (setup.isn[from] ?? 0) - 1) | 0;
  const reason = reasons[view.getUint8(SAMPLE_AT.reason)] ?? '';
  return sampleText(from, at, view.getUint32(SAMPLE_AT.length, true), reason);
}

function eventOf(view: DataView, type: number, began: bigint): string {
  const reason = reasons[view.getUint8(1)] ?? '';
  switch (type) {
    case EventType.controlNew:
      return 'control';
    case EventType.controlEnd: {
      const recognised = (view.getUint8(EVENT_FLOW + FLOW_AT.flags) & FlowFlag.recognised) !== 0;
      return `end ${reason}${recognised ? ' recognised' : ''}`;
    }
    case EventType.expectationNew: {
      const direction = view.getUint8(EVENT_EXPECT + EXPECT_AT.direction);
      return `new ${tupleOf(view)} of ${String(direction)} until ${deadlineOf(view, began)}`;
    }
    case EventType.expectationRefused:
      return `refused ${reason} ${tupleOf(view)}`;
    case EventType.expectationExpired:
      return `ended ${reason}${reason === 'masterEnded' ? ` (${deadlineOf(view, began)})` : ''} ${tupleOf(view)}`;
    case EventType.trust:
      return `trust ${TRUST[reason] ?? reason}`;
    default:
      return `${types[type] ?? ''} ${reason}`;
  }
}

/** The interpreter's words. */
const TRUST: Readonly<Record<string, string>> = { notProtocol: 'not-protocol' };

function deadlineOf(view: DataView, began: bigint): string {
  return String((view.getBigUint64(EVENT_EXPECT + EXPECT_AT.deadline, true) - began) / millisecond);
}

function tupleOf(view: DataView): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const at = EVENT_EXPECT + EXPECT_AT.tuple;
  const port = view.getUint16(at + TUPLE_AT.destinationPort);
  const protocol = view.getUint8(at + TUPLE_AT.protocol);
  return tupleText(bytes, at + TUPLE_AT.source, bytes, at + TUPLE_AT.destination, port, protocol);
}

function flagsOf({ fin, urgent, bytes }: Packet): number {
  return ACK | (fin ? FIN : 0) | (urgent ? URG : 0) | (bytes.length > 0 ? PSH : 0);
}

/** Frames of one connection. Headers are written once per direction. */
class Frames {
  readonly #heads: readonly [Uint8Array, Uint8Array];
  readonly #isn: readonly [number, number];
  readonly #family: 4 | 6;
  /** Sum of the pseudo header without its length. */
  readonly #pseudo: number;
  static readonly #buffer = new Uint8Array(4096);

  constructor(setup: Setup) {
    const [client = null, server = null] = endsOf(setup).map(({ address, port }) => ({
      address: mapped(address),
      port,
    }));
    if (client === null || server === null) throw new RangeError('a connection has two ends');
    const protocol = isDatagram(setup) ? 17 : 6;
    this.#family = setup.family;
    this.#isn = setup.isn;
    this.#heads = [head(setup, protocol, client, server), head(setup, protocol, server, client)];
    const network = this.#heads[0].subarray(14 + (this.#family === 4 ? 12 : 8), 14 + (this.#family === 4 ? 20 : 40));
    this.#pseudo = protocol + sum(network, 0, network.length);
  }

  segment(
    from: Side,
    flags: number,
    { at, bytes, damaged }: Pick<Packet, 'at' | 'bytes' | 'damaged'>,
    ack: number,
  ): Uint8Array {
    const head = this.#heads[from];
    const transport = head.length - 20;
    const frame = Frames.#buffer.subarray(0, head.length + bytes.length);
    frame.set(head);
    frame.set(bytes, head.length);
    const view = new DataView(frame.buffer, 0, frame.length);
    this.#length(view, frame.length);
    view.setUint32(transport + 4, (this.#isn[from] + 1 + at) >>> 0);
    view.setUint32(transport + 8, (flags & ACK) === 0 ? 0 : ((this.#isn[1 - from] ?? 0) + 1 + ack) >>> 0);
    view.setUint8(transport + 12, 0x50);
    view.setUint8(transport + 13, flags);
    view.setUint16(transport + 14, 65535);
    view.setUint32(transport + 16, 0);
    const checksum = ~fold(this.#pseudo + (frame.length - transport) + sum(frame, transport, frame.length)) & 0xffff;
    view.setUint16(transport + 16, damaged ? checksum ^ 0x5a5a : checksum);
    return frame;
  }

  datagram({ from, bytes }: Packet): Uint8Array {
    const head = this.#heads[from].subarray(0, this.#heads[from].length - 12);
    const transport = head.length - 8;
    const frame = Frames.#buffer.subarray(0, head.length + bytes.length);
    frame.set(head);
    frame.set(bytes, head.length);
    const view = new DataView(frame.buffer, 0, frame.length);
    this.#length(view, frame.length);
    view.setUint16(transport + 4, 8 + bytes.length);
    view.setUint16(transport + 6, 0);
    return frame;
  }

  #length(view: DataView, length: number): void {
    if (this.#family === 4) view.setUint16(16, length - 14);
    else view.setUint16(18, length - 14 - 40);
  }
}

interface Place {
  readonly address: Uint8Array;
  readonly port: number;
}

/** Ethernet, IP and the ports, with room for the rest of a TCP header. */
function head({ family }: Setup, protocol: number, source: Place, destination: Place): Uint8Array {
  const network = family === 4 ? 20 : 40;
  const bytes = new Uint8Array(14 + network + 20);
  const view = new DataView(bytes.buffer);
  bytes.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
  view.setUint16(12, family === 4 ? 0x0800 : 0x86dd);
  if (family === 4) {
    bytes.set([0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol], 14);
    bytes.set(source.address.subarray(12), 26);
    bytes.set(destination.address.subarray(12), 30);
  } else {
    bytes.set([0x60, 0, 0, 0, 0, 0, protocol, 64], 14);
    bytes.set(source.address, 22);
    bytes.set(destination.address, 38);
  }
  view.setUint16(14 + network, source.port);
  view.setUint16(14 + network + 2, destination.port);
  return bytes;
}

function sum(bytes: Uint8Array, from: number, to: number): number {
  let total = 0;
  for (let at = from; at + 1 < to; at += 2) total += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  return (to - from) % 2 === 0 ? total : total + ((bytes[to - 1] ?? 0) << 8);
}

function fold(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return folded;
}
