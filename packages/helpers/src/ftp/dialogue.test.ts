// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { ftp } from './index.js';
import { LINE_LIMIT } from './line.js';
import { PENDING_LIMIT } from './pending.js';
import { dialogue, facts, summaries, unescaped } from '../script.js';

const GREETING = ['S: 220 ready'];
const LOGIN = [...GREETING, 'C: USER alice', 'S: 331 password', 'C: PASS secret', 'S: 230 welcome'];
const PORT = 'C: PORT 10,77,1,2,200,10';
const PASSIVE = 'S: 227 Entering Passive Mode (10,77,2,2,157,171).';
const EXTENDED = 'S: 229 Entering Extended Passive Mode (|||40000|)';
const PORT_FACT = 'announce original 4 10.77.1.2 51210 alice,-,-';
const PASSIVE_FACT = 'announce reply 4 10.77.2.2 40363 alice,-,-';
const EXTENDED_FACT = 'announce reply - own 40000 alice,-,-';

type Case = [name: string, lines: string[], facts: string[]];

describe('announcements', () => {
  it.each<Case>([
    ['PORT', [PORT, 'S: 200 ok'], [PORT_FACT]],
    ['port in small letters', ['C: port 10,77,1,2,200,10', 'S: 200 ok'], [PORT_FACT]],
    ['EPRT', ['C: EPRT |2|fd77::2|5282|', 'S: 200 ok'], ['announce original 6 fd77::2 5282 alice,-,-']],
    ['PASV', ['C: PASV', PASSIVE], [PASSIVE_FACT]],
    ['pasv with a space behind it', ['C: pasv ', PASSIVE], [PASSIVE_FACT]],
    ['EPSV', ['C: EPSV', EXTENDED], [EXTENDED_FACT]],
    ['EPSV 1', ['C: EPSV 1', EXTENDED], ['announce reply 4 own 40000 alice,-,-']],
    ['EPSV 2', ['C: EPSV 2', EXTENDED], ['announce reply 6 own 40000 alice,-,-']],
    [
      'EPSV 2, answered with a family',
      ['C: EPSV 2', 'S: 229 x (|1||40000|)'],
      ['announce reply 4 own 40000 alice,-,-'],
    ],
    ['EPSV ALL', ['C: EPSV ALL', 'S: 200 ok', 'C: EPSV', EXTENDED], [EXTENDED_FACT]],
    ['EPSV ALL asks for nothing', ['C: epsv all', EXTENDED], ['refuse reply unsolicited']],
    ['a 227 at the end of a multi-line reply', ['C: PASV', 'S: 227-Just', 'S: a moment', PASSIVE], [PASSIVE_FACT]],
    ['a 229 after a preliminary reply', ['C: EPSV', 'S: 150 wait', EXTENDED], [EXTENDED_FACT]],
    ['several', [PORT, 'S: 200 ok', 'C: PASV', PASSIVE, PORT], [PORT_FACT, PASSIVE_FACT, PORT_FACT]],
    [
      'LPRT and LPSV do not',
      ['C: LPRT 4,4,10,0,0,1,2,4,1', 'S: 200 ok', 'C: LPSV', 'S: 228 x (4,4,10,0,0,1,2,4,1)'],
      [],
    ],
  ])('%s', (_, lines, expected) => {
    expect(summaries(dialogue([...LOGIN, ...lines]))).toEqual(expected);
  });

  it('have the offsets of their lines', () => {
    const server = dialogue(['S: 220 ready', 'S: 200 ok', 'S: 227 =10,77,2,2,157,171']);
    const [greeting, ok, passive] = server.map(({ bytes }) => bytes.length) as [number, number, number];
    expect(facts(dialogue([...GREETING, 'C: NOOP', 'S: 200 ok', 'C: PASV', 'S: 227 =10,77,2,2,157,171']))).toEqual([
      expect.objectContaining({ direction: 'reply', start: greeting + ok, end: greeting + ok + passive }),
    ]);
    expect(facts(dialogue([...GREETING, 'C: NOOP', 'C: PORT 1,1,1,1,1,1']))).toMatchObject([{ start: 6, end: 24 }]);
  });

  it('need no login', () => {
    expect(summaries(dialogue([...GREETING, PORT]))).toEqual(['announce original 4 10.77.1.2 51210']);
    expect(summaries(dialogue(['S: 230 come in', 'C: PASV', PASSIVE]))).toEqual(['announce reply 4 10.77.2.2 40363']);
  });

  it('may end with LF alone and contain Telnet commands', () => {
    const parser = ftp.create();
    const feed = (direction: 'original' | 'reply', text: string) => parser.feed(direction, unescaped(text));
    feed('reply', '220 ready\\n');
    feed('original', '\\xff\\xfb\\x01US\\xff\\xf1ER x\\n');
    expect(feed('original', 'PO\\xff\\xf1RT 10,77,1,2,\\xff\\xfd\\n200,10\\n')).toMatchObject([
      { kind: 'announce', port: 51210, start: 12, end: 39 },
    ]);
  });
});

