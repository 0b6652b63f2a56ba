// SPDX-License-Identifier: Apache-2.0
import type { AddressBytes, Protocol } from '@relatd/model';
import {
  MACHINE_LIMITS,
  NO_GROUP,
  NO_REGISTER,
  type Machine,
  type MachineAnnouncement,
  type MachineRule,
  type MachineTransition,
} from './machine.js';

export type MachineDirection = 'original' | 'reply';

/** A connection that a message announces. */
export interface Announced {
  readonly kind: 'announce';
  readonly direction: MachineDirection;
  /** Offsets in the direction's stream; of a datagram, in it. */
  readonly start: number;
  readonly end: number;
  readonly protocol: Protocol;
  readonly anyone: boolean;
  /** Null: the announcer's own. */
  readonly address: AddressBytes | null;
  /** Null: the announcer's own. */
  readonly port: number | null;
}

/** What the walk found. After `judge` and `give-up` nothing follows. */
export type MachineFact =
  | Announced
  | { readonly kind: 'withdraw' }
  | { readonly kind: 'judge' }
  | { readonly kind: 'give-up'; readonly reason: 'not-protocol' | 'encrypted' };

/** One direction: where the walk stands, and what its fields hold. */
interface Side {
  row: number;
  section: number;
  /** 1 + the field that an open reply of several lines is known by; 0: none is open. */
  open: number;
  skip: number;
  offset: number;
  start: number;
  readonly registers: number[];
  readonly groups: number[];
  gap: number | null;
}

const newSide = (): Side => ({
  row: 0,
  section: 0,
  open: 0,
  skip: 0,
  offset: 0,
  start: 0,
  registers: Array<number>(NO_REGISTER + 1).fill(0),
  groups: [],
  gap: null,
});

/**
 * Walks a machine as the datapath does (bpf/lib/machine.h), on the bytes of both directions in stream order. The two are kept
 * alike by the differential tests.
 */
export class Interpreter {
  readonly #machine: Machine;
  readonly #sides: Readonly<Record<MachineDirection, Side>> = { original: newSide(), reply: newSide() };
  #phase = 0;
  readonly #pending: number[] = [];
  #answered = 0;
  #over = false;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Whether the dialogue was found to be the helper's protocol. */
  get recognised(): boolean {
    return (this.#machine.recognised & (1 << this.#phase)) !== 0;
  }

  /** Takes the next bytes of a direction; over UDP, a whole datagram. */
  feed(direction: MachineDirection, bytes: Uint8Array): MachineFact[] {
    const facts: MachineFact[] = [];
    if (this.#isOver()) return facts;
    const side = this.#sides[direction];
    const datagram = this.#machine.transport === 'udp';
    if (datagram) Object.assign(side, { row: 0, offset: 0 });
    for (let at = 0; at < bytes.length && !this.#isOver();) {
      if (side.skip > 0) {
        const skipped = Math.min(side.skip, bytes.length - at);
        side.skip -= skipped;
        side.offset += skipped;
        at += skipped;
        continue;
      }
      const byte = bytes[at++] ?? 0;
      side.offset++;
      this.#step(direction, side, this.#machine.classes[byte] ?? 0, byte, facts);
    }
    if (datagram && !this.#isOver()) this.#step(direction, side, this.#machine.endClass, 0, facts);
    return facts;
  }

  /** Bytes of this direction went past unseen: it goes on as at the beginning of a message. */
  resync(direction: MachineDirection): void {
    const side = this.#sides[direction];
    Object.assign(side, { row: 0, section: 0, open: 0, skip: 0 });
    this.#pending.length = 0;
    if (!this.recognised) this.#over = true;
  }

  /** A method, because TypeScript would not believe that calls in between can change it. */
  #isOver(): boolean {
    return this.#over;
  }

  #step(direction: MachineDirection, side: Side, classOf: number, byte: number, facts: MachineFact[]): void {
    const machine = this.#machine;
    if (side.row === 0) {
      side.row = machine.starts[direction][this.#phase * machine.sections.length + side.section] ?? 0;
      side.start = side.offset - (classOf === machine.endClass ? 0 : 1);
    }
    const transition = machine.transitions[side.row + classOf];
    if (transition === undefined) throw new RangeError('outside the tables');
    side.row = transition.next;
    write(side, transition, byte);
    switch (transition.stop) {
      case 'none':
        return;
      case 'ipv6-begin':
        side.groups.length = 0;
        side.gap = null;
        if (transition.register === NO_REGISTER) side.registers[transition.argument] = NO_GROUP;
        return;
      case 'ipv6-group':
        putGroup(side, transition.argument);
        return;
      case 'ipv6-gap':
        side.gap = side.groups.length;
        return;
      case 'unmatched':
        this.#unmatched(facts);
        return;
      case 'message':
        this.#message(direction, side, transition.argument, facts);
    }
  }

  #unmatched(facts: MachineFact[]): void {
    const { unmatched } = this.#machine;
    if (unmatched === 'ignore') return;
    this.#end(unmatched === 'judge' ? { kind: 'judge' } : { kind: 'give-up', reason: 'not-protocol' }, facts);
  }

  #end(fact: MachineFact, facts: MachineFact[]): void {
    this.#over = true;
    facts.push(fact);
  }

