// SPDX-License-Identifier: Apache-2.0
import { formatMilliseconds } from '@relatd/model';
import type { Compiled, HelperDefinition, Machine, MachineAnnouncement, MachineRule } from './machine.js';

/** A picture of a helper for people: its phases, what leads from one to another, what each message announces. */
export function describeHelper(definition: HelperDefinition, { machine, patterns }: Compiled): string {
  const { name, title, documents, protocol, port, perMaster, expectation, dataPorts } = definition;
  const lines = [
    `${name}: ${title} (${documents.join(', ')})`,
    `${protocol}, usually port ${String(port)}; at most ${String(perMaster)} live expectation${perMaster === 1 ? '' : 's'} per control connection, ${formatMilliseconds(expectation)} each; data ports ${String(dataPorts.from)}-${String(dataPorts.to)}`,
    `what no rule fits: ${UNMATCHED[machine.unmatched]}`,
    `tables: ${String(machine.transitions.length)} entries, ${String(machine.transitions.length / (machine.endClass + 1) - 1)} states, ${String(machine.endClass)} classes of bytes, ${String(machine.registers.length)} fields`,
  ];
  for (const [phase, title] of machine.phases.entries()) {
    const known = (machine.recognised & (1 << phase)) === 0 ? '' : ' (recognised)';
    lines.push('', `${phase === 0 ? 'begins in phase' : 'phase'} ${title}${known}`);
    for (const direction of ['original', 'reply'] as const) {
      for (const [index, rule] of machine.rules.entries()) {
        if (rule.direction !== direction || (rule.next[phase] ?? null) === null) continue;
        lines.push(
          `  ${direction === 'original' ? 'client' : 'server'}  ${rule.name}: ${meaning(machine, rule, phase)}`,
        );
        lines.push(`          ${patterns[index] === '' ? '(an empty line)' : (patterns[index] ?? '')}`);
      }
    }
  }
  return lines.join('\n');
}

const UNMATCHED: Readonly<Record<Machine['unmatched'], string>> = {
  judge: 'goes to the parser in user space, and so does the rest of the connection',
  'give-up': 'is not this protocol; the connection is not looked at again',
  ignore: 'means nothing',
};

function meaning(machine: Machine, rule: MachineRule, phase: number): string {
  const kind = (number: number): string => machine.kinds[number] ?? '';
  const words: string[] = [];
  const { answers } = rule;
  if (rule.within.length < machine.sections.length && machine.sections.length > 1)
    words.push(`in ${rule.within.map((section) => machine.sections[section] ?? '').join(', ')}`);
  if (rule.inside) words.push('only inside a reply of several lines');
  if (rule.opens !== null) words.push('begins a reply of several lines');
  if (rule.closes !== null) words.push('ends a reply of several lines, if one is open');
  if (answers.kind === 'next') words.push('answers the next request');
  if (answers.kind === 'take') words.push(`answers ${kind(answers.request)}`);
  if (answers.kind === 'reach') words.push(`requests before ${kind(answers.request)} are answered`);
  if (rule.answering !== 0)
    words.push(
      `in answer to ${machine.kinds.filter((_, number) => (rule.answering & (1 << number)) !== 0).join(' or ')}`,
    );
  if (rule.withdraws !== 0) words.push(`withdraws what ${kind(rule.withdraws)} announced`);
  for (const announcement of rule.announces) words.push(`ANNOUNCES ${announced(machine, rule, announcement)}`);
  if (rule.asks !== 0) words.push(`asks (${kind(rule.asks)})`);
  if (rule.section !== null) words.push(`enters ${machine.sections[rule.section] ?? ''}`);
  if (rule.skip !== null) words.push(`skips <${machine.registers[rule.skip] ?? ''}> bytes`);
  if (rule.verdict === 'judge') words.push('left to the parser in user space');
  if (rule.verdict === 'encrypted') words.push('encryption begins');
  if (rule.verdict === 'not-protocol') words.push('is not this protocol');
  const next = rule.next[phase] ?? phase;
  if (next !== phase) words.push(`=> ${machine.phases[next] ?? ''}`);
  return words.length === 0 ? 'nothing' : words.join('; ');
}

function announced({ registers }: Machine, rule: MachineRule, announcement: MachineAnnouncement): string {
  const { addressKind, addressRegister, portRegister, highRegister, toRegister, protocol, anyone } = announcement;
  const field = (register: number | null): string => `<${registers[register ?? 0] ?? ''}>`;
  const announcer = rule.direction === 'original' ? 'client' : 'server';
  const peer = rule.direction === 'original' ? 'server' : 'client';
  const address =
    addressKind === 'own' ? `the ${announcer}` : `the ${announcer} at ${field(addressRegister).replace('.0', '')}`;
  const low = field(portRegister);
  const high = highRegister === null ? low : `${field(highRegister)} * 256 + ${low}`;
  const port =
    portRegister === null ? 'its own port' : `port ${high}${toRegister === null ? '' : ` to ${field(toRegister)}`}`;
  return `${protocol} from ${anyone ? 'anyone' : `the ${peer}`} to ${address}, ${port}`;
}