describe('pairing', () => {
  it.each<Case>([
    ['a 227 without PASV', [PASSIVE], ['refuse reply unsolicited']],
    ['a 227 to NOOP', ['C: NOOP', PASSIVE], ['refuse reply unsolicited']],
    ['a 227 to EPSV', ['C: EPSV', PASSIVE, EXTENDED], ['refuse reply unsolicited', 'refuse reply unsolicited']],
    ['a 229 to PASV', ['C: PASV', EXTENDED], ['refuse reply unsolicited']],
    ['a second 227', ['C: PASV', PASSIVE, PASSIVE], [PASSIVE_FACT, 'refuse reply unsolicited']],
    ['a 227 after the refusal of PASV', ['C: PASV', 'S: 502 no', PASSIVE], ['refuse reply unsolicited']],
    ['a 227 after another answer', ['C: PASV', 'S: 200 ok', PASSIVE], ['refuse reply unsolicited']],
    ['a 227 before the PASV', [PASSIVE, 'C: PASV', PASSIVE], ['refuse reply unsolicited', PASSIVE_FACT]],
    [
      'text in a multi-line reply',
      ['C: STAT', 'C: PASV', 'S: 211-Status', PASSIVE, '227 x', 'S: 211 End', PASSIVE],
      [PASSIVE_FACT],
    ],
    ['text in an endless multi-line reply', ['C: PASV', 'S: 211-Status', PASSIVE, PASSIVE], []],
    ['text that is no reply', ['C: PASV', `S:  ${PASSIVE.slice(3)}`, 'S: 2270 x', PASSIVE], [PASSIVE_FACT]],
    [
      'pipelined commands',
      ['C: NOOP', 'C: PASV', 'C: PWD', 'C: EPSV', 'S: 200 ok', PASSIVE, 'S: 257 "/"', EXTENDED],
      [PASSIVE_FACT, EXTENDED_FACT],
    ],
    [
      'a PASV behind an ABOR that got no answer of its own',
      ['C: RETR a', 'S: 150 go', 'C: ABOR', 'S: 226 done', 'C: PASV', PASSIVE],
      [PASSIVE_FACT],
    ],
    [
      'what a server owes does not shift later pairs',
      ['C: RETR a', 'S: 150 go', 'C: ABOR', 'S: 226 done', 'C: NLST', 'S: 150 go', 'S: 226 done', PORT, 'S: 500 no'],
      [PORT_FACT, 'withdraw'],
    ],
  ])('%s', (_, lines, expected) => {
    expect(
      summaries(dialogue([...LOGIN, ...lines.map((line) => (/^[CS]: /.test(line) ? line : `S: ${line}`))])),
    ).toEqual(expected);
  });

  it('remembers a limited number of commands', () => {
    const flood = Array<string>(PENDING_LIMIT + 1).fill('C: PASV');
    const answers = Array<string>(PENDING_LIMIT + 1).fill(PASSIVE);
    const seen = summaries(dialogue([...LOGIN, ...flood, ...answers]));
    expect(seen[0]).toBe(PASSIVE_FACT);
    expect(seen.slice(1)).toEqual(Array(PENDING_LIMIT).fill('refuse reply unsolicited'));
  });
});

