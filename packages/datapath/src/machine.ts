// SPDX-License-Identifier: Apache-2.0
import {
  NO_REGISTER,
  type MACHINE_LIMITS,
  type Machine,
  type MachineAnnouncement,
  type MachineRule,
} from '@relatd/grammar';
import { REASONS } from '@relatd/model';
import {
  AddressKind,
  Answer,
  Limit,
  MACHINE_AT,
  MACHINE_SIZE,
  RULE_SIZE,
  RuleFlag,
  Stop,
  TRANSITION_SIZE,
  Unmatched,
  writeRule,
  zeroAnnouncement,
  zeroRule,
  type AnnouncementRecord,
  type RuleRecord,
} from './generated/layout.js';

/** The grammar and the datapath were made for each other: their bounds are the same. A test compares them. */
export const DATAPATH_LIMITS: typeof MACHINE_LIMITS = {
  transitions: Limit.transitions,
  rules: Limit.rules,
  phases: Limit.phases,
  sections: Limit.sections,
  kinds: 15,
  pending: Limit.pending,
  registers: Limit.registers,
  announcements: Limit.announcements,
  ports: Limit.range,
  message: Limit.message,
};

const STOPS = {
  none: Stop.none,
  message: Stop.message,
  unmatched: Stop.unmatched,
  'ipv6-begin': Stop.ip6Begin,
  'ipv6-group': Stop.ip6Group,
  'ipv6-gap': Stop.ip6Gap,
} as const;
const ADDRESSES = {
  own: AddressKind.own,
  octets: AddressKind.octets,
  integer: AddressKind.integer,
  ipv6: AddressKind.ip6,
} as const;
const UNMATCHED = { judge: Unmatched.judge, 'give-up': Unmatched.giveUp, ignore: Unmatched.ignore } as const;
const ANSWERS = { none: Answer.none, next: Answer.next, take: Answer.take, reach: Answer.reach } as const;

const bits = (numbers: readonly number[]): number => numbers.reduce((all, number) => all | (1 << number), 0);

/** A machine as `struct machine` of bpf/lib/types.h. */
export function machineBytes(machine: Machine): Uint8Array {
  const bytes = new Uint8Array(MACHINE_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint16(MACHINE_AT.recognised, machine.recognised, true);
  view.setUint16(MACHINE_AT.withdrawable, machine.withdrawable, true);
  view.setUint8(MACHINE_AT.unmatched, UNMATCHED[machine.unmatched]);
  view.setUint8(MACHINE_AT.endClass, machine.endClass);
  view.setUint8(MACHINE_AT.sections, machine.sections.length);
  bytes.set(machine.classes, MACHINE_AT.classOf);
  for (const [half, direction] of (['original', 'reply'] as const).entries()) {
    const first = half * Limit.phases * Limit.sections;
    for (const [index, start] of machine.starts[direction].entries())
      view.setUint16(MACHINE_AT.start + 2 * (first + index), start, true);
  }
  for (const [index, rule] of machine.rules.entries())
    writeRule(view, MACHINE_AT.rule + index * RULE_SIZE, ruleRecord(rule));
  let at: number = MACHINE_AT.transition;
  for (const { next, scale, register, raw, stop, argument } of machine.transitions) {
    view.setUint16(at, next, true);
    view.setUint16(at + 2, scale, true);
    view.setUint8(at + 4, register);
    view.setUint8(at + 5, raw ? 255 : 0);
    view.setUint8(at + 6, STOPS[stop]);
    view.setUint8(at + 7, argument);
    at += TRANSITION_SIZE;
  }
  return bytes;
}

function ruleRecord(rule: MachineRule): RuleRecord {
  const { answers, verdict, opens, closes } = rule;
  const next = new Uint8Array(Limit.phases).fill(Limit.stays);
  for (const [phase, to] of rule.next.entries()) next[phase] = to ?? Limit.stays;
  return {
    ...zeroRule(),
    next,
    flags:
      (rule.inside ? RuleFlag.inside : 0) |
      (opens === null ? 0 : RuleFlag.opens) |
      (closes === null ? 0 : RuleFlag.closes) |
      (verdict === 'judge' ? RuleFlag.judge : 0),
    bracket: opens ?? closes ?? 0,
    section: rule.section ?? Limit.stays,
    asks: rule.asks,
    answer: ANSWERS[answers.kind],
    answerKind: 'request' in answers ? answers.request : 0,
    withdraws: rule.withdraws,
    skip: rule.skip ?? NO_REGISTER,
    answering: rule.answering,
    clears: bits(rule.clears),
    giveUp: verdict === 'encrypted' || verdict === 'not-protocol' ? REASONS.indexOf(verdict) : 0,
    announcements: rule.announces.length,
    announce: rule.announces.map(announcementRecord),
  };
}

function announcementRecord(announcement: MachineAnnouncement): AnnouncementRecord {
  return {
    ...zeroAnnouncement(),
    protocol: announcement.protocol === 'tcp' ? 6 : 17,
    anyone: announcement.anyone ? 1 : 0,
    addressKind: ADDRESSES[announcement.addressKind],
    address: announcement.addressRegister,
    port: announcement.portRegister ?? NO_REGISTER,
    high: announcement.highRegister ?? NO_REGISTER,
    to: announcement.toRegister ?? NO_REGISTER,
  };
}
