// SPDX-License-Identifier: Apache-2.0
import { destination, pino, stdTimeFunctions, type Logger } from 'pino';

/**
 * The daemon's log: JSON lines to stderr, for journald and people with jq. Not written synchronously: a reader of the
 * log that hangs must not hang the daemon; beyond 1 MiB waiting for it, lines are dropped.
 */
export function newLogger(verbose: boolean): Logger {
  return pino(
    {
      level: verbose ? 'debug' : 'info',
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination({ fd: 2, sync: false, maxLength: 1024 * 1024 }),
  );
}
