// SPDX-License-Identifier: Apache-2.0
// Dialogues of what has no parser: RTSP, and everything.yaml.
import { client, digits, lineEnd, server, someAddress, somePort, words, type Piece } from './piece.js';
import type { Random } from './random.js';

/** A session of RTSP, mostly an honest one. */
export function rtspScript(random: Random): Piece[] {
  const pieces: Piece[] = [];
  for (let count = random.between(1, 8); count > 0; count--) {
    pieces.push(client(rtspRequest(random)));
    if (random.chance(0.1)) pieces.push(client(interleaved(random)));
    pieces.push(server(rtspResponse(random)));
    if (random.chance(0.1)) pieces.push(server(interleaved(random)));
  }
  return pieces;
}

function rtspRequest(random: Random): string {
  const end = lineEnd(random);
  const verb = random.choose(
    ['SETUP', 'SETUP', 'PLAY', 'DESCRIBE', 'OPTIONS', 'TEARDOWN'],
    ['setup', 'GET', '', 'RTSP/1.0 200 OK'],
    0.1,
  );
  return `${verb} rtsp://h/a RTSP/1.0${end}${fields(random, 'client', end)}`;
}

function rtspResponse(random: Random): string {
  const end = lineEnd(random);
  const status = random.choose(['200 OK'], ['404 Not Found', '100 Continue', '600 x', '2x'], 0.2);
  return `RTSP/1.0 ${status}${end}${fields(random, 'server', end)}`;
}

function fields(random: Random, who: 'client' | 'server', end: string): string {
  const lines = [`CSeq: ${String(random.int(10))}`];
  if (random.chance(0.7)) {
    const from = somePort(random);
    const to = from + random.choose([1], [0, 7, 8, 15, 16, -1], 0.3);
    const other = random.chance(0.5) ? 'client_port=5000-5001;' : random.choose([''], ['cl;', 'sx=1;', 'ssrc=1;'], 0.3);
    const port = `${who}_port=${digits(random, from)}-${digits(random, to)}`;
    lines.push(
      `Transport: RTP/AVP${random.choose(['', '/UDP'], ['/TCP'], 0.1)};unicast;${other}${port}${random.choose(['', ';mode=play'], [',x', ' '], 0.1)}`,
    );
  }
  const body = random.chance(0.2) ? words(random) : '';
  if (body !== '') lines.push(`Content-Length: ${String(body.length + random.choose([0], [1, 5], 0.1))}`);
  if (random.chance(0.2)) lines.push(`X: ${words(random)}`);
  return lines.map((line) => line + end).join('') + end + body;
}

/** `$`, a channel, a length, and so many bytes. */
function interleaved(random: Random): string {
  const length = random.choose([0, 1, 30], [65535, 300], 0.1);
  const bytes = random.bytes(Math.min(length, 30));
  return `$${String.fromCharCode(random.int(256), length >> 8, length & 255)}${bytes}`;
}

/** Lines of everything.yaml, in any order. */
export function everythingScript(random: Random, family: 4 | 6): Piece[] {
  const pieces: Piece[] = random.odd(0.3) ? [] : [client('GO\n')];
  for (let count = random.between(1, 25); count > 0; count--) {
    const end = lineEnd(random);
    pieces.push(random.chance(0.65) ? client(asked(random, family) + end) : server(answered(random) + end));
  }
  return pieces;
}

function asked(random: Random, family: 4 | 6): string {
  const port = (): string => digits(random, somePort(random));
  switch (random.int(random.odd(0.5) ? 20 : 16)) {
    case 0:
      return `V4 ${someAddress(random, 4, '10.0.1.2')} ${port()}`;
    case 1:
      return `INT ${random.choose(['167772418'], ['4294967295', '4294967296', '0', '00000000001'], 0.3)} ${port()}`;
    case 2:
    case 3:
      return `V6 ${someAddress(random, 6, '2001:db8:1::2')} ${somePort(random).toString(16)}`;
    case 4:
      return `TWO ${port()} ${port()}`;
    case 5:
    case 6: {
      const from = somePort(random);
      return `RANGE ${String(from)}-${String(from + random.choose([0, 1, 3], [7, 8, 15, 16, -1], 0.3))}`;
    }
    case 7:
      return `HALVES ${String(random.int(256))},${String(random.int(random.odd(0.1) ? 300 : 256))}`;
    case 8:
      return 'OWN';
    case 9: {
      const length = random.int(61);
      return `SKIP ${String(length)}\n${random.chance(0.5) ? 'OWN\n'.repeat(20).slice(0, length) : random.bytes(length)}`;
    }
    case 10:
      return random.pick(['IN', 'OUT', 'IN']);
    case 11:
      return `P${port()}`;
    case 12:
    case 13:
      return random.pick(['ASK A', 'ASK B']);
    case 14:
      return family === 6 ? 'OWN' : `V4 10.0.1.2 ${port()}`;
    case 15:
      return words(random);
    case 16:
      return random.pick(['BACK', 'GO', 'AGAIN']);
    case 17:
      return random.pick(['TLS', 'BAD', 'BADx']);
    case 18:
      return `RANGE ${port()}-${port()}`;
    default:
      return `V4 ${' '.repeat(random.between(500, 515))}`;
  }
}

function answered(random: Random): string {
  const code = random.pick(['10', '11', '55']);
  return random.pick([
    `${code} OK`,
    `${code} OK`,
    `${code} NO`,
    `${code}-${words(random)}`,
    ' text',
    'A',
    'B',
    `PORT ${digits(random, somePort(random))}`,
    words(random),
  ]);
}

/** Pieces of RTSP. */
export const RTSP_SHARDS: readonly string[] =
  'SETUP a RTSP/1.0\r\n~PLAY a RTSP/1.0\r\n~RTSP/1.0 200 OK\r\n~RTSP/1.0 404 x\n~Transport: RTP/AVP;client_port=5000-5001\r\n~Transport: RTP/AVP;server_port=6000-6001\r\n~Content-Length: 5\r\n~\r\n~\n~\r~$\0\0\x02ab~$~\0~;~client_port=~5000-5015~x'.split(
    '~',
  );
/** Pieces of everything.yaml. */
export const EVERYTHING_SHARDS: readonly string[] =
  'GO\n~BACK\n~IN\n~OUT\n~P5000\n~P~ASK A\n~ASK B\n~10 OK\n~10-x\n~10 NO\n~A\n~B\n~PORT 7000\n~ x\n~SKIP 9\n~AGAIN\n~RANGE 5000-5015\n~RANGE 6000-6007\n~TWO 5000 5001\n~TWO 5000 0\n~OWN\n~V6 ~::1~ 1388~\n~\r~\0~:'.split(
    '~',
  );
