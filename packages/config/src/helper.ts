// SPDX-License-Identifier: Apache-2.0
import type { PortRange, Protocol } from '@relatd/model';

/** What the configuration has to know of a helper. The helpers themselves are in packages/helpers. */
export interface HelperDefaults {
  readonly name: string;
  readonly protocol: Protocol;
  /** Its usual port, for messages; nothing is assigned by it. */
  readonly port: number;
  /** Data ports that may be announced when the assignment says nothing. */
  readonly dataPorts: PortRange;
  /** Live expectations per control connection. */
  readonly perMaster: number;
  /** Milliseconds that an expectation lives. */
  readonly expectation: number;
}

/** The helpers of this version. */
export const HELPERS: readonly HelperDefaults[] = [
  {
    name: 'ftp',
    protocol: 'tcp',
    port: 21,
    dataPorts: { from: 1024, to: 65535 },
    perMaster: 1,
    expectation: 300_000,
  },
];
