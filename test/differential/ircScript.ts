// SPDX-License-Identifier: Apache-2.0
import type { Random } from './random.js';
import { cased, client, digits, lineEnd, server, someAddress, somePort, words, type Piece } from './piece.js';

interface Scene {
  readonly random: Random;
  readonly family: 4 | 6;
  readonly addresses: readonly [string, string];
}

/** A client that registers, talks and offers. */
export function ircScript(random: Random, family: 4 | 6, addresses: readonly [string, string]): Piece[] {
  const scene: Scene = { random, family, addresses };
  const pieces: Piece[] = [];
  const say = (text: string): number => pieces.push(client(text + lineEnd(random)));
  const hear = (text: string): number => pieces.push(server(text + lineEnd(random)));
  if (random.chance(0.3)) hear(':x NOTICE * :*** Looking up');
  if (random.chance(0.5)) say('CAP LS 302');
  if (random.chance(0.2))
    say(random.choose(['JOIN :', 'PASS x', 'AUTHENTICATE PLAIN'], ['STARTTLS', '', 'WEBIRC a b c d', 'PONG :x'], 0.5));
  if (random.chance(0.4))
    hear(
      random.choose(
        [':x CAP * LS :sasl', 'PING :1', ':x 451 * :no'],
        ['AUTHENTICATE +', 'ERROR :x', '@t=1 :x NOTICE * :x', ': ', ''],
        0.3,
      ),
    );
  say(`${head(random)}${cased(random, 'NICK')} alice`);
  say(cased(random, 'USER a 0 * :b'));
  if (random.chance(0.1))
    hear(random.choose([':x 433 * alice :in use'], [':x 670 a :go', '220 x', ':x PRIVMSG a :hi'], 0.5));
  if (!random.odd(0.05))
    hear(random.choose([':x 001 alice :Welcome'], ['@time=1 :x 001 a', ':x  001', '001 a', ': 001 a'], 0.2));
  let last = '';
  for (let count = random.between(1, 14); count > 0; count--) {
    if (random.chance(0.2))
      hear(random.pick([':b PRIVMSG alice :hi', 'PING :1', offer(scene), `:x 372 a :${words(random)}`]));
    else {
      if (last === '' || !random.chance(0.1)) last = talk(scene);
      say(last);
    }
  }
  return pieces;
}

function head(random: Random): string {
  return random.choose([''], ['@a=b ', ':alice ', ':alice!a@b  ', '@a :alice ', '@ ', ': ', '@a  ', ':a :b '], 0.15);
}

function talk(scene: Scene): string {
  const { random } = scene;
  switch (random.int(10)) {
    case 0:
      return `PRIVMSG bob :${words(random)}`;
    case 1:
      return random.choose(
        ['JOIN #c', 'PONG :1', 'NICK alice2', 'MODE #c', 'WHO *'],
        ['', 'QUIT', 'PRIVMSG', 'PRIVMSG '],
        0.3,
      );
    case 2:
      return `PRIVMSG bob :\x01${random.choose(['VERSION', 'ACTION waves', 'PING 1', 'DCC RESUME a 5000 1', 'DCC ACCEPT a 5000 1'], ['DCC', 'DCC ', 'DCC SENDX a 1 2'], 0.3)}\x01`;
    default:
      return offer(scene);
  }
}

function offer({ random, family, addresses }: Scene): string {
  const s = (): string => random.choose([' '], ['  ', '   ', ''], 0.07);
  const verb = cased(random, random.choose(['PRIVMSG', 'PRIVMSG', 'NOTICE'], ['PRIVMSGS', 'TOPIC'], 0.2));
  const kind = cased(random, random.choose(['SEND', 'SEND', 'CHAT', 'TSEND', 'SCHAT'], ['SENDS', ''], 0.1));
  const name = random.choose(
    ['a', 'file.txt', '"a b"', 'chat', 'x.y'],
    ['""', '"', 'a"b', '"a b', '\x01', 'é\r', words(random)],
    0.25,
  );
  const address = addressText(random, random.choose([family], [4, 6], 0.1), addresses[0]);
  const long = random.odd(0.03) ? ' '.repeat(random.between(420, 470)) : '';
  const port = random.choose(
    [digits(random, somePort(random))],
    ['0', '00000', '000000', '1x', '', '05000', '123456'],
    0.1,
  );
  const tail = random.choose(['\x01', ' 1234\x01'], ['', ' ', '\x01 more', 'x\x01', ' \x01\x01', '\r\x01'], 0.3);
  const target = random.choose(['bob', '#c,bob'], [':bob', 'b:b', ''], 0.1);
  const colon = random.choose([':'], ['', '::', ' :', ': '], 0.1);
  return `${head(random)}${verb}${s()}${target}${s()}${colon}\x01${cased(random, 'DCC')}${s()}${kind}${s()}${name}${s()}${address}${s()}${long}${port}${tail}`;
}

const ODD_NUMBERS = [
  '0',
  '4294967295',
  '4294967296',
  '9999999999',
  '04294967295',
  '10.0.1.2',
  '99999999999',
  '00167772418',
  'x',
  '1',
] as const;

function addressText(random: Random, family: 4 | 6, own: string): string {
  if (family === 6) return someAddress(random, 6, own.includes(':') ? own : '2001:db8:1::2');
  if (random.odd(0.1)) return random.pick(ODD_NUMBERS);
  const dotted = someAddress(random, 4, own.includes(':') ? '10.0.1.2' : own);
  return String(dotted.split('.').reduce((number, part) => number * 256 + Number(part), 0));
}

/** Pieces of dialogues and of attacks, whole lines and parts of them. */
export const IRC_SHARDS: readonly string[] = [
  'NICK alice\r\n~USER a 0 * :b\n~CAP LS 302\r\n~STARTTLS\r\n~JOIN :\r\n~QUIT\n~GET / HTTP/1.1\r\n~Host: x\r\n~@a=b ~:alice ~NOTICE ~x~\r~\n~\r\n~ ~:~"~1',
  ':x 001 alice :hi\r\n~:x 670 a :go\n~:x 433 * a :no\r\n~PING :1\r\n~NOTICE * :x\n~@t=1 :x 001 a\n~CAP * LS :tls\r\n~220 x\r\n~\0~\xff~\xc3\xa9~\x16\x03\x01',
  'PRIVMSG bob :\x01DCC SEND a 167772418 5000 9\x01\r\n~notice bob \x01dcc chat chat 2001:db8:1::2 5000\n~:a PRIVMSG b :\x01DCC RESUME a 5000 1\x01\n',
  'PRIVMSG bob :~\x01DCC ~SEND ~TSEND ~"a b" ~a ~167772418 ~fd77::1 ~5000~65536~0 ~\x01~4294967296 ~PRIV~MSG bob :\x01D~CC ',
].flatMap((list) => list.split('~'));
