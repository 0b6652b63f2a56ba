// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { defaultConfig } from './support/gateway.js';
import { hostPort, passiveReply, useStage, type SessionStart } from './support/dialogue.js';

const config = {
  interfaces: defaultConfig.interfaces,
  assignments: [
    { name: 'ftp-2121', helper: 'ftp', port: 2121 },
    { name: 'anybody', helper: 'ftp', port: 2122, data: { 'third-party': true } },
    { name: 'narrow', helper: 'ftp', port: 2123, data: { ports: '50000-50099' } },
    { name: 'two', helper: 'ftp', port: 2124, limits: { 'per-master': 2 } },
  ],
};
const stage = useStage({}, { config });

/** Every byte a segment of its own. */
const bytes = (text: string): string[] => Array.from(text);
const halves = (text: string): string[] => [text.slice(0, 9), text.slice(9)];

describe('a command that announces is understood', () => {
  const ways: [string, (line: string) => string[], SessionStart?][] = [
    ['in one segment', (line) => [line]],
    ['split over two segments', halves],
    ['split before its LF', (line) => [line.slice(0, -1), '\n']],
    ['byte by byte', bytes],
    ['with LF only', (line) => [line.replace('\r', '')]],
    ['in small letters', (line) => [line.toLowerCase()]],
    ['behind Telnet commands', (line) => [`\xff\xf4\xff\xf2${line}`]],
    ['with a Telnet command inside, cut in two', (line) => [`PO\xff`, `\xf1${line.slice(2)}`]],
    ['behind other commands', (line) => [`TYPE I\r\nMODE S\r\n${line}`]],
    ['in front of the transfer command', (line) => [`${line}STOR up.bin\r\n`]],
    ['as EPRT byte by byte, over IPv6', bytes, { family: 'ipv6' }],
  ];
  it.each(ways)('%s: it arrives, and its data connection is related', async (_name, split, start = {}) => {
    const session = await stage().session(start);
    const port = stage().newPort();
    await session.say(...split(session.port(port)));
    const expectation = await session.expects(port);
    expect(expectation).toMatchObject({
      ...{ assignment: 'ftp-2121', helper: 'ftp', protocol: 'tcp', master: session.id, permanent: false },
      source: { address: session.there, port: null },
      destination: { address: session.here, port },
    });
    await session.dataFromServer(port);
    expect(session.expected()).toEqual([port]);
    expect(await session.trust()).toBe('ok');
  });

  it('EPRT over IPv4', async () => {
    const session = await stage().session();
    const port = stage().newPort();
    await session.say(`EPRT |1|${session.here}|${port}|\r\n`);
    await session.dataFromServer(port);
  });

  it('in one segment with the whole login in front of it', async () => {
    const session = await stage().session({ begin: 'greeting' });
    const port = stage().newPort();
    await session.say(`USER alice\r\nPASS sesame\r\n${session.port(port)}STOR up.bin\r\n`);
    await session.answer('331 password\r\n230 in\r\n200 fine\r\n', '150 go on\r\n');
    const flow = await session.dataFromServer(port);
    expect(flow.detail).toEqual({ user: 'alice', command: 'STOR', argument: 'up.bin' });
  });
});

describe('a reply that announces is understood', () => {
  const ways: [string, (line: string) => string[], SessionStart?][] = [
    ['227 in one segment', (line) => [line]],
    ['227 split over two segments', halves],
    ['227 byte by byte', bytes],
    ['227 with LF only', (line) => [line.replace('\r', '')]],
    ['227 without parentheses', (line) => [line.replace('(', '').replace(')', '')]],
    ['229 byte by byte, over IPv6', bytes, { family: 'ipv6' }],
  ];
  it.each(ways)('%s: it arrives, and its data connection is related', async (_name, split, start = {}) => {
    const session = await stage().session(start);
    const port = stage().newPort();
    await session.say(session.family === 'ipv4' ? 'PASV\r\n' : 'EPSV\r\n');
    await session.answer(...split(passiveReply(session.family, session.there, port)));
    expect(await session.expects(port)).toMatchObject({
      source: { address: session.here, port: null },
      destination: { address: session.there, port },
    });
    await session.dataFromClient(port);
    expect(session.expected()).toEqual([port]);
  });

  it('229 over IPv4', async () => {
    const session = await stage().session();
    const port = stage().newPort();
    await session.say('epsv\r\n');
    await session.answer(passiveReply('ipv6', '', port));
    await session.dataFromClient(port);
  });

  it('to a pipelined PASV, and knows the command behind it', async () => {
    const session = await stage().session();
    const port = stage().newPort();
    await session.say('TYPE I\r\nPASV\r\nRETR big.iso\r\n');
    await session.answer(`200 binary\r\n${passiveReply('ipv4', session.there, port)}150 it comes\r\n`);
    const flow = await session.dataFromClient(port);
    expect(flow.detail).toEqual({ user: 'alice', command: 'RETR', argument: 'big.iso' });
  });

  it('behind a multi-line reply, whose text never counts', async () => {
    const session = await stage().session();
    const [wrong, port] = [stage().newPort(), stage().newPort()];
    const lure = passiveReply('ipv4', session.there, wrong);
    await session.say('STAT\r\nPASV\r\n');
    await session.answer(`211-status\r\n${lure}`, ` ${lure}227-more\r\n`, `${lure}211 end\r\n`);
    await session.answer(passiveReply('ipv4', session.there, port));
    await session.dataFromClient(port);
    expect(session.expected()).toEqual([port]);
  });
});

