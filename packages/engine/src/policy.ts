// SPDX-License-Identifier: Apache-2.0
import type { Assignment } from '@relatd/config';
import type { TupleRecord } from '@relatd/datapath';
import { addressEquals, familyOf, type Reason } from '@relatd/model';

/** A data connection as a helper read it. Null stands for the announcer's own. */
export interface Announced {
  readonly direction: 'original' | 'reply';
  readonly family: 4 | 6 | null;
  /** 16 bytes, IPv4 in its mapped form. */
  readonly address: Uint8Array | null;
  readonly port: number;
}

/** The control connection as the datapath sees it: from its opener, and whether NAT stands in between. */
export interface Between {
  readonly tuple: TupleRecord;
  readonly translated: boolean;
}

/** Either what to expect, or why not. `destination` is what was announced, as far as it can be said. */
export interface Verdict {
  readonly expect: Pick<TupleRecord, 'source' | 'destination' | 'destinationPort' | 'family'>;
  readonly refused: Reason | null;
}

/**
 * What policy makes of an announcement. The other end of the control connection will connect to the announced
 * address; it must be the announcer's own unless the assignment admits third parties.
 */
export function judge(announced: Announced, { tuple, translated }: Between, assignment: Assignment): Verdict {
  const original = announced.direction === 'original';
  const announcer = original ? tuple.source : tuple.destination;
  const peer = original ? tuple.destination : tuple.source;
  const destination = announced.address ?? announcer;
  const family = familyOf(destination);
  const expect = { source: peer, destination, destinationPort: announced.port, family: tuple.family };
  const refuse = (refused: Reason): Verdict => ({ expect, refused });

  if (announced.port === 0) return refuse('port-zero');
  if (announced.port > 0xffff) return refuse('bad-port');
  if (family !== tuple.family || (announced.family !== null && announced.family !== tuple.family))
    return refuse('wrong-family');
  const { ports, thirdParty } = assignment.data;
  if (announced.port < ports.from || announced.port > ports.to) return refuse('port-range');
  // Behind translation the peer's connection arrives with a tuple that is not known here.
  if (translated && original) return refuse('nat');
  if (!addressEquals(destination, announcer)) {
    if (translated) return refuse('nat');
    if (!thirdParty) return refuse('address');
  }
  return { expect, refused: null };
}
