// SPDX-License-Identifier: Apache-2.0

/** Which flows or expectations to list; what is absent does not filter. `kind` is for flows only. */
export interface ListFilter {
  readonly kind?: 'control' | 'related';
  readonly helper?: string;
  readonly assignment?: string;
}

interface Listed {
  readonly kind?: string;
  readonly helper: string;
  readonly assignment: string;
}

/** The predicate of a filter, the same for the daemon's tables and for the pins. */
export function matches({ kind, helper, assignment }: ListFilter): (item: Listed) => boolean {
  return (item) =>
    (kind === undefined || item.kind === kind) &&
    (helper === undefined || item.helper === helper) &&
    (assignment === undefined || item.assignment === assignment);
}
