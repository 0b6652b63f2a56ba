// SPDX-License-Identifier: Apache-2.0
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Namespace } from '../namespace.js';
import { gid, uid } from './daemon.js';
import { launch, prepare, type FtpServer, type FtpServerOptions } from './ftpServer.js';

/** Starts proftpd. Without TLS, whose module is another package's. Rejects with its log when it does not listen. */
export async function startProftpd(namespace: Namespace, given: FtpServerOptions = {}): Promise<FtpServer> {
  if (given.tls) throw new Error('proftpd has its TLS module in another package: take vsftpd or pure-ftpd');
  const prepared = await prepare('proftpd-core', namespace, given);
  const { options, directory, hashes } = prepared;
  const accounts = [...hashes, ['ftp', '*'] as const];
  const users = accounts.map(([user, hash]) => `${user}:${hash}:${uid}:${gid}::${options.root}:/bin/sh\n`);
  await writeFile(join(directory, 'users'), users.join(''), { mode: 0o600 });
  await writeFile(join(directory, 'groups'), `nogroup:x:${gid}:\n`, { mode: 0o600 });
  const anonymous = `<Anonymous ${options.root}>
  User ftp
  Group nogroup
  UserAlias anonymous ftp
  <Limit LOGIN>
    AllowAll
  </Limit>
</Anonymous>
`;
  const config = `ServerName lab
ServerType standalone
DefaultServer on
UseIPv6 on
DefaultAddress 0.0.0.0 ::
Port ${options.port}
User nobody
Group nogroup
AuthOrder mod_auth_file.c
AuthUserFile ${directory}/users
AuthGroupFile ${directory}/groups
RequireValidShell off
DefaultRoot ${options.root}
AllowOverwrite on
AllowStoreRestart on
PassivePorts ${options.passivePorts.from} ${options.passivePorts.to}
${options.passiveAddress === undefined ? '' : `MasqueradeAddress ${options.passiveAddress}`}
UseReverseDNS off
WtmpLog off
DelayEngine off
ControlsEngine off
PidFile ${directory}/proftpd.pid
ScoreboardFile ${directory}/scoreboard
SystemLog ${directory}/system.log
TransferLog ${directory}/transfer.log
ExtendedLog ${directory}/commands.log ALL
${options.anonymous ? anonymous : ''}`;
  const file = join(directory, 'proftpd.conf');
  await writeFile(file, config);
  const logs = ['system.log', 'transfer.log', 'commands.log'];
  return launch('proftpd-core', namespace, prepared, ['--nodaemon', '--config', file], logs);
}
