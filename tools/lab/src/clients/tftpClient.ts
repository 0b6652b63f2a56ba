// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespace } from '../namespace.js';

/** Real TFTP clients: by the names of their Debian packages. */
export type TftpClientName = 'tftp-hpa' | 'atftp' | 'curl';

/** One transfer. */
export interface TftpTransfer {
  /** The server's address. */
  server: string;
  /** Default 69. */
  port?: number;
  op: 'get' | 'put';
  /** Name on the server, without directory. */
  file: string;
  /** `put`: what is sent. `get`: what is expected. */
  content: Uint8Array;
  /** The served directory: where a `put` is to arrive. */
  root: string;
  /** Milliseconds for the whole, default 20,000. A client that takes longer counts as failed. */
  timeoutMs?: number;
}

/** What came of a transfer. */
export interface TftpResult {
  /** The client's exit code; tftp-hpa exits with 0 whatever the server says. 124: it took too long. */
  code: number;
  output: string;
  /** The bytes arrived unchanged. */
  bytesOk: boolean;
}

/** What the packages call their commands. */
const commands: Readonly<Record<TftpClientName, string>> = { 'tftp-hpa': 'tftp', atftp: 'atftp', curl: 'curl' };

/** Every TFTP client that the lab can run. */
export const tftpClientNames = Object.keys(commands) as TftpClientName[];

/** The TFTP clients that are installed; a test that misses one is to say so. */
export function availableTftpClients(): TftpClientName[] {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return tftpClientNames.filter((name) => directories.some((directory) => existsSync(join(directory, commands[name]))));
}

const invocations: Readonly<Record<TftpClientName, (options: TftpTransfer, local: string) => string[]>> = {
  'tftp-hpa': ({ server, port = 69, op, file }, local) => [
    ...['-v', '-m', 'binary', server, String(port), '-c', op],
    ...(op === 'get' ? [file, local] : [local, file]),
  ],

  atftp: ({ server, port = 69, op, file }, local) => [
    ...['--verbose', '--trace', `--${op}`, '--remote-file', file, '--local-file', local, server, String(port)],
  ],

  curl: ({ server, port = 69, op, file }, local) => [
    ...['-q', '-sSv', '--noproxy', '*', op === 'get' ? '-o' : '-T', local],
    `tftp://${isIPv6(server) ? `[${server}]` : server}:${port}/${file}`,
  ],
};

/** Runs one transfer with a real client. Rejects only when the client cannot be started. */
export async function tftpTransfer(
  namespace: Namespace,
  client: TftpClientName,
  options: TftpTransfer,
): Promise<TftpResult> {
  const directory = await mkdtemp(join(await namespace.directory(), `${client}-`));
  const local = join(directory, 'file');
  if (options.op === 'put') await writeFile(local, options.content);
  const seconds = Math.ceil((options.timeoutMs ?? 20_000) / 1000);
  const args = ['-k', '1', String(seconds), commands[client], ...invocations[client](options, local)];
  const env = { HOME: directory, all_proxy: undefined, ALL_PROXY: undefined };
  const result = await namespace.exec('timeout', args, { env, cwd: directory, timeoutMs: seconds * 1000 + 5000 });
  const path = options.op === 'get' ? local : join(options.root, options.file);
  return {
    code: result.code,
    output: result.stdout + result.stderr,
    // A server answers the last block before it closes the file.
    bytesOk: await holds(path, options.content, options.op === 'put' && result.code === 0 ? 2000 : 0),
  };
}

async function holds(path: string, content: Uint8Array, patienceMs: number): Promise<boolean> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const got = await readFile(path).catch(() => undefined);
    if (got !== undefined && Buffer.compare(got, content) === 0) return true;
    if (Date.now() >= deadline) return false;
    await sleep(10);
  }
}
