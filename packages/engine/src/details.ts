// SPDX-License-Identifier: Apache-2.0
import type { Assignment } from '@relatd/config';
import { FlowKind, type FlowRecord } from '@relatd/datapath';
import type { FlowDetail } from '@relatd/model';
import type { DetailBox } from './connection.js';

/** What of a detail may be shown at an assignment's level. */
export function shownDetail(detail: FlowDetail | null, level: Assignment['detail']): FlowDetail | null {
  if (level === 'none' || detail === null) return null;
  return level === 'full' ? { ...detail } : { command: detail.command ?? null };
}

/** What flows are for, as far as their assignments let it be shown. */
export class Details {
  readonly #control: (flow: bigint) => DetailBox | undefined;
  readonly #read: (connection: bigint) => void;
  readonly #level: (assignment: number) => Assignment['detail'];
  /** Of related flows, and of control connections that are over. */
  readonly #boxes = new Map<bigint, DetailBox>();

  /** `read` makes known what is kept of a control connection. */
  constructor(
    control: (flow: bigint) => DetailBox | undefined,
    read: (connection: bigint) => void,
    level: (assignment: number) => Assignment['detail'],
  ) {
    this.#control = control;
    this.#read = read;
    this.#level = level;
  }

  remember(flow: bigint, box: DetailBox | undefined): void {
    if (box !== undefined) this.#boxes.set(flow, box);
  }

  of({ id, kind, master, assignment }: FlowRecord): FlowDetail | null {
    const level = this.#level(assignment);
    if (level === 'none') return null;
    this.#read(kind === FlowKind.control ? id : master);
    const box = (kind === FlowKind.control ? this.#control(id) : undefined) ?? this.#boxes.get(id);
    return shownDetail(box?.detail ?? null, level);
  }

  /** The flows known now, to be compared with a table that is read later. */
  known(): bigint[] {
    return [...this.#boxes.keys()];
  }

  /** Forgets those of `known` that the table no longer has. */
  prune(known: readonly bigint[], flows: ReadonlySet<bigint>): void {
    for (const id of known) if (!flows.has(id)) this.#boxes.delete(id);
  }
}
