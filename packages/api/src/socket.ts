// SPDX-License-Identifier: Apache-2.0
import { createHash, randomBytes } from 'node:crypto';
import { chmod, chown, link, lstat, mkdir, readFile, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, messageOf } from '@relatd/client';
import { ListenError, SOCKET_PATH_MAX } from './errors.js';

/** How long a process behind an existing socket has to accept, in milliseconds. */
const PROBE_TIMEOUT = 1000;

/** How long another daemon may take to replace a stale socket, in milliseconds. */
const LOCK_TIMEOUT = 3000;

/**
 * A unix socket's place in the file system, taken without a moment in which two daemons both believe they have it.
 *
 * The server binds `temporary`, which only its owner can connect to, gets mode and group there, and is then linked to
 * `path`: link(2) fails when the name exists, so exactly one of two daemons wins.
 */
export interface SocketPlace {
  readonly path: string;
  readonly temporary: string;
  /** Makes the bound socket visible at `path`. */
  publish(): Promise<void>;
  /** Removes `path` if it is still ours. */
  withdraw(): Promise<void>;
}

/** Whose members may use the socket when nobody names a group: theirs, if the host has it. */
const USUAL_GROUP = 'relatd';

/**
 * Prepares the place for a socket: the parent directory exists (mode 0755), `path` fits. The socket will have mode 0660 and
 * belong to `group`; null: to `relatd`, where the host has that group.
 * @throws ListenError `API_SOCKET_PATH`, `API_SOCKET_FAILED`, `API_SOCKET_IN_USE`, `API_GROUP_MISSING`
 */
export async function takePlace(path: string, group: string | null = null): Promise<SocketPlace> {
  const temporary = join(dirname(path), `.${randomBytes(4).toString('hex')}`);
  for (const name of [path, temporary]) {
    const length = Buffer.byteLength(name);
    // libuv cuts a longer name and binds something else without a word
    if (length === 0 || length > SOCKET_PATH_MAX || name.includes('\0')) throw ListenError.of('API_SOCKET_PATH', path);
  }
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  } catch (error) {
    throw socketFailure(path, error);
  }
  if (await isAnswered(path)) throw ListenError.of('API_SOCKET_IN_USE', path);

  const groupNumber = await groupId(group ?? USUAL_GROUP);
  if (group !== null && groupNumber === null) throw ListenError.of('API_GROUP_MISSING', group);

  let inode: bigint | null = null;
  return {
    path,
    temporary,
    async publish() {
      try {
        if (groupNumber !== null) await giveToGroup(temporary, groupNumber, group !== null);
        await chmod(temporary, 0o660);
        inode = await inodeOf(temporary);
        await linkAside(temporary, path);
      } catch (error) {
        await unlink(temporary).catch(() => undefined);
        throw socketFailure(path, error);
      }
      await unlink(temporary).catch(() => undefined);
    },
    async withdraw() {
      if (inode !== null && (await inodeOf(path)) === inode) await unlink(path).catch(() => undefined);
      inode = null;
    },
  };
}

/** What a failed attempt to make the socket is to the user. */
export function socketFailure(path: string, error: unknown): ListenError {
  if (error instanceof ListenError) return error;
  const denied = ['EACCES', 'EPERM', 'EROFS'].includes(errnoOf(error));
  return denied
    ? ListenError.of('API_SOCKET_DENIED', path)
    : ListenError.of('API_SOCKET_FAILED', path, messageOf(error));
}

/** Links `from` to `path`; what stands there is removed only if it is a socket that nobody answers on. */
async function linkAside(from: string, path: string): Promise<void> {
  if (await linkNew(from, path)) return;
  // Only the holder of the lock removes a name. Without it one daemon could remove what another has just put in the
  // place of the same stale socket. The lock is a link to our own socket: it dies with us, and that can be asked.
  const lock = join(dirname(path), `.${createHash('sha256').update(basename(path)).digest('hex').slice(0, 8)}`);
  for (const deadline = Date.now() + LOCK_TIMEOUT; !(await linkNew(from, lock));) {
    if (!(await isAnswered(lock))) await unlink(lock).catch(() => undefined);
    else if (Date.now() > deadline) throw ListenError.of('API_SOCKET_IN_USE', path);
    else await sleep(10);
  }
  try {
    const stat = await lstat(path).catch(() => null);
    if (stat !== null && !stat.isSocket()) throw ListenError.of('API_SOCKET_NOT_A_SOCKET', path);
    if (await isAnswered(path)) throw ListenError.of('API_SOCKET_IN_USE', path);
    await unlink(path).catch(() => undefined);
    if (!(await linkNew(from, path))) throw ListenError.of('API_SOCKET_IN_USE', path);
  } finally {
    await unlink(lock);
  }
}

/** Makes a hard link; false when the name is taken. */
async function linkNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Whether a process accepts connections at `path`. A full backlog (EAGAIN) and no permission count as yes. */
export function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const finish = (answer: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => {
      finish(true);
    }, PROBE_TIMEOUT);
    socket.once('connect', () => {
      finish(true);
    });
    socket.once('error', (error) => {
      finish(!['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(errnoOf(error)));
    });
  });
}

/** Its members may look, everybody else may not. */
async function giveToGroup(path: string, group: number, required: boolean): Promise<void> {
  try {
    await chown(path, process.getuid?.() ?? 0, group);
  } catch (error) {
    // Only root and members may give a file to a group; for others the socket stays private, unless they asked for it.
    if (required) throw error;
  }
}

/** The number of a group in /etc/group, or null. */
async function groupId(name: string): Promise<number | null> {
  const text = await readFile('/etc/group', 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const [entry, , id] = line.split(':');
    if (entry === name && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  return null;
}

async function inodeOf(path: string): Promise<bigint | null> {
  const stat = await lstat(path, { bigint: true }).catch(() => null);
  return stat?.ino ?? null;
}