describe('refusal by the server', () => {
  it.each<Case>([
    ['withdraws a PORT', [PORT, 'S: 500 no'], [PORT_FACT, 'withdraw']],
    [
      'withdraws an EPRT',
      ['C: EPRT |1|1.2.3.4|5|', 'S: 425 no'],
      ['announce original 4 1.2.3.4 5 alice,-,-', 'withdraw'],
    ],
    ['in several lines', [PORT, 'S: 500-no', 'S: really', 'S: 500 no'], [PORT_FACT, 'withdraw']],
    ['of an older PORT touches nothing', [PORT, PORT, 'S: 500 no'], [PORT_FACT, PORT_FACT]],
    ['of both', [PORT, PORT, 'S: 500 no', 'S: 500 no'], [PORT_FACT, PORT_FACT, 'withdraw']],
    ['of another command touches nothing', [PORT, 'S: 200 ok', 'C: CWD x', 'S: 550 no'], [PORT_FACT]],
    ['of what was refused here already', ['C: PORT 1,2', 'S: 501 no'], ['refuse original bad-syntax']],
    [
      'finds its PORT behind refused announcements',
      [PORT, 'C: PORT 1,2', PASSIVE, 'S: 500 no'],
      // The stray 227 answered the first PORT.
      [PORT_FACT, 'refuse original bad-syntax', 'refuse reply unsolicited'],
    ],
  ])('%s', (_, lines, expected) => expect(summaries(dialogue([...LOGIN, ...lines]))).toEqual(expected));
});

describe('refused announcements', () => {
  const long = 'x'.repeat(LINE_LIMIT);
  it.each<Case>([
    ['port 0', ['C: PORT 10,77,1,2,0,0'], ['refuse original port-zero']],
    ['an octet over 255', ['C: PORT 10,77,1,256,4,1'], ['refuse original bad-octet']],
    ['port over 65535', ['C: EPRT |1|10.0.0.1|65536|'], ['refuse original bad-port']],
    ['an unknown family', ['C: EPRT |9|10.0.0.1|80|'], ['refuse original bad-family']],
    ['PORT alone', ['C: PORT'], ['refuse original bad-syntax']],
    ['a long PORT', [`C: PORT 10,77,1,2,200,10${' '.repeat(LINE_LIMIT)}`], ['refuse original line-too-long']],
    [
      'a long 227',
      ['C: PASV', `${PASSIVE} ${long}`, PASSIVE],
      ['refuse reply line-too-long', 'refuse reply unsolicited'],
    ],
    ['a malformed 227', ['C: PASV', 'S: 227 ok'], ['refuse reply bad-syntax']],
    ['a malformed 229', ['C: EPSV', 'S: 229 ok'], ['refuse reply bad-syntax']],
    ['a long line with a PORT in it', [`C: RETR ${long}PORT 10,77,1,2,200,10`], []],
  ])('%s', (_, lines, expected) => expect(summaries(dialogue([...LOGIN, ...lines]))).toEqual(expected));

  it('show their line', () => {
    const [fact] = facts(dialogue([...LOGIN, 'C: PORT \\x1b[31m']));
    expect(fact).toMatchObject({ kind: 'refuse', text: 'PORT \\x1b[31m' });
  });
});