describe('what is refused arrives, opens nothing, and is told with its reason', () => {
  const client: [string, string, (here: string) => string, SessionStart?][] = [
    ['port 0', 'port-zero', (here) => `PORT ${hostPort(here, 0)}`],
    ['EPRT with port 0', 'port-zero', (here) => `EPRT |1|${here}|0|`],
    ['a port below 1024', 'port-range', (here) => `PORT ${hostPort(here, 22)}`],
    ['the port next to the range', 'port-range', (here) => `PORT ${hostPort(here, 50_100)}`, { port: 2123 }],
    ['a port over 65535', 'bad-port', (here) => `EPRT |1|${here}|65536|`],
    ['an octet over 255', 'bad-octet', () => 'PORT 10,77,256,2,156,64'],
    ['a port octet over 255', 'bad-octet', (here) => `PORT ${here.replaceAll('.', ',')},256,1`],
    ["an address that is not the announcer's", 'address', () => `PORT ${hostPort('10.77.1.3', 40_000)}`],
    ['the address of the server itself', 'address', () => `PORT ${hostPort('10.77.2.2', 40_000)}`],
    ['an IPv6 address over IPv4', 'wrong-family', () => 'EPRT |2|fd77:1::2|40000|'],
    ['an IPv4 address over IPv6', 'wrong-family', () => `PORT ${hostPort('10.77.1.2', 40_000)}`, { family: 'ipv6' }],
    ['an unknown family', 'bad-family', (here) => `EPRT |3|${here}|40000|`],
    ['five numbers', 'bad-syntax', () => 'PORT 10,77,1,2,156'],
    ['a line of 2,000 bytes', 'line-too-long', (here) => `PORT ${hostPort(here, 40_000)}${' '.repeat(2000)}`],
  ];
  it.each(client)('PORT or EPRT with %s: %s', async (_name, reason, line, start) => {
    const session = await stage().session(start);
    await session.say(`${line(session.here)}\r\n`);
    await session.refused(reason);
    await session.expectsNothing();
    const event = stage().gateway.of('expectation.refused').at(-1);
    expect(event).toMatchObject({ reason, count: 1 });
    expect((event?.flow ?? event?.expectation)?.assignment).toBe(start?.port === 2123 ? 'narrow' : 'ftp-2121');
    // The dialogue is as good as before.
    const port = start?.port === 2123 ? 50_099 : stage().newPort();
    await session.active(port);
    await session.dataFromServer(port);
    expect(await session.trust()).toBe('ok');
  });

  const server: [string, string, (there: string) => string, SessionStart?][] = [
    ['227 with port 0', 'port-zero', (there) => passiveReply('ipv4', there, 0)],
    ['227 with a port below 1024', 'port-range', (there) => passiveReply('ipv4', there, 1023)],
    ["227 with an address that is not the announcer's", 'address', () => passiveReply('ipv4', '10.77.2.3', 40_000)],
    ['227 with an octet over 255', 'bad-octet', () => '227 Here (10,77,2,2,300,1)\r\n'],
    ['229 with a port over 65535', 'bad-port', () => '229 Here (|||99999|)\r\n', { family: 'ipv6' }],
  ];
  it.each(server)('%s: %s', async (_name, reason, line, start) => {
    const session = await stage().session(start);
    await session.say(session.family === 'ipv4' ? 'PASV\r\n' : 'EPSV\r\n');
    await session.answer(line(session.there));
    await session.refused(reason);
    await session.expectsNothing();
    const port = stage().newPort();
    await session.passive(port);
    await session.dataFromClient(port);
  });

  it.each(['ipv4', 'ipv6'] as const)('a passive reply that nobody asked for, over %s', async (family) => {
    const session = await stage().session({ family });
    const port = stage().newPort();
    const reply = passiveReply(family, session.there, port);
    await session.answer(reply);
    await session.refused('unsolicited');
    // Nor the answer to the other command.
    await session.say(family === 'ipv4' ? 'EPSV\r\n' : 'PASV\r\n');
    await session.answer(reply);
    await session.expectsNothing();
    await session.shutFromClient(port);
  });

  it('the announced port of a refusal is shut', async () => {
    const session = await stage().session({ port: 2123 });
    const port = 50_100;
    await session.say(session.port(port));
    await session.answer('200 fine\r\n');
    await session.refused('port-range');
    await session.shutFromServer(port);
  });

  it('but a third party may be announced where the assignment admits it', async () => {
    const session = await stage().session({ port: 2122 });
    const other = await stage().newAddress();
    const port = stage().newPort();
    await session.say(session.port(port, other));
    expect((await session.expects(port)).destination).toEqual({ address: other, port });
    const listener = await stage().client.listen(port, other);
    const data = await stage().server.connect(other, port);
    await listener.accept();
    const { flow } = await stage().gateway.event('related.new', (event) => event.flow.master === session.id);
    expect(flow).toMatchObject({ assignment: 'anybody', destination: { address: other, port } });
    await data.end();
    await listener.close();
  });
});

