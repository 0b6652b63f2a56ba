// SPDX-License-Identifier: Apache-2.0
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace } from '../namespace.js';
import { run } from '../process.js';
import { daemonDirectory, gid, startDaemon, uid, unpackedPlace, type Daemon } from './daemon.js';

/** What every FTP server is given. It listens on both families. */
export interface FtpServerOptions {
  /** Default 21. */
  port?: number;
  /** Default 40000-40999. */
  passivePorts?: { from: number; to: number };
  /** Who may log in, all with the same directory. Default: nobody. */
  users?: readonly { name: string; password: string }[];
  /** Whether anybody may log in as `anonymous`, and write. Default: only when there are no users. */
  anonymous?: boolean;
  /** The directory that is served; its owner is changed. Default: a new one. */
  root?: string;
  /** AUTH TLS is offered, with a certificate made for the occasion. Not with proftpd. Default false. */
  tls?: boolean;
  /** The IPv4 address that 227 announces, as a server behind NAT is told. vsftpd then has no IPv6. Default: its own. */
  passiveAddress?: string;
}

/** A running FTP server. */
export interface FtpServer extends Daemon {
  readonly name: FtpServerName;
  /** The directory it serves, writable by its users. */
  readonly root: string;
}

/** Names of the Debian packages. */
export type FtpServerName = 'vsftpd' | 'proftpd-core' | 'pure-ftpd';

/** What the start of one server has to fill in. */
export interface Prepared {
  options: Required<Omit<FtpServerOptions, 'passiveAddress'>> & { passiveAddress: string | undefined };
  /** A directory for configuration and logs, removed with the namespace. */
  directory: string;
  /** Where the Debian package is unpacked. */
  unpacked: string;
  /** With `tls`: a file with certificate and key. */
  certificate: string;
  /** Password hashes by user, for crypt(3). */
  hashes: ReadonlyMap<string, string>;
}

/** Where a Debian package is unpacked, or undefined. */
export function unpackedPackage(name: FtpServerName): string | undefined {
  return unpackedPlace(name, binaries[name]);
}

const binaries: Readonly<Record<FtpServerName, string>> = {
  vsftpd: 'usr/sbin/vsftpd',
  'proftpd-core': 'usr/sbin/proftpd',
  'pure-ftpd': 'usr/sbin/pure-ftpd',
};

/** Makes the directories and the users' file; throws when the package is not unpacked. */
export async function prepare(name: FtpServerName, namespace: Namespace, given: FtpServerOptions): Promise<Prepared> {
  const unpacked = unpackedPackage(name);
  if (!unpacked) throw new Error(`${name} is not unpacked under .cache/debian: run \`npm run setup\``);
  const directory = await daemonDirectory(namespace, name);
  const users = given.users ?? [];
  const options = {
    port: given.port ?? 21,
    passivePorts: given.passivePorts ?? { from: 40000, to: 40999 },
    users,
    anonymous: given.anonymous ?? users.length === 0,
    root: given.root ?? join(directory, 'root'),
    tls: given.tls ?? false,
    passiveAddress: given.passiveAddress,
  };
  await mkdir(options.root, { recursive: true });
  await chown(options.root, uid, gid);
  const hashes = new Map<string, string>();
  for (const user of users) hashes.set(user.name, await passwordHash(user.password));
  const certificate = join(directory, 'certificate.pem');
  if (options.tls) await makeCertificate(certificate);
  await writeFile(join(directory, 'passwd'), await passwordFile(options, options.root));
  await writeFile(
    join(directory, 'shadow'),
    [...hashes].map(([user, hash]) => `${user}:${hash}:19000::::::\n`).join(''),
  );
  // Name look-ups must not wait for a DNS server that the namespace cannot reach.
  await writeFile(join(directory, 'nsswitch.conf'), 'passwd: files\ngroup: files\nshadow: files\nhosts: files\n');
  await writeFile(join(directory, 'hosts'), `127.0.0.1 localhost ${await hostName()}\n::1 localhost\n`);
  await mkdir(join(directory, 'pam.d'));
  const guests = options.anonymous ? 'auth sufficient pam_succeed_if.so quiet user in ftp:anonymous\n' : '';
  const pam = `${guests}auth required pam_unix.so\naccount required pam_permit.so\nsession required pam_permit.so\n`;
  for (const service of ['vsftpd', 'ftp', 'other']) await writeFile(join(directory, 'pam.d', service), pam);
  return { options, directory, unpacked, certificate, hashes };
}

/**
 * Starts the server in a mount namespace of its own, where /etc has this run's users: the host gets no user, no PAM service
 * and no file. Resolves when it listens.
 */
export async function launch(
  name: FtpServerName,
  namespace: Namespace,
  prepared: Prepared,
  args: readonly string[],
  logs: readonly string[],
): Promise<FtpServer> {
  const { directory, unpacked, options } = prepared;
  const mounts = ['passwd', 'shadow', 'nsswitch.conf', 'hosts', 'pam.d'].map(
    (file) => `mount --bind '${directory}/${file}' /etc/${file} || exit 1\n`,
  );
  // pure-ftpd takes a stdin that is a socket, as node's pipes are, for a connection that inetd hands over.
  const script = `${mounts.join('')}exec "$@" </dev/null`;
  const log = async (): Promise<string> => {
    const texts = await Promise.all(logs.map((file) => readFile(join(directory, file), 'utf8').catch(() => '')));
    return texts.join('');
  };
  const daemon = await startDaemon(
    namespace,
    { name, protocol: 'tcp', port: options.port, log },
    [
      ...(['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'] as const),
      join(unpacked, binaries[name]),
      ...args,
    ],
    { env: { LD_LIBRARY_PATH: libraryPath(unpacked) }, cwd: directory },
  );
  return { ...daemon, name, root: options.root };
}

/** The libraries that come with an unpacked package. */
export function libraryPath(unpacked: string): string {
  return ['usr/lib', 'lib']
    .map((part) => join(unpacked, part))
    .filter((path) => existsSync(path))
    .flatMap((path) =>
      readdirSync(path)
        .filter((entry) => entry.includes('-linux-'))
        .map((entry) => join(path, entry)),
    )
    .join(':');
}

async function passwordFile(options: Prepared['options'], home: string): Promise<string> {
  const host = await readFile('/etc/passwd', 'utf8');
  const names = ['ftp', 'anonymous', ...options.users.map((user) => user.name)];
  const kept = host.split('\n').filter((line) => line !== '' && !names.includes(line.split(':')[0] ?? ''));
  return [...kept, ...names.map((user) => `${user}:x:${uid}:${gid}::${home}:/bin/sh`), ''].join('\n');
}

async function passwordHash(password: string): Promise<string> {
  // perl-base is essential in Debian; mkpasswd and openssl are not.
  const script = 'my $p = <STDIN>; print crypt($p, q($6$relatdlab$))';
  return run('perl', ['-e', script], { input: password });
}

async function makeCertificate(path: string): Promise<void> {
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=relatd-lab'],
    ...['-keyout', `${path}.key`, '-out', `${path}.crt`],
  ]);
  const parts = await Promise.all([`${path}.key`, `${path}.crt`].map((file) => readFile(file)));
  await writeFile(path, Buffer.concat(parts), { mode: 0o600 });
}

async function hostName(): Promise<string> {
  return (await readFile('/proc/sys/kernel/hostname', 'utf8')).trim();
}
