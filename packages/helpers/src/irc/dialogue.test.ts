// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { dialogue, facts, segments, summaries, unescaped } from '../script.js';
import { LINE_LIMIT } from './dialogue.js';
import { irc } from './index.js';

const WELCOME = 'S: :irc.test 001 alice :Welcome';
const LOGIN = ['C: NICK alice', 'C: USER alice 0 * :Al', WELCOME];
const OFFER = 'PRIVMSG bob :\\x01DCC SEND a.bin 172818690 50000 99\\x01';
const FACT = 'announce original - 10.77.1.2 50000 anyone alice,DCC SEND,a.bin';
const FOREIGN = 'abandon not-protocol';

const read = (lines: readonly string[], parser = irc.create()): string[] => summaries(dialogue(lines), parser);

describe('announcements', () => {
  it.each<[string, string[], string[]]>([
    ['PRIVMSG', [`C: ${OFFER}`], [FACT]],
    ['in small letters', ['C: privmsg bob :\\x01dcc send a.bin 172818690 50000\\x01'], [FACT]],
    ['NOTICE', [`C: ${OFFER.replace('PRIVMSG', 'NOTICE')}`], [FACT]],
    ['with a prefix', [`C: :alice!a@b  ${OFFER}`], [FACT]],
    ['with tags', [`C: @a=b;+c/d=e  ${OFFER}`], [FACT]],
    ['with both', [`C: @a :alice ${OFFER}`], [FACT]],
    ['several', [`C: ${OFFER}`, 'C: PRIVMSG bob :hello', `C: ${OFFER}`], [FACT, FACT]],
    ['several in a segment', [`C: ${OFFER}\\r\\nPRIVMSG bob :hello\\n${OFFER}`], [FACT, FACT]],
    [
      'a chat',
      ['C: PRIVMSG bob :\\x01DCC CHAT chat 1 2\\x01'],
      ['announce original - 0.0.0.1 2 anyone alice,DCC CHAT,-'],
    ],
    [
      'a name that would move the cursor',
      ['C: PRIVMSG bob :\\x01DCC SEND a\\x1b[2J\\xff 1 2\\x01'],
      ['announce original - 0.0.0.1 2 anyone alice,DCC SEND,a\\x1b[2J\ufffd'],
    ],
    [
      'malformed',
      ['C: PRIVMSG bob :\\x01DCC SEND a.bin 10.0.0.1 2\\x01', `C: ${OFFER}`],
      ['refuse original bad-syntax', FACT],
    ],
    ['a port that is none', ['C: PRIVMSG bob :\\x01DCC SEND a 1 70000\\x01'], ['refuse original bad-port']],
    ['an address that is none', ['C: PRIVMSG bob :\\x01DCC SEND a 4294967296 70\\x01'], ['refuse original bad-octet']],
    ['a passive offer', ['C: PRIVMSG bob :\\x01DCC SEND a 1 0 99 7\\x01'], []],
    ['RESUME', ['C: PRIVMSG bob :\\x01DCC RESUME a 50000 7\\x01'], []],
    ['of others, which the server relays', [`S: :bob!b@c ${OFFER}`, `S: ${OFFER}`], []],
    ['in another command', [`C: TOPIC #a :\\x01DCC SEND a 1 2\\x01`, `C: X${OFFER}`, `C:  ${OFFER}`], []],
    ['behind a lone CR', [`C: PRIVMSG bob :hello\\r${OFFER}`], []],
    ['behind a tag section that is none', [`C: @ ${OFFER}`, `C: @a`, `C: : ${OFFER}`], []],
    [
      'with a NUL in the line',
      [`C: ${OFFER}\\x00`, `C: \\x00${OFFER}`, `C: PRIVMSG bob :\\x01DCC SEND \\x00 x\\x01`],
      [],
    ],
  ])('%s', (_, lines, expected) => {
    expect(read([...LOGIN, ...lines])).toEqual(expected);
  });

  it('have everything that is known of them', () => {
    const before = 'NICK al\r\n'.length + 'PRIVMSG bob :hi\n'.length;
    const lines = ['C: NICK al\\r\\n', `${WELCOME}\\r\\n`, 'C: PRIVMSG bob :hi\\n', `C: ${OFFER}\\r\\r\\n`];
    expect(facts(segments(lines.join('\n')), irc.create())).toEqual([
      {
        kind: 'announce',
        direction: 'original',
        start: before,
        end: before + unescaped(OFFER).length + 3,
        protocol: 'tcp',
        family: null,
        address: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 77, 1, 2),
        port: 50000,
        from: 'anyone',
        detail: { user: 'al', command: 'DCC SEND', argument: 'a.bin' },
      },
    ]);
  });

  it('may come in pieces', () => {
    const parser = irc.create();
    facts(dialogue(LOGIN), parser);
    const pieces = [...unescaped(`${OFFER}\\r\\n`)].map((byte) => parser.feed('original', Uint8Array.of(byte)));
    expect(pieces.slice(0, -1).flat()).toEqual([]);
    expect(pieces.at(-1)).toMatchObject([{ kind: 'announce', port: 50000 }]);
  });

  it('show the nickname of the last NICK', () => {
    const offer = `C: ${OFFER}`;
    const users = facts(
      dialogue([...LOGIN, offer, 'C: NICK :al', offer, 'C: @a :al nick carol', offer, 'C: NICK', 'C: NICK :', offer]),
      irc.create(),
    ).map((fact) => (fact.kind === 'announce' ? fact.detail?.['user'] : fact.kind));
    expect(users).toEqual(['alice', 'al', 'carol', 'carol']);
    expect(read(['C: USER a 0 * :b', WELCOME, offer])).toEqual([FACT.replace('alice', '-')]);
  });
});

