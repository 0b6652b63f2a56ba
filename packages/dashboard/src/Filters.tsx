// SPDX-License-Identifier: Apache-2.0
import type { ComponentChildren } from 'preact';

/** The line above a table that says what is shown. What stands in it takes effect as it is written. */
export function Filters({ children }: { children: ComponentChildren }) {
  return (
    <form
      class="filters"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
      }}
    >
      {children}
    </form>
  );
}
