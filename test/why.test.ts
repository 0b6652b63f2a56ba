// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { offlineStatus, offlineWhy } from '@relatd/engine';
import { openRawPlace, tcp, type RawPlace } from '@relatd/lab';
import type { Endpoint, Explanation, WhyAnswer } from '@relatd/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stage, hostPort } from './support/dialogue.js';
import { relatd } from './support/gateway.js';

/** Ports of servers that are behind the firewall; what is assigned there differs. */
const port = { ftp: 2121, brief: 2122, from: 2123, to: 2124, interface: 2125, before: 2126 } as const;

const assignments = [
  { name: 'ftp-2121', helper: 'ftp', port: port.ftp },
  { name: 'brief', helper: 'ftp', port: port.brief, limits: { expectation: '1s' } },
  { name: 'from', helper: 'ftp', port: port.from, from: '192.0.2.0/24' },
  { name: 'to', helper: 'ftp', port: port.to, to: '198.51.100.1' },
  { name: 'interface', helper: 'ftp', port: port.interface, interface: 'eth1' },
  { helper: 'tftp', port: 69 },
];
const interfaces = ['eth0', 'eth1'];
const guard = { to: '10.77.2.2', ports: '41000-41099' };
/** More control connections than have room in the ring with their beginnings and ends. */
const FLOOD = 7200;

