// SPDX-License-Identifier: Apache-2.0
import { formatDuration, formatPath, formatPorts, formatPrefix, prefixCovers, parseAddress } from '@relatd/model';
import type {
  ControlEvidence,
  End,
  Evidence,
  ExpectationEvidence,
  RefusalEvidence,
  RelatedEvidence,
  Said,
  Span,
  SynEvidence,
  Time,
  UntrackedEvidence,
} from './evidence.js';
import type { Subject } from './subject.js';
import { endpointFits, isBetween, sameConnection } from './subject.js';
import { controlWords, countWords, openerWord, patternWords, purposeWords, reasonWords, spanWords } from './words.js';

/** Something that was seen; null: not of one moment. */
export interface Fact {
  readonly time: Time | null;
  readonly text: string;
}

/** How long before an expectation its announcement may have been seen, milliseconds. */
const ANNOUNCED_WITHIN = 2000;

export function synFacts(syn: SynEvidence): Fact[] {
  const facts: Fact[] = [
    {
      time: syn.time,
      text: syn.fromHere
        ? `its SYN was first seen going out by ${syn.interface}: opened on this host, changed by NAT, or come in by an interface that is not watched`
        : `its SYN came in by ${syn.interface}`,
    },
  ];
  if (syn.count > 1)
    facts.push({
      time: syn.last,
      text: `its SYN came again: ${countWords(syn.count - 1, 'time', 'times')}, this was the last`,
    });
  if (!syn.fromHere)
    facts.push({
      time: null,
      text: syn.left
        ? 'its SYN went on: it was seen to leave this host'
        : 'its SYN was not seen to leave this host: it was for this host, changed by NAT, or dropped here',
    });
  return facts;
}

export function controlFacts(control: ControlEvidence): Fact[] {
  const facts: Fact[] = [{ time: control.began, text: `control connection ${controlWords(control)} began` }];
  if (control.distrusted !== null) {
    const { time, reason } = control.distrusted;
    facts.push({ time, text: `#${control.id} is no longer parsed (${reason}): ${reasonWords(reason)}` });
  }
  if (control.ended !== null)
    facts.push({ time: control.ended.time, text: `#${control.id} ended${because(control.ended)}` });
  return facts;
}

/** ` (fin)`; nothing where it is not known. */
const because = ({ reason }: End): string => (reason === 'none' ? '' : ` (${reason})`);

/** What announced an expectation or was refused; undefined: it is not known. */
export function saidFor(
  { master, destination }: Pick<ExpectationEvidence, 'master' | 'destination'>,
  time: Time,
  evidence: Evidence,
): Said | undefined {
  return evidence
    .said(master)
    .filter(
      (one) =>
        one.kind === 'announce' &&
        one.destination !== null &&
        endpointFits(one.destination, destination) &&
        Math.abs(one.time - time) < ANNOUNCED_WITHIN,
    )
    .toSorted((a, b) => Math.abs(a.time - time) - Math.abs(b.time - time))[0];
}

export function saidFact(said: Said, master: string): Fact {
  const who = said.direction === 'original' ? 'client' : 'server';
  const what = said.line === '' ? 'announced it' : `said "${said.line}"`;
  const purpose = purposeWords(said.detail);
  return { time: said.time, text: `the ${who} of #${master} ${what}${purpose === '' ? '' : ` (for ${purpose})`}` };
}

export function expectationFacts(expectation: ExpectationEvidence, evidence: Evidence): Fact[] {
  const { created, deadline, ended, master, givenBack } = expectation;
  const said = saidFor(expectation, created, evidence);
  const again = givenBack ? ' again, because the connection that matched it did not come about' : '';
  const until = deadline === null ? '' : `, for ${spanWords(deadline - created)}`;
  const facts: Fact[] = [
    { time: created, text: `${patternWords(expectation)} was expected for #${master}${again}${until}` },
  ];
  // The announcement is read in the same packet: it stands in front.
  if (said !== undefined) facts.unshift({ ...saidFact(said, master), time: Math.min(said.time, created) });
  if (ended !== null)
    facts.push({ time: Math.min(ended.time, deadline ?? Infinity), text: endText(expectation, ended, evidence) });
  return facts;
}

function endText({ usedBy }: ExpectationEvidence, { reason }: End, evidence: Evidence): string {
  const user = evidence.related.find(({ id }) => id === usedBy);
  if (user !== undefined) return `it was used by #${user.id}, ${formatPath(user)}`;
  return `it ended (${reason}): ${reasonWords(reason)}`;
}

export function refusalFacts(refusal: RefusalEvidence, evidence: Evidence): Fact[] {
  const said = saidFor(refusal, refusal.time, evidence);
  const what = refusal.destination.port === null ? 'an announcement' : patternWords(refusal);
  const facts: Fact[] = [
    {
      time: refusal.time,
      text: `${what} was refused for #${refusal.master} (${refusal.reason}): ${reasonWords(refusal.reason)}`,
    },
  ];
  if (said !== undefined) facts.unshift({ ...saidFact(said, refusal.master), time: Math.min(said.time, refusal.time) });
  return facts;
}