describe('limits', () => {
  it('per master: the second announcement evicts the first', async () => {
    const session = await stage().session();
    const [first, second] = [stage().newPort(), stage().newPort()];
    const { id } = await session.active(first);
    await session.active(second);
    const gone = await stage().gateway.event('expectation.expired', ({ expectation }) => expectation.id === id);
    expect(gone).toMatchObject({ reason: 'evicted', expectation: { destination: { port: first } } });
    await session.shutFromServer(first);
    await session.dataFromServer(second);
  });

  it('per master: two are live where two may be, the third evicts the oldest', async () => {
    const session = await stage().session({ port: 2124 });
    const ports = [stage().newPort(), stage().newPort(), stage().newPort()] as const;
    for (const port of ports) await session.active(port);
    expect((await session.expectations()).map(({ destination }) => destination.port)).toEqual(ports.slice(1));
    await session.shutFromServer(ports[0]);
    await session.dataFromServer(ports[2]);
    await session.dataFromServer(ports[1]);
  });

  it('per source: the next expectation is refused, also of another connection, other sources are not concerned', async () => {
    await stage().gateway.reload({ ...config, limits: { 'per-source': 2 } });
    try {
      const address = await stage().newAddress();
      const first = await stage().session({ address, port: 2124 });
      await first.active(stage().newPort());
      await first.active(stage().newPort());
      const second = await stage().session({ address });
      const port = stage().newPort();
      await second.say(second.port(port));
      await second.refused('per-source');
      await second.expectsNothing();
      const other = await stage().session();
      await other.active(port);
      // A place becomes free: the same announcement is accepted.
      await first.quit();
      await second.active(port);
      await second.dataFromServer(port);
    } finally {
      await stage().gateway.reload(config);
    }
  });

  it('per source: too many control connections go on, untracked', async () => {
    await stage().gateway.reload({ ...config, limits: { 'per-source': 1 } });
    try {
      const first = await stage().session();
      const listener = await stage().listener(2121);
      const second = await stage().client.connect(first.there, 2121, { localAddress: first.here });
      const far = await listener.accept();
      await far.write('220 ready\r\n');
      await second.waitFor(/220 ready/);
      expect(await stage().gateway.flows({ kind: 'control' })).not.toContainEqual(
        expect.objectContaining({ source: { address: first.here, port: second.local.port } }),
      );
      await second.end();
      await far.end();
    } finally {
      await stage().gateway.reload(config);
    }
  });
});

