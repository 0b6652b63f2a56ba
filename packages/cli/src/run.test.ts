// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FakeView, listenApi, type ApiServer } from '@relatd/api';
import { pcapBytes, tcp } from '@relatd/lab';
import { RelatdError } from '@relatd/model';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCommandLine } from './program.js';
import { testContext } from './testing.js';

let directory: string;
let view: FakeView;
let server: ApiServer;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'relatd-cli-'));
  view = new FakeView();
  server = await listenApi({ socketPath: join(directory, 'relatd.sock') });
  server.serve(view);
});

afterEach(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

/** Runs a command against the fake daemon, found by $RELATD_SOCKET. */
async function relatd(...line: string[]) {
  const context = testContext({ env: { RELATD_SOCKET: server.socketPath } });
  const code = await runCommandLine(line, context);
  return { code, out: context.out(), err: context.err() };
}

describe('helper show', () => {
  test('draws phases, and what each message announces', async () => {
    const { code, out, err } = await relatd('helper', 'show', 'tftp');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('client  request: ANNOUNCES udp from the server to the client, its own port');
    expect((await relatd('helper', 'show', 'ftp')).out).toContain(
      'server  entering extended passive mode: ends a reply of several lines, if one is open; answers epsv; ANNOUNCES tcp from the client to the server, port <port>',
    );
  });

  test('is data with --json', async () => {
    expect(JSON.parse((await relatd('helper', 'show', 'irc', '--json')).out)).toMatchObject({
      name: 'irc',
      protocol: 'tcp',
      phases: ['opening', 'asked', 'registered'],
      perMaster: 8,
    });
  });

  test('says what is wrong with a file, and where', async () => {
    const file = join(directory, 'bad.yaml');
    writeFileSync(file, 'helper: bad\n');
    const { code, err } = await relatd('helper', 'show', file);
    expect(code).toBe(2);
    expect(err).toContain(`${file}:1:1: title:`);
    expect((await relatd('helper', 'show', 'nothing')).code).toBe(2);
  });
});

describe('replay', () => {
  const ends = { src: '10.0.1.2', dst: '10.0.2.2', sport: 45678, dport: 2121 };
  const back = { src: ends.dst, dst: ends.src, sport: ends.dport, dport: ends.sport };
  const packets = [
    tcp({ ...ends, flags: 'S', seq: 1 }),
    tcp({ ...back, flags: 'SA', seq: 10, ack: 2 }),
    tcp({ ...ends, seq: 2, ack: 11 }),
    tcp({ ...back, seq: 11, ack: 2, payload: '220 \u001b[31m\r\n' }),
    tcp({ ...ends, sport: 1, payload: 'open before' }),
  ];
  const newControl = '1970-01-01T00:00:00.002Z control.new         ftp-2121 tcp 10.0.1.2:45678 > 10.0.2.2:2121\n';

  /** A capture without its last bytes, and how to replay it. */
  function capture(without = 0): [command: string, ...line: string[]] {
    const file = join(directory, 'a.pcap');
    const config = join(directory, 'relatd.yaml');
    const bytes = pcapBytes(packets);
    writeFileSync(file, bytes.subarray(0, bytes.length - without));
    writeFileSync(
      config,
      'assignments: [{ name: ftp-2121, helper: ftp, port: 2121, interface: eth0 }]\ninterfaces: [eth0]\n',
    );
    return ['replay', file, '-c', config];
  }

  test('prints events as monitor does, and on stderr what was in the capture', async () => {
    const { code, out, err } = await relatd(...capture());
    expect({ code, out }).toEqual({ code: 0, out: newControl });
    expect(err).toMatchInlineSnapshot(`
      "relatd: 5 packets read, from 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:00.004Z: 0 unreadable, 0 truncated, 0 fragments
      relatd: 1 control connection, 0 expectations, 0 related flows; nothing refused
      relatd: still open at the end of the capture: 1 control connection
      relatd: 1 connection to assigned ports was already open when the capture began: not followed
      relatd: the capture does not say by which interface packets came: an assignment with \`interface\` was taken for any
      "
    `);
    const { out: json } = await relatd(...capture(), '--json');
    expect(JSON.parse(json)).toMatchObject({ type: 'control.new', flow: { assignment: 'ftp-2121', trust: 'ok' } });
  });

  test('of a damaged capture prints what comes before the damage, then where it is', async () => {
    const { code, out, err } = await relatd(...capture(1));
    expect({ code, out }).toEqual({ code: 1, out: newControl });
    expect(err).toMatch(
      /4 packets read.*\n[^]*\nrelatd: .*a\.pcap cannot be read from byte 315 on: the file ends within a packet or block: .*\n$/,
    );
  });

  test('without a configuration says which assignments it takes', async () => {
    const [command, file = ''] = capture();
    const { code, err } = await relatd(command, file);
    expect(code).toBe(0);
    expect(err).toMatch(/^relatd: (no |assignments of )\/etc\/relatd\/relatd\.yaml.*; choose others with --config\n/);
  });

  test('of what is no capture is an error, and of a wrong configuration wrong usage', async () => {
    const [command, file = '', option = '', config = ''] = capture();
    const wrong = await relatd(command, config, option, config);
    expect(wrong.code).toBe(1);
    expect(wrong.err).toBe(
      `relatd: cannot read ${config}: it is neither pcap nor pcapng: give a capture of tcpdump, dumpcap or tshark (pcap or pcapng)\n`,
    );
    expect((await relatd(command, file, option, file)).code).toBe(2);
  });
});

describe('flows and expectations', () => {
  test('are aligned lines with a heading', async () => {
    const { code, out, err } = await relatd('flows');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatchInlineSnapshot(`
      "ID  KIND     ASSIGNMENT  SOURCE          DESTINATION     INTERFACE  STATE        MASTER     BYTES  IDLE  DETAIL
      16  control  ftp-2121    10.0.1.2:45678  10.0.2.2:40001  eth0       established       -  88.2 KiB  0.4s  -
      17  related  ftp-2121    10.0.1.2:45678  10.0.2.2:40001  eth0       established      16  88.2 KiB  0.4s  alice RETR big.iso
      "
    `);
    expect((await relatd('expectations')).out).toMatchInlineSnapshot(`
      "ID  ASSIGNMENT  PROTOCOL  SOURCE      DESTINATION     MASTER  EXPIRES
       3  ftp-2121    tcp       10.0.1.2:*  10.0.2.2:40001      16    5m00s
      "
    `);
  });

  test('are one JSON array with --json', async () => {
    expect(JSON.parse((await relatd('flows', '--json')).out)).toEqual(view.flowTable);
    expect(JSON.parse((await relatd('expectations', '--json')).out)).toEqual(view.expectationTable);
    view.flowTable = [];
    expect((await relatd('flows', '--json')).out).toBe('[]\n');
    const many = Array.from({ length: 1000 }, () => new FakeView().flowTable).flat();
    view.flowTable = many;
    expect(JSON.parse((await relatd('flows', '--json')).out)).toEqual(many);
  });

  test('are filtered', async () => {
    const ids = async (...line: string[]) =>
      (JSON.parse((await relatd('flows', '--json', ...line)).out) as { id: string }[]).map(({ id }) => id);
    expect(await ids('--related')).toEqual(['17']);
    expect(await ids('--control')).toEqual(['16']);
    expect(await ids('--control', '--related')).toEqual(['16', '17']);
    expect(await ids('--helper', 'ftp', '--related')).toEqual(['17']);
    expect(await ids('--helper', 'sip')).toEqual([]);
    expect(await ids('--assignment', 'ftp')).toEqual([]);
    expect(await ids('--host', '10.0.2.2')).toEqual(['16', '17']);
    expect(await ids('--host', '10.0.3.0/24')).toEqual([]);
  });

  test('keep the network out of the terminal', async () => {
    const [flow] = view.flowTable;
    if (flow === undefined) throw new Error('the fake has no flow');
    view.flowTable = [{ ...flow, detail: { argument: '\x1b]0;owned\x07\nline' } }];
    const { out } = await relatd('flows');
    expect(out).not.toContain('\x1b');
    expect(out).toContain('\\x1b]0;owned\\x07\\x0aline');
    expect(out.trimEnd().split('\n')).toHaveLength(2);
  });

  test('of --socket, before $RELATD_SOCKET', async () => {
    const context = testContext({ env: { RELATD_SOCKET: join(directory, 'other.sock') } });
    expect(await runCommandLine(['flows', '--json', '--socket', server.socketPath], context)).toBe(0);
    expect(JSON.parse(context.out())).toHaveLength(2);
  });
});

describe('why', () => {
  test('is a sentence, then facts with local times; control characters are shown, not obeyed', async () => {
    const { code, out, err } = await relatd('why', '10.0.1.2:45678', '10.0.2.2:40001');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const [path, sentence, first, second] = out.trimEnd().split('\n');
    expect([path, sentence]).toEqual([
      '10.0.1.2:45678 > 10.0.2.2:40001',
      'Not RELATED: its expectation had expired 2.0 s before its SYN.',
    ]);
    expect(first).toMatch(/^ {2}2026-11-2\dT\d\d:\d\d:00\.123[+-]\d\d:\d\d {2}its SYN came in by eth0$/);
    expect(second?.trim()).toBe('a line of \\x1b[31mtext');
    expect(JSON.parse((await relatd('why', '10.0.2.2:40001', '--json')).out)).toEqual(
      await view.why(view.questions[0] as never),
    );
  });

  test('is in colour on a terminal that wants it', async () => {
    const context = testContext({ env: { RELATD_SOCKET: server.socketPath }, terminal: true, colour: true });
    expect(await runCommandLine(['why', '10.0.2.2:40001'], context)).toBe(0);
    expect(context.out().split('\n')[1]).toBe(
      '\x1b[33mNot RELATED: its expectation had expired 2.0 s before its SYN.\x1b[39m',
    );
  });

  test('asks about one connection, or about any to a port, at a time, in a zone', async () => {
    await relatd('why', '10.0.1.2:45678', '10.0.2.2:40001');
    await relatd('why', '10.0.1.2', '10.0.2.2:40001', '--zone', '7', '--at', '2026-11-22T12:00:00Z');
    await relatd('why', '[2001:db8::0:1]:5');
    const destination = { address: '10.0.2.2', port: 40001 };
    expect(view.questions).toEqual([
      { source: { address: '10.0.1.2', port: 45678 }, destination, zone: null, at: null },
      { source: { address: '10.0.1.2', port: null }, destination, zone: 7, at: Date.parse('2026-11-22T12:00:00Z') },
      { source: null, destination: { address: '2001:db8::1', port: 5 }, zone: null, at: null },
    ]);
    const noon = new Date();
    noon.setHours(12, 0, 0, 500);
    await relatd('why', '10.0.2.2:40001', '--at', '12:00:00.500');
    expect(view.questions.at(-1)?.at).toBe(noon.getTime());
  });

  test.each([
    [['10.0.2.2'], '10.0.2.2 has no port'],
    [['10.0.1.2', '10.0.2.2'], '10.0.2.2 has no port'],
    [['server:21'], "'server:21' is no address"],
    [['10.0.2.2:99999'], "'10.0.2.2:99999' is no address"],
    [['10.0.2.2:21', '--zone', '70000'], "'70000' is no zone"],
    [['10.0.2.2:21', '--at', 'noon'], "'noon' is no time"],
    [[], "missing required argument 'source'"],
  ])('%o is no question', async (line, complaint) => {
    const { code, err } = await relatd('why', ...line);
    expect({ code, lines: err.trimEnd().split('\n').length }).toEqual({ code: 2, lines: 1 });
    expect(err).toContain(complaint);
    expect(view.questions).toEqual([]);
  });
});

describe('status', () => {
  test('is text for people, JSON for scripts', async () => {
    const { code, out } = await relatd('status');
    expect(code).toBe(0);
    expect(out).toMatchInlineSnapshot(`
      "relatd 0.1.0: running for 3.5s, pid 4711 (network namespace gw, kernel 6.18.0)

      TABLE  USED   SIZE   FILL    MEMORY
      flows     3  65536  0.0 %  12.0 MiB

      hold: relatd0, 6 held, 5 released, 1 unattended; when no daemon answers: pass
      output: connections that this host opens are marked
      losses: 1 events, 2 samples
      "
    `);
    expect(JSON.parse((await relatd('status', '--json')).out)).toEqual(await view.status());
  });
});

describe('reload', () => {
  test('says what has changed', async () => {
    expect(await relatd('reload')).toEqual({ code: 0, out: 'reloaded\nassignment ftp-2121 is new\n', err: '' });
    expect(JSON.parse((await relatd('reload', '--json')).out)).toMatchObject({ changed: true });
  });

  test('of a bad file prints every problem and exits with 2', async () => {
    const problems = ['relatd.yaml:1:1: no', 'relatd.yaml:2:1: neither'];
    view.reloadError = RelatdError.with({ problems }, 'CONFIG_INVALID', 'relatd.yaml', 2);
    expect(await relatd('reload')).toEqual({ code: 2, out: '', err: `${problems.join('\n')}\n` });
  });
});

describe('monitor', () => {
  test('prints events as they come, until it is interrupted', async () => {
    const context = testContext({ env: { RELATD_SOCKET: server.socketPath } });
    const code = runCommandLine(['monitor', '--json', '--type', 'related.new'], context);
    while (view.listeners.size === 0) await sleep(5);
    const event = { time: '2026-11-22T12:00:00.000Z', type: 'related.new', flow: new FakeView().flowTable[1] };
    view.emit({ time: event.time, type: 'control.new', flow: view.flowTable[0] } as never);
    view.emit(event as never);
    view.emit({ time: event.time, type: 'lost', count: 3 });
    while (!context.out().includes('lost')) await sleep(5);
    expect(context.out()).toBe(`${JSON.stringify(event)}\n{"time":"${event.time}","type":"lost","count":3}\n`);
    context.interrupt.abort();
    expect(await code).toBe(0);
    while (view.listeners.size > 0) await sleep(5);
  });

  test('waits for the next daemon, says so once, and counts what both lost', async () => {
    const context = testContext({ env: { RELATD_SOCKET: server.socketPath } });
    const code = runCommandLine(['monitor', '--host', '10.0.2.0/24'], context);
    const lost = { time: '2026-11-22T12:00:00.000Z', type: 'lost', count: 3 } as const;
    while (view.listeners.size === 0) await sleep(5);
    view.emit(lost);
    await server.close();
    while (!context.err().includes('waiting')) await sleep(5);
    // The next one still starts when it is found: that is no reason to leave.
    server = await listenApi({ socketPath: server.socketPath });
    await sleep(250);
    server.serve(view);
    while (view.listeners.size === 0) await sleep(5);
    view.emit({ ...lost, count: 4 });
    while (!context.out().includes('count=4')) await sleep(5);
    context.interrupt.abort();
    expect(await code).toBe(0);
    expect(context.out()).toMatch(/^\S+ lost +count=3\n\S+ lost +count=4\n$/);
    expect(context.err().replace(/\d{4}-\S+Z/, 'TIME')).toBe(
      'relatd: the daemon has stopped; waiting for the next\n' +
        'relatd: again since TIME; events before may be missing: `relatd flows` shows what is tracked now\n' +
        'relatd: 7 events were lost\n',
    );
  });

  test('leaves at once when it is interrupted while it waits', async () => {
    const context = testContext({ env: { RELATD_SOCKET: server.socketPath } });
    const code = runCommandLine(['monitor'], context);
    while (view.listeners.size === 0) await sleep(5);
    await server.close();
    while (!context.err().includes('waiting')) await sleep(5);
    context.interrupt.abort();
    expect(await code).toBe(0);
  });

  test('knows the types there are', async () => {
    expect(await relatd('monitor', '--type', 'related.new,flow.new')).toMatchObject({
      code: 2,
      err: expect.stringContaining("no event type 'flow.new': choose among control.new,") as string,
    });
  });

  test.each(['monitor', 'flows', 'expectations'])('and %s know what an address is', async (command) => {
    expect(await relatd(command, '--host', '10.0.0.1/8')).toEqual({
      ...{ code: 2, out: '' },
      err: "relatd: no address or prefix '10.0.0.1/8': write 10.0.1.2 or 2001:db8::/64\n",
    });
  });
});

describe('top', () => {
  test('needs a terminal, and an interval that is a time', async () => {
    expect(await relatd('top')).toEqual({
      ...{ code: 2, out: '' },
      err: 'relatd: top needs a terminal: in scripts use `relatd flows --json` and `relatd monitor --json`\n',
    });
    for (const interval of ['1', '0s', '199ms', '2h', 'x']) {
      expect(await relatd('top', '--interval', interval)).toEqual({
        ...{ code: 2, out: '' },
        err: `relatd: no interval '${interval}': write a time like 2s, from 200ms to 1h\n`,
      });
    }
  });
});

describe('check and rules', () => {
  const good = 'interfaces: [eth0]\nassignments:\n  - { name: ftp-2121, helper: ftp, port: 2121 }\n';

  test('accept a valid file', async () => {
    const file = join(directory, 'relatd.yaml');
    writeFileSync(file, good);
    // What it says of this host's firewall is none of this test.
    const checked = await relatd('check', file);
    expect(checked).toMatchObject({ code: 0, out: `${file}: valid, 1 assignment\n` });
    expect(checked.err).not.toContain(file);
    const json = await relatd('check', '-c', file, '--json');
    expect(json).toMatchObject({ code: 0, err: '' });
    expect(json.out).not.toContain('"error"');
    for (const syntax of ['nft', 'iptables']) {
      const { code, out } = await relatd('rules', syntax, '-c', file);
      expect(code).toBe(0);
      expect(out).toMatch(/0x52000000/);
      expect(out).toMatch(/ftp-2121/);
    }
  });

  test('print the rules of one assignment, by mark or by program, and say what cannot be', async () => {
    const file = join(directory, 'relatd.yaml');
    writeFileSync(file, `${good}  - { helper: ftp, port: 21 }\n  - { helper: ftp, name: a.b, port: 22 }\n`);
    const rules = (...line: string[]) => relatd('rules', ...line, '-c', file);
    const one = await rules('nft', '--assignment', 'ftp');
    expect(one).toMatchObject({ code: 0, out: expect.stringContaining('"relatd: ftp"') as string });
    expect(one.err).toBe(
      'relatd: ftp shares the mark 0x52000000 with a.b, ftp-2121: rules by mark cannot tell them apart; give ftp one of its own with "mark: 0x53000000"\n',
    );
    const bpf = await rules('iptables', '--by', 'bpf', '--assignment', 'ftp-2121');
    expect(bpf).toMatchObject({ code: 0, err: '' });
    expect(bpf.out).toContain('-m bpf --object-pinned /sys/fs/bpf/relatd/match/ftp-2121 ');
    for (const [line, complaint] of [
      [['nft', '--by', 'bpf'], 'relatd: nft has no match for BPF programs: '],
      [['iptables', '--by', 'name'], "relatd: option '--by <what>' is mark or bpf: see `relatd rules --help`"],
      [['nft', '--assignment', 'fpt'], 'has no assignment fpt: its assignments are '],
    ] as const)
      expect(await rules(...line)).toMatchObject({
        code: 2,
        out: '',
        err: expect.stringContaining(complaint) as string,
      });
  });

  test('print all problems with their places, exit code 2', async () => {
    const file = join(directory, 'relatd.yaml');
    writeFileSync(file, good.replace('2121 }', '70000 }').replace('[eth0]', '7'));
    const { code, out, err } = await relatd('check', file);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    const lines = err.trimEnd().split('\n');
    expect(lines.length).toBe(2);
    for (const line of lines) expect(line).toMatch(/^[^:]+relatd\.yaml:\d+:\d+: /);
    const json = await relatd('check', file, '--json');
    expect(json.code).toBe(2);
    expect(JSON.parse(json.out)).toMatchObject([
      { severity: 'error', line: 1 },
      { severity: 'error', line: 3 },
    ]);
    expect(await relatd('rules', 'nft', '-c', file)).toEqual({ code: 2, out: '', err });
  });

  test('a file that is not there is a wrong configuration', async () => {
    const { code, err } = await relatd('check', join(directory, 'none.yaml'));
    expect(code).toBe(2);
    expect(err).toContain('none.yaml');
    expect(await relatd('check', 'a', '-c', 'b')).toMatchObject({ code: 2, out: '' });
  });
});
