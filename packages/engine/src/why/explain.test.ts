// SPDX-License-Identifier: Apache-2.0
import { REASONS, WHY_ANSWERS, parseEndpoint, type Endpoint, type Explanation, type WhyQuestion } from '@relatd/model';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { configOf } from '../testing.js';
import type {
  ControlEvidence,
  Evidence,
  ExpectationEvidence,
  RefusalEvidence,
  RelatedEvidence,
  Said,
  StoppedEvidence,
  SynEvidence,
  UntrackedEvidence,
} from './evidence.js';
import { explain } from './explain.js';

/** The moment of the SYN. */
const T = Date.parse('2026-11-22T12:00:00Z');
const S = 1000;

const end = (text: string): Endpoint => {
  const found = parseEndpoint(text);
  if (found === null) throw new Error(text);
  return found;
};
const withPort = (text: string): Endpoint & { port: number } => ({ ...end(text), port: end(text).port ?? 0 });

const client = '10.0.1.2';
const server = '10.0.2.2';
const from = `${client}:45678`;
const to = `${server}:40001`;
const path = (source: string, destination: string) => ({
  ...{ protocol: 'tcp' as const, zone: 0 },
  ...{ source: end(source), destination: end(destination) },
});

const syn = (more: Partial<SynEvidence> = {}): SynEvidence => ({
  ...path(from, to),
  ...{ time: T, last: T, count: 1, seq: 7, interface: 'eth0', fromHere: false, left: false },
  ...more,
});
const control = (more: Partial<ControlEvidence> = {}): ControlEvidence => ({
  ...path(`${client}:30000`, `${server}:21`),
  ...{ id: '1', assignment: 'ftp', began: T - 10 * S, ended: null, distrusted: null, interface: 'eth0' },
  ...more,
});
const expectation = (more: Partial<ExpectationEvidence> = {}): ExpectationEvidence => ({
  ...{ id: '2', master: '1', assignment: 'ftp', protocol: 'tcp', zone: 0 },
  source: { address: client, port: null },
  destination: end(to),
  ...{ created: T - 2 * S, deadline: T + 298 * S, ended: null, usedBy: null, givenBack: false },
  ...more,
});
const refusal = (more: Partial<RefusalEvidence> = {}): RefusalEvidence => ({
  ...{ time: T - S, reason: 'port-range', master: '1', assignment: 'ftp', protocol: 'tcp', zone: 0 },
  source: { address: client, port: null },
  destination: end(to),
  ...more,
});
const related = (more: Partial<RelatedEvidence> = {}): RelatedEvidence => ({
  ...path(from, to),
  ...{ id: '3', master: '1', expectation: '2', assignment: 'ftp', began: T, ended: null, mark: '0x52000000' },
  ...{ interface: 'eth0', isn: 7, detail: null },
  ...more,
});
const untracked = (more: Partial<UntrackedEvidence> = {}): UntrackedEvidence => ({
  ...path(`${client}:30000`, `${server}:21`),
  ...{ time: T - 5 * S, last: T - S, why: 'not-covered', reason: 'none', interface: 'eth0' },
  ...more,
});
const stopped = (more: Partial<StoppedEvidence> = {}): StoppedEvidence => ({
  ...path(from, to),
  ...{ time: T, reason: 'flows-full' },
  ...more,
});
const announcement = (more: Partial<Said> = {}): Said => ({
  ...{ time: T - 2 * S, kind: 'announce', direction: 'reply', line: '227 Entering Passive Mode', unjudged: false },
  ...{ destination: end(to), reason: null, detail: { user: 'alice', command: 'RETR', argument: 'big.iso' } },
  ...more,
});

const config = configOf('assignments: [{ helper: ftp, port: 21 }]');

const evidence = (more: Partial<Evidence> = {}): Evidence => ({
  ...{ now: T + 60 * S, started: T - 100 * S, loaded: T - 100 * S, since: T - 100 * S, away: [], lost: [] },
  ...{ watched: ['eth0', 'eth1'], assignments: config.assignments, guards: config.guard },
  ...{ controls: [control()], expectations: [], refusals: [], related: [], syns: [syn()], untracked: [] },
  ...{ guarded: [], full: [] },
  said: () => [],
  ...more,
});

const assigned = (...lines: string[]): Evidence['assignments'] =>
  configOf(`assignments:\n  - helper: ftp\n    port: 21\n${lines.map((line) => `    ${line}\n`).join('')}`).assignments;

