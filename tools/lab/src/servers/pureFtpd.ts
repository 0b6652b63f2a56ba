// SPDX-License-Identifier: Apache-2.0
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Namespace } from '../namespace.js';
import { run } from '../process.js';
import { gid, uid } from './daemon.js';
import { launch, libraryPath, prepare, type FtpServer, type FtpServerOptions } from './ftpServer.js';

/** Starts pure-ftpd. It logs transfers only. Rejects with its log when it does not listen. */
export async function startPureFtpd(namespace: Namespace, given: FtpServerOptions = {}): Promise<FtpServer> {
  const prepared = await prepare('pure-ftpd', namespace, given);
  const { options, directory, unpacked, hashes, certificate } = prepared;
  const users = [...hashes].map(([user, hash]) => `${user}:${hash}:${uid}:${gid}::${options.root}/./::::::::::::\n`);
  await writeFile(join(directory, 'users'), users.join(''), { mode: 0o600 });
  await run(join(unpacked, 'usr/bin/pure-pw'), ['mkdb', join(directory, 'users.pdb'), '-f', join(directory, 'users')], {
    env: { LD_LIBRARY_PATH: libraryPath(unpacked) },
  });
  const args = [
    ...['--bind', `,${options.port}`],
    ...['--passiveportrange', `${options.passivePorts.from}:${options.passivePorts.to}`],
    ...['--login', `puredb:${directory}/users.pdb`],
    ...['--pidfile', `${directory}/pure-ftpd.pid`],
    ...['--altlog', `clf:${directory}/transfer.log`],
    ...['--maxclientsnumber', '1000', '--maxclientsperip', '1000'],
    ...['--dontresolve', '--chrooteveryone'],
    ...(options.passiveAddress === undefined ? [] : ['--forcepassiveip', options.passiveAddress]),
    ...(options.tls ? ['--tls', '1', '--certfile', certificate] : []),
  ];
  if (!options.anonymous) args.push('--noanonymous');
  else if (options.users.length === 0) args.push('--anonymousonly');
  return launch('pure-ftpd', namespace, prepared, args, ['transfer.log']);
}