describe('a dialogue that is not FTP is given up for good, and not one byte is lost', () => {
  const post =
    'POST /upload HTTP/1.1\r\nHost: 10.77.2.2:2121\r\nContent-Length: 40\r\n\r\nUSER alice\r\nPASS sesame\r\n';

  it.each(['none', 'greeting'] as const)('an HTTP POST with a PORT line (%s before it)', async (begin) => {
    const session = await stage().session({ begin });
    const port = stage().newPort();
    await session.say(post + session.port(port));
    await session.becomes('not-protocol');
    await session.answer('HTTP/1.1 200 OK\r\n\r\n');
    // In a segment of its own, at its beginning, as NAT slipstreaming does it.
    await session.say(session.port(port));
    await session.answer('200 fine\r\n');
    await session.expectsNothing();
    await session.shutFromServer(port);
  });

  it('USER and PORT before the server has spoken', async () => {
    const session = await stage().session({ begin: 'none' });
    const port = stage().newPort();
    await session.say('USER alice\r\n', session.port(port));
    await session.becomes('not-protocol');
    await session.expectsNothing();
  });

  it.each([
    ['a TLS ClientHello', '\x16\x03\x01\x00\x10\x01\x00\x00\x0c\x03\x03'],
    ['a STUN binding request', '\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl'],
    ['an SSH client', 'SSH-2.0-OpenSSH_9.2p1\r\n'],
  ])('%s', async (_name, hello) => {
    const session = await stage().session({ begin: 'none' });
    const port = stage().newPort();
    await session.say(hello);
    await session.becomes('not-protocol');
    await session.answer('220 ready\r\n');
    await session.say(session.port(port));
    await session.answer('200 fine\r\n');
    await session.expectsNothing();
  });

  it('a server that speaks SMTP to a browser: five errors', async () => {
    const session = await stage().session({ begin: 'greeting' });
    for (let i = 0; i < 5; i++) {
      await session.say('NOOP\r\n');
      await session.answer('502 what?\r\n');
    }
    await session.becomes('not-protocol');
    await session.say(session.port(stage().newPort()));
    await session.expectsNothing();
  });
});

describe('encryption', () => {
  it('ends the parsing, and flows say so; what is in the same segment is not parsed either', async () => {
    const session = await stage().session({ begin: 'greeting' });
    const port = stage().newPort();
    await session.say('AUTH TLS\r\n');
    await session.answer(`234 go on\r\n${passiveReply('ipv4', session.there, port)}`);
    await session.becomes('encrypted');
    await session.say('\x16\x03\x01\x02\x00\x01\r\n', `PASV\r\n${session.port(port)}`);
    await session.answer(passiveReply('ipv4', session.there, port));
    await session.expectsNothing();
    await session.shutFromServer(port);
    expect(await session.trust()).toBe('encrypted');
    const { stdout } = await stage().gateway.relatd('flows');
    expect(stdout).toContain('(encrypted)');
  });

  it('that the server refused changes nothing', async () => {
    const session = await stage().session({ begin: 'greeting' });
    const port = stage().newPort();
    await session.say('AUTH TLS\r\n');
    await session.answer('502 not here\r\n');
    await session.active(port);
    await session.dataFromServer(port);
  });
});

describe('a clash of two masters', () => {
  it.each(['active', 'passive'] as const)(
    '%s: both packets arrive, the second announcement is refused',
    async (mode) => {
      const first = await stage().session();
      const second = await stage().session({ address: first.here });
      const port = stage().newPort();
      await first[mode](port);
      if (mode === 'active') {
        await second.say(second.port(port));
      } else {
        await second.say('PASV\r\n');
        await second.answer(passiveReply('ipv4', second.there, port));
      }
      await second.refused('clash');
      await second.expectsNothing();
      expect(await first.expectations()).toHaveLength(1);
      const flow = mode === 'active' ? await first.dataFromServer(port) : await first.dataFromClient(port);
      expect(flow.master).toBe(first.id);
      // Now the place is free.
      await second[mode](port);
      const next = mode === 'active' ? await second.dataFromServer(port) : await second.dataFromClient(port);
      expect(next.master).toBe(second.id);
    },
  );

  it('is none where the other ends differ', async () => {
    const one = await stage().session({ port: 2122 });
    const other = await stage().session({ port: 2122 });
    const port = stage().newPort();
    await one.passive(port);
    await other.passive(port);
    expect((await other.dataFromClient(port)).master).toBe(other.id);
    expect((await one.dataFromClient(port)).master).toBe(one.id);
  });
});
