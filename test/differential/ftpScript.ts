// SPDX-License-Identifier: Apache-2.0
import type { Random } from './random.js';
import { cased, client, digits, lineEnd, server, someAddress, somePort, words, type Piece } from './piece.js';

/** What the client asks and what the server answers; both may be several lines. */
interface Exchange {
  readonly asks: string;
  readonly answers: string;
}

interface Scene {
  readonly random: Random;
  readonly family: 4 | 6;
  readonly addresses: readonly [string, string];
  /** The last announcement of each kind, for being said again. */
  readonly said: Map<string, string>;
}

/** A session, mostly an honest one. */
export function ftpScript(random: Random, family: 4 | 6, addresses: readonly [string, string]): Piece[] {
  const scene: Scene = { random, family, addresses, said: new Map() };
  const pieces: Piece[] = [server(greeting(scene))];
  const exchanges = login(scene);
  if (random.odd(0.15)) exchanges.push(...strikes(scene));
  for (let count = random.odd(0.15) ? 25 : random.between(1, 9); count > 0; count--) exchanges.push(exchange(scene));
  if (random.chance(0.04)) exchanges.push({ asks: line(scene, 'AUTH TLS'), answers: reply(scene, 234) });
  if (random.chance(0.3)) exchanges.push({ asks: line(scene, 'QUIT'), answers: line(scene, '221 bye') });
  while (exchanges.length > 0) {
    const group = exchanges.splice(0, random.chance(0.7) ? 1 : random.choose([2, 3, 5], [16, 17, 30], 0.3));
    pieces.push(client(group.map(({ asks }) => asks).join('')));
    pieces.push(server(group.map(({ answers }) => answers).join('')));
  }
  return pieces;
}

const line = ({ random }: Scene, text: string): string => text + lineEnd(random);

/** A reply, now and then of several lines. */
function reply(scene: Scene, code: number, text = words(scene.random)): string {
  const { random } = scene;
  if (random.chance(0.88)) return line(scene, random.odd(0.06) ? String(code) : `${String(code)} ${text}`);
  let lines = line(scene, `${String(code)}-${words(random)}`);
  for (let count = random.int(4); count > 0; count--) lines += line(scene, bait(scene, code));
  return lines + line(scene, `${String(code)} ${text}`);
}

/** What stands within a reply of several lines, where it means nothing. */
function bait(scene: Scene, code: number): string {
  const { random } = scene;
  switch (random.int(7)) {
    case 0:
      return ` ${words(random)}`;
    case 1:
      return `${String(code)}-${words(random)}`;
    case 2:
      return `227 (10,0,2,2,${String(random.int(256))},1)`;
    case 3:
      return `${random.pick(['230', '200', '500', '234', '229', '6'])} ${words(random)}`;
    case 4:
      return `${String(code)}${random.pick(['x', '.', '\r', ''])}`.slice(0, random.between(0, 4));
    default:
      return words(random);
  }
}

function greeting(scene: Scene): string {
  const { random } = scene;
  if (!random.odd(0.1)) return reply(scene, 220);
  if (random.chance(0.5)) return reply(scene, 120) + reply(scene, 220);
  return random.pick([
    reply(scene, 230),
    reply(scene, 421),
    line(scene, 'SSH-2.0-x'),
    line(scene, '220x'),
    reply(scene, 220) + reply(scene, 220),
  ]);
}

function login(scene: Scene): Exchange[] {
  const { random } = scene;
  const ask = (text: string, answers: string): Exchange => ({ asks: line(scene, cased(random, text)), answers });
  const all: Exchange[] = [];
  if (random.chance(0.3))
    all.push(
      ask(
        random.choose(['FEAT', 'HOST x', 'OPTS UTF8 ON', 'SYST', 'CLNT x', 'AUTH TLS'], ['MODE Z', 'PASV', 'X'], 0.1),
        reply(scene, random.pick([211, 200, 215, 500, 502, 530, 504])),
      ),
    );
  if (!random.odd(0.1))
    all.push(ask('USER alice', reply(scene, random.choose([331, 331, 331, 230], [530, 332, 200], 0.2))));
  if (!random.odd(0.1))
    all.push(ask(`PASS ${words(random)}`, reply(scene, random.choose([230], [530, 202, 332, 500], 0.25))));
  return all;
}