describe('detail', () => {
  it.each<Case>([
    ['after PASV', ['C: PASV', PASSIVE, 'C: RETR big.iso'], [PASSIVE_FACT, 'detail alice,RETR,big.iso']],
    ['after PORT', [PORT, 'S: 200 ok', 'C: STOR a b'], [PORT_FACT, 'detail alice,STOR,a b']],
    ['without argument', ['C: EPSV', EXTENDED, 'C: list'], [EXTENDED_FACT, 'detail alice,LIST,-']],
    ['before the 227', ['C: PASV', 'C: MLSD', PASSIVE], ['announce reply 4 10.77.2.2 40363 alice,MLSD,-']],
    [
      'of two pipelined transfers',
      ['C: PASV', 'C: RETR a', 'C: PASV', 'C: RETR b', PASSIVE, 'S: 150 go', 'S: 226 done', PASSIVE],
      ['announce reply 4 10.77.2.2 40363 alice,RETR,a', 'announce reply 4 10.77.2.2 40363 alice,RETR,b'],
    ],
    ['without announcement', ['C: RETR a'], []],
    [
      'behind a refused announcement',
      [PORT, 'S: 200 ok', 'C: PORT 1', 'C: RETR a'],
      [PORT_FACT, 'refuse original bad-syntax'],
    ],
    ['behind a withdrawn one', [PORT, 'S: 500 no', 'C: RETR a'], [PORT_FACT, 'withdraw']],
    [
      'of a second file after the first was refused',
      ['C: PASV', PASSIVE, 'C: RETR a', 'S: 550 no', 'C: RETR b'],
      [PASSIVE_FACT, 'detail alice,RETR,a', 'detail alice,RETR,b'],
    ],
    [
      'only once per announcement',
      ['C: PASV', PASSIVE, 'C: RETR a', 'S: 150 go', 'S: 226 done', 'C: RETR b'],
      [PASSIVE_FACT, 'detail alice,RETR,a'],
    ],
    ['not of other commands', ['C: PASV', PASSIVE, 'C: SIZE a', 'C: MLST a', 'C: STAT a'], [PASSIVE_FACT]],
    [
      'with bytes that are no text',
      ['C: PASV', PASSIVE, 'C: RETR \\xe9\\x07'],
      [PASSIVE_FACT, 'detail alice,RETR,\ufffd\\x07'],
    ],
    ['after REIN', ['C: REIN', 'S: 220 again', PORT], ['announce original 4 10.77.1.2 51210']],
    ['after a refused change of user', ['C: USER bob', 'S: 530 no', PORT], [PORT_FACT]],
    ['after a change of user', ['C: USER bob', 'S: 331 ?', PORT], ['announce original 4 10.77.1.2 51210 bob,-,-']],
  ])('%s', (_, lines, expected) => expect(summaries(dialogue([...LOGIN, ...lines]))).toEqual(expected));

  it('never has the password', () => {
    const lines = [...LOGIN, 'C: PASS secret', 'C: ACCT secret', PORT, 'C: PORT secret', 'C: RETR a'];
    const shown = facts(dialogue(lines)).filter((fact) => fact.kind !== 'refuse');
    expect(JSON.stringify(shown)).not.toContain('secret');
  });
});

describe('encryption', () => {
  it.each<Case>([
    ['AUTH TLS', ['C: AUTH TLS', 'S: 234 go', PORT, 'C: PASV', PASSIVE], ['encrypted']],
    ['TLS in the same segment as 234', ['C: AUTH SSL', `S: 234 go\\r\\n\\x16\\x03${PASSIVE.slice(3)}`], ['encrypted']],
    ['TLS without waiting for 234', ['C: AUTH TLS', 'C: \\x16\\x03\\x01'], ['encrypted']],
    [
      'AUTH TLS is refused',
      ['C: AUTH TLS', 'S: 502 no', 'C: USER x', PORT],
      ['announce original 4 10.77.1.2 51210 x,-,-'],
    ],
    ['no TLS after a refusal', ['C: AUTH TLS', 'S: 502 no', 'C: \\x16\\x03'], ['abandon not-protocol']],
    [
      'AUTH GSSAPI',
      ['C: AUTH GSSAPI', 'S: 334 go', 'C: ADAT x', 'S: 335 y', 'C: ADAT z', 'S: 235 ok', PORT],
      ['encrypted'],
    ],
    ['a protected reply', ['C: MIC x', 'S: 631 y', PORT], ['encrypted']],
    ['a 234 that nobody asked for', ['C: NOOP', 'S: 234 go', PORT], ['announce original 4 10.77.1.2 51210']],
    ['CCC comes too late', ['C: AUTH TLS', 'S: 234 go', 'C: CCC', 'S: 200 ok', PORT], ['encrypted']],
  ])('%s', (_, lines, expected) => expect(summaries(dialogue([...GREETING, ...lines]))).toEqual(expected));

  it('may begin after the login', () => {
    expect(summaries(dialogue([...LOGIN, PORT, 'S: 200 ok', 'C: AUTH TLS', 'S: 234 go', PORT]))).toEqual([
      PORT_FACT,
      'encrypted',
    ]);
  });
});

