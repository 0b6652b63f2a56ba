// SPDX-License-Identifier: Apache-2.0
import {
  bytesOf,
  formatDetail,
  formatPath,
  type ControlFlow,
  type Expectation,
  type Flow,
  type RelatedFlow,
  type Status,
} from '@relatd/model';

/** What was tracked at one moment. */
export interface Snapshot {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly flows: readonly Flow[];
  readonly expectations: readonly Expectation[];
  /** Null: there is no daemon, and this is what is pinned. */
  readonly status: Status | null;
}

/** The figures of a row. */
export interface Figures {
  /** Both directions; null where nothing is counted. */
  readonly bytes: number | null;
  /** Bytes per second between two snapshots; null where there is only one. */
  readonly rate: number | null;
  readonly ageSeconds: number;
  readonly idleSeconds: number | null;
}

interface Item<Subject> extends Figures {
  /** Unique among all rows. */
  readonly key: string;
  readonly subject: Subject;
}

export type RelatedItem = Item<RelatedFlow>;
export type ExpectedItem = Item<Expectation>;

/**
 * A control connection and what came of it. Its figures include those of its related flows. `subject` is null when it has
 * ended, or is filtered away, and its related flows go on.
 */
export interface Session extends Item<ControlFlow | null> {
  /** Id of the control connection. */
  readonly master: string;
  readonly assignment: string;
  readonly expected: readonly ExpectedItem[];
  readonly related: readonly RelatedItem[];
}

/** The sessions of a snapshot; rates are those since `before`. */
export function sessionsOf(now: Snapshot, before: Snapshot | null): Session[] {
  const rateOf = rates(now, before);
  const groups = new Map<string, Group>();
  const groupOf = (master: string, assignment: string): Group => {
    let group = groups.get(master);
    if (group === undefined) groups.set(master, (group = { assignment, control: null, expected: [], related: [] }));
    return group;
  };
  const ageOf = (created: string): number => Math.max((now.time - Date.parse(created)) / 1000, 0);
  for (const flow of now.flows) {
    const { id, assignment, idleSeconds } = flow;
    const figures = { bytes: bytesOf(flow), rate: rateOf(flow), ageSeconds: ageOf(flow.created), idleSeconds };
    if (flow.kind === 'control') groupOf(id, assignment).control = { key: `flow ${id}`, subject: flow, ...figures };
    else groupOf(flow.master, assignment).related.push({ key: `flow ${id}`, subject: flow, ...figures });
  }
  for (const subject of now.expectations) {
    const figures = { bytes: null, rate: null, ageSeconds: ageOf(subject.created), idleSeconds: null };
    groupOf(subject.master, subject.assignment).expected.push({ key: `expect ${subject.id}`, subject, ...figures });
  }
  return [...groups].map(([master, group]) => sessionOf(master, group));
}

interface Group {
  readonly assignment: string;
  control: Item<ControlFlow> | null;
  readonly expected: ExpectedItem[];
  readonly related: RelatedItem[];
}

function sessionOf(master: string, { assignment, control, expected, related }: Group): Session {
  const counted = control === null ? related : [control, ...related];
  const all = [...counted, ...expected];
  return {
    key: `flow ${master}`,
    subject: control?.subject ?? null,
    ...{ master, assignment, expected, related },
    bytes: total(counted.map(({ bytes }) => bytes)),
    rate: total(counted.map(({ rate }) => rate)),
    ageSeconds: control?.ageSeconds ?? all.reduce((age, { ageSeconds }) => Math.max(age, ageSeconds), 0),
    idleSeconds: counted.reduce<number | null>(
      (idle, { idleSeconds }) => (idle === null || idleSeconds === null ? idleSeconds : Math.min(idle, idleSeconds)),
      null,
    ),
  };
}

/** The sum of what is known; null when nothing is. */
export function total(numbers: readonly (number | null)[]): number | null {
  return numbers.reduce((sum, number) => (sum === null || number === null ? (sum ?? number) : sum + number), null);
}

function rates(now: Snapshot, before: Snapshot | null): (flow: Flow) => number | null {
  if (before === null || now.time <= before.time) return () => null;
  const seconds = (now.time - before.time) / 1000;
  const earlier = new Map(before.flows.map((flow) => [flow.id, bytesOf(flow)]));
  return (flow) => {
    const bytes = earlier.get(flow.id) ?? (Date.parse(flow.created) >= before.time ? 0 : null);
    return bytes === null ? null : Math.max(bytesOf(flow) - bytes, 0) / seconds;
  };
}

/** Everything that a person may look for in a flow or an expectation, in lower case. */
export function searchText(subject: Flow | Expectation): string {
  const words = [subject.assignment, subject.helper, formatPath(subject)];
  if ('kind' in subject) words.push(subject.state, subject.trust ?? '', formatDetail(subject.detail));
  return words.join(' ').toLowerCase();
}
