// SPDX-License-Identifier: Apache-2.0
import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Namespace } from '../namespace.js';
import { daemonDirectory, gid, startDaemon, unpackedFile, unpackedPlace, type Daemon } from './daemon.js';

/** Names of the Debian packages. */
export type TftpServerName = 'tftpd-hpa' | 'atftpd';

/** What every TFTP server is given. It listens on both families. */
export interface TftpServerOptions {
  /** Default 69. */
  port?: number;
}

/** A running TFTP server: anybody may read its files, and write new ones. tftpd-hpa logs to syslog alone. */
export interface TftpServer extends Daemon {
  readonly name: TftpServerName;
  /** The directory it serves. */
  readonly root: string;
}

const binaries: Readonly<Record<TftpServerName, string>> = {
  'tftpd-hpa': 'usr/sbin/in.tftpd',
  atftpd: 'usr/sbin/atftpd',
};

/** Every TFTP server that the lab can run. */
export const tftpServerNames = Object.keys(binaries) as TftpServerName[];

/** The TFTP servers whose packages are unpacked; a test that misses one is to say so. */
export function availableTftpServers(): TftpServerName[] {
  return tftpServerNames.filter((name) => unpackedPlace(name, binaries[name]) !== undefined);
}

/** Alone, atftpd opens an IPv4 socket, whatever it is told; one of both families is handed to it as inetd does it. */
const inetd = `
import os, socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(('::', int(sys.argv[1])))
os.dup2(s.fileno(), 0)
os.execv(sys.argv[2], sys.argv[2:])
`;

/** Starts one of the TFTP servers by its name. Rejects with its log when it does not listen. */
export async function startTftpServer(
  name: TftpServerName,
  namespace: Namespace,
  { port = 69 }: TftpServerOptions = {},
): Promise<TftpServer> {
  const file = unpackedFile(name, binaries[name]);
  const root = join(await daemonDirectory(namespace, name), 'root');
  await mkdir(root);
  const commands: Readonly<Record<TftpServerName, () => [string, ...string[]]>> = {
    'tftpd-hpa': () => [
      ...([file, '--foreground', '--address', `:${port}`] as const),
      ...['--secure', '--create', '--permissive', '--user', 'nobody', '-vvv', root],
    ],
    atftpd: () => [
      ...(['python3', '-c', inetd, String(port), file] as const),
      ...['--tftpd-timeout', '86400', '--user', 'nobody', '--group', 'nogroup', '--verbose=7', '--logfile', '-', root],
    ],
  };
  // Both serve as `nobody`, who is not the user that the lab's other servers are.
  await chown(root, 65534, gid);
  const daemon = await startDaemon(namespace, { name, protocol: 'udp', port }, commands[name]());
  return { ...daemon, name, root };
}
