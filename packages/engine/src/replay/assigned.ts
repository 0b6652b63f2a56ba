// SPDX-License-Identifier: Apache-2.0
import { assignmentPairs, type Assignment, type AssignmentPair } from '@relatd/config';
import type { TupleRecord } from '@relatd/datapath';
import { prefixCovers } from '@relatd/model';
import { PROTOCOL_NUMBER } from '../assignments.js';

/** An assignment, and what it covers on its port. */
interface Place {
  readonly assignment: Assignment;
  readonly pairs: readonly AssignmentPair[];
}

const portKey = (protocol: number, port: number): string => `${String(protocol)}/${String(port)}`;

/** Which assignment covers a connection. */
export class Assigned {
  /** An assignment with `interface` was taken for packets of which the capture does not name the interface. */
  guessedInterface = false;
  /** By protocol and port, the more specific first. */
  readonly #places = new Map<string, Place[]>();

  /** The more specific ones come first, as the configuration has them. */
  constructor(assignments: readonly Assignment[]) {
    for (const assignment of assignments) {
      const port = portKey(PROTOCOL_NUMBER[assignment.protocol], assignment.port);
      const places = this.#places.get(port) ?? [];
      places.push({ assignment, pairs: assignmentPairs(assignment) });
      this.#places.set(port, places);
    }
  }

  /** Whether any may cover a connection from its opener, whatever its interface. */
  covers(tuple: TupleRecord): boolean {
    return this.#placesOf(tuple).some((place) => covers(place, tuple));
  }

  /** The most specific that covers a connection from its opener, which came by this interface; null: not known by which. */
  find(tuple: TupleRecord, by: string | null): Assignment | null {
    for (const place of this.#placesOf(tuple)) {
      const only = place.assignment.interface;
      if (!covers(place, tuple) || (only !== null && by !== null && only !== by)) continue;
      if (only !== null && by === null) this.guessedInterface = true;
      return place.assignment;
    }
    return null;
  }

  #placesOf({ protocol, destinationPort }: TupleRecord): readonly Place[] {
    return this.#places.get(portKey(protocol, destinationPort)) ?? [];
  }
}

function covers({ pairs }: Place, { source, destination }: TupleRecord): boolean {
  return pairs.some(({ from, to }) => prefixCovers(from, source) && prefixCovers(to, destination));
}