describe('long lines', () => {
  const padded = (length: number): string =>
    `PRIVMSG bob :\\x01DCC SEND a.bin 172818690 50000 ${'9'.repeat(length - 45)}`;

  it('announce up to the limit', () => {
    expect(unescaped(padded(LINE_LIMIT))).toHaveLength(LINE_LIMIT);
    expect(read([...LOGIN, `C: ${padded(LINE_LIMIT)}`])).toEqual([FACT]);
    expect(read([...LOGIN, `C: ${padded(LINE_LIMIT + 1)}`])).toEqual(['refuse original line-too-long']);
  });

  it('are refused where they look like an offer, and end', () => {
    const long = 'x'.repeat(LINE_LIMIT);
    expect(
      read([
        ...LOGIN,
        `C: @${long} ${OFFER}`,
        `C: PRIVMSG bob :${long}`,
        `C: PRIVMSG bob :\\x01DCC RESUME ${long}`,
        `C: PRIVMSG bob :\\x01DCC SEND "${long}`,
        `C: PRIVMSG bob :\\x01DCC SEND ${long}\\x00`,
        `C: NICK x ${long}`,
        `C: ${OFFER}`,
      ]),
    ).toEqual(['refuse original line-too-long', FACT]);
  });
});

describe('trusted is', () => {
  it.each<[string, string[]]>([
    ['a registration', LOGIN],
    ['in small letters', ['C: nick alice', 'C: user alice 0 * :Al', WELCOME]],
    ['with tags and prefixes', ['C: @a :b NICK alice', 'S: @time=x :irc.test 001 alice :hi']],
    [
      'a server that speaks first',
      ['S: NOTICE AUTH :*** Looking up', 'S: :irc.test NOTICE * :x', 'C: NICK alice', WELCOME],
    ],
    ['PING and PONG', ['C: NICK alice', 'S: PING :123', 'C: PONG :123', WELCOME]],
    [
      'a nickname in use',
      ['C: NICK al', 'S: :irc.test 433 * al :Nickname is already in use', 'C: NICK alice', WELCOME],
    ],
    [
      'capabilities and SASL',
      [
        'C: CAP LS 302',
        'S: CAP * LS :sasl',
        'C: NICK alice',
        'C: AUTHENTICATE PLAIN',
        'S: AUTHENTICATE +',
        'C: CAP END',
        WELCOME,
      ],
    ],
    ['a gateway', ['C: WEBIRC pass gw host 10.0.0.1', 'C: PASS x', 'C: NICK alice', WELCOME]],
    [
      'what irssi sends',
      ['C: CAP LS 302', 'C: JOIN :', 'S: :irc.test 451 * :Not registered', 'C: NICK alice', WELCOME],
    ],
    ['STARTTLS that was refused', ['C: STARTTLS', 'S: :irc.test 691 * :no', 'C: NICK alice', WELCOME]],
    ['670 that was not asked for', ['C: NICK alice', 'S: :irc.test 670 * :go on', WELCOME]],
    ['670 without prefix', ['C: NICK alice', 'C: STARTTLS', 'S: NOTICE 670 :x', WELCOME]],
    ['empty lines', ['C: ', 'S: ', 'C: \\r', 'C: NICK alice', 'S: ', WELCOME]],
    ['lines with NUL', ['C: X\\x00', 'C: NICK alice', 'S: \\x00', 'S: x\\x00', WELCOME]],
    ['a bare 001', ['C: NICK alice', 'S: :x 001']],
    ['several spaces', ['C: NICK   alice', 'S: @a   :x   001   alice :hi']],
  ])('%s', (_, lines) => {
    const parser = irc.create();
    expect(read(lines, parser)).toEqual([]);
    expect(parser.recognised).toBe(true);
    expect(read([`C: ${OFFER}`], parser)).toHaveLength(1);
  });
});