describe('trust', () => {
  const GIVEN_UP = ['abandon not-protocol'];
  it.each<Case>([
    ['a client that speaks first', ['C: USER x', ...LOGIN, PORT], GIVEN_UP],
    ['a client that speaks within the greeting', ['S: 220-hello', 'C: USER x', 'S: 220 ready', PORT], GIVEN_UP],
    ['a TLS client', ['C: \\x16\\x03\\x01\\x02\\x00'], GIVEN_UP],
    ['STUN', ['C: \\x00\\x01\\x00\\x08!\\x12\\xa4B'], GIVEN_UP],
    ['SSH', ['S: SSH-2.0-OpenSSH_9.2p1', 'C: SSH-2.0-x', PORT], GIVEN_UP],
    ['a POP3 server', ['S: +OK ready', 'C: USER x', PORT], GIVEN_UP],
    ['an NNTP server', ['S: 200 ready', 'C: USER x', PORT], GIVEN_UP],
    ['an SMTP dialogue', ['S: 220 mail ESMTP', 'C: EHLO x', 'S: 250 ok', PORT], GIVEN_UP],
    [
      'an HTTP POST to an FTP server',
      [...GREETING, 'C: POST / HTTP/1.1', 'S: 500 what', 'C: Host: x', 'C: ', PORT, 'S: 530 no'],
      GIVEN_UP,
    ],
    [
      'an HTTP request whose method is a verb',
      [...GREETING, 'C: USER / HTTP/1.1', 'C: Host: x', 'C: ', PORT],
      GIVEN_UP,
    ],
    [
      'one with an agreeable server',
      [...GREETING, 'C: USER /', 'S: 331 ok', 'C: Host: x', 'S: 230 in', PORT],
      GIVEN_UP,
    ],
    ['a PORT behind what is no verb', [...GREETING, 'C: XYZZY', PORT], GIVEN_UP],
    ['a PORT behind a space', [...GREETING, 'C:  USER x', PORT], GIVEN_UP],
    ['many unknown commands', [...GREETING, 'C: NOOP', ...Array<string>(5).fill('S: 500 what'), PORT], GIVEN_UP],
    [
      'few unknown commands',
      [
        ...GREETING,
        'C: FEAT',
        'S: 500 ?',
        'C: AUTH TLS',
        'S: 502 ?',
        'C: AUTH SSL',
        'S: 502 ?',
        'C: USER x',
        'S: 331 ok',
        PORT,
      ],
      ['announce original 4 10.77.1.2 51210 x,-,-'],
    ],
    ['120, then 220', ['S: 120 soon', ...LOGIN, PORT], [PORT_FACT]],
    [
      'a long greeting',
      ['S: 220-Hello', `S: ${'='.repeat(2000)}`, 'S: 227 x (1,1,1,1,1,1)', 'S: GET /', ...LOGIN, PORT],
      [PORT_FACT],
    ],
    ['an empty line first', [...GREETING, 'C: ', 'C: PASV', PASSIVE], ['announce reply 4 10.77.2.2 40363']],
    ['a server that turns away', ['S: 421 full', 'C: USER x', 'S: 220 well', PORT, 'C: PASV', PASSIVE], []],
    ['anything, once logged in', [...LOGIN, 'C: Host: x', 'S: 500 ?', 'C: \\x00\\xff!', 'S: 500 ?', PORT], [PORT_FACT]],
  ])('%s', (_, lines, expected) => expect(summaries(dialogue(lines))).toEqual(expected));

  it('judges by the first byte', () => {
    const parser = ftp.create();
    expect(parser.feed('reply', Buffer.from('S'))).toEqual([{ kind: 'abandon', reason: 'not-protocol' }]);
    expect(parser.feed('reply', Buffer.from('220 x\r\n'))).toEqual([]);
  });

  it('takes Telnet negotiation of the client for no speech', () => {
    const parser = ftp.create();
    expect(parser.feed('original', unescaped('\\xff\\xfd\\x03'))).toEqual([]);
    expect(summaries(dialogue([...LOGIN, PORT]), parser)).toEqual([PORT_FACT]);
  });
});

