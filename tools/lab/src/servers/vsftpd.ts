// SPDX-License-Identifier: Apache-2.0
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Namespace } from '../namespace.js';
import { launch, prepare, type FtpServer, type FtpServerOptions } from './ftpServer.js';

/** Starts vsftpd; active data connections come from port 20. Rejects with its log when it does not listen. */
export async function startVsftpd(namespace: Namespace, given: FtpServerOptions = {}): Promise<FtpServer> {
  const prepared = await prepare('vsftpd', namespace, given);
  const { options, directory, certificate } = prepared;
  const empty = join(directory, 'empty');
  await mkdir(empty, { mode: 0o555 });
  const settings: Record<string, string | number> = {
    background: 'NO',
    // One IPv6 socket serves both families, but announces 0.0.0.0 when it is given an address.
    ...(options.passiveAddress === undefined ? { listen: 'NO', listen_ipv6: 'YES' } : { listen: 'YES' }),
    listen_port: options.port,
    secure_chroot_dir: empty,
    nopriv_user: 'nobody',
    pam_service_name: 'vsftpd',
    // The sandbox and a network namespace per session cost time, and the first kills sessions on newer kernels.
    seccomp_sandbox: 'NO',
    isolate_network: 'NO',
    max_clients: 0,
    max_per_ip: 0,
    // Its own anonymous users may not write to their root, which the lab's servers allow: here they are local users.
    anonymous_enable: 'NO',
    local_enable: 'YES',
    local_umask: '022',
    local_root: options.root,
    chroot_local_user: 'YES',
    allow_writeable_chroot: 'YES',
    write_enable: 'YES',
    connect_from_port_20: 'YES',
    pasv_min_port: options.passivePorts.from,
    pasv_max_port: options.passivePorts.to,
    xferlog_enable: 'YES',
    log_ftp_protocol: 'YES',
    xferlog_std_format: 'NO',
    vsftpd_log_file: join(directory, 'vsftpd.log'),
    ...(options.passiveAddress === undefined ? {} : { pasv_address: options.passiveAddress }),
    ...(options.tls
      ? {
          ssl_enable: 'YES',
          rsa_cert_file: certificate,
          allow_anon_ssl: 'YES',
          force_local_logins_ssl: 'NO',
          force_local_data_ssl: 'NO',
          require_ssl_reuse: 'NO',
        }
      : {}),
  };
  const file = join(directory, 'vsftpd.conf');
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(file, lines.join(''));
  return launch('vsftpd', namespace, prepared, [file], ['vsftpd.log']);
}
