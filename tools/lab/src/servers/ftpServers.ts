// SPDX-License-Identifier: Apache-2.0
import type { Namespace } from '../namespace.js';
import { unpackedPackage, type FtpServer, type FtpServerName, type FtpServerOptions } from './ftpServer.js';
import { startProftpd } from './proftpd.js';
import { startPureFtpd } from './pureFtpd.js';
import { startVsftpd } from './vsftpd.js';

const starters: Readonly<
  Record<FtpServerName, (namespace: Namespace, options?: FtpServerOptions) => Promise<FtpServer>>
> = { vsftpd: startVsftpd, 'proftpd-core': startProftpd, 'pure-ftpd': startPureFtpd };

/** Every FTP server that the lab can run. */
export const ftpServerNames = Object.keys(starters) as FtpServerName[];

/** The FTP servers whose packages are unpacked; a test that misses one is to say so. */
export function availableServers(): FtpServerName[] {
  return ftpServerNames.filter((name) => unpackedPackage(name) !== undefined);
}

/** Starts one of the FTP servers by its name. */
export async function startFtpServer(
  name: FtpServerName,
  namespace: Namespace,
  options: FtpServerOptions = {},
): Promise<FtpServer> {
  return starters[name](namespace, options);
}

export { startProftpd, startPureFtpd, startVsftpd };
