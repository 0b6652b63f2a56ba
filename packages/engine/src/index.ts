// SPDX-License-Identifier: Apache-2.0

/** The daemon's heart: samples and held packets to helpers, expectations to the datapath, events to people. */
import { Daemon, type DaemonOptions } from './daemon.js';

export { Daemon, type DaemonOptions, type Logger } from './daemon.js';
export {
  offlineExpectations,
  offlineFlows,
  offlineStatus,
  offlineWhy,
  pinMatchPrograms,
  takeDown,
  type Where,
} from './offline.js';
export { inspectRuleset, type RulesetFindings } from './ruleset.js';
export { Replay, type ReplaySummary } from './replay/replay.js';

/** Loads, attaches and begins to serve. */
export function startDaemon(options: DaemonOptions): Promise<Daemon> {
  return Daemon.start(options);
}
