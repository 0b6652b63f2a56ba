// SPDX-License-Identifier: Apache-2.0
import { bytesOf, endsOf, isDatagram, packet, type Dialogue, type Setup, type Side } from './dialogue.js';
import { FTP_SHARDS, ftpScript } from './ftpScript.js';
import { IRC_SHARDS, ircScript } from './ircScript.js';
import type { HelperName } from './machines.js';
import type { Piece } from './piece.js';
import { Random } from './random.js';
import { Schedule } from './schedule.js';
import { EVERYTHING_SHARDS, RTSP_SHARDS, everythingScript, rtspScript } from './tableScripts.js';
import { TFTP_SHARDS, tftpScript } from './tftpScript.js';

/** How much of a dialogue is as people would have it. */
export const KINDS = ['honest', 'odd', 'mutated', 'shards', 'garbage'] as const;
export type Kind = (typeof KINDS)[number];

/** A dialogue with what it was made of. */
export interface Generated {
  readonly kind: Kind;
  readonly dialogue: Dialogue;
}

/** In twelfths of all dialogues. */
const SHARES: readonly Kind[] = KINDS.flatMap((kind, at) => Array<Kind>([3, 3, 3, 2, 1][at] ?? 0).fill(kind));

/** In twentieths. */
const HELPER_SHARES: readonly HelperName[] = [
  ...Array<HelperName>(8).fill('ftp'),
  ...Array<HelperName>(6).fill('irc'),
  ...Array<HelperName>(2).fill('tftp'),
  ...Array<HelperName>(2).fill('rtsp'),
  ...Array<HelperName>(2).fill('everything'),
];

const SHARDS: Readonly<Record<HelperName, readonly string[]>> = {
  ftp: FTP_SHARDS,
  irc: IRC_SHARDS,
  tftp: TFTP_SHARDS,
  rtsp: RTSP_SHARDS,
  everything: EVERYTHING_SHARDS,
};

/** The dialogue number `index` of a seed: always the same. */
export function generate(seed: number, index: number): Generated {
  const random = new Random(seed, index);
  const helper = random.pick(HELPER_SHARES);
  const setup = someSetup(random, helper, index);
  const kind = random.pick(SHARES);
  random.oddness = kind === 'odd' ? random.pick([0.1, 0.3, 1]) : 0.02;
  const pieces = piecesOf(random, setup, kind);
  const reset = random.pick([0, 1] as const);
  if (isDatagram(setup)) {
    const packets = pieces.map(({ from, text }) => packet(from, 0, bytesOf(text.slice(0, 1400))));
    return { kind, dialogue: { setup, packets, reset } };
  }
  return { kind, dialogue: { setup, packets: new Schedule(random, pieces).packets, reset } };
}

function someSetup(random: Random, helper: HelperName, index: number): Setup {
  const edge = (): number => random.pick([0xffff_ffff, 0x7fff_ffff, 0, 0x8000_0000]) - random.int(200);
  const isn = (): number => (random.chance(0.2) ? edge() >>> 0 : random.word());
  const wide = random.chance(0.7);
  return {
    helper,
    family: random.chance(0.6) ? 4 : 6,
    clientPort: helper === 'tftp' ? 2000 + (index % 60000) : 40000,
    translated: helper !== 'tftp' && random.chance(0.08),
    isn: [isn(), isn()],
    allowed: {
      fromPort: wide ? 1024 : random.pick([1, 1024, 50000, 1025]),
      toPort: wide ? 65535 : random.pick([65535, 50000, 60000, 5000]),
      limit: helper === 'ftp' || helper === 'tftp' ? random.pick([1, 1, 1, 2, 4]) : random.pick([8, 8, 16, 1, 2, 32]),
      thirdParty: random.chance(0.15),
      timeout: helper === 'tftp' ? 100_000 : random.pick([300_000, 300_000, 1_000, 5_000]),
    },
  };
}

function piecesOf(random: Random, setup: Setup, kind: Kind): Piece[] {
  const script = scriptOf(random, setup);
  switch (kind) {
    case 'honest':
    case 'odd':
      return script;
    case 'mutated':
      return mutated(random, script, SHARDS[setup.helper]);
    case 'shards': {
      const shards = Array.from({ length: random.between(1, 40) }, () => shard(random, SHARDS[setup.helper]));
      return [...script.slice(0, random.int(script.length)), ...shards];
    }
    case 'garbage': {
      const noise = Array.from({ length: random.between(1, 6) }, (): Piece => ({
        from: side(random),
        text: random.bytes(random.between(1, 60)),
      }));
      return [...script.slice(0, random.int(4)), ...noise];
    }
  }
}

function scriptOf(random: Random, setup: Setup): Piece[] {
  const [client = { address: '' }, server = { address: '' }] = endsOf(setup);
  const addresses = [client.address, server.address] as const;
  switch (setup.helper) {
    case 'ftp':
      return ftpScript(random, setup.family, addresses);
    case 'irc':
      return ircScript(random, setup.family, addresses);
    case 'tftp':
      return tftpScript(random);
    case 'rtsp':
      return rtspScript(random);
    case 'everything':
      return everythingScript(random, setup.family);
  }
}

const side = (random: Random): Side => random.pick([0, 1] as const);
const shard = (random: Random, shards: readonly string[]): Piece => ({
  from: side(random),
  text: random.pick(shards),
});

/** A few changes anywhere. */
function mutated(random: Random, script: readonly Piece[], shards: readonly string[]): Piece[] {
  const pieces = [...script];
  for (let count = 1 + random.few(5); count > 0; count--) {
    const at = random.int(pieces.length);
    const piece = pieces[at];
    if (piece === undefined) continue;
    const { from, text } = piece;
    const place = random.int(text.length + 1);
    switch (random.int(10)) {
      case 0:
        pieces.splice(at, 1);
        break;
      case 1:
        pieces.splice(at, 0, piece);
        break;
      case 2:
        pieces.splice(random.int(pieces.length), 0, ...pieces.splice(at, 1));
        break;
      case 3:
        pieces[at] = { from: from === 0 ? 1 : 0, text };
        break;
      case 4:
        pieces[at] = { from, text: text.slice(0, place) + text.slice(place + 1 + random.few(8)) };
        break;
      case 5:
        pieces[at] = { from, text: text.slice(0, place) + random.bytes(1) + text.slice(place + 1) };
        break;
      case 6:
        pieces[at] = { from, text: text.slice(0, place) + random.pick(shards) + text.slice(place) };
        break;
      case 7:
        pieces[at] = {
          from,
          text:
            text.slice(0, place) +
            random.pick([
              ' ',
              '\r',
              '\n',
              '0',
              ',',
              '|',
              'x',
              '\0',
              '\xff',
              ' '.repeat(random.int(600)),
              random.pick(['\r', 'x', ' ']).repeat(random.pick([500, 1020, 1030, 8700])),
            ]) +
            text.slice(place),
        };
        break;
      case 8:
        pieces.splice(at, 0, shard(random, shards));
        break;
      default:
        pieces[at] = { from, text: text.replace(/[0-9]/, String(random.int(10))) };
    }
  }
  return pieces;
}
