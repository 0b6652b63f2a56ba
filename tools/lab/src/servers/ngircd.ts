// SPDX-License-Identifier: Apache-2.0
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Namespace } from '../namespace.js';
import { daemonDirectory, startDaemon, unpackedFile, unpackedPlace, type Daemon } from './daemon.js';

const binary = 'usr/sbin/ngircd';

/** Whether ngircd's package is unpacked; a test that misses it is to say so. */
export function hasNgircd(): boolean {
  return unpackedPlace('ngircd', binary) !== undefined;
}

/** Starts ngircd, an IRC server, on both families; port 6667 by default. Rejects with its log when it does not listen. */
export async function startNgircd(namespace: Namespace, { port = 6667 }: { port?: number } = {}): Promise<Daemon> {
  const file = unpackedFile('ngircd', binary);
  const directory = await daemonDirectory(namespace, 'ngircd');
  const config = join(directory, 'ngircd.conf');
  await writeFile(
    config,
    `[Global]
  Name = irc.lab
  Info = lab
  AdminEMail = lab@irc.lab
  MotdPhrase = lab
  Listen = ::,0.0.0.0
  Ports = ${port}
  ServerUID = nobody
  ServerGID = nogroup
[Limits]
  MaxConnectionsIP = 0
  # Otherwise a client waits for two seconds after a mistake, and irssi makes one.
  MaxPenaltyTime = 0
[Options]
  # Nobody answers in a lab.
  DNS = no
  Ident = no
  PAM = no
`,
  );
  const command = [file, '--nodaemon', '--config', config] as const;
  return startDaemon(namespace, { name: 'ngircd', protocol: 'tcp', port }, [...command], { cwd: directory });
}