const given = new Set<string>();
const ask = (more: Partial<Evidence>, question: Partial<WhyQuestion> = {}): Explanation => {
  const explanation = explain(
    { source: end(from), destination: withPort(to), zone: null, at: null, ...question },
    evidence(more),
  );
  given.add(explanation.answer);
  return explanation;
};
const texts = ({ facts }: Explanation): string[] => facts.map(({ text }) => text);

describe('explain', () => {
  afterAll(() => {
    // Each answer that there is was given at least once.
    expect(WHY_ANSWERS.filter((answer) => !given.has(answer))).toEqual([]);
  });

  it('related: by which control connection, for what, announced when', () => {
    const known = {
      related: [related()],
      expectations: [expectation({ usedBy: '3', ended: { time: T, reason: 'matched' } })],
    };
    const explanation = ask({ ...known, said: () => [announcement()], syns: [syn({ left: true })] });
    expect(explanation).toEqual({
      ...{ source: end(from), destination: end(to), related: true, answer: 'related' },
      sentence:
        'RELATED: it was expected for control connection #1, 10.0.1.2:30000 > 10.0.2.2:21 (ftp), for alice RETR big.iso, announced 2.0 s before its SYN; assignment ftp, mark 0x52000000.',
      facts: [
        { time: '2026-11-22T11:59:50.000Z', text: 'control connection #1, 10.0.1.2:30000 > 10.0.2.2:21 (ftp) began' },
        {
          time: '2026-11-22T11:59:58.000Z',
          text: 'the server of #1 said "227 Entering Passive Mode" (for alice RETR big.iso)',
        },
        {
          time: '2026-11-22T11:59:58.000Z',
          text: '10.0.1.2:* > 10.0.2.2:40001 was expected for #1, for 5 min',
        },
        { time: '2026-11-22T12:00:00.000Z', text: 'its SYN came in by eth0' },
        {
          time: '2026-11-22T12:00:00.000Z',
          text: 'its SYN matched the expectation: flow #3 of ftp, mark 0x52000000, first seen at eth0',
        },
        { time: null, text: 'its SYN went on: it was seen to leave this host' },
      ],
      historySince: '2026-11-22T11:58:20.000Z',
    });
  });

  it('related: also where a retransmission matched what came later than the first SYN, and where the beginning is forgotten', () => {
    const late = ask({
      related: [related({ began: T + S })],
      expectations: [expectation({ created: T + 500 })],
      syns: [syn({ count: 2, last: T + S })],
    });
    expect(late.answer).toBe('related');
    expect(texts(late)).toContain(
      'that SYN came before the announcement and passed unmarked; a retransmission of it matched',
    );
    expect(ask({ related: [related()], controls: [], syns: [] }).sentence).toBe(
      'RELATED: it was expected for control connection #1, what announced it is not in the history; assignment ftp, mark 0x52000000.',
    );
  });

  it('control: read or not', () => {
    const question = { source: end(`${client}:30000`), destination: withPort(`${server}:21`) };
    expect(ask({}, question).sentence).toBe(
      'Not RELATED: it is itself a control connection, of assignment ftp; relatd reads it.',
    );
    const distrusted = { time: T, reason: 'gap' as const };
    expect(ask({ controls: [control({ distrusted })] }, question).sentence).toMatch(
      /; relatd no longer reads it \(gap\): /,
    );
    const ended = { time: T, reason: 'fin' as const };
    expect(ask({ controls: [control({ ended })] }, question).sentence).toMatch(/; it has ended \(fin\)\.$/);
  });

  it.each<[string, Partial<Evidence>, Explanation['answer'], RegExp]>([
    [
      'refused',
      { refusals: [refusal()] },
      'refused',
      /refused 1\.0 s before its SYN \(port-range\): the announced port is outside/,
    ],
    ['clash', { refusals: [refusal({ reason: 'clash' })] }, 'refused', /\(clash\)/],
    ['nat', { refusals: [refusal({ reason: 'nat' })] }, 'refused', /\(nat\): NAT stands between/],
    [
      'not readable',
      { refusals: [refusal({ reason: 'bad-octet', destination: { address: server, port: null } })] },
      'refused',
      /\(bad-octet\): /,
    ],
    [
      'expired',
      { expectations: [expectation({ deadline: T - S })] },
      'expired',
      /expired 1\.0 s before its SYN; it was announced 2\.0 s before its SYN by control/,
    ],
    [
      'expired, swept later',
      { expectations: [expectation({ deadline: T - S, ended: { time: T + 2 * S, reason: 'expired' } })] },
      'expired',
      /expired 1\.0 s before/,
    ],
    [
      'withdrawn',
      { expectations: [expectation({ ended: { time: T - S, reason: 'refused-by-server' } })] },
      'withdrawn',
      /refused the command/,
    ],
    [
      'rewritten',
      { expectations: [expectation({ ended: { time: T - S, reason: 'rewritten' } })] },
      'withdrawn',
      /\(rewritten\)/,
    ],
    [
      'replaced',
      { expectations: [expectation({ ended: { time: T - S, reason: 'evicted' } })] },
      'replaced',
      /a newer announcement/,
    ],
    [
      'with its master',
      { expectations: [expectation({ ended: { time: T - S, reason: 'master-ended' } })] },
      'control-ended',
      /ended with control connection #1/,
    ],
    [
      'used',
      {
        expectations: [expectation({ usedBy: '9', ended: { time: T - S, reason: 'matched' } })],
        related: [related({ ...path(`${client}:40404`, to), id: '9', began: T - S })],
      },
      'used',
      /used already by #9, 10\.0\.1\.2:40404 > 10\.0\.2\.2:40001, 1\.0 s before its SYN/,
    ],
    [
      'used by a forgotten one',
      { expectations: [expectation({ usedBy: '9', ended: { time: T - S, reason: 'matched' } })] },
      'used',
      /by flow #9/,
    ],
    [
      'late',
      { expectations: [expectation({ created: T + 400 })] },
      'late',
      /too late, 400 ms after its SYN, by control/,
    ],
    [
      'late for want of a daemon',
      {
        expectations: [expectation({ created: T + 400 })],
        said: () => [announcement({ time: T - 50, unjudged: true })],
      },
      'away',
      /no daemon answered when .* announced it 50 ms before its SYN, so it was expected only 400 ms after its SYN/,
    ],
    ['no room', { expectations: [expectation()], full: [stopped()] }, 'limit', /could not be tracked \(flows-full\)/],
    ['zone', { expectations: [expectation({ zone: 4 })] }, 'unmatched', /in zone 4, and its SYN came in zone 0/],
    ['no reason', { expectations: [expectation()] }, 'unmatched', /and yet its SYN did not match/],
    [
      'other port',
      { expectations: [expectation({ destination: end(`${server}:40002`) })] },
      'other-port',
      /between the two at that time was 10\.0\.1\.2:\* > 10\.0\.2\.2:40002, for control/,
    ],
    [
      'other port, earlier',
      {
        expectations: [expectation({ destination: end(`${server}:40002`), ended: { time: T - S, reason: 'evicted' } })],
      },
      'other-port',
      /nearest to it, 2\.0 s before its SYN, was/,
    ],
    [
      'other address',
      { expectations: [expectation({ destination: end('10.0.9.9:40001') })] },
      'other-address',
      /was 10\.0\.1\.2:\* > 10\.0\.9\.9:40001/,
    ],
    [
      'other source',
      {
        controls: [control(path('10.0.1.3:30000', `${server}:21`))],
        expectations: [expectation({ source: { address: '10.0.1.3', port: null } })],
      },
      'other-address',
      /10\.0\.2\.2:40001 was expected at that time, but from 10\.0\.1\.3:\*, for control connection #1/,
    ],
    ['silent', {}, 'not-announced', /control connection #1, .*, announced nothing of it\.$/],
    [
      'two silent',
      { controls: [control(), control({ id: '5' })] },
      'not-announced',
      /the 2 control connections between the two announced/,
    ],
    [
      'encrypted',
      { controls: [control({ distrusted: { time: T - S, reason: 'encrypted' } })] },
      'encrypted',
      /since 1\.0 s before its SYN \(encrypted\)/,
    ],
    [
      'not parsed',
      { controls: [control({ distrusted: { time: null, reason: 'ttl' } })] },
      'not-parsed',
      /no longer read \(ttl\)/,
    ],
    ['distrusted later', { controls: [control({ distrusted: { time: T + S, reason: 'gap' } })] }, 'not-announced', /./],
    [
      'one that is not read, and one that expects something else',
      {
        controls: [control({ distrusted: { time: T - S, reason: 'encrypted' } }), control({ id: '5' })],
        expectations: [expectation({ master: '5', destination: end(`${server}:40002`) })],
      },
      'other-port',
      /for control connection #5/,
    ],
    [
      'one that is not read any more, after it announced something else',
      {
        controls: [control({ distrusted: { time: T - S, reason: 'encrypted' } })],
        expectations: [expectation({ destination: end(`${server}:40002`) })],
      },
      'encrypted',
      /./,
    ],
    [
      'unjudged',
      { said: () => [announcement({ unjudged: true })] },
      'away',
      /no daemon answered when control connection #1, .* announced it, 2\.0 s before/,
    ],
    ['away', { away: [{ from: T - 5 * S, to: T + 5 * S }] }, 'away', /no daemon ran at that time \(for 10\.0 s\)/],
    ['away, but nobody to speak', { controls: [], away: [{ from: T - 5 * S, to: T + 5 * S }] }, 'no-control', /./],
    [
      'lost',
      { lost: [{ from: T - S, to: T + S, count: 3 }] },
      'lost',
      /^Not known: 3 events were lost about that time/,
    ],
    ['lost at another time', { lost: [{ from: T + S, to: T + 2 * S, count: 3 }] }, 'not-announced', /./],
    ['not kept', { since: T + 5 * S }, 'not-kept', /the history begins 5\.0 s after its SYN/],
    [
      'not kept: no daemon',
      { since: null, started: null, controls: [] },
      'not-kept',
      /no history while no daemon runs/,
    ],
    ['none', { controls: [] }, 'no-control', /between 10\.0\.1\.2 and 10\.0\.2\.2\.$/],
    [
      'none any more',
      { controls: [control({ ended: { time: T - S, reason: 'fin' } })] },
      'no-control',
      /any more: the last one, #1, .* ended 1\.0 s before its SYN/,
    ],
    ['none yet', { controls: [control({ began: T + S })] }, 'no-control', /between 10\.0\.1\.2 and 10\.0\.2\.2\.$/],
    ['between others', { controls: [control(path('10.0.1.3:30000', `${server}:21`))] }, 'no-control', /./],
    [
      'interface',
      { controls: [], untracked: [untracked()], assignments: assigned('interface: eth7') },
      'not-assigned',
      /assignment ftp is only for interface eth7, and this one came by eth0\.$/,
    ],
    [
      'source and destination',
      { controls: [], untracked: [untracked()], assignments: assigned('from: 192.0.2.0/24', 'to: 198.51.100.1') },
      'not-assigned',
      /only for connections from 192\.0\.2\.0\/24, and this one came from 10\.0\.1\.2, and only for connections to 198\.51\.100\.1, and this one went to 10\.0\.2\.2\.$/,
    ],
    ['assigned by now', { controls: [], untracked: [untracked()] }, 'not-assigned', /one does now/],
    [
      'open before',
      { controls: [], untracked: [untracked({ why: 'unseen' })] },
      'open-before',
      /its handshake was not seen here/,
    ],
    [
      'late packets of one that was followed',
      {
        controls: [control({ ended: { time: T - 20 * S, reason: 'fin' }, began: T - 60 * S })],
        untracked: [untracked({ why: 'unseen' })],
      },
      'no-control',
      /any more/,
    ],
    [
      'no room for the control connection',
      { controls: [], untracked: [untracked({ why: 'limit', reason: 'controls-full' })] },
      'limit',
      /was not tracked as a control connection \(controls-full\)/,
    ],
  ])('%s', (_, more, answer, pattern) => {
    const explanation = ask(more);
    expect(explanation.sentence).toMatch(pattern);
    expect({ answer: explanation.answer, related: explanation.related }).toEqual({ answer, related: false });
  });

  it('takes the nearest in time of several announcements, and says so', () => {
    const old = expectation({ id: '8', created: T - 90 * S, ended: { time: T - 80 * S, reason: 'evicted' } });
    const explanation = ask({ expectations: [old], refusals: [refusal()] });
    expect(explanation.answer).toBe('refused');
    expect(texts(explanation)).toContain(
      'one other announcement of it is in the history; this is the nearest in time to its SYN',
    );
    const other = ask({ expectations: [old], refusals: [refusal({ time: T - 200 * S })] });
    expect(other.answer).toBe('replaced');
    // What was announced a minute later is about another connection.
    expect(ask({ expectations: [expectation({ created: T + 61 * S })] }).answer).not.toBe('late');
  });

  it('a port of a control connection: not covered, not completed', () => {
    const question = { source: end(`${client}:30000`), destination: withPort(`${server}:21`) };
    const own = syn(path(`${client}:30000`, `${server}:21`));
    const none = { controls: [], syns: [own] };
    expect(ask({ ...none, assignments: assigned('to: 198.51.100.1') }, question)).toMatchObject({
      answer: 'not-assigned',
    });
    expect(ask(none, question).sentence).toBe(
      'Not RELATED: it goes to the control port of ftp, and its handshake was not completed.',
    );
    expect(
      ask({ ...none, untracked: [untracked({ why: 'unseen', time: T + S, last: T + S })] }, question).sentence,
    ).toMatch(/^Not RELATED: it goes to a control port, but its handshake was not seen here/);
    // Somebody's attempt at one is a fact for others.
    expect(texts(ask({ controls: [], syns: [syn(), own] }))).toContain(
      'a SYN 10.0.1.2:30000 > 10.0.2.2:21: its handshake was not completed here',
    );
  });

  it('no SYN was seen: what is known of the ends, or what was announced and is over', () => {
    const other = syn(path('10.0.1.7:1', to));
    const explanation = ask({ syns: [other] });
    expect(explanation.sentence).toBe(
      'Not RELATED: no SYN from 10.0.1.2:45678 to 10.0.2.2:40001 was seen on a watched interface.',
    );
    expect(texts(explanation)).toContain('another SYN, 10.0.1.7:1 > 10.0.2.2:40001, came by eth0');
    expect(ask({ syns: [], expectations: [expectation({ deadline: T + 300 * S })] }).sentence).toMatch(
      /, though it is expected\.$/,
    );
    expect(ask({ syns: [], expectations: [expectation({ protocol: 'udp' })] }).sentence).toBe(
      'Not RELATED: it is expected, and no packet of it has come.',
    );
    expect(ask({ syns: [], watched: [] }).sentence).toMatch(/was seen here\.$/);
    expect(ask({ syns: [], expectations: [expectation({ deadline: T - S })] })).toMatchObject({
      ...{ answer: 'expired', sentence: expect.stringMatching(/had expired; it was announced by control/) as string },
    });
    expect(ask({ syns: [], refusals: [refusal()] }).sentence).toMatch(/was refused \(port-range\)/);
  });

  it('no SYN is noted, and none would be: no control connection has been there lately', () => {
    const none = { syns: [], controls: [] };
    const explanation = ask(none);
    expect(explanation).toMatchObject({
      answer: 'no-control',
      sentence: 'Not RELATED: there was no control connection between 10.0.1.2 and 10.0.2.2.',
    });
    expect(texts(explanation).join()).toMatch(/no SYN of it is noted: .* neither host had to do with/);
    expect(ask(none, { source: null }).sentence).toBe('Not RELATED: there was no control connection of 10.0.2.2.');
    const ended = (ago: number) => control({ ended: { time: T + 60 * S - ago, reason: 'fin' } });
    expect(ask({ syns: [], controls: [ended(601 * S)], since: T - 9999 * S }).sentence).toMatch(
      /no control connection between 10\.0\.1\.2 and 10\.0\.2\.2 any more: the last one, #1, .* \(ftp\), has ended\.$/,
    );
    expect(ask({ ...none, since: null, started: null }).answer).toBe('not-kept');
    // Of these it would be, so it was not seen.
    const [elsewhere, late] = [path('10.0.1.3:30000', `${server}:21`), T + 59 * S];
    for (const more of [
      { controls: [control(elsewhere)] },
      { controls: [ended(599 * S)] },
      { untracked: [untracked({ ...elsewhere, last: late })] },
      { expectations: [expectation({ source: { address: '10.0.1.3', port: null } })] },
      { assignments: configOf('assignments: [{ helper: ftp, port: 40001 }]').assignments },
    ])
      expect(ask({ ...none, ...more }).answer).toBe('not-seen');
  });

  it('a time that is given stands for the SYN that was not seen, and chooses among several', () => {
    const assumed = ask({ syns: [] }, { at: T });
    expect(assumed.answer).toBe('not-announced');
    expect(texts(assumed).join()).toMatch(
      /no SYN of it is noted: it was not seen, or is forgotten, or neither host had/,
    );
    expect(ask({ syns: [], expectations: [expectation()] }, { at: T }).answer).toBe('not-seen');
    expect(ask({ syns: [] }, { at: T - 3600 * S }).sentence).toBe(
      'Not RELATED: relatd was not running then, it was started 58 min 20 s later.',
    );
    const syns = [
      syn(path(`${client}:1111`, to)),
      syn({ ...path(`${client}:2222`, to), time: T + 9 * S, last: T + 9 * S }),
    ];
    const any = { source: null };
    expect(ask({ syns }, any)).toMatchObject({ source: { port: 2222 } });
    expect(ask({ syns }, { ...any, at: T + S })).toMatchObject({ source: { port: 1111 } });
    expect(texts(ask({ syns }, any)).join()).toMatch(/one further connection fits the question/);
  });

  it('finds a connection that was given the wrong way round, and only in its zone', () => {
    const turned = { source: end(to), destination: withPort(from) };
    expect(ask({ related: [related()] }, turned)).toMatchObject({ answer: 'related', source: end(from) });
    expect(ask({ related: [related()] }, { zone: 3 }).answer).toBe('not-seen');
  });

  it('a new connection with the ports of an old one is not the old one', () => {
    const old = related({ began: T - 30 * S, isn: 99 });
    expect(ask({ related: [old] }).answer).toBe('not-announced');
  });

  it('tells what a guard does', () => {
    const guards = configOf(
      'assignments: [{ helper: ftp, port: 21 }]\nguard: [{ to: 10.0.2.2, ports: 40000-41000 }]',
    ).guard;
    expect(texts(ask({ guards }))).toContain(
      'a guard covers 10.0.2.2 ports 40000-41000: what is not RELATED is dropped there',
    );
    expect(texts(ask({ guards, guarded: [stopped({ reason: 'guard' })] }))).toContain('a guard dropped its SYN');
  });

  it('has an answer to whatever is known', () => {
    const time = fc.integer({ min: -120, max: 120 }).map((seconds) => T + seconds * S);
    const reason = fc.constantFrom(...REASONS);
    const address = fc.constantFrom(client, server, '10.0.1.3');
    const ends = fc.record({
      source: fc.record({ address, port: fc.constantFrom(30_000, 45_678) }),
      destination: fc.record({ address, port: fc.constantFrom(21, 40_001, 40_002) }),
    });
    const ended = fc.option(fc.record({ time, reason }));
    const list = <One>(one: fc.Arbitrary<One>): fc.Arbitrary<One[]> => fc.array(one, { maxLength: 4 });
    const id = fc.constantFrom('1', '2', '3');
    const known = fc.record<Partial<Evidence>>({
      controls: list(
        fc.record({ began: time, ended, id, ends }).map(({ ends, ...more }) => control({ ...ends, ...more })),
      ),
      expectations: list(
        fc
          .record({ created: time, deadline: fc.option(time), ended, usedBy: fc.option(id), id, master: id, ends })
          .map(({ ends: { source, destination }, ...more }) =>
            expectation({ source: { ...source, port: null }, destination, ...more }),
          ),
      ),
      refusals: list(
        fc.record({ time, reason, master: id, ends }).map(({ ends, ...more }) => refusal({ ...ends, ...more })),
      ),
      related: list(
        fc.record({ began: time, ended, id, ends }).map(({ ends, ...more }) => related({ ...ends, ...more })),
      ),
      syns: list(fc.record({ time, ends }).map(({ ends, time }) => syn({ ...ends, time, last: time }))),
      untracked: list(fc.record({ time, reason, ends }).map(({ ends, ...more }) => untracked({ ...ends, ...more }))),
      since: fc.option(time),
      loaded: fc.option(time),
      away: list(fc.record({ from: fc.option(time), to: time })),
    });
    const question = fc.record({ source: fc.option(ends.map(({ source }) => source)), at: fc.option(time), ends });
    fc.assert(
      fc.property(known, question, (more, { ends: { destination }, ...asked }) => {
        const explanation = explain({ zone: null, destination, ...asked }, evidence(more));
        expect(WHY_ANSWERS).toContain(explanation.answer);
        expect(explanation.sentence).toMatch(/^(RELATED|Not RELATED|Not known): .*[^.]\.$/);
        expect(explanation.related).toBe(explanation.sentence.startsWith('RELATED'));
        expect(JSON.stringify(explanation)).not.toMatch(/undefined|NaN|null \w/);
        const times = explanation.facts.map((fact) => fact.time ?? '~');
        expect(times).toEqual(times.toSorted());
      }),
      { numRuns: 300 },
    );
  });
});