function exchange(scene: Scene): Exchange {
  const { random } = scene;
  const ask = (text: string, answers: string): Exchange => ({ asks: line(scene, text), answers });
  const verb = (text: string): string => cased(random, text);
  const extended = scene.family === 6 && !random.odd(0.3);
  switch (random.int(random.odd(0.8) ? 19 : 14)) {
    case 0:
    case 1:
      return ask(
        again(scene, 'port', () => (extended ? extendedPort(scene) : port(scene))),
        random.chance(0.7) ? reply(scene, 200) : reply(scene, random.pick([500, 501, 530, 425, 502])),
      );
    case 2:
    case 3:
      return ask(
        again(scene, 'port', () => extendedPort(scene)),
        random.chance(0.7) ? reply(scene, 200) : reply(scene, random.pick([500, 522, 501])),
      );
    case 4:
    case 5:
    case 6:
      return ask(
        verb(extended ? 'EPSV' : random.chance(0.9) ? 'PASV' : `PASV ${words(random)}`),
        random.chance(0.85)
          ? extended
            ? extendedPassive(scene)
            : passive(scene)
          : reply(scene, random.pick([500, 425, 530])),
      );
    case 7:
    case 8:
      return ask(
        verb(random.choose(['EPSV'], ['EPSV ', 'EPSV 1', 'EPSV 2', 'EPSV ALL', 'EPSV  all ', 'EPSV x'], 0.15)),
        random.chance(0.85) ? extendedPassive(scene) : reply(scene, random.pick([500, 200, 522])),
      );
    case 9:
    case 10:
      return ask(
        `${verb(random.pick(['RETR', 'STOR', 'LIST', 'NLST', 'MLSD', 'APPE', 'STOU']))}${random.chance(0.8) ? ` ${words(random)}` : ''}`,
        transfer(scene),
      );
    case 11:
      return ask(
        verb(
          random.pick([
            'CWD /',
            'TYPE I',
            'PWD',
            'SIZE f',
            'MDTM f',
            'REST 0',
            'MODE S',
            'STRU F',
            'CDUP',
            'XPWD',
            'NOOP',
            'SYST',
          ]),
        ),
        reply(scene, random.pick([200, 250, 257, 213, 350, 215])),
      );
    case 12:
      return ask(
        verb(random.pick(['FEAT', 'STAT', 'HELP', 'SITE HELP', 'STAT /'])),
        reply(scene, random.pick([211, 214, 213])),
      );
    case 13:
      return ask(
        verb(random.pick(['DELE f', 'RMD d', 'MKD d', 'RNFR a', 'XMD5 a', 'ALLO 1', 'UNKNOWN'])),
        reply(scene, random.pick([550, 500, 502, 450, 250, 553])),
      );
    case 14:
      return ask(
        verb(random.pick(['AUTH TLS', 'AUTH TLS-C', 'PBSZ 0', 'PROT P', 'CCC', 'ADAT x'])),
        random.pick([reply(scene, 234), reply(scene, 500), reply(scene, 530), reply(scene, 200), reply(scene, 334)]),
      );
    case 15:
      return ask(
        verb(random.pick(['ABOR', 'REIN', '\xff\xf4\xffABOR'])),
        random.pick([reply(scene, 226), reply(scene, 225), reply(scene, 220), reply(scene, 426) + reply(scene, 226)]),
      );
    case 16:
      // Slips: too many replies, too few.
      return ask(
        verb(random.pick(['NOOP', 'PWD', 'CWD x'])),
        random.pick([
          '',
          reply(scene, 200) + reply(scene, 200),
          passive(scene),
          line(scene, words(random)),
          reply(scene, 631),
        ]),
      );
    case 17:
      return ask(
        random.pick([
          '',
          words(random),
          `${verb('USER')} bob`,
          verb('PASS x'),
          ' NOOP',
          `${verb('NOOP')}${' '.repeat(random.int(5))}`,
          `${verb('XPORT')} 10,0,1,2,4,1`,
          'Host: x',
          'ab',
        ]),
        reply(scene, random.pick([200, 230, 331, 500, 502, 503])),
      );
    default:
      return ask(verb(`SITE ${words(random)}`), reply(scene, random.pick([200, 500, 502, 504])));
  }
}

/** What a server says that knows none of it. */
function strikes(scene: Scene): Exchange[] {
  const { random } = scene;
  return Array.from({ length: random.between(1, 7) }, () => ({
    asks: line(scene, random.pick(['FEAT', 'CLNT x', 'OPTS UTF8 ON', 'XYZ'])),
    answers: reply(scene, random.choose([500, 502], [200, 530, 550, 150], 0.1)),
  }));
}

/** Now and then the same as the last time. */
function again(scene: Scene, kind: string, make: () => string): string {
  const known = scene.said.get(kind);
  const text = known !== undefined && scene.random.chance(0.2) ? known : make();
  scene.said.set(kind, text);
  return text;
}

/** Spaces, now and then as many as make a line of `length` bytes just too long. */
function gapOf({ random }: Scene, length: number): string {
  if (!random.odd(0.1)) return ' ';
  return ' '.repeat(Math.max(1, 512 - length + random.between(-3, 4)));
}

function transfer(scene: Scene): string {
  const { random } = scene;
  const begun = reply(scene, random.pick([150, 125]));
  return random.pick([
    begun + reply(scene, 226),
    begun + reply(scene, 250),
    begun + reply(scene, 426),
    reply(scene, 550),
    reply(scene, 425),
    reply(scene, 226),
    ...(random.odd(0.5) ? [begun] : []),
  ]);
}

