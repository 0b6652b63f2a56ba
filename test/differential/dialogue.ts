// SPDX-License-Identifier: Apache-2.0
// One dialogue as packets, and how it is written down.
import type { HelperName } from './machines.js';

/** 0: from who opened the connection. */
export type Side = 0 | 1;

/** What an assignment allows. */
export interface Allowed {
  readonly fromPort: number;
  readonly toPort: number;
  readonly limit: number;
  readonly thirdParty: boolean;
  /** Milliseconds that an expectation lives. */
  readonly timeout: number;
}

/** A connection before anything is said. */
export interface Setup {
  readonly helper: HelperName;
  readonly family: 4 | 6;
  readonly allowed: Allowed;
  readonly clientPort: number;
  /** NAT stands between the two hooks that see it. */
  readonly translated: boolean;
  /** Sequence numbers of the SYNs. */
  readonly isn: readonly [number, number];
}

/** A segment, or a datagram. */
export interface Packet {
  readonly from: Side;
  /** Of its first byte, in its sender's stream. */
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly fin: boolean;
  readonly urgent: boolean;
  /** Its checksum is wrong. */
  readonly damaged: boolean;
  /** Milliseconds before it. */
  readonly wait: number;
}

export interface Dialogue {
  readonly setup: Setup;
  readonly packets: readonly Packet[];
  /** Who ends it with an RST. */
  readonly reset: Side;
}

const ADDRESSES = {
  4: ['10.0.1.2', '10.0.2.2'],
  6: ['2001:db8:1::2', '2001:db8:2::2'],
} as const;
/** Where servers listen. */
export const PORTS: Readonly<Record<HelperName, number>> = {
  ftp: 21,
  irc: 6667,
  tftp: 69,
  rtsp: 554,
  everything: 7000,
};

/** Both ends of a connection, client first. */
export function endsOf({ helper, family, clientPort }: Setup): readonly { address: string; port: number }[] {
  const [client, server] = ADDRESSES[family];
  return [
    { address: client, port: clientPort },
    { address: server, port: PORTS[helper] },
  ];
}

export const isDatagram = ({ helper }: Setup): boolean => helper === 'tftp';

export function packet(from: Side, at: number, bytes: Uint8Array, more: Partial<Packet> = {}): Packet {
  return { from, at, bytes, fin: false, urgent: false, damaged: false, wait: 0, ...more };
}

/** Latin-1. */
export function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

function escaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => {
    if (byte === 0x0a) return '\\n';
    if (byte === 0x0d) return '\\r';
    if (byte === 0x5c) return '\\\\';
    if (byte >= 0x20 && byte < 0x7f) return String.fromCharCode(byte);
    return `\\x${byte.toString(16).padStart(2, '0')}`;
  }).join('');
}

function unescaped(text: string): Uint8Array {
  const letters: Readonly<Record<string, string>> = { r: '\r', n: '\n', '\\': '\\' };
  return bytesOf(
    text.replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, hex: string | undefined, letter: string) =>
      hex === undefined ? (letters[letter] ?? letter) : String.fromCharCode(parseInt(hex, 16)),
    ),
  );
}

/** One line of text: `C 12 PASV\r\n`, that is sender, place in its stream, bytes. */
export function packetText({ from, at, bytes, fin, urgent, damaged, wait }: Packet): string {
  const marks = [fin ? ' +fin' : '', urgent ? ' +urgent' : '', damaged ? ' +damaged' : ''].join('');
  const before = wait === 0 ? '' : `wait ${String(wait)}\n`;
  return `${before}${from === 0 ? 'C' : 'S'} ${String(at)}${marks} ${escaped(bytes)}`;
}

/** The text of a dialogue, as files in `corpus/` have it. */
export function dialogueText({ setup, packets, reset }: Dialogue): string {
  const { helper, family, allowed, clientPort, translated, isn } = setup;
  const { fromPort, toPort, limit, thirdParty, timeout } = allowed;
  return [
    `${helper} ipv${String(family)} port ${String(clientPort)} isn ${isn.join(' ')}${translated ? ' nat' : ''}`,
    `allow ${String(fromPort)}-${String(toPort)} limit ${String(limit)} timeout ${String(timeout)}${thirdParty ? ' third-party' : ''}`,
    ...packets.map(packetText),
    `reset ${reset === 0 ? 'C' : 'S'}`,
    '',
  ].join('\n');
}

/** Reads what {@link dialogueText} writes; comments begin with #, and what comes of it with `outcome`. */
export function readDialogue(text: string): Dialogue {
  const [head = '', allow = '', ...lines] = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const first = /^(ftp|irc|tftp|rtsp|everything) ipv([46]) port (\d+) isn (\d+) (\d+)( nat)?$/.exec(head);
  const second = /^allow (\d+)-(\d+) limit (\d+) timeout (\d+)( third-party)?$/.exec(allow);
  if (first === null || second === null) throw new Error(`no dialogue: ${head} / ${allow}`);
  const packets: Packet[] = [];
  let wait = 0;
  let reset: Side = 0;
  for (const line of lines) {
    const match = /^([CS]) (\d+)((?: \+(?:fin|urgent|damaged))*) (.*)$/.exec(line);
    if (match !== null) {
      const [, who, at, marks = '', rest = ''] = match;
      const flags = {
        fin: marks.includes('+fin'),
        urgent: marks.includes('+urgent'),
        damaged: marks.includes('+damaged'),
      };
      packets.push(packet(who === 'C' ? 0 : 1, Number(at), unescaped(rest), { ...flags, wait }));
      wait = 0;
    } else if (line.startsWith('wait ')) wait = Number(line.slice(5));
    else if (line.startsWith('reset ')) reset = line === 'reset C' ? 0 : 1;
    else if (!line.startsWith('outcome ')) throw new Error(`neither packet nor wait nor reset: ${line}`);
  }
  return {
    setup: {
      helper: first[1] as HelperName,
      family: first[2] === '4' ? 4 : 6,
      clientPort: Number(first[3]),
      isn: [Number(first[4]), Number(first[5])],
      translated: first[6] !== undefined,
      allowed: {
        fromPort: Number(second[1]),
        toPort: Number(second[2]),
        limit: Number(second[3]),
        timeout: Number(second[4]),
        thirdParty: second[5] !== undefined,
      },
    },
    packets,
    reset,
  };
}