  #message(direction: MachineDirection, side: Side, number: number, facts: MachineFact[]): void {
    const rule = this.#machine.rules[number];
    const next = rule?.next[this.#phase] ?? null;
    if (rule === undefined || next === null || (rule.inside && side.open === 0)) {
      this.#unmatched(facts);
      return;
    }
    if (this.#isText(rule, side)) return;
    if (rule.verdict === 'judge') {
      this.#unmatched(facts);
      return;
    }
    if (rule.answering !== 0 && (rule.answering & (1 << this.#answered)) === 0) return;
    if (!this.#answer(rule)) {
      this.#unmatched(facts);
      return;
    }
    if (rule.verdict !== 'none') {
      this.#end({ kind: 'give-up', reason: rule.verdict }, facts);
      return;
    }
    if (rule.withdraws !== 0 && rule.withdraws === this.#answered) facts.push({ kind: 'withdraw' });
    if (rule.announces.length > 0 && !this.#announce(direction, side, rule, facts)) {
      this.#unmatched(facts);
      return;
    }
    if (rule.asks !== 0) {
      if (this.#pending.length === MACHINE_LIMITS.pending) {
        this.#unmatched(facts);
        return;
      }
      this.#pending.push(rule.asks);
    }
    if (rule.skip !== null) side.skip = side.registers[rule.skip] ?? 0;
    for (const register of rule.clears) side.registers[register] = 0;
    if (rule.section !== null) side.section = rule.section;
    this.#phase = next;
  }

  /** Whether this is a line of a reply of several lines, which means nothing. */
  #isText({ opens, closes }: MachineRule, side: Side): boolean {
    if (closes !== null && side.open !== 0) {
      if (side.registers[closes] !== side.open - 1) return true;
      side.open = 0;
    }
    if (opens !== null) {
      if (side.open === 0) side.open = (side.registers[opens] ?? 0) + 1;
      return true;
    }
    return false;
  }

  #answer({ answers }: MachineRule): boolean {
    if (answers.kind === 'none') return true;
    const at = answers.kind === 'next' ? (this.#pending.length > 0 ? 0 : -1) : this.#pending.indexOf(answers.request);
    if (answers.kind === 'reach') {
      if (at > 0) this.#pending.splice(0, at);
      return true;
    }
    if (at < 0) return false;
    this.#answered = this.#pending[at] ?? 0;
    this.#pending.splice(0, at + 1);
    return true;
  }

  #announce(direction: MachineDirection, side: Side, rule: MachineRule, facts: MachineFact[]): boolean {
    const { start, offset: end } = side;
    if (end - start > MACHINE_LIMITS.message) return false;
    const found: Announced[] = [];
    for (const announcement of rule.announces) {
      const address = addressOf(announcement, side);
      const ports = portsOf(announcement, side);
      if (address === undefined || ports === undefined) return false;
      const { protocol, anyone } = announcement;
      for (const port of ports)
        found.push({ kind: 'announce', direction, start, end, protocol, anyone, address, port });
    }
    // What was announced before is over as far as its refusal goes.
    for (const [at, kind] of this.#pending.entries())
      if ((this.#machine.withdrawable & (1 << kind)) !== 0) this.#pending[at] = 1;
    facts.push(...found);
    return true;
  }
}

function write(side: Side, { register, scale, raw }: MachineTransition, byte: number): void {
  const value = raw ? byte : (byte & 0x0f) + 9 * (byte >> 6);
  side.registers[register] = (side.registers[register] ?? 0) * scale + value;
}

function portsOf(
  { portRegister, highRegister, toRegister }: MachineAnnouncement,
  side: Side,
): (number | null)[] | undefined {
  if (portRegister === null) return [null];
  const high = highRegister === null ? 0 : (side.registers[highRegister] ?? 0);
  const first = high * 256 + (side.registers[portRegister] ?? 0);
  const last = toRegister === null ? first : (side.registers[toRegister] ?? 0);
  if (first < 1 || last > 65535 || last < first || last - first >= MACHINE_LIMITS.ports) return undefined;
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** Undefined: no address after all. */
function addressOf({ addressKind, addressRegister }: MachineAnnouncement, side: Side): AddressBytes | null | undefined {
  const mapped = new Uint8Array(16);
  mapped.fill(0xff, 10, 12);
  const register = (index: number): number => side.registers[addressRegister + index] ?? 0;
  switch (addressKind) {
    case 'own':
      return null;
    case 'octets':
      mapped.set([register(0), register(1), register(2), register(3)], 12);
      return mapped;
    case 'integer':
      new DataView(mapped.buffer).setUint32(12, Number(register(0).toString(16)));
      return mapped;
    case 'ipv6':
      return ipv6Of(side, addressRegister);
  }
}

/** The group that a register holds joins those that were read before. */
function putGroup(side: Side, register: number): void {
  const group = side.registers[register] ?? NO_GROUP;
  if (group !== NO_GROUP) side.groups.push(group);
  side.registers[register] = NO_GROUP;
}

function ipv6Of(side: Side, register: number): AddressBytes | undefined {
  putGroup(side, register);
  const { groups, gap } = side;
  const missing = 8 - groups.length;
  if (missing < 0 || (gap === null) !== (missing === 0)) return undefined;
  const at = gap ?? 8;
  const all = [...groups.slice(0, at), ...Array<number>(missing).fill(0), ...groups.slice(at)];
  // An IPv4 address in IPv6 text is not for the tables to judge.
  if (all.slice(0, 5).every((group) => group === 0) && all[5] === 0xffff) return undefined;
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
