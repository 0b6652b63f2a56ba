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
  readonly port: number | null;
  /** Who will connect. */
  readonly from: 'peer' | 'anyone';
}

/** A source address that stands for any. */
const ANY = new Uint8Array(16);

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
 * What policy makes of an announcement. The other end of the control connection, or anybody, will connect to the announced
 * address; it must be the announcer's own unless the assignment admits third parties. The announcer's own port has to be within
 * `data.ports` like any other: who sends requests from port 22 would open that.
 */
export function judge(announced: Announced, { tuple, translated }: Between, assignment: Assignment): Verdict {
  const original = announced.direction === 'original';
  const announcer = original ? tuple.source : tuple.destination;
  const peer = original ? tuple.destination : tuple.source;
  const source = announced.from === 'anyone' ? ANY : peer;
  const destination = announced.address ?? announcer;
  const family = familyOf(destination);
  const port = announced.port ?? (original ? tuple.sourcePort : tuple.destinationPort);
  const expect = { source, destination, destinationPort: port, family: tuple.family };
  const refuse = (refused: Reason): Verdict => ({ expect, refused });

  if (port === 0) return refuse('port-zero');
  if (port > 0xffff) return refuse('bad-port');
  if (family !== tuple.family || (announced.family !== null && announced.family !== tuple.family))
    return refuse('wrong-family');
  const { ports, thirdParty } = assignment.data;
  if (port < ports.from || port > ports.to) return refuse('port-range');
  // Behind translation the peer's connection arrives with a tuple that is not known here.
  if (translated && original) return refuse('nat');
  if (!addressEquals(destination, announcer)) {
    if (translated) return refuse('nat');
    if (!thirdParty) return refuse('address');
  }
  return { expect, refused: null };
}
