// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { chmod, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespace } from '../namespace.js';
import { repositoryRoot } from '../paths.js';
import type { RunningProcess, SpawnOptions } from '../process.js';

/** A running server. It ends with its namespace at the latest. */
export interface Daemon extends AsyncDisposable {
  readonly port: number;
  readonly process: RunningProcess;
  stop(): Promise<void>;
  /** What it logged and printed so far. */
  log(): Promise<string>;
}

/** Owner of what the servers serve; no such user exists on the host. */
export const uid = 64077;
/** The group `nogroup`, which is on every Debian. */
export const gid = 65534;

/** What a server is waited for at. */
export interface Listening {
  /** For messages. */
  name: string;
  protocol: 'tcp' | 'udp';
  port: number;
  /** What it logs to files. Default: nothing. */
  log?: () => Promise<string>;
}

/** Where a Debian package is unpacked, or undefined when this file of it is not there. */
export function unpackedPlace(name: string, file: string): string | undefined {
  const path = join(repositoryRoot, '.cache/debian', name);
  return existsSync(join(path, file)) ? path : undefined;
}

/** Path of a file of an unpacked Debian package; throws when it is not there. */
export function unpackedFile(name: string, file: string): string {
  const place = unpackedPlace(name, file);
  if (place === undefined) throw new Error(`${name} is not unpacked under .cache/debian: run \`npm run setup\``);
  return join(place, file);
}

/** A directory for one server's files, removed with the namespace. Every user may read it: servers give up their rights. */
export async function daemonDirectory(namespace: Namespace, name: string): Promise<string> {
  const parent = await namespace.directory();
  await chmod(parent, 0o755);
  const directory = await mkdtemp(join(parent, `${name}-`));
  await chmod(directory, 0o755);
  return directory;
}

/** Starts a server; resolves when it listens, and rejects with its log when it does not. */
export async function startDaemon(
  namespace: Namespace,
  listening: Listening,
  command: readonly [string, ...string[]],
  options: SpawnOptions = {},
): Promise<Daemon> {
  const [file, ...args] = command;
  const { name, protocol, port } = listening;
  const listens = async (): Promise<boolean> =>
    (await namespace.run('ss', ['-Hln', `--${protocol}`, `sport = :${port}`])).trim() !== '';
  // A child of the server before may still hold its socket.
  for (let tries = 0; tries < 250 && (await listens()); tries++) await sleep(20);
  const process = await namespace.spawn(file, args, options);
  const log = async (): Promise<string> => process.output + ((await listening.log?.()) ?? '');
  const stop = async (): Promise<void> => {
    await process.stop({ graceMs: 500 });
  };
  for (let tries = 0; ; tries++) {
    const ready = await listens();
    if (process.exitCode !== undefined) throw new Error(`${name} ended with ${process.exitCode}: ${await log()}`);
    if (ready) break;
    if (tries === 500) {
      await stop();
      throw new Error(`${name} does not listen on port ${port}: ${await log()}`);
    }
    await sleep(20);
  }
  return { port, process, stop, log, [Symbol.asyncDispose]: stop };
}