describe('relatd why', () => {
  let stage: Stage;
  let clientSide: RawPlace;
  let serverSide: RawPlace;

  beforeAll(async () => {
    const config = { interfaces, assignments, guard: [guard] };
    stage = await Stage.open({}, { config, ephemeral: false, controlPorts: Object.values(port) });
    clientSide = await openRawPlace(stage.lab, stage.lab.client, '10.77.1.99');
    serverSide = await openRawPlace(stage.lab, stage.lab.server, '10.77.2.99');
  });
  afterAll(async () => {
    await clientSide.port.close();
    await serverSide.port.close();
    await stage.close();
  });

  let numbers = 30_000;
  /** One SYN, which nobody repeats; returns where it came from and where it went. */
  const knock = async (source: string, destination: string, dport: number): Promise<[Endpoint, Endpoint]> => {
    const place = source.startsWith('10.77.1.') ? clientSide : serverSide;
    const sport = ++numbers;
    await place.port.send(tcp({ src: source, dst: destination, sport, dport, seq: sport, flags: 'S', ...place.link }));
    return [
      { address: source, port: sport },
      { address: destination, port: dport },
    ];
  };

  const ask = (source: Endpoint | null, destination: Endpoint, at: number | null = null): Promise<Explanation> =>
    stage.gateway
      .client()
      .why({ source, destination: { ...destination, port: destination.port ?? 0 }, zone: null, at });

  /** The answer must be this one, its sentence and facts as the patterns say, each of them. */
  const answers = async (
    [source, destination]: readonly [Endpoint | null, Endpoint],
    answer: WhyAnswer,
    ...patterns: RegExp[]
  ): Promise<Explanation> => {
    const explanation = await ask(source, destination);
    const story = `${JSON.stringify(explanation, null, 2)}\n${stage.gateway.history()}`;
    expect({ answer: explanation.answer, related: explanation.related }, story).toEqual({
      ...{ answer, related: answer === 'related' },
    });
    const text = [explanation.sentence, ...explanation.facts.map((fact) => fact.text)].join('\n');
    for (const pattern of patterns) expect(text, story).toMatch(pattern);
    return explanation;
  };

  it('RELATED: of which transfer, announced how, how long before its SYN; and of the control connection itself', async () => {
    for (const family of ['ipv4', 'ipv6'] as const) {
      const session = await stage.session({ family });
      const data = stage.newPort();
      await session.passive(data);
      await session.say('RETR big.iso\r\n');
      const related = await session.dataFromClient(data);
      await answers(
        [related.source, related.destination],
        'related',
        new RegExp(
          `^RELATED: it was expected for control connection #${session.id}, .*\\(ftp-2121\\), for alice RETR big.iso, `,
        ),
        /announced .*s before its SYN; assignment ftp-2121, mark 0x52000000\.$/m,
        family === 'ipv4' ? /said "227 Entering Passive Mode \(10,77,2,2,/ : /said "229 Entering Extended Passive Mode/,
        /^its SYN came in by eth0$/m,
        /^its SYN went on: /m,
      );
      const control = [session.client.local, session.client.remote] as const;
      await answers(control, 'control', /itself a control connection, of assignment ftp-2121; relatd reads it\.$/m);
      if (family === 'ipv4') continue;
      // By the command, and turned round, as somebody may read it off a log.
      const text = (end: Endpoint): string => `[${end.address}]:${end.port}`;
      const { code, stdout } = await stage.gateway.relatd('why', text(related.destination), text(related.source));
      expect(code).toBe(0);
      const [path, sentence, ...facts] = stdout.trimEnd().split('\n');
      expect(path).toBe(`${text(related.source)} > ${text(related.destination)}`);
      expect(sentence).toMatch(/^RELATED: .* for alice RETR big.iso, announced /);
      expect(facts[0]).toMatch(/^ {2}\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d {2}control connection #/);
    }
    const alone = await ask(null, { address: stage.lab.server.ipv4, port: 40_000 });
    expect(alone).toMatchObject({ answer: 'related', source: { address: expect.any(String) as string } });
  });

  it('RELATED over UDP: the answer to a request that named no port', async () => {
    const client = await stage.client.bind(await stage.newAddress());
    const server = await stage.server.bind(stage.lab.server.ipv4);
    // The firewall drops the request, and the answer has the mark.
    await client.send({ address: stage.lab.server.ipv4, port: 69 }, '\0\u0001big.iso\0octet\0');
    await stage.gateway.event(
      'expectation.new',
      ({ expectation }) => expectation.destination.port === client.local.port,
    );
    await server.send(client.local, '\0\u0003');
    await stage.gateway.event('related.new', ({ flow }) => flow.destination.port === client.local.port);
    await answers(
      [server.local, client.local],
      'related',
      /\(tftp\), for RRQ big\.iso, announced .* before its first packet; assignment tftp/,
      /^its first packet matched the expectation/m,
    );
  });

  it('no control connection, or none that is assigned: which of interface, source and destination did not fit', async () => {
    const { client, server } = stage.lab;
    const stranger = await stage.newAddress();
    await answers(
      await knock(stranger, server.ipv4, 41_000),
      'no-control',
      /there was no control connection between /,
      /^its SYN was not seen to leave/m,
      /^a guard dropped its SYN$/m,
    );
    // Neither of these has had to do with a control connection: their SYNs are not noted.
    await answers(
      await knock(stranger, serverSide.address, 41_000),
      'no-control',
      /there was no control connection between 10\.77\.1\.\d+ and 10\.77\.2\.99\.$/m,
    );
    const cases = [
      [port.from, /assignment from is only for connections from 192\.0\.2\.0\/24, and this one came from 10\.77\.1\./],
      [port.to, /assignment to is only for connections to 198\.51\.100\.1, and this one went to 10\.77\.2\.2/],
      [port.interface, /assignment interface is only for interface eth1, and this one came by eth0/],
    ] as const;
    for (const [number, pattern] of cases) {
      const listener = await stage.listener(number);
      const address = await stage.newAddress();
      const connection = await stage.client.connect(server.ipv4, number, { localAddress: address });
      const accepted = await listener.accept();
      await answers(
        [connection.local, connection.remote],
        'not-assigned',
        pattern,
        /it goes to a control port, but no assignment covers it/,
      );
      await answers(
        await knock(address, server.ipv4, 41_001),
        'not-assigned',
        pattern,
        /a connection .* was there, but no assignment covers it/,
      );
      await answers(await knock(server.ipv4, address, 41_001), 'not-assigned', pattern);
      await accepted.end();
      await connection.end();
    }
    // Nobody listens there: the handshake was never completed.
    await answers(
      await knock(await stage.newAddress(), server.ipv4, port.brief),
      'no-handshake',
      /control port of brief/,
    );
    // Another address of the same client.
    const session = await stage.session();
    const data = stage.newPort();
    await session.passive(data);
    await answers(
      await knock(client.ipv4, server.ipv4, data),
      'other-address',
      new RegExp(`was expected at that time, but from ${session.here.replaceAll('.', '\\.')}:\\*`),
    );
  });

  it('a control connection that was open before its assignment', async () => {
    const listener = await stage.listener(port.before);
    const address = await stage.newAddress();
    const connection = await stage.client.connect(stage.lab.server.ipv4, port.before, { localAddress: address });
    const accepted = await listener.accept();
    await stage.gateway.reload({
      interfaces,
      guard: [guard],
      assignments: [...assignments, { name: 'before', helper: 'ftp', port: port.before }],
    });
    await accepted.write('220 ready\r\n');
    await connection.waitFor(/^220 /);
    await connection.write('USER alice\r\n');
    await accepted.waitFor(/^USER /);
    await answers(
      await knock(address, stage.lab.server.ipv4, 41_002),
      'open-before',
      /its handshake was not seen here/,
    );
    await answers([connection.local, connection.remote], 'open-before', /it goes to a control port/);
  });

  it('an announcement that was refused: port, address, not to be read; by the tables and by the daemon', async () => {
    for (const judged of [false, true]) {
      const session = await stage.session({ judged });
      await session.say(`PORT ${hostPort(session.here, 80)}\r\n`);
      await session.refused('port-range');
      await answers(
        await knock(session.there, session.here, 80),
        'refused',
        /was refused .* before its SYN \(port-range\): the announced port is outside/,
        /^ftp-2121 admits data ports 1024-65535 \(data\.ports\)$/m,
        /said "PORT 10,77,1,\d+,0,80"/,
      );
      await session.say(`PORT ${hostPort('10.77.1.98', 5000)}\r\n`);
      await session.refused('address');
      await answers(
        await knock(session.there, '10.77.1.98', 5000),
        'refused',
        /\(address\): the announced address is not the announcer's/,
      );
      await session.say('PORT 10,77,1,2,300,1\r\n');
      await session.refused('bad-octet');
      await answers(await knock(session.there, session.here, 41_003), 'refused', /\(bad-octet\): /);
    }
  });

  it('an expectation that is over: expired, withdrawn, replaced, gone with its control connection, used, or later than the SYN', async () => {
    const brief = await stage.session({ port: port.brief });
    const expired = stage.newPort();
    await brief.passive(expired);
    const deadline = sleep(1050);

    const session = await stage.session();
    const { here, there } = session;
    const [withdrawn, first, second, used, late, gone] = Array.from({ length: 6 }, () => stage.newPort()) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    await session.say(session.port(withdrawn));
    await session.expects(withdrawn);
    await session.answer('500 no\r\n');
    await answers(
      await knock(there, here, withdrawn),
      'withdrawn',
      /the other side refused the command by which control connection/,
    );

    await session.passive(first);
    await session.passive(second);
    await answers(
      await knock(here, there, first),
      'replaced',
      /a newer announcement .* took the place/,
      new RegExp(`10\\.77\\.2\\.2:${first} was expected`),
    );

    await session.passive(used);
    const flow = await session.dataFromClient(used);
    await answers(
      await knock(here, there, used),
      'used',
      new RegExp(
        `used already by #${flow.id}, ${here}:${String(flow.source.port)} > ${there}:${used}, .* before its SYN`,
      ),
    );

    const early = await knock(here, there, late);
    await session.passive(late);
    await answers(early, 'late', /it was announced too late, .* after its SYN, by control connection/);

    await answers(
      await knock(here, there, late + 1000),
      'other-port',
      new RegExp(`what was expected between the two at that time was ${here}:\\* > ${there}:${late}, `),
    );

    await session.passive(gone);
    await session.quit();
    await stage.gateway.event('control.end', ({ flow: { id } }) => id === session.id);
    await answers(
      await knock(here, there, gone),
      'control-ended',
      /its expectation ended with control connection .* before its SYN/,
    );
    await answers(
      await knock(here, there, gone + 1000),
      'no-control',
      /no control connection between .* any more: the last one, .* ended .* before its SYN/,
    );

    await deadline;
    await answers(
      await knock(brief.here, there, expired),
      'expired',
      /its expectation had expired .* before its SYN; it was announced 1\.\d s before its SYN/,
    );
  });

  it('a control connection that is not read any more, or that announced nothing', async () => {
    const silent = await stage.session();
    await answers(
      await knock(silent.here, silent.there, 41_004),
      'not-announced',
      /control connection .*, announced nothing of it\./,
    );
    const secret = await stage.session();
    await secret.say('AUTH TLS\r\n');
    await secret.answer('234 go ahead\r\n');
    await secret.becomes('encrypted');
    await answers(
      await knock(secret.here, secret.there, 41_005),
      'encrypted',
      /no longer read, since .* before its SYN \(encrypted\): the control connection is encrypted/,
    );
    const other = await stage.session({ begin: 'greeting' });
    await other.say('GET / HTTP/1.1\r\n');
    await other.becomes('not-protocol');
    await answers(
      await knock(other.here, other.there, 41_006),
      'not-parsed',
      /\(not-protocol\): the dialogue is not the helper's protocol/,
    );
  });

  it('nothing of it was seen; relatd was not running then', async () => {
    const source = { address: '10.77.1.2', port: 1 };
    const destination = { address: '10.77.2.2', port: 41_007 };
    await answers(
      [source, destination],
      'not-seen',
      /no SYN from 10\.77\.1\.2:1 to 10\.77\.2\.2:41007 was seen on a watched interface\.$/m,
      /^watched: eth0, eth1;/m,
    );
    const before = await ask(source, destination, Date.now() - 3_600_000);
    expect(before).toMatchObject({
      answer: 'not-running',
      sentence: expect.stringMatching(/started .*(min|h).* later/) as string,
    });
    // Announced, and not come yet.
    const session = await stage.session();
    const data = stage.newPort();
    await session.passive(data);
    await answers(
      [
        { address: session.here, port: null },
        { address: session.there, port: data },
      ],
      'not-seen',
      /though it is expected/,
    );
  });

  it('the daemon was away: what only it could judge, what was lost meanwhile, and what the pins alone can tell', async () => {
    const { gateway, lab } = stage;
    const stranger = await stage.newAddress();
    const judged = await stage.session({ judged: true });
    const plain = await stage.session();
    const kept = stage.newPort();
    await plain.passive(kept);
    const history = await knock(stranger, lab.server.ipv4, 41_008);
    await gateway.kill();
    const data = stage.newPort();
    await judged.announce('passive', data);
    const unheard = await knock(judged.here, judged.there, data);

    // Without a daemon, from the pins.
    const { daemonGoneSince } = await offlineStatus({ netns: gateway.namespace.path });
    expect(Math.abs(Date.now() - Date.parse(daemonGoneSince ?? ''))).toBeLessThan(15_000);
    const line = [plain.client.local, plain.client.remote].map((end) => `${end.address}:${end.port}`);
    const offline = await relatd(['why', ...line, '--json', '--netns', gateway.namespace.path], {
      env: { RELATD_SOCKET: gateway.socketPath },
    });
    expect({ code: offline.code, stderr: offline.stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(offline.stdout)).toMatchObject({ answer: 'control', historySince: null });
    const [source, destination] = history;
    const question = { source, destination: { ...destination, port: 41_008 }, zone: null, at: null };
    expect(await offlineWhy({ netns: gateway.namespace.path }, question)).toMatchObject({
      answer: 'not-kept',
      sentence: expect.stringMatching(/no history while no daemon runs/) as string,
    });

    await flood();
    const lost = await knock(stranger, lab.server.ipv4, 41_009);
    await gateway.start();
    await answers(
      unheard,
      'away',
      /no daemon answered when control connection .* announced it, .* before its SYN/,
      /^about then the daemon went away$/m,
    );
    await expect.poll(() => gateway.of('lost').length).toBeGreaterThan(0);
    await answers(lost, 'lost', /events were lost about that time/);
    await answers(history, 'not-kept', /the history begins .* after its SYN/);
  });

  /** So many control connections that begin and end that the ring has no room for their events. */
  const flood = async (): Promise<void> => {
    const [client, server] = [clientSide.address, serverSide.address];
    const ports = Array.from({ length: FLOOD }, (_, at) => 1024 + at);
    const there = { src: server, dst: client, sport: port.ftp, seq: 7000, ack: 101, flags: 'SA', ...serverSide.link };
    const here = { src: client, dst: server, dport: port.ftp, seq: 101, ...clientSide.link };
    await serverSide.port.send(...ports.map((dport) => tcp({ ...there, dport })));
    const ends = ports.flatMap((sport) => [
      tcp({ ...here, sport, ack: 7001, flags: 'A' }),
      tcp({ ...here, sport, flags: 'R' }),
    ]);
    await clientSide.port.send(...ends);
  };
});