/** Six numbers with commas. */
function hostPort(scene: Scene, own: string): string {
  const { random } = scene;
  const value = somePort(random);
  const parts = [
    ...someAddress(random, 4, own.includes(':') ? '10.0.2.2' : own)
      .split('.')
      .map(Number),
    (value >> 8) & 0x1ff,
    value & 255,
  ];
  if (random.odd(0.02)) parts[random.int(6)] = random.pick([256, 300, 999]);
  if (random.odd(0.02)) parts.pop();
  if (random.odd(0.02)) parts.push(random.int(256));
  const gap = random.choose([','], [', ', ' ,', ',  ', '.', ',\t'], 0.1);
  return parts.map((part) => digits(random, part)).join(gap);
}

function port(scene: Scene): string {
  const { random, addresses } = scene;
  const place = hostPort(scene, addresses[0]);
  const before = random.choose([gapOf(scene, place.length + 6)], ['  ', '', '\t', '   '], 0.1);
  return `${cased(random, 'PORT')}${before}${place}${random.choose([''], [' ', '  ', 'x', ',1', '\r ', '\0'], 0.07)}`;
}

function extendedPort(scene: Scene): string {
  const { random, family, addresses } = scene;
  const of = random.choose<4 | 6>([family], [4, 6], 0.07);
  const kind = random.choose([of === 4 ? '1' : '2'], ['', '3', '0', '01', '12'], 0.05);
  const text = someAddress(random, of, of === family ? addresses[0] : of === 4 ? '10.0.1.2' : '2001:db8:1::2');
  const mark = random.choose(['|'], ['!', '#', '%', '1', ':', 'a', ' '], 0.2);
  const fields = ['', kind, text, digits(random, somePort(random)), ''];
  if (random.odd(0.02)) fields.splice(random.int(5), 1);
  if (random.odd(0.02)) fields.splice(random.int(5), 0, 'x');
  return `${cased(random, 'EPRT')} ${fields.join(mark)}${random.choose([''], [' ', 'x', '  '], 0.05)}`;
}

function passive(scene: Scene): string {
  const { random, addresses } = scene;
  const place = again(scene, 'passive', () => hostPort(scene, addresses[1]));
  const text = random.pick([
    `Entering Passive Mode (${place}).`,
    `Entering Passive Mode (${place})`,
    `=${place}`,
    place,
    `(${place}`,
    `ok ${place} go`,
    `1 (${place})`,
    `(${place},)`,
    `${place},1`,
    `x(${place}5)`,
    '',
    words(random),
  ]);
  return reply(
    scene,
    random.choose([227], [229], 0.03),
    random.odd(0.2) ? text : `Entering${gapOf(scene, place.length + 30)}Passive Mode (${place}).`,
  );
}

function extendedPassive(scene: Scene): string {
  const { random, family, addresses } = scene;
  const port = again(scene, 'extended', () => digits(random, somePort(random)));
  const mark = random.choose(['|'], ['!', '#', '1', ')', '(', ' '], 0.15);
  const own = someAddress(random, family, addresses[1]);
  const fields = !random.odd(0.1)
    ? ['', '', '', port, '']
    : random.pick([
        ['', family === 4 ? '1' : '2', own, port, ''],
        ['', '', own, port, ''],
        ['', '3', '', port, ''],
        ['', '', port, ''],
      ]);
  const text = `${random.odd(0.1) ? words(random) : 'Entering Extended Passive Mode '}(${fields.join(mark)})${random.odd(0.1) ? words(random) : ''}`;
  return reply(scene, random.choose([229], [227], 0.03), text);
}

/** Pieces of dialogues and of attacks, whole lines and parts of them. */
export const FTP_SHARDS: readonly string[] = [
  '220 x\r\n~220-x\r\n~120 x\n~230 x\r\n~331 x\r\n~200 x\r\n~500 x\r\n~502\n~226 x\r\n~211-x\r\n~211 x\r\n~150 x\n~125 \r\n~234 x\r\n~235 x\n~202 x\n~421 x\n~631 x\r\n',
  '227 =10,0,2,2,4,1\r\n~227 (10,0,2,2,200,1)\r\n~229 (!!!5000!)\r\n~229 (|||0|)\r\n~227 x\r\n~227-~229 ~(|~|~,~10,0,1,2,4,1~\r~\n~\r\n~ ~-~2~7~\t',
  'USER a\r\n~PASS b\r\n~PASV\r\n~EPSV\n~EPSV ALL\n~EPSV 2\r\n~PORT 10,0,1,2,4,1\r\n~PORT 10,0,1,2,200,1\r\n~PORT 10,9,9,9,4,1\n~PO~RT ~P',
  'EPRT |1|10.0.1.2|5000|\r\n~EPRT !2!2001:db8:1::2!5000!\n~RETR f\r\n~LIST\n~ABOR\r\n~AUTH TLS\r\n~REIN\n~NOOP\r\n~GET / HTTP/1.1\r\n~Host: x\r\n',
  '\0~\xff~\xff\xff~\xff\xf4~\xff\xfa~\x16\x03\x01~\xc3\xa9',
].flatMap((list) => list.split('~'));