describe('not trusted is', () => {
  it.each<[string, string[]]>([
    ['HTTP', ['C: POST / HTTP/1.1', 'C: Host: x']],
    ['an offer before the welcome', ['C: NICK alice', `C: ${OFFER}`]],
    ['any other command before the welcome', ['C: NICK alice', 'C: WHO #a']],
    ['a verb with more behind it', ['C: NICKNAME alice']],
    ['a verb with something else behind it', ['C: NICK\\talice']],
    ['a verb behind a space', ['C:  NICK alice']],
    ['a numeric', ['C: 001 alice']],
    ['tags alone', ['C: @a=b']],
    ['tags without a space', ['C: @NICK']],
    ['a prefix alone', ['C: :NICK alice']],
    ['a verb behind a lone CR', ['C: \\rNICK alice']],
    ['a long line of another protocol', [`C: ${'x'.repeat(LINE_LIMIT + 9)}`]],
    ['NUL first', ['C: \\x00NICK alice']],
    ['a welcome before the client has spoken', [WELCOME]],
    ['a welcome before the client has said anything', ['C: ', 'C: X\\x00', WELCOME]],
    ['a welcome without prefix', ['C: NICK alice', 'S: 001 alice :hi']],
    ['a greeting of FTP', ['S: 220 ready']],
    ['HTTP from the server', ['C: NICK alice', 'S: HTTP/1.1 400 Bad Request']],
    ['another command of the server', ['C: NICK alice', `S: ${OFFER}`]],
    ['a verb of the server with more behind it', ['S: NOTICES x']],
    ['tags of the server alone', ['S: @a']],
  ])('%s', (_, lines) => {
    const parser = irc.create();
    expect(read([...lines, `C: ${OFFER}`, WELCOME, `C: ${OFFER}`], parser)).toEqual([FOREIGN]);
    expect(parser.recognised).toBe(false);
  });

  it.each([
    ['a TLS record', '\\x16\\x03\\x01'],
    ['a digit', '1'],
    ['a space', ' '],
    ['a NUL', '\\x00'],
    ['a byte over 127', '\\xc3'],
    ['an empty line but for a NUL', '\\x00\\r\\n'],
  ])('%s, by its first byte', (_, bytes) => {
    expect(irc.create().feed('original', unescaped(bytes))).toEqual([{ kind: 'abandon', reason: 'not-protocol' }]);
    expect(irc.create().feed('original', unescaped(`NICK a\\n${bytes}`))).toHaveLength(1);
  });

  it.each(['N', 'z', '@', ':', '\\r', '\\r\\n', '\\r\\nN', ''])('judged yet: %s', (bytes) => {
    const parser = irc.create();
    expect(parser.feed('original', unescaped(bytes))).toEqual([]);
    expect(parser.recognised).toBe(false);
  });

  it('is nothing of a server by its first byte alone', () => {
    expect(irc.create().feed('reply', unescaped('2'))).toEqual([]);
  });
});

describe('encryption', () => {
  it('begins with 670 after STARTTLS', () => {
    const lines = ['C: CAP LS', 'C: STARTTLS', 'S: @a :irc.test 670 alice :go on', 'C: \\x16\\x03', `C: ${OFFER}`];
    expect(read(lines)).toEqual(['encrypted']);
    expect(read(['C: starttls', 'S: :x 670'])).toEqual(['encrypted']);
  });

  it('does not begin after the welcome', () => {
    expect(read(['C: STARTTLS', 'C: NICK alice', WELCOME, 'S: :irc.test 670 alice :go on', `C: ${OFFER}`])).toEqual([
      FACT,
    ]);
  });
});

describe('gaps', () => {
  it.each(['original', 'reply'] as const)('%s: end trust while it is being won', (direction) => {
    const parser = irc.create();
    facts(dialogue(LOGIN.slice(0, 2)), parser);
    parser.resync(direction);
    expect(parser.feed('reply', unescaped(':x 001 alice\\n'))).toEqual([{ kind: 'abandon', reason: 'gap' }]);
    expect(read([`C: ${OFFER}`], parser)).toEqual([]);
  });

  it('are survived later', () => {
    const parser = irc.create();
    facts(dialogue([...LOGIN, 'S: x']), parser);
    parser.feed('original', unescaped('PRIVMSG bob'));
    parser.resync('original', { offset: 1000 });
    parser.resync('reply');
    expect(parser.recognised).toBe(true);
    expect(facts(dialogue([`C: ${OFFER}`]), parser)).toMatchObject([{ kind: 'announce', start: 1000, end: 1050 }]);
    parser.resync('original', { lineStart: false });
    expect(read([`C: ${OFFER}`, `C: ${OFFER}`], parser)).toEqual([FACT]);
  });

  it('stand before what an adopted connection says', () => {
    const parser = irc.create({ adopted: true });
    expect(parser.recognised).toBe(true);
    parser.resync('original', { lineStart: true });
    parser.resync('reply', { lineStart: true });
    expect(read(['C: end of a line', `C: ${OFFER}`, 'S: anything'], parser)).toEqual([FACT.replace('alice', '-')]);
    expect(read([`C: ${OFFER}`], irc.create({ adopted: true }))).toEqual([FACT.replace('alice', '-')]);
  });
});