/** What the assignment of a refused announcement admits, where that is the point. */
export function policyFacts({ reason, assignment }: RefusalEvidence, evidence: Evidence): Fact[] {
  const configured = evidence.assignments.find(({ name }) => name === assignment);
  if (configured === undefined || configured.data === null) return [];
  if (reason === 'port-range')
    return [{ time: null, text: `${assignment} admits data ports ${formatPorts(configured.data.ports)} (data.ports)` }];
  if (reason === 'address')
    return [{ time: null, text: `${assignment} has data.third-party: ${String(configured.data.thirdParty)}` }];
  return [];
}

export function relatedFacts(related: RelatedEvidence, protocol: Subject['protocol']): Fact[] {
  const facts: Fact[] = [
    {
      time: related.began,
      text: `its ${openerWord(protocol)} matched the expectation: flow #${related.id} of ${related.assignment}, mark ${related.mark}, first seen at ${related.interface}`,
    },
  ];
  if (related.ended !== null)
    facts.push({
      time: related.ended.time,
      text: `#${related.id} ended${because(related.ended)} after ${spanWords(related.ended.time - related.began)}`,
    });
  return facts;
}

export function untrackedFacts({ time, why, reason, interface: by, ...untracked }: UntrackedEvidence): Fact[] {
  const where = by === null ? '' : ` by ${by}`;
  const seen = { time, text: `a connection ${formatPath(untracked)} was seen${where}: no control connection` };
  if (why !== 'limit') return [seen];
  return [seen, { time, text: `it was not tracked (${reason}): ${reasonWords(reason)}` }];
}

/**
 * For each assignment of the port what of it does not fit a connection, as sentences. Empty: one of them fits. The interface is not
 * compared where it is not known.
 */
export function misfits(
  {
    protocol,
    source,
    destination,
    interface: by,
  }: Pick<UntrackedEvidence, 'protocol' | 'source' | 'destination' | 'interface'>,
  evidence: Evidence,
): string[] {
  const sentences: string[] = [];
  for (const assignment of evidence.assignments) {
    if (assignment.protocol !== protocol || assignment.port !== destination.port) continue;
    const parts: string[] = [];
    const from = parseAddress(source.address);
    const to = parseAddress(destination.address);
    const covers = (prefixes: typeof assignment.from, bytes: Uint8Array | null): boolean =>
      bytes !== null && prefixes.some((prefix) => prefixCovers(prefix, bytes));
    if (assignment.interface !== null && by !== null && assignment.interface !== by)
      parts.push(`interface ${assignment.interface}, and this one came by ${by}`);
    if (!covers(assignment.from, from))
      parts.push(
        `connections from ${assignment.from.map(formatPrefix).join(', ')}, and this one came from ${source.address}`,
      );
    if (!covers(assignment.to, to))
      parts.push(
        `connections to ${assignment.to.map(formatPrefix).join(', ')}, and this one went to ${destination.address}`,
      );
    if (parts.length === 0) return [];
    sentences.push(`assignment ${assignment.name} is only for ${parts.join(', and only for ')}`);
  }
  return sentences;
}

/** When no daemon ran and when events were lost, as far as it may have mattered. */
export function gapFacts(evidence: Evidence, around: Time | null): Fact[] {
  const near = ({ from, to }: Span): boolean =>
    around === null || ((from ?? -Infinity) <= around + 1000 && to >= around - 60_000);
  const facts: Fact[] = [];
  for (const span of evidence.away.filter(near)) {
    facts.push({
      time: span.from,
      text: span.from === null ? 'when the daemon before went away is not known' : 'about then the daemon went away',
    });
    facts.push({ time: span.to, text: 'the daemon ran again' });
  }
  for (const { from, to, count } of evidence.lost.filter(near))
    facts.push({
      time: to,
      text: `${countWords(count, 'event was', 'events were')} lost${from === null ? '' : ` within ${formatDuration((to - from) / 1000)}`}`,
    });
  return facts;
}

/** What a guard did, or does, to such a connection. */
export function guardFacts({ source, destination, protocol }: Subject, evidence: Evidence): Fact[] {
  const dropped = evidence.guarded
    .filter((one) => source !== null && one.source.address === source.address && one.source.port === source.port)
    .filter((one) => one.destination.address === destination.address && one.destination.port === destination.port)
    .map(({ time }) => ({ time, text: 'a guard dropped its SYN' }));
  if (dropped.length > 0 || protocol !== 'tcp') return dropped;
  const bytes = parseAddress(destination.address);
  const { port } = destination;
  return evidence.guards
    .filter(
      ({ to, ports }) =>
        bytes !== null && port !== null && prefixCovers(to, bytes) && port >= ports.from && port <= ports.to,
    )
    .map(({ to, ports }) => ({
      time: null,
      text: `a guard covers ${formatPrefix(to)} ports ${formatPorts(ports)}: what is not RELATED is dropped there`,
    }));
}

/** SYNs between the same two to a port that an assignment names: attempts at a control connection. */
export function attemptFacts({ source, destination }: Subject, evidence: Evidence): Fact[] {
  if (source === null) return [];
  return evidence.syns
    .filter((syn) => isBetween(syn, source.address, destination.address))
    .filter((syn) =>
      evidence.assignments.some(({ protocol, port }) => protocol === 'tcp' && port === syn.destination.port),
    )
    .filter(
      (syn) =>
        !evidence.controls.some((control) => sameConnection(control, syn)) &&
        !evidence.untracked.some((one) => sameConnection(one, syn)),
    )
    .slice(-3)
    .map((syn) => ({ time: syn.time, text: `a SYN ${formatPath(syn)}: its handshake was not completed here` }));
}
