// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { delimiter, join } from 'node:path';
import type { Namespace } from '../namespace.js';
import type { ExecOptions } from '../process.js';

/** Real FTP clients, by the names of their commands. */
export type FtpClientName = 'curl' | 'lftp' | 'tnftp' | 'inetutils-ftp';

/** One transfer. */
export interface TransferOptions {
  /** The server's address; its family decides what may be announced. */
  server: string;
  /** Default 21. */
  port?: number;
  /** Who opens the data connection: the client (`passive`, the default) or the server. */
  mode?: 'passive' | 'active';
  /**
   * On IPv4: EPSV and EPRT (the default) rather than PASV and PORT. On IPv6 there is nothing else. lftp has no EPRT on IPv4 and
   * sends PORT.
   */
  extended?: boolean;
  /** Default `anonymous`. */
  user?: string;
  password?: string;
  op: 'list' | 'get' | 'put';
  /** Name on the server, without directory. */
  file: string;
  /** `put`: what is sent. `get`: what is expected. */
  content?: Uint8Array;
  /** The served directory, when the file is to be compared with that on the server. */
  root?: string;
  /** Milliseconds for the whole, default 20,000. A client that takes longer counts as failed. */
  timeoutMs?: number;
}

/** What came of a transfer. */
export interface TransferResult {
  /** The client's exit code; tnftp and inetutils-ftp exit with 0 whatever happens. 124: it took too long. */
  code: number;
  /** What it printed: the dialogue, and a listing. */
  output: string;
  /** `get`, `put`: the bytes arrived unchanged. `list`: the listing names the file. */
  bytesOk: boolean;
}

interface Invocation {
  args: string[];
  /** Commands for those that read them. */
  input?: string;
}

/** Every FTP client that the lab can run. */
export const ftpClientNames: readonly FtpClientName[] = ['curl', 'lftp', 'tnftp', 'inetutils-ftp'];

/** The FTP clients that are installed; a test that misses one is to say so. */
export function availableClients(): FtpClientName[] {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return ftpClientNames.filter((name) => directories.some((directory) => existsSync(join(directory, name))));
}

/** Runs one transfer with a real client. Rejects only when the client cannot be started. */
export async function transfer(
  namespace: Namespace,
  client: FtpClientName,
  options: TransferOptions,
): Promise<TransferResult> {
  const directory = await mkdtemp(join(await namespace.directory(), `${client}-`));
  const local = join(directory, 'file');
  if (options.op === 'put') await writeFile(local, options.content ?? '');
  const { args, input } = invocations[client](options, local);
  const seconds = Math.ceil((options.timeoutMs ?? 20_000) / 1000);
  const exec: ExecOptions = {
    // lftp and the others keep histories and settings under HOME; a proxy in the environment would be asked instead.
    env: { HOME: directory, ftp_proxy: undefined, FTP_PROXY: undefined, all_proxy: undefined, ALL_PROXY: undefined },
    timeoutMs: seconds * 1000 + 5000,
    cwd: directory,
    ...(input === undefined ? {} : { input }),
  };
  const result = await namespace.exec('timeout', ['-k', '1', String(seconds), client, ...args], exec);
  const output = result.stdout + result.stderr;
  return { code: result.code, output, bytesOk: await arrived(options, local, output) };
}

async function arrived(options: TransferOptions, local: string, output: string): Promise<boolean> {
  if (options.op === 'list')
    return output.split(/\r?\n/).some((line) => /^[d-]r/.test(line) && line.includes(options.file));
  const remote = options.root === undefined ? undefined : join(options.root, options.file);
  const got = await readOrUndefined(options.op === 'get' ? local : remote);
  const wanted = options.content ?? (await readOrUndefined(options.op === 'get' ? remote : local));
  // Without the server's directory an upload cannot be compared: the caller judges by the exit code.
  if (options.op === 'put' && remote === undefined) return true;
  return got !== undefined && wanted !== undefined && Buffer.compare(got, wanted) === 0;
}

async function readOrUndefined(path: string | undefined): Promise<Uint8Array | undefined> {
  return path === undefined ? undefined : readFile(path).catch(() => undefined);
}

const invocations: Readonly<Record<FtpClientName, (options: TransferOptions, local: string) => Invocation>> = {
  curl: (options, local) => {
    const host = isIPv6(options.server) ? `[${options.server}]` : options.server;
    const path = options.op === 'list' ? '' : options.file;
    const args = ['-q', '-sSv', '--noproxy', '*', '-u', `${options.user ?? 'anonymous'}:${options.password ?? 'lab@'}`];
    if (options.mode === 'active') args.push('--ftp-port', '-');
    if (options.extended === false) args.push(options.mode === 'active' ? '--disable-eprt' : '--disable-epsv');
    if (options.op === 'get') args.push('-o', local);
    if (options.op === 'put') args.push('-T', local);
    return { args: [...args, `ftp://${host}:${options.port ?? 21}/${path}`] };
  },

  lftp: (options, local) => {
    const onOff = (value: boolean): string => (value ? 'on' : 'off');
    const commands = [
      `set ftp:passive-mode ${onOff(options.mode !== 'active')}`,
      `set ftp:prefer-epsv ${onOff(options.extended !== false)}`,
      'set ftp:ssl-allow off',
      'set net:max-retries 1',
      'set net:timeout 10',
      'set cmd:fail-exit on',
      'debug 9',
      `open -p ${options.port ?? 21} -u ${options.user ?? 'anonymous'},${options.password ?? 'lab@'} ${options.server}`,
      { list: 'ls', get: `get ${options.file} -o ${local}`, put: `put ${local} -o ${options.file}` }[options.op],
      'bye',
    ];
    return { args: ['--norc', '-c', commands.join('; ')] };
  },

  tnftp: (options, local) => ({
    args: ['-n', '-i', '-v', '-d', options.mode === 'active' ? '-A' : '-p'],
    input: dialogue(options, local, [`epsv4 ${options.extended === false ? 'off' : 'on'}`]),
  }),

  'inetutils-ftp': (options, local) => ({
    args: ['-n', '-i', '-v', '-d', options.mode === 'active' ? '-A' : '-p'],
    input: dialogue(options, local, options.extended === false ? [] : ['epsv4']),
  }),
};

function dialogue(options: TransferOptions, local: string, settings: readonly string[]): string {
  return [
    ...settings,
    `open ${options.server} ${options.port ?? 21}`,
    `user ${options.user ?? 'anonymous'} ${options.password ?? 'lab@'}`,
    'binary',
    { list: 'ls', get: `get ${options.file} ${local}`, put: `put ${local} ${options.file}` }[options.op],
    'bye',
    '',
  ].join('\n');
}