describe('resync', () => {
  it('keeps trust that was established', () => {
    const parser = ftp.create();
    facts(dialogue(LOGIN), parser);
    parser.resync('original', { offset: 1000, lineStart: false });
    parser.resync('reply', { offset: 2000 });
    const [announce] = facts(dialogue([`C: x PORT 1,1,1,1,1,1`, PORT]), parser);
    expect(announce).toMatchObject({ kind: 'announce', port: 51210, start: 1020 });
    expect(summaries(dialogue(['S: 200 ok', 'C: PASV', PASSIVE]), parser)).toEqual([PASSIVE_FACT]);
  });

  it('takes the end of a line before the login for no other protocol', () => {
    const parser = ftp.create();
    facts(dialogue([...GREETING, 'C: USER alice']), parser);
    parser.resync('original');
    expect(summaries(dialogue(['C: \\x01 cret', PORT, 'C: Host: x']), parser)).toEqual([
      PORT_FACT,
      'abandon not-protocol',
    ]);
  });

  it('forgets what was asked before', () => {
    const parser = ftp.create();
    facts(dialogue([...LOGIN, PORT, 'C: PASV']), parser);
    parser.resync('reply');
    const later = ['S: 500 no', PASSIVE, 'C: RETR a', 'C: PASV', PASSIVE];
    expect(summaries(dialogue(later), parser)).toEqual(['refuse reply unsolicited', PASSIVE_FACT]);
  });

  it('ends a multi-line reply that may have ended unseen', () => {
    const parser = ftp.create();
    facts(dialogue([...LOGIN, 'C: STAT', 'S: 211-Status']), parser);
    parser.resync('reply');
    expect(summaries(dialogue(['S: 211 End', 'C: PASV', PASSIVE]), parser)).toEqual([PASSIVE_FACT]);
  });

  it.each([[[]], [GREETING]])('ends trust that is not established: %j', (lines) => {
    const parser = ftp.create();
    facts(dialogue(lines), parser);
    parser.resync('reply');
    expect(summaries(dialogue(['C: USER x', PORT]), parser)).toEqual(['abandon gap']);
  });
});

it('recognises a dialogue when both sides have spoken', () => {
  const parser = ftp.create();
  const recognised = LOGIN.map((line) => {
    facts(dialogue([line]), parser);
    return parser.recognised;
  });
  expect(recognised).toEqual([false, true, true, true, true]);
  expect(ftp.create({ adopted: true }).recognised).toBe(true);
  facts(dialogue(['C: AUTH TLS', 'S: 234 go']), parser);
  expect(parser.recognised).toBe(false);
});

describe('an adopted dialogue', () => {
  it('loses no line', () => {
    expect(summaries(dialogue([PORT]), ftp.create({ adopted: true }))).toEqual(['announce original 4 10.77.1.2 51210']);
    expect(summaries(dialogue(['C: EPSV', EXTENDED]), ftp.create({ adopted: true }))).toEqual([
      'announce reply - own 40000',
    ]);
  });

  it('may begin within lines', () => {
    const parser = ftp.create({ adopted: true });
    const lines = ['C: 10,0,0,1,4,1', 'S: rest', PORT, 'S: 500 no', 'C: PASV', PASSIVE];
    expect(summaries(dialogue(lines), parser).map((fact) => fact.replace(' alice,-,-', ''))).toEqual([
      'announce original 4 10.77.1.2 51210',
      'withdraw',
      'announce reply 4 10.77.2.2 40363',
    ]);
  });

  it('can be told where it is', () => {
    const parser = ftp.create({ adopted: true });
    parser.resync('original', { offset: 77 });
    expect(facts(dialogue([PORT]), parser)).toMatchObject([{ kind: 'announce', start: 77 }]);
  });
});
