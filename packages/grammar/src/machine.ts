// SPDX-License-Identifier: Apache-2.0
import type { PortRange, Protocol } from '@relatd/model';
import type { CompileResult } from './compile.js';
import type { StepKind } from './nfa.js';

/** Bounds that the datapath's tables have; checked against it when a machine is loaded. */
export const MACHINE_LIMITS = {
  /** States times classes, of both directions. */
  transitions: 32768,
  rules: 128,
  phases: 16,
  sections: 8,
  /** Kinds of requests, 1 is `other`. */
  kinds: 15,
  /** Requests that are pending at once. */
  pending: 16,
  /** Fields. */
  registers: 15,
  /** Connections that one message announces. */
  announcements: 2,
  /** Ports of a range. */
  ports: 16,
  /** Bytes of a message that announces; longer ones count as unmatched. */
  message: 512,
} as const;

/** In the register of an IPv6 group: there is none to be put away. */
export const NO_GROUP = 0x10000;

/** Where what is not kept goes. */
export const NO_REGISTER = 15;

/** Why the walk stops behind a byte. */
export type Stop = 'none' | 'message' | 'unmatched' | StepKind;

/** One entry of the table: what a byte of a class does in a state. */
export interface MachineTransition {
  /** Index of the next state's first entry; 0: a message begins. */
  readonly next: number;
  /** The register becomes `register * scale + value of the byte`. */
  readonly register: number;
  readonly scale: number;
  /** The byte itself, and not as a digit. */
  readonly raw: boolean;
  readonly stop: Stop;
  /** The rule of a message, the register of a step. */
  readonly argument: number;
}

/** How an announced address is put together from registers. */
export type AddressKind = 'own' | 'octets' | 'integer' | 'ipv6';

/** What a message announces: see the definition's `announces`. */
export interface MachineAnnouncement {
  readonly protocol: Protocol;
  readonly anyone: boolean;
  readonly addressKind: AddressKind;
  /** The first of four for octets. */
  readonly addressRegister: number;
  /** Null: that of the control connection. */
  readonly portRegister: number | null;
  readonly highRegister: number | null;
  /** The last port of a range. */
  readonly toRegister: number | null;
}

export type MachineAnswer =
  { readonly kind: 'none' } | { readonly kind: 'next' } | { readonly kind: 'take' | 'reach'; readonly request: number };

/** What a message means. Numbers are indices into the machine's names. */
export interface MachineRule {
  readonly name: string;
  readonly direction: 'original' | 'reply';
  /** By phase: the phase from then on; null: the message does not belong there. */
  readonly next: readonly (number | null)[];
  /** Sections in which it counts. */
  readonly within: readonly number[];
  /** Of its direction from then on; null: as before. */
  readonly section: number | null;
  readonly asks: number;
  readonly answers: MachineAnswer;
  /** Bits of kinds; 0: whatever was answered. */
  readonly answering: number;
  readonly withdraws: number;
  readonly opens: number | null;
  readonly closes: number | null;
  readonly inside: boolean;
  readonly clears: readonly number[];
  readonly skip: number | null;
  readonly announces: readonly MachineAnnouncement[];
  readonly verdict: 'none' | 'judge' | 'not-protocol' | 'encrypted';
}

/** A helper's definition in numbers: what the datapath and the interpreter walk. */
export interface Machine {
  readonly helper: string;
  readonly transport: Protocol;
  readonly unmatched: 'judge' | 'give-up' | 'ignore';
  readonly phases: readonly string[];
  /** Bits of phases. */
  readonly recognised: number;
  readonly sections: readonly string[];
  /** `kinds[0]` is none. */
  readonly kinds: readonly string[];
  /** Names of fields; each direction has its own values. */
  readonly registers: readonly string[];
  /** Bits of kinds whose refusal withdraws an announcement. */
  readonly withdrawable: number;
  readonly classes: Uint8Array;
  /** Of the end of a datagram; also how many real classes there are. */
  readonly endClass: number;
  /** `[direction][phase * sections + section]`: the first state's first entry; 0: nothing may come. */
  readonly starts: Readonly<Record<'original' | 'reply', readonly number[]>>;
  readonly transitions: readonly MachineTransition[];
  readonly rules: readonly MachineRule[];
}

/** What a definition says in front of its rules: what assignments need to know. */
export interface HelperDefaults {
  readonly name: string;
  readonly protocol: Protocol;
  /** Its usual port, for messages; nothing is assigned by it. */
  readonly port: number;
  /** Data ports that may be announced when the assignment says nothing. */
  readonly dataPorts: PortRange;
  /** Of the connections that it announces. */
  readonly dataProtocols: readonly Protocol[];
  /** Live expectations per control connection. */
  readonly perMaster: number;
  /** Milliseconds that an expectation lives. */
  readonly expectation: number;
}

/** A helper's definition. */
export interface HelperDefinition extends HelperDefaults {
  readonly title: string;
  readonly documents: readonly string[];
  /** As it was read. */
  readonly text: string;
  /** Makes the tables, the first time; up to half a second for FTP. */
  compile(): CompileResult;
}

/** What came of a definition. */
export interface Compiled {
  readonly machine: Machine;
  /** The patterns as written, by rule, for pictures. */
  readonly patterns: readonly string[];
}
