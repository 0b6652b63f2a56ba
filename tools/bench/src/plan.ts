// SPDX-License-Identifier: Apache-2.0

/** Tuples in every ring: fewer would stay in the caches, and hide every miss. */
export const TUPLES = 65_536;
/** Hard bound of limits.per-master. */
export const PER_MASTER = 32;
export const CONTROL_PORT = 21;

/** Where clients and servers of the plan live: 10.201.0.0/16 and 10.200.0.0/16, both behind the lab's gateway. */
export const CLIENTS = 0x0ac9_0000;
export const SERVERS = 0x0ac8_0000;
const SERVER = SERVERS + 1;

/** An endpoint: IPv4 address and port as numbers. */
export interface End {
  readonly address: number;
  readonly port: number;
}

/** A connection, from who opened it. */
export interface Connection {
  readonly source: End;
  readonly destination: End;
}

/** The control connection number `index`, 0 to 65,535. tools/bench/native/push.c has the same plan. */
export function master(index: number): Connection {
  return {
    source: { address: CLIENTS + index, port: 20_000 + (index % 30_000) },
    destination: { address: SERVER, port: CONTROL_PORT },
  };
}

/** The data connection number `index`, whose master is number index / 32: all different, ports all over the range. */
export function dataConnection(index: number): Connection {
  const { source, destination } = master(Math.floor(index / PER_MASTER));
  return {
    source: { ...source, port: 1024 + ((index * 7919) % 64_512) },
    destination: { ...destination, port: dataPort(index) },
  };
}

/** The port of the data connection number `index`. */
export const dataPort = (index: number): number => 1024 + ((index * 40_505) % 64_512);

/** Where hosts are that have no control connection. */
const STRANGERS = 0x0aca_0000;

/** Connections that are nothing to relatd, as many as asked for; the same in every run. Of FTP clients, or of strangers to all tables. */
export function strangers(count: number, of: 'clients' | 'strangers' = 'clients'): Connection[] {
  const random = generator(1);
  const sources = of === 'clients' ? CLIENTS : STRANGERS;
  return Array.from({ length: count }, () => ({
    source: { address: sources + (random() & 0xffff), port: 1024 + (random() % 64_512) },
    // Not the FTP server's address: its data ports are expected.
    destination: { address: SERVERS + 2 + (random() % 65_000), port: 1024 + (random() % 64_512) },
  }));
}

/** xorshift32: fast, and the same everywhere. */
export function generator(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}
