// SPDX-License-Identifier: Apache-2.0

/** Why the daemon cannot listen, by stable code. */
const messages = {
  API_SOCKET_IN_USE: (path: string) =>
    `another relatd daemon already serves ${path}: stop it first, or give this one a socket of its own with --socket`,
  API_SOCKET_NOT_A_SOCKET: (path: string) =>
    `${path} exists and is not a socket: remove it, or choose another path with --socket`,
  API_SOCKET_PATH: (path: string) =>
    `the socket path ${path} is too long or empty: choose one of 1 to ${String(SOCKET_PATH_MAX)} bytes`,
  API_SOCKET_DENIED: (path: string) =>
    `no permission to make the socket ${path}: run relatd as root, or choose another path with --socket`,
  API_SOCKET_FAILED: (path: string, why: string) => `cannot make the socket ${path}: ${why}`,
  API_GROUP_MISSING: (group: string) =>
    `there is no group ${group} in /etc/group: make it with \`groupadd --system ${group}\`, or change listen.group`,
  API_TOKEN_FILE: (path: string, why: string) =>
    `cannot take the token from ${path} (${why}): make one with \`(umask 077; openssl rand -hex 32 > ${path})\`, or change listen.token-file`,
  API_METRICS_LISTEN: (address: string, why: string) =>
    `cannot listen on ${address} for metrics (${why}): change listen.metrics in the configuration, or set it to off`,
} as const;

/** Longest path of a unix socket in bytes: `sun_path` without its terminating zero. */
export const SOCKET_PATH_MAX = 107;

export type ListenErrorCode = keyof typeof messages;

/** What `listenApi` and `listenMetrics` throw. The message is one line and says what to do. */
export class ListenError extends Error {
  readonly code: ListenErrorCode;

  private constructor(code: ListenErrorCode, message: string) {
    super(message);
    this.name = 'ListenError';
    this.code = code;
  }

  static of<C extends ListenErrorCode>(code: C, ...details: Parameters<(typeof messages)[C]>): ListenError {
    const format = messages[code] as (...details: Parameters<(typeof messages)[C]>) => string;
    return new ListenError(code, format(...details));
  }
}
