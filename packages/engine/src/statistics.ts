// SPDX-License-Identifier: Apache-2.0
import type { Assignment } from '@relatd/config';
import type { AssignmentCounters, Event, Expectation, Flow, Reason } from '@relatd/model';
import { countFlows } from './status.js';

interface Tally {
  controlTotal: number;
  relatedTotal: number;
  expectationTotal: number;
  readonly refused: Partial<Record<Reason, number>>;
  readonly distrusted: Partial<Record<Reason, number>>;
}

const add = (counts: Partial<Record<Reason, number>>, reason: Reason, count: number): void => {
  counts[reason] = (counts[reason] ?? 0) + count;
};

/** What was counted since this daemon started, by assignment. */
export class Statistics {
  readonly #byName = new Map<string, Tally>();

  #tally(name: string): Tally {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const tally: Tally = { controlTotal: 0, relatedTotal: 0, expectationTotal: 0, refused: {}, distrusted: {} };
    this.#byName.set(name, tally);
    return tally;
  }

  /** A control connection of an assignment is no longer parsed. */
  distrusted(assignment: string, reason: Reason): void {
    add(this.#tally(assignment).distrusted, reason, 1);
  }

  /** A flow or an expectation of an assignment is new. */
  began(what: 'control' | 'related' | 'expectation', assignment: string): void {
    this.#tally(assignment)[`${what}Total`]++;
  }

  /** An event goes to whoever listens. Of refusals it stands for those that were left out as well. */
  told(event: Event): void {
    if (event.type !== 'expectation.refused') return;
    const { assignment } = event.flow ?? event.expectation;
    if (typeof assignment === 'string') add(this.#tally(assignment).refused, event.reason, event.count);
  }

  assignments(
    assignments: readonly Assignment[],
    flows: readonly Flow[],
    expectations: readonly Expectation[],
  ): AssignmentCounters[] {
    return assignments.map(({ name, helper, limits }) => ({
      ...this.#tally(name),
      name,
      helper,
      flows: countFlows(flows, name),
      expectations: expectations.filter((expectation) => expectation.assignment === name).length,
      perMaster: limits.perMaster,
    }));
  }
}
